"""Who is let in: how many connections there are, in all and from one address."""

from hyperws._core.bounds cimport Bounds


cdef class Admission:
    cdef Bounds bounds
    cdef size_t admitted
    cdef dict addresses        # what a peer counts as: how many of it

    cdef bint admits(self, object address)
    cdef int admit(self, object address) except -1
    cdef int release(self, object address) except -1


cdef bytes NO_ROOM

cpdef tuple describe_peer(object address)
cpdef str peer_name(str host, int port)
