"""`hyperws.Limits` as C numbers."""


cdef class Bounds:
    cdef size_t max_message_size, max_message_frames, max_head_size, max_headers, max_body_size
    cdef size_t max_connections, max_connections_per_address, receive_queue, send_queue
    cdef double handshake_timeout, idle_timeout, ping_interval, ping_timeout, close_timeout
    cdef double handler_grace
