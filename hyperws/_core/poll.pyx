cimport cython

from hyperws._core.message_writer cimport lasting
from hyperws._core.topics cimport CLOSE, Subscriber, Topics, Writer, checked_topic


@cython.final
cdef class PlainWriter(Writer):
    """Keeps a message as it is."""

    cdef object write_shared(self, object message, object compress, object id):
        return lasting(message)


cdef PlainWriter PLAIN = PlainWriter()


@cython.final
cdef class Poll(Subscriber):
    def __cinit__(self, loop, Topics topics not None, topic):
        self.message = loop.create_future()
        self.writer = PLAIN
        topics.join(self, checked_topic(topic), CLOSE)

    cdef bint take(self, object written) except -1:
        if self.message.done():
            return False
        self.message.set_result(written)
        self.leave_all()
        return True

    cdef int end(self) except -1:
        """There will be no message."""
        self.leave_all()
        if not self.message.done():
            self.message.set_result(None)
        return 0

    def close(self):
        self.end()
