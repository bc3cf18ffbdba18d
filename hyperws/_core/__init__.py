"""The compiled core. Its map is the .pxd files; nothing in here is public.

Each module may import those above it, never those below:

    bounds      the limits as C numbers
    admission   who is let in
    buffer      growable bytes
    timers      deadlines by a timing wheel
    waiter      what a task waits on, woken in place
    http        request heads (no I/O)
    deflate     compressed payloads (no I/O)
    websocket   frames to messages (no I/O)
    message_writer    messages to frames (no I/O)
    connection  one socket's bytes, flow control and deadlines; what a driver must provide
    inbox       the receive queue of one WebSocket
    http_session, websocket_session   the two protocols, on a connection
    topics      who gets what is published
    context     the compiled half of hyperws.Context
    reactor     the driver on a poller of its own
    portable    the driver on asyncio transports
"""
