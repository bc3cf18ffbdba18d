from hyperws.errors import UsageError

cimport cython


cdef class Writer:
    """Makes of a message what one kind of subscriber takes."""

    cdef object write_shared(self, object message, object compress):
        """What a subscriber is to take for a checked message; None where this kind can't have it."""
        raise NotImplementedError

    cdef bint is_shared(self):
        """Whether what it writes does not depend on what it wrote before."""
        return True


cdef class Subscriber:
    cdef bint take(self, object written) except -1:
        """Take what the writer has made. Returns whether that was possible."""
        raise NotImplementedError

    cdef int leave_all(self) except -1:
        if self.hub is not None:
            for topic in list(self.topics):
                self.hub.leave(self, topic)
            self.hub = None
            self.topics = None
        return 0


@cython.final
cdef class Topics:
    def __cinit__(self):
        self.members = {}

    cdef int join(self, Subscriber subscriber, topic) except -1:
        check_topic(topic)
        if subscriber.hub is None:
            subscriber.hub = self
            subscriber.topics = set()
        subscriber.topics.add(topic)
        self.members.setdefault(topic, {})[subscriber] = None
        return 0

    cdef int leave(self, Subscriber subscriber, topic) except -1:
        check_topic(topic)
        if subscriber.topics is not None and topic in subscriber.topics:
            subscriber.topics.remove(topic)
            members = self.members[topic]
            del members[subscriber]
            if not members:
                del self.members[topic]     # an empty topic costs nothing
        return 0

    cdef Py_ssize_t publish(self, topic, object message, Subscriber exclude, object compress) except -1:
        """Give a checked message to every subscriber but `exclude`. Returns how many took it."""
        cdef Subscriber subscriber
        cdef Writer writer
        cdef Py_ssize_t reached = 0
        cdef dict shared = {}       # by the writer, for those that write the same to all their subscribers
        check_topic(topic)
        # a copy, as a subscriber that is given up for being too slow leaves while this goes on
        for subscriber in tuple(self.members.get(topic, ())):
            if subscriber is exclude:
                continue
            writer = subscriber.writer
            if writer in shared:
                written = shared[writer]
            else:
                written = writer.write_shared(message, compress)
                if writer.is_shared():
                    shared[writer] = written
            if written is not None:
                reached += subscriber.take(written)
        return reached


cdef int check_topic(object topic) except -1:
    if not isinstance(topic, str):
        raise UsageError(f"a topic is a str, not {type(topic).__name__}")
    return 0
