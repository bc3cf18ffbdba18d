"""The compiled half of `hyperws.Context`: what is called for every message."""

from hyperws._core.http cimport Request
from hyperws._core.topics cimport Topics
from hyperws._core.websocket_session cimport WebSocketSession


cdef class BaseContext:
    cdef readonly Request request
    cdef readonly str client
    cdef readonly WebSocketSession websocket    # None for plain HTTP
    cdef Topics topics

    cdef int need_websocket(self, str method) except -1
