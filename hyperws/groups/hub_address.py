"""Where a hub is: at a Unix socket in a folder that only this user can enter."""

from __future__ import annotations

import os
import secrets
import stat
import tempfile

from hyperws.errors import ConfigurationError

SCHEME = "ipc://"


def new_address() -> str:
    """An address that no hub has had yet."""
    return f"{SCHEME}{tempfile.gettempdir()}/hyperws-{secrets.token_hex(8)}/hub"


def folder_of(address: str) -> str:
    """The folder of the socket. Raises ConfigurationError for what is no address of a hub."""
    path = address.removeprefix(SCHEME)
    if path == address or not os.path.isabs(path) or not os.path.basename(path):
        raise ConfigurationError(f"a hub is at {SCHEME} and the absolute path of a socket, not at {address}")
    return os.path.dirname(path)


def check_private(address: str) -> None:
    """Raise ConfigurationError where another user could pose as the hub, or listen to it.

    Raises OSError where the folder does not exist.
    """
    folder = folder_of(address)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise ConfigurationError(f"{folder} must be this user's, and of mode 0700, to hold a hub's socket")


def make_private(address: str) -> None:
    """Make the folder where there is none, and check it."""
    try:
        os.mkdir(folder_of(address), 0o700)
    except FileExistsError:
        pass
    check_private(address)


def remove(address: str) -> None:
    """Remove the socket, and the folder if nothing else is in it."""
    for delete, path in (os.unlink, address.removeprefix(SCHEME)), (os.rmdir, folder_of(address)):
        try:
            delete(path)
        except OSError:
            pass
