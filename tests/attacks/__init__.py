"""Attacks on a live server in a process of its own: what it answers, and what it costs the server."""
