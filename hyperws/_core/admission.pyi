from typing import Self, final

from hyperws._core.bounds import Bounds

@final
class Admission:
    def __new__(cls, bounds: Bounds) -> Self: ...

def describe_peer(address: object) -> tuple[str | bytes, str, int]: ...
def peer_name(host: str, port: int) -> str: ...
