"""Topics: what is published to one is written once for each kind of subscriber, and given to every one."""

from libc.stdint cimport uint64_t

from hyperws._core.waiter cimport SharedOperation


cdef enum Policy:
    CLOSE       # a subscriber that is too slow is given up
    DROP        # it does not get what is published meanwhile
    LATEST      # it gets only the last of what was published meanwhile


cdef class Writer:
    cdef bytes left, right, joined      # what was joined last

    cdef object write_shared(self, object message, object compress, object id)
    cdef bint is_shared(self)
    cdef bytes join(self, bytes left, bytes right)


cdef class Subscriber:
    cdef Writer writer
    cdef Topics hub         # that it is in, or None
    cdef dict topics        # {topic: Subscription} there, or None
    cdef dict held          # {Subscription: (message, compress, id)} for when it keeps up again, or None

    cdef bint take(self, object written) except -1
    cdef bint is_behind(self, Policy policy)
    cdef int release(self) except -1
    cdef int leave_all(self) except -1


cdef class Subscription(SharedOperation):
    cdef Subscriber subscriber      # None once it has left
    cdef readonly str topic
    cdef Policy policy
    cdef readonly uint64_t dropped
    cdef public object recovered
    cdef public str epoch
    cdef public uint64_t offset
    cdef public object member
    cdef bint waiting               # for its past: what is published meanwhile is in there too
    cdef bint unconfirmed           # the broker does not deliver the topic yet

    cdef int keep_back(self, object message, object compress, object id) except -1


cdef class Topics:
    cdef dict members       # topic: {subscriber: Subscription}, in the order of joining
    cdef dict listed        # topic: [Subscription], made when it is needed
    cdef bint delivering
    cdef object later       # what was published during that
    cdef public object relay
    cdef public bint relayed
    cdef readonly object loop
    cdef unsigned long thread
    cdef object hand_over

    cdef Subscription join(self, Subscriber subscriber, str topic, Policy policy)
    cdef int leave(self, Subscriber subscriber, str topic) except -1
    cdef Py_ssize_t publish(
        self, str topic, object message, Subscriber exclude, object compress, bint local
    ) except -1
    cpdef Py_ssize_t publish_here(
        self, str topic, object message, Subscriber exclude, object compress, bint local
    ) except -1
    cpdef Py_ssize_t deliver(
        self, str topic, object message, Subscriber exclude=*, object compress=*, object id=*
    ) except -1
    cdef Py_ssize_t give_out(
        self, str topic, object message, Subscriber exclude, object compress, object id
    ) except -1


cdef str checked_topic(object topic)
cdef Policy policy_named(object name) except? CLOSE
