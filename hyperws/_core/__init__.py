"""The compiled core. Its map is the .pxd files; nothing in here is public.

Each module may import those above it, never those below:

    bounds      the limits as C numbers
    admission   who is let in
    buffer      growable bytes
    timers      deadlines by a timing wheel
    waiter      what a task waits on, woken in place
    topics      who gets what is published
    http, body  request heads and bodies (no I/O)
    deflate     compressed payloads (no I/O)
    websocket   frames to messages (no I/O)
    message_writer    messages to frames (no I/O)
    event_writer      messages to Server-Sent Events (no I/O)
    poll        a subscriber that takes one message
    listener    a subscriber that is a function
    connection  one socket's bytes, flow control and deadlines; what a driver must provide
    inbox       the receive queue of one WebSocket or request body
    request_reader    HTTP requests on a connection
    http_session, websocket_session   the two protocols on it
    context     the compiled half of hyperws.Context
    reactor     the driver on a poller of its own
    portable    the driver on asyncio transports
"""
