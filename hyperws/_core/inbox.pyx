from hyperws.errors import UsageError

cimport cython

from hyperws._core.connection cimport Connection
from hyperws._core.waiter cimport Operation, Waiter, enable_send

cdef extern from "Python.h":
    Py_ssize_t PyUnicode_GET_LENGTH(object)
    int PyUnicode_KIND(object)
    Py_ssize_t PyBytes_GET_SIZE(object)

cdef size_t MESSAGE_COST = 64   # bytes that an empty message takes, so that a flood of them counts too


cdef inline size_t weigh(object message) noexcept:
    if type(message) is str:
        return MESSAGE_COST + <size_t> PyUnicode_GET_LENGTH(message) * PyUnicode_KIND(message)
    return MESSAGE_COST + <size_t> PyBytes_GET_SIZE(message)


@cython.final
cdef class Inbox:
    def __cinit__(self, Connection connection):
        self.connection = connection

    cdef int put(self, object message) except -1:
        if self.messages is None:
            self.messages = [message]
        else:
            self.messages.append(message)
        self.weight += weigh(message)
        if self.weight > self.connection.driver.bounds.receive_queue and not self.full:
            self.full = True
            self.connection.pause_reading()
        return 0

    cdef object take(self):
        message = self.messages[self.head]
        self.messages[self.head] = None
        self.head += 1
        if self.head == len(self.messages):
            self.messages = None    # an idle WebSocket is to take little memory
            self.head = 0
        elif self.head >= 256 and 2 * self.head >= len(self.messages):
            del self.messages[:self.head]       # a queue that is never empty must not grow for ever
            self.head = 0
        self.weight -= weigh(message)
        self.took_text = type(message) is str
        if self.full and self.weight <= self.connection.driver.bounds.receive_queue // 2:
            self.full = False
            self.connection.resume_reading()
        return message

    cdef int wake_in_place(self) except -1:
        """Let the waiting task go on if there is something for it."""
        cdef Waiter waiter = self.waiter    # kept alive: the task that goes on drops it
        if waiter is not None and (self.messages is not None or self.closed is not None):
            waiter.wake_in_place(self.connection.driver.resumed)
        return 0

    cdef int close(self, object error) except -1:
        """No message comes any more; `error` is raised once those that are here have been taken."""
        if self.closed is None:
            self.closed = error
            if self.waiter is not None:
                self.waiter.wake()
        return 0

    cdef int fail(self, object error) except -1:
        """As `close`, in the midst of something."""
        if self.closed is None:
            self.failed = True
        return self.close(error)

    cdef Operation receive(self, bint iterating):
        cdef Receive operation = Receive.__new__(Receive)
        operation.inbox = self
        operation.iterating = iterating
        return operation


@cython.final
cdef class Receive(Operation):
    """Takes one message; or, for `async for`, one after the other."""

    def __aiter__(self):
        return self

    def __anext__(self):
        if self.promised:
            return self.inbox.receive(True)     # somebody may still await the last one
        self.promised = True
        self.finished = False
        return self

    cdef object step(self):
        cdef Inbox inbox = self.inbox
        if self.finished:
            raise UsageError("this receive() was awaited already: call receive() again for the next message")
        if self.waiter is not None:
            self.abandon()
        if inbox.messages is not None:
            self.finished = True
            self.promised = False
            return inbox.take()
        if inbox.closed is not None:
            if self.iterating and not inbox.failed:
                raise StopAsyncIteration
            raise type(inbox.closed)(*inbox.closed.args)    # a new one: its traceback will hold the handler
        if inbox.waiter is not None and not inbox.waiter.cancelled:
            raise UsageError(
                "another task waits in receive() on this connection: "
                "let one task receive and pass messages on"
            )
        if inbox.waiter is None and inbox.spare is not None and inbox.spare.reuse():
            self.waiter = inbox.waiter = inbox.spare
        else:
            self.waiter = inbox.waiter = inbox.spare = Waiter(inbox.connection.driver.loop)
        return self.waiter

    cdef int abandon(self) except -1:
        if self.inbox.waiter is self.waiter:
            self.inbox.waiter = None
        self.waiter = None
        return 0


enable_send(Receive)
