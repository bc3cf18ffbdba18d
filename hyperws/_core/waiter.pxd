"""What a task waits on, and the awaitables that methods such as `receive()` return."""

from cpython.object cimport PyObject

from hyperws._core.flag cimport flag

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT


cdef class Waiter:
    cdef object loop, callback, context, cancel_message
    cdef Driven driven          # whose task waits on this, or None
    cdef public bint _asyncio_future_blocking
    cdef flag woken, cancelled
    cdef flag cancel_asked      # while the driver lets the coroutine go on

    cdef bint reuse(self) except -1
    cdef int wake(self) except -1
    cdef int wake_in_place(self, object resumed) except -1


cdef enum Outcome:
    NOTHING, YIELDED, RETURNED, RAISED


cdef class Driven:
    cdef object coroutine
    cdef object outcome         # what the coroutine yielded, returned or raised, unknown to the task yet
    cdef Outcome kind
    cdef bint is_running        # by the driver, and not by the task

    cdef int go_on(self, Waiter waiter, object resumed) except -1
    cdef int note(self, object awaited) except -1
    cdef PySendResult take_outcome(self, PyObject **result) except PYGEN_ERROR


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
