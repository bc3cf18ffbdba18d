"""What a task waits on, and the awaitables that methods such as `receive()` return."""


cdef class Waiter:
    cdef public bint _asyncio_future_blocking
    cdef object loop, callback, context, cancel_message
    cdef bint woken, cancelled

    cdef int wake(self) except -1
    cdef int wake_in_place(self, object resumed) except -1


cdef class Waiters:
    cdef object loop
    cdef list waiting

    cdef int wake(self) except -1


cdef class Operation:
    cdef bint finished

    cdef object step(self)
    cdef int abandon(self) except -1


cdef class SharedOperation(Operation):
    cdef Waiters waiters
    cdef Waiter waiter

    cdef Waiter wait(self, Waiters waiters)


cdef Operation DONE

cdef int enable_send(type operation) except -1
