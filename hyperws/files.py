"""Files as responses: what is told of one, and which part of it is sent.

Files are opened and asked for their size in the event loop, and read in it too: what is served is nearly
always in memory already, and a thread would cost each file several times what the calls themselves take.
"""

from __future__ import annotations

import errno
import io
import mimetypes
import os
import stat
import time
from dataclasses import dataclass
from email.utils import formatdate
from hashlib import blake2b

from hyperws.conditions import judge
from hyperws.headers import Headers
from hyperws.response import Response

# what systems and versions of Python disagree about, or don't know
WEB_TYPES = {
    ".avif": "image/avif",
    ".js": "text/javascript",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
UNKNOWN_TYPE = "application/octet-stream"

# the answers without a file: which headers go with the file alone, and what is said instead
OF_CONTENT = {"accept-ranges", "content-disposition", "content-encoding", "content-type", "last-modified"}
OF_FILE = {*OF_CONTENT, "cache-control", "etag", "expires"}
WITHOUT_FILE = {
    304: (OF_CONTENT, ""),
    412: (OF_FILE, "The file is not what the request's conditions ask for.\n"),
    416: (OF_FILE, "The file ends before the range that is asked for.\n"),
}


def content_type_of(name: str | os.PathLike[str]) -> str:
    """The media type that the end of a file's name stands for, with its charset where it is text."""
    extension = os.path.splitext(name)[1].lower()
    kind, encoding = mimetypes.guess_type("file" + extension)
    if encoding is not None:
        return "application/gzip" if encoding == "gzip" else UNKNOWN_TYPE
    kind = WEB_TYPES.get(extension, kind) or UNKNOWN_TYPE
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


@dataclass(slots=True)
class File:
    """A file that is open to be sent, and what is told of it."""

    raw: io.FileIO
    content_type: str
    size: int
    etag: str
    last_modified: str

    @classmethod
    def open(cls, path: str | os.PathLike[str], content_type: str) -> File:
        """Open a file as it is now. Raises OSError, as for one that isn't there or is none."""
        raw = io.FileIO(path, opener=open_without_waiting)
        status = os.fstat(raw.fileno())
        if not stat.S_ISREG(status.st_mode):
            raw.close()
            raise FileNotFoundError(errno.ENOENT, "no regular file", os.fspath(path))
        identity = f"{status.st_mtime_ns} {status.st_size} {status.st_ino}"
        return cls(
            raw,
            content_type,
            status.st_size,
            f'"{blake2b(identity.encode(), digest_size=12).hexdigest()}"',
            # never later than the response itself (RFC 9110, section 8.8.2.1)
            formatdate(min(int(status.st_mtime), int(time.time())), usegmt=True),
        )


def open_without_waiting(path: str, flags: int) -> int:
    """Opens a pipe too, for which open() would wait until somebody writes to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def describe_file(response: Response, file: File, method: str, headers: Headers) -> range | None:
    """Put into a response what answers a request for a file. Headers that it has already stay as they are.

    Returns which bytes of the file are its body; None where the response is complete without it.
    """
    told = {
        "etag": file.etag,
        "last-modified": file.last_modified,
        "cache-control": "no-cache",
        "accept-ranges": "bytes",
        "content-type": file.content_type,
        "x-content-type-options": "nosniff",
    } | response.headers
    part: range | None = range(file.size)
    if response.status == 200:  # conditions and ranges are for what would succeed without them
        response.status, part = judge(method, headers, told["etag"], told["last-modified"], file.size)
        if part is None:
            left_out, text = WITHOUT_FILE[response.status]
            told = {name: value for name, value in told.items() if name not in left_out}
            response.set_body(text)
        if response.status == 206 and part is not None:
            told["content-range"] = f"bytes {part.start}-{part.stop - 1}/{file.size}"
        elif response.status == 416:
            told["content-range"] = f"bytes */{file.size}"
    response.headers = told
    return part
