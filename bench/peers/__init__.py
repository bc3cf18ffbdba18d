"""Echo servers to compare, one small file and one process each: `python -m bench.peers.NAME PORT`.

A peer listens on 127.0.0.1:PORT, prints "ready", and sends every WebSocket message on "/" back, until killed.
"""
