"""Deadlines of many connections by one timing wheel and one timer of the event loop."""

from libc.stdint cimport uint64_t

cdef extern from "wheel.h":
    struct hw_timer:
        void *owner

    struct hw_wheel:
        size_t count

    void hw_wheel_set(hw_wheel *wheel, hw_timer *timer, uint64_t tick) noexcept
    void hw_wheel_drop(hw_wheel *wheel, hw_timer *timer) noexcept
    uint64_t hw_wheel_next(const hw_wheel *wheel, uint64_t now) noexcept
    hw_timer *hw_wheel_expired(hw_wheel *wheel, uint64_t now) noexcept


cdef class Timed:
    """Something with a deadline. Must be in the Timers' set while it is armed."""
    cdef hw_timer timer

    cdef int expired(self, double now) except -1


cdef class Timers:
    cdef object loop, handle
    cdef set kept          # keeps alive what is armed
    cdef hw_wheel wheel
    cdef uint64_t wake     # the tick for which the event loop's timer is set

    cdef int arm(self, Timed timed, double deadline) except -1
    cdef void disarm(self, Timed timed) noexcept
    cdef int schedule(self, uint64_t tick) except -1
