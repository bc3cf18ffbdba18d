from types import ModuleType
from typing import final

from typing_extensions import Buffer

@final
class Inflater:
    def __init__(self, backend: ModuleType, window_bits: int, takeover: bool) -> None: ...
    def inflate(self, data: bytes, limit: int) -> bytes | None: ...

@final
class Deflater:
    def __init__(
        self, backend: ModuleType, level: int, window_bits: int, memory_level: int, takeover: bool
    ) -> None: ...
    @property
    def takeover(self) -> bool: ...
    def compress(self, data: Buffer, last: bool = True) -> bytes: ...
