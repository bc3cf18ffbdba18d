"""Topics: what is published to one is written once for each kind of subscriber, and given to every one."""


cdef class Writer:
    cdef object write_shared(self, object message, object compress)
    cdef bint is_shared(self)


cdef class Subscriber:
    cdef Writer writer
    cdef Topics hub         # that it is in, or None
    cdef set topics         # its topics there, or None

    cdef bint take(self, object written) except -1
    cdef int leave_all(self) except -1


cdef class Topics:
    cdef dict members       # topic: {subscriber: None}, in the order of joining

    cdef int join(self, Subscriber subscriber, object topic) except -1
    cdef int leave(self, Subscriber subscriber, object topic) except -1
    cdef Py_ssize_t publish(
        self, object topic, object message, Subscriber exclude, object compress
    ) except -1


cdef int check_topic(object topic) except -1
