"""The compiled half of `hyperws.Context`: what is called for every message."""

from hyperws._core.connection cimport Connection, Session
from hyperws._core.flag cimport flag
from hyperws._core.http cimport Request
from hyperws._core.http_session cimport HttpSession
from hyperws._core.topics cimport Topics
from hyperws._core.websocket_session cimport WebSocketSession


cdef class BaseContext:
    cdef readonly Request request
    cdef readonly Connection connection
    cdef readonly HttpSession http              # None once it is a WebSocket
    cdef readonly WebSocketSession websocket    # None for plain HTTP
    cdef readonly Topics topics
    # What the rooms above keep. It takes less memory here than in slots of theirs, and less time to set up.
    cdef readonly object server
    cdef public object subprotocol
    cdef public object _params, _body, _headers, _state, _forwarded
    cdef public object _response, _kept
    cdef public double began
    cdef public bint over       # the request is dealt with: its connection may serve another one already
    cdef public bint aborted, is_event_stream, keep_alive
    cdef public flag _head_sent, _complete, _in_middleware

    cdef Session subscriber(self)
    cdef int need_websocket(self, str method) except -1
