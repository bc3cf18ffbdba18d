from libc.math cimport INFINITY


cdef size_t count(value):
    """No bound is half of what size_t holds: far away, and sums of two can't overflow."""
    return (<size_t> -1) >> 1 if value is None else value


cdef double seconds(value):
    return INFINITY if value is None else value


cdef class Bounds:
    def __cinit__(self, limits):
        self.max_message_size = count(limits.max_message_size)
        self.max_message_frames = count(limits.max_message_frames)
        self.max_head_size = count(limits.max_head_size)
        self.max_headers = count(limits.max_headers)
        self.max_body_size = count(limits.max_body_size)
        self.max_connections = count(limits.max_connections)
        self.max_connections_per_address = count(limits.max_connections_per_address)
        self.receive_queue = count(limits.receive_queue)
        self.send_queue = count(limits.send_queue)
        self.handshake_timeout = seconds(limits.handshake_timeout)
        self.idle_timeout = seconds(limits.idle_timeout)
        self.ping_interval = seconds(limits.ping_interval)
        self.ping_timeout = seconds(limits.ping_timeout)
        self.close_timeout = seconds(limits.close_timeout)
        self.handler_grace = seconds(limits.handler_grace)
