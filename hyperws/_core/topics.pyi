from typing import Self, final

from typing_extensions import disjoint_base

@disjoint_base
class Writer: ...

@disjoint_base
class Subscriber: ...

@final
class Topics:
    def __new__(cls) -> Self: ...
