"""Servers to compare, one small file each, in a folder for what they do: `echo`, `broadcast` and `hello`.

A peer listens on 127.0.0.1 and the port that it is given, in one thread where that can be chosen, and logs
nothing. `echo` sends every WebSocket message on "/" back. `broadcast` publishes to all WebSockets on "/" what
one on "/control" asks for, as `broadcast_load.c` says. `hello` answers GET / with "Hello, World!" as
text/plain.

The end of a file's name tells how it is started: .py as a module, .c compiled, .js by Bun, and .conf by
nginx, with ${port} filled in.
"""
