cdef extern from "wheel.h":
    const uint64_t UINT64_MAX

cdef double TICK = 0.05     # seconds; a deadline is met at most this much late
cdef double FAR = 1e12      # seconds of the loop's clock; what is due later than this never comes


cdef inline uint64_t tick_at(double now) noexcept:
    """The tick that has come. A loop may call a millisecond early, and the division may round down."""
    return <uint64_t> (now / TICK + 0.02)


cdef class Timed:
    cdef int expired(self, double now) except -1:
        """Called once, at or after the deadline."""
        raise NotImplementedError


cdef class Timers:
    def __cinit__(self, loop, set kept):
        self.loop = loop
        self.kept = kept
        self.wake = UINT64_MAX

    cdef int arm(self, Timed timed, double deadline) except -1:
        """Call `timed.expired` at `deadline`, in seconds of the loop's clock; INFINITY means never."""
        if deadline > FAR:
            self.disarm(timed)
            return 0
        cdef uint64_t tick = max(<uint64_t> (deadline / TICK), tick_at(self.loop.time())) + 1
        timed.timer.owner = <void *> timed
        hw_wheel_set(&self.wheel, &timed.timer, tick)
        if tick < self.wake:
            self.schedule(tick)
        return 0

    cdef void disarm(self, Timed timed) noexcept:
        hw_wheel_drop(&self.wheel, &timed.timer)

    cdef int schedule(self, uint64_t tick) except -1:
        if self.handle is not None:
            self.handle.cancel()
        self.handle = self.loop.call_at(tick * TICK, self.run)
        self.wake = tick
        return 0

    def run(self):
        """Expire what is due, then sleep until the next."""
        cdef double now = self.loop.time()
        cdef uint64_t tick = tick_at(now)
        cdef hw_timer *timer
        cdef Timed timed
        self.handle = None
        self.wake = UINT64_MAX
        try:
            timer = hw_wheel_expired(&self.wheel, tick)
            while timer is not NULL:
                timed = <Timed> timer.owner     # alive until it has been called, whatever it drops
                timed.expired(now)
                timer = hw_wheel_expired(&self.wheel, tick)
        finally:
            tick = hw_wheel_next(&self.wheel, tick)
            if tick < self.wake:
                self.schedule(tick)

    def stop(self):
        if self.handle is not None:
            self.handle.cancel()
            self.handle = None
