from typing import Self, final

@final
class BodyReader:
    def __new__(cls, length: int | None, max_size: int) -> Self: ...
    @property
    def done(self) -> bool: ...
