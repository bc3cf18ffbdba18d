"""The receive queue of one WebSocket or request body, and the awaitable that takes from it."""

from hyperws._core.connection cimport Connection
from hyperws._core.waiter cimport Operation, Waiter


cdef class Inbox:
    cdef Connection connection    # reading pauses while too much is queued
    cdef list messages            # None while there are none
    cdef Py_ssize_t head          # index of the first message that was not taken
    cdef size_t weight            # what the queued messages cost, in bytes
    cdef bint full
    cdef readonly bint took_text  # whether the last message taken was a str
    cdef object closed            # the error to raise once the messages are taken, or None
    cdef bint failed              # iterating raises it too, as what came is not all
    cdef Waiter waiter            # of the task that is in receive(), or None
    cdef Waiter spare             # the last one, for the next time

    cdef int put(self, object message) except -1
    cdef object take(self)
    cdef int wake_in_place(self) except -1
    cdef int close(self, object error) except -1
    cdef int fail(self, object error) except -1
    cdef Operation receive(self, bint iterating)


cdef class Receive(Operation):
    cdef Inbox inbox
    cdef Waiter waiter      # on which this one waits, or None
    cdef bint iterating     # for `async for`: the end is StopAsyncIteration
    cdef bint promised      # given out by `__anext__`, and not finished yet
