"""A folder's files at paths of their own: which path leads to which file, and which to none."""

from __future__ import annotations

import os
import re
from errno import EACCES, EINVAL, EISDIR, ELOOP, ENAMETOOLONG, ENODEV, ENOENT, ENOTDIR, ENXIO, EPERM
from typing import TYPE_CHECKING
from urllib.parse import unquote

from hyperws.checks import is_int
from hyperws.content_coding import accepts_gzip, vary
from hyperws.errors import ConfigurationError
from hyperws.files import File, content_type_of

if TYPE_CHECKING:
    from hyperws.context import Context

MISSING = {EACCES, EINVAL, EISDIR, ELOOP, ENAMETOOLONG, ENODEV, ENOENT, ENOTDIR, ENXIO, EPERM}

# what Windows takes for a drive, a stream, a device, or another name of something
NOT_ON_WINDOWS = re.compile(
    r"""[<>:"|?*\x01-\x1f]  |  ~[0-9]  |  [. ]\Z
        | \A (?: aux | con | conin\$ | conout\$ | nul | prn | (?:com|lpt)[0-9¹²³] ) [ ]* (?: \. | \Z)""",
    re.IGNORECASE | re.VERBOSE,
)


class Folder:
    """The handler that serves a folder below a path of `depth` segments."""

    def __init__(self, depth: int, directory: str | os.PathLike[str], max_age: int | None) -> None:
        if not isinstance(directory, (str, os.PathLike)) or not os.path.isdir(directory):
            raise ConfigurationError(f"static takes a directory, and {directory!r} is none: check the path")
        if max_age is not None and not is_int(max_age, 0, 1 << 31):
            raise ConfigurationError(f"max_age takes seconds from 0 to {1 << 31}, or None, not {max_age!r}")
        self.depth = depth
        self.root = os.path.realpath(directory)
        self.cache_control = "no-cache" if max_age is None else f"public, max-age={max_age}"

    async def __call__(self, ctx: Context) -> None:
        segments = ctx.request.path.split("/")[1:]
        names = [unquote(segment, errors="strict") for segment in segments[self.depth :]]
        of_folder = segments[-1] == ""
        if of_folder:
            names[-1] = "index.html"
        try:
            path = self.resolve(*names)
            if os.path.isdir(path) and not of_folder:
                # relative, so that it is right behind a proxy that takes off a prefix, and leads nowhere else
                query = f"?{ctx.request.query}" if ctx.request.query else ""
                await ctx.redirect(f"./{segments[-1]}/{query}", 308)
                return
            file = self.open(ctx, path, names)
        except OSError as error:
            if error.errno not in MISSING:
                raise
            ctx.start_over(404, f"There is nothing at {ctx.request.path}: check the path.")
            await ctx.respond()
            return
        ctx.response.headers.setdefault("cache-control", self.cache_control)
        await ctx.send_opened(file)

    def resolve(self, *names: str) -> str:
        """The real path of what is called so. Raises FileNotFoundError where that is not in the folder."""
        if all(map(is_plain, names)):
            path = os.path.realpath(os.path.join(self.root, *names), strict=True)
            if os.path.join(path, "").startswith(os.path.join(self.root, "")):
                return path
        raise FileNotFoundError(ENOENT, "there is no such file in the folder", "/".join(names))

    def open(self, ctx: Context, path: str, names: list[str]) -> File:
        """The file at a real path, or the gzip of it that lies beside it, for a client that takes that."""
        content_type = content_type_of(names[-1])
        zipped = self.newer_gzip(path, names)
        if zipped is None:
            return File.open(path, content_type)
        takes_gzip = accepts_gzip(ctx.headers.get("accept-encoding", ""))
        file = File.open(zipped if takes_gzip else path, content_type)
        headers = ctx.response.headers
        vary(headers, "accept-encoding")
        if takes_gzip:
            headers["content-encoding"] = "gzip"
        return file

    def newer_gzip(self, path: str, names: list[str]) -> str | None:
        """The real path of `name.gz`, if it is not from before the last change of the file."""
        if not os.path.isfile(os.path.join(self.root, *names) + ".gz"):
            return None
        try:
            zipped = self.resolve(*names[:-1], names[-1] + ".gz")
            return zipped if os.path.getmtime(zipped) >= os.path.getmtime(path) else None
        except OSError:
            return None


def is_plain(name: str, *, on_windows: bool = os.name == "nt") -> bool:
    """Whether a name is that of one file or folder and nothing else, and not of a hidden one."""
    if not name or (name.startswith(".") and name != ".well-known"):
        return False
    if "/" in name or "\\" in name or "\0" in name:
        return False
    return not (on_windows and NOT_ON_WINDOWS.search(name))
