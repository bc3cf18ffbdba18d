"""hyperws: what its core runs on, called from Python."""

from collections.abc import Callable
from functools import partial
from typing import Any

from hyperws._core.http import RequestParser
from hyperws._core.websocket import FrameReader, encode_frame, valid_utf8_prefix
from hyperws._core.websocket import mask as hyperws_mask

BINARY = 2


def mask() -> Callable[[bytes, bytes], bytes]:
    return hyperws_mask


def utf8() -> Callable[[bytes], int]:
    return valid_utf8_prefix


def decode() -> Callable[[bytes], bytes]:
    feed = FrameReader(1 << 20, 1000).feed

    def piece(frame: bytes) -> bytes:
        ((_, payload),) = feed(frame)
        return payload

    return piece


def encode() -> Callable[[bytes], bytes]:
    return partial(encode_frame, BINARY)


def echo() -> Callable[[bytes], list[bytes]]:
    feed = FrameReader(1 << 20, 1000).feed
    return lambda frame: [encode_frame(BINARY, payload) for _, payload in feed(frame)]


def parse_head() -> Callable[[bytes], tuple[str, list[Any]]]:
    feed = RequestParser(1 << 14, 100, 1 << 20).feed

    def piece(head: bytes) -> tuple[str, list[Any]]:
        request, _ = feed(head)
        return request.target, list(request.header_lines())

    return piece
