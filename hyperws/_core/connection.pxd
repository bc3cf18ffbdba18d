"""One peer's socket: bytes to send, flow control, deadlines and the end; and what a driver must provide.

    Driver  ──feeds──▶  Connection  ──feeds──▶  Session (HttpSession, later WebSocketSession)
            ◀─transmit─              ◀─write──
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from hyperws._core.admission cimport Admission
from hyperws._core.bounds cimport Bounds
from hyperws._core.buffer cimport Buffer
from hyperws._core.flag cimport flag
from hyperws._core.timers cimport Timed, Timers
from hyperws._core.topics cimport Subscriber, Writer
from hyperws._core.waiter cimport Operation, SharedOperation, Waiters

cdef int ACCEPTS            # connections taken in one go, before those that are open get their turn
cdef int LAST_ACCEPTS       # times that many, before listening ends
cdef double ACCEPT_PAUSE    # seconds without accepting, where descriptors or memory are used up
cdef double LAST_CALL       # seconds that a peer has to bring a request when the server stops


cdef class Driver:
    cdef readonly object loop
    cdef readonly object app           # a hyperws.application.Application: answers requests, hears of faults
    cdef readonly Bounds bounds
    cdef Timers timers
    cdef readonly object resumed       # a future that is done, for tasks that are woken in place
    cdef readonly set connections      # until the socket is closed and the handler has ended
    cdef Admission admission
    cdef double now                    # the loop's clock when the present batch began
    cdef Buffer cork                   # what the connection in `corked` was given to send in this batch
    cdef Connection corked
    cdef list dirty                    # connections with something to send at the end of the turn
    cdef bint flushing                 # that end is in sight already
    cdef object drained                # a future for when there are no connections, or None

    cdef int add(self, Connection connection) except -1
    cdef int retire(self, Connection connection) except -1
    cdef int fault(self, Connection connection, object error) except -1
    cdef int schedule_flush(self) except -1
    cdef int flush(self) except -1
    cdef bint is_drained(self) noexcept
    cdef int look_if_drained(self) except -1

    # a driver's own part
    cdef Py_ssize_t transmit(self, Connection connection, const uint8_t *data, size_t size) except -2
    cdef Py_ssize_t transmit_file(self, Connection connection, size_t size) except -2
    cdef size_t held(self, Connection connection) except? 0
    cdef int watch(self, Connection connection) except -1
    cdef int end_output(self, Connection connection) except -1
    cdef int disconnect(self, Connection connection) except -1


cdef class Session(Subscriber):
    cdef readonly Connection connection
    cdef public object task            # the handler's task while it runs, or None
    cdef public object when_retired    # called without arguments when all has ended, or None

    cdef size_t feed(self, uint8_t *data, size_t size) except? 0
    cdef int end_of_input(self) except -1
    cdef int hung_up(self) except -1
    cdef int lost(self) except -1
    cdef int sent(self) except -1
    cdef double deadline(self)
    cdef int overdue(self, double now) except -1
    cdef object closed_error(self)


cdef class Connection(Timed):
    cdef readonly Driver driver
    cdef readonly Session session      # None once retired
    cdef str host                      # the peer's address, or "unix"
    cdef int port                      # the peer's, -1 for none
    cdef object address                # what the connection counts as: an address, or a network
    cdef int fd                        # the reactor's, -1 once closed
    cdef object transport              # the portable driver's, None once closed
    cdef Buffer out
    cdef bytes shared                  # what is sent next, in place of an empty `out`; or None
    cdef object file                   # the raw file that is sent after `out` and then closed, or None
    cdef int64_t file_at, file_left    # the part of it that is still to be sent
    cdef Buffer unread                 # the rest of a read, for when the session takes more
    cdef double last_read
    cdef double reading_since          # when reading began or was resumed
    cdef double last_progress          # when the peer was last seen to take something, and not all of it
    cdef size_t held                   # what the socket held at that time or at the last look
    cdef double gone_at                # when the socket was closed
    cdef uint8_t watched               # the reactor's: what the poller watches
    cdef flag gone
    cdef flag starting                 # its handler is being started
    cdef flag input_ended              # the peer sends no more bytes
    cdef flag paused                   # nothing is read for now
    cdef flag resuming                 # the turn of `unread` is scheduled
    cdef flag blocked                  # the socket takes nothing for now
    cdef flag dirty
    cdef flag discarding               # what comes in is thrown away
    cdef flag finishing                # disconnect when all is sent
    cdef flag ending                   # end the output when all is sent, then wait for the peer's end
    cdef Waiters drain_waiters         # tasks that wait for the peer to take more
    cdef Waiters end_waiters           # tasks that wait for the socket to be closed

    cdef int use(self, Session session) except -1
    cdef int received(self, uint8_t *data, size_t size) except -1
    cdef int end_of_input(self) except -1
    cdef int writable(self) except -1
    cdef int hung_up(self) except -1
    cdef int lost(self) except -1
    cdef int settle(self) except -1

    cdef Buffer *outgoing(self) except NULL
    cdef int written(self) except -1
    cdef int write(self, const uint8_t *data, size_t size) except -1
    cdef int write_shared(self, bytes data, Writer writer=*) except -1
    cdef int write_directly(self, const uint8_t *data, size_t size) except -1
    cdef int write_file(self, object file, int64_t offset, int64_t count) except -1
    cdef uint64_t unsent(self) noexcept
    cdef int flush(self) except -1
    cdef int transmitted(self) except -1
    cdef int mark_dirty(self) except -1
    cdef int flush_file(self) except -1
    cdef int close_file(self) except -1
    cdef int look_for_progress(self, double now) except -1
    cdef int pause_reading(self) except -1
    cdef int resume_reading(self) except -1
    cdef int put_back(self, Buffer *data) except -1
    cdef int finish(self) except -1
    cdef int finish_politely(self) except -1
    cdef int abort(self) except -1
    cdef int rearm(self) except -1
    cdef Operation drain(self, Session session)
    cdef Operation wait_gone(self)


cdef class Drain(SharedOperation):
    cdef Connection connection
    cdef Session session       # whose error is raised if the connection ends before


cdef class End(SharedOperation):
    cdef Connection connection
