from socket import AF_INET6, inet_pton
from sys import intern

cimport cython

from hyperws._core.bounds cimport Bounds

cdef bytes MAPPED = bytes(10) + b"\xff\xff"     # how an IPv4 address starts that is written as an IPv6 one

# what a connection that is not admitted gets before it is closed, as far as its socket takes it at once
cdef bytes NO_ROOM = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


@cython.final
cdef class Admission:
    def __cinit__(self, Bounds bounds not None):
        self.bounds = bounds
        self.addresses = {}

    cdef bint admits(self, object address):
        """Whether the limits let in one more connection, from `address`."""
        return (
            self.admitted < self.bounds.max_connections
            and self.addresses.get(address, 0) < self.bounds.max_connections_per_address
        )

    cdef int admit(self, object address) except -1:
        self.admitted += 1
        self.addresses[address] = self.addresses.get(address, 0) + 1
        return 0

    cdef int release(self, object address) except -1:
        self.admitted -= 1
        if self.addresses[address] == 1:
            del self.addresses[address]
        else:
            self.addresses[address] -= 1
        return 0


cpdef tuple describe_peer(object address):
    """(what it counts as, host, port) of a peer, for the (host, port, …) that Python gives for it."""
    if not isinstance(address, tuple):
        return "unix", "unix", -1   # a Unix socket's peers have no names
    host = intern(address[0])       # many connections may come from it
    port = address[1]
    if ":" not in host:
        return host, host, port
    packed = inet_pton(AF_INET6, host.partition("%")[0])
    counted = host if packed.startswith(MAPPED) else packed[:8]     # all of a /64 is one's own
    return counted, host, port


cpdef str peer_name(str host, int port):
    if port < 0:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
