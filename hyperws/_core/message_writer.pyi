from collections.abc import Iterator, Sequence
from typing import TypeAlias, final

from typing_extensions import Buffer

from hyperws._core.deflate import Deflater
from hyperws._core.topics import Writer

_Message: TypeAlias = str | Buffer | Sequence[str] | Sequence[Buffer] | Iterator[str] | Iterator[Buffer]

@final
class MessageWriter(Writer):
    def __init__(self, fragment_size: int, deflater: Deflater | None = None, threshold: int = 0) -> None: ...
    def write(self, message: _Message, compress: bool | None = None) -> bytes: ...

@final
class Pieces:
    def __init__(self, pieces: Sequence[str] | Sequence[Buffer]) -> None: ...

def checked_message(message: object) -> object: ...
def lasting(message: object) -> str | bytes: ...
