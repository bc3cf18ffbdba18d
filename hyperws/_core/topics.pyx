from hyperws.errors import UsageError

cimport cython

from hyperws._core.message_writer cimport MessageWriter, checked_message
from hyperws._core.websocket_session cimport WebSocketSession


@cython.final
cdef class Topics:
    def __cinit__(self):
        self.members = {}

    cdef int join(self, WebSocketSession session, topic) except -1:
        check_topic(topic)
        if session.hub is None:
            session.hub = self
            session.topics = set()
        session.topics.add(topic)
        self.members.setdefault(topic, {})[session] = None
        return 0

    cdef int leave(self, WebSocketSession session, topic) except -1:
        check_topic(topic)
        if session.topics is not None and topic in session.topics:
            session.topics.remove(topic)
            members = self.members[topic]
            del members[session]
            if not members:
                del self.members[topic]     # an empty topic costs nothing
        return 0

    def leave_all(self, WebSocketSession session not None):
        for topic in list(session.topics):
            self.leave(session, topic)
        session.hub = None
        session.topics = None

    cdef Py_ssize_t publish_to(self, topic, object message, object exclude, object compress) except -1:
        cdef WebSocketSession session
        cdef MessageWriter writer
        cdef Py_ssize_t reached = 0
        cdef dict written = {}      # by the writer, for those that write the same to all their connections
        check_topic(topic)
        message = checked_message(message)
        # a copy, as a subscriber that is given up for being too slow leaves while this goes on
        for session in tuple(self.members.get(topic, ())):
            if session is exclude:
                continue
            writer = session.writer
            frame = written.get(writer)
            if frame is None:
                frame = writer.frames(message, compress)
                if writer.is_shared():
                    written[writer] = frame
            reached += session.send_shared(frame)
        return reached

    def publish(self, topic, message, exclude=None, compress=None):
        """Send `message` to every subscriber of `topic` but the session `exclude`. Returns their number."""
        return self.publish_to(topic, message, exclude, compress)


cdef int check_topic(object topic) except -1:
    if not isinstance(topic, str):
        raise UsageError(f"a topic is a str, not {type(topic).__name__}")
    return 0
