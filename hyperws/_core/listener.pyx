cimport cython

from hyperws._core.poll cimport PLAIN
from hyperws._core.topics cimport CLOSE, Subscriber, Topics, checked_topic


@cython.final
cdef class Listener(Subscriber):
    def __cinit__(self, Topics topics not None, topic, function):
        self.writer = PLAIN
        self.function = function
        self.subscription = topics.join(self, checked_topic(topic), CLOSE)

    cdef bint take(self, object written) except -1:
        self.function(written)
        return True

    def close(self):
        """Hear no more."""
        self.leave_all()
