from typing import Self, final

from typing_extensions import disjoint_base

from hyperws._core.bounds import Bounds

@final
@disjoint_base
class Admission:
    def __new__(cls, bounds: Bounds) -> Self: ...

def describe_peer(address: object) -> tuple[str | bytes, str]: ...
