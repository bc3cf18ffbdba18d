"""A subscriber that is a function of the application: the server listens to a topic itself."""

from hyperws._core.topics cimport Subscriber, Subscription


cdef class Listener(Subscriber):
    cdef object function                    # called with each message, must not raise
    cdef readonly Subscription subscription
