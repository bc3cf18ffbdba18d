"""What the headers of a handshake say and ask for: as another library reads them, and as RFC 7692 has it.

Input: the server's settings, then the value of a header, whose bytes below a space are words of WORDS.
"""

from __future__ import annotations

from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.headers import parse_extension

from hyperws.compression import NAME, Agreement, Compression, accept
from hyperws.cookies import parse_cookies
from hyperws.errors import BadRequest
from hyperws.handshake import parse_extensions

from ..test_handshake import agree_on_lists
from .source import Source

GUIDED_BY_LINES = True      # for python.c: nothing of this is compiled

FLAGS = ["server_no_context_takeover", "client_no_context_takeover"]
BITS = ["server_max_window_bits", "client_max_window_bits"]
WORDS = [
    NAME, f"{NAME}; ", f", {NAME}; ", *FLAGS, *BITS, *(f"{name}=" for name in BITS), "\t", "; ", ", ",
    '="', *map(str, range(7, 17)), "\r\n", '\\"', "\\1", "é", "\x7f", "\0",
]

WINDOWS = [str(bits) for bits in range(8, 16)]
RIGHT = {       # RFC 7692, section 7.1; and a server's zlib has no window of 8 bits to write with
    "server_no_context_takeover": [None], "client_no_context_takeover": [None],
    "server_max_window_bits": WINDOWS[1:], "client_max_window_bits": [None, *WINDOWS],
}

SETTINGS = [
    Compression(server_no_context_takeover=flags & 1 == 1, client_no_context_takeover=flags & 2 == 2,
                server_max_window_bits=server, client_max_window_bits=client)
    for flags in range(4) for server in (15, 9) for client in (15, 10)
]


def one_input(data):
    source = Source(data)
    own = source.choice(SETTINGS)
    value = "".join(WORDS[byte] if byte < len(WORDS) else chr(byte) for byte in source.rest())
    agree_on_lists(value)
    try:
        offers = parse_extensions(value)
    except BadRequest:
        offers = []
    for _, parameters in offers:
        agreement = accept(parameters, own)
        assert agreement == agreed(parameters, own), (parameters, agreement)
        if agreement is not None:
            take(agreement.encode(), dict(parameters))
    for name, cookie in parse_cookies(value).items():
        assert name
        assert isinstance(cookie, str)


def agreed(parameters, own):
    """The answer to an offer."""
    offered = dict(parameters)
    if len(offered) < len(parameters) or any(value not in RIGHT.get(name, []) for name, value in parameters):
        return None
    server, client = (int(offered.get(name) or 15) for name in BITS)
    server = min(server, own.server_max_window_bits)
    return Agreement(
        own.server_no_context_takeover or "server_no_context_takeover" in offered,
        own.client_no_context_takeover or "client_no_context_takeover" in offered,
        server if server < 15 or "server_max_window_bits" in offered else None,
        min(client, own.client_max_window_bits) if "client_max_window_bits" in offered else None,
    )


def take(answer, offered):
    """What a client does that made this offer: it raises where the answer is none to it."""
    ((name, parameters),) = parse_extension(answer)
    assert name == NAME
    server, client = (
        int(offered[name]) if offered.get(name) else name in offered or None for name in BITS
    )
    if client == 8:
        return      # this client's zlib has no such window
    factory = ClientPerMessageDeflateFactory(*(name in offered for name in FLAGS), server, client)
    factory.process_response_params(parameters, [])
