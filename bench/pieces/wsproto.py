"""wsproto: its frames and its connection without input and output."""

from codecs import getincrementaldecoder
from collections.abc import Callable

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage
from wsproto.frame_protocol import FrameProtocol


def utf8() -> Callable[[bytes], str]:
    decoder = getincrementaldecoder("utf-8")
    return lambda data: decoder().decode(data, True)  # one for each message


def decode() -> Callable[[bytes], bytes]:
    protocol = FrameProtocol(client=False, extensions=[])

    def piece(frame: bytes) -> bytes:
        protocol.receive_bytes(frame)
        (received,) = protocol.received_frames()
        return received.payload

    return piece


def encode() -> Callable[[bytes], bytes]:
    protocol = FrameProtocol(client=False, extensions=[])
    return lambda payload: protocol.send_data(payload, fin=True)


def echo() -> Callable[[bytes], list[bytes]]:
    connection = Connection(ConnectionType.SERVER)

    def piece(frame: bytes) -> list[bytes]:
        connection.receive_data(frame)
        return [connection.send(BytesMessage(event.data)) for event in connection.events()]

    return piece
