"""Topics: what is published to one is framed once and given to every subscriber."""

from hyperws._core.websocket_session cimport WebSocketSession


cdef class Topics:
    cdef dict members      # topic: {session: None}, in the order of joining

    cdef int join(self, WebSocketSession session, object topic) except -1
    cdef int leave(self, WebSocketSession session, object topic) except -1
    cdef Py_ssize_t publish_to(self, object topic, object message, object exclude, object compress) except -1
