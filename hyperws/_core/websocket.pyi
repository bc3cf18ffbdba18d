from typing import Literal, Self, final

from hyperws._core.deflate import Inflater

@final
class FrameReader:
    def __new__(
        cls,
        max_message_size: int,
        max_message_frames: int,
        masked: bool = True,
        inflater: Inflater | None = None,
    ) -> Self: ...
    def feed(
        self, data: bytes
    ) -> list[
        tuple[Literal["message"], str | bytes]
        | tuple[Literal["ping", "pong"], bytes]
        | tuple[Literal["close", "failed"], int, str]
    ]: ...

def encode_frame(
    opcode: int, payload: bytes, *, fin: bool = True, rsv: int = 0, key: bytes | None = None
) -> bytes: ...
def mask(data: bytes, key: bytes, offset: int = 0) -> bytes: ...
def use_mask_code(name: Literal["scalar", "sse2", "avx2", "neon"]) -> bool: ...
def valid_utf8_prefix(data: bytes, *cuts: int) -> int: ...
