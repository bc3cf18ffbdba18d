from typing import Self

from typing_extensions import disjoint_base

from hyperws.limits import Limits

@disjoint_base
class Bounds:
    def __new__(cls, limits: Limits) -> Self: ...
