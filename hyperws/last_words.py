"""What a worker says that ends by an exception."""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from types import TracebackType

from hyperws.errors import HyperwsError

OURS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")
STANDARD = os.path.join(sysconfig.get_path("stdlib"), "")
PACKAGES = tuple(os.path.join(sysconfig.get_path(name), "") for name in ("purelib", "platlib"))


def is_application(path: str) -> bool:
    """Whether this is neither hyperws nor what runs it."""
    if path.startswith((OURS, "<frozen ", "hyperws/", "uvloop/")):
        return False
    return path.startswith(PACKAGES) or not path.startswith(STANDARD)


def tell_briefly(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    """An `excepthook` that shows where the application was, and a sentence where that says the rest."""
    inner = frames
    while inner is not None and not is_application(inner.tb_frame.f_code.co_filename):
        inner = inner.tb_next
    if isinstance(error, HyperwsError):
        places = [place for place in traceback.extract_tb(inner) if is_application(place.filename)]
        print("".join(traceback.format_list(places)) + f"hyperws: {error}", file=sys.stderr)
        return
    if inner is None and not isinstance(error, SyntaxError):
        inner = frames      # all of it is to be known
    sys.__excepthook__(kind, error.with_traceback(inner), inner)
