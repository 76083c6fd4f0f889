"""The home: which file lies where, and how a socket with a long path is reached.

Nothing here opens the database or talks to the daemon; a `Home` is a folder and its names.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stepwell.errors import MachineError

HOME_MARK = ".stepwell-home"  # lies in every home, so that no snapshot takes one in
SUN_PATH_MAX = 107  # bytes a unix socket address holds on Linux, less the closing NUL


@dataclass(frozen=True, slots=True)
class Home:
    """The folder that holds all state. `root` is absolute and has its symlinks resolved."""

    root: Path

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> Home:
        return cls(Path(os.path.realpath(os.path.expanduser(path))))

    @classmethod
    def from_environment(cls) -> Home:
        """Return `$STEPWELL_HOME`, or `~/.stepwell`."""
        return cls.at(os.environ.get("STEPWELL_HOME") or "~/.stepwell")

    @property
    def database(self) -> Path:
        return self.root / "state.db"

    @property
    def socket(self) -> Path:
        return self.root / "daemon.sock"

    @property
    def lock(self) -> Path:
        return self.root / "daemon.lock"

    @property
    def log(self) -> Path:
        return self.root / "daemon.log"

    @property
    def launcher_socket(self) -> Path:
        return self.root / "launcher.sock"

    @property
    def launcher_lock(self) -> Path:
        return self.root / "launcher.lock"

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def trees(self) -> Path:
        return self.store / "trees"

    @property
    def staging(self) -> Path:
        return self.store / ".staging"

    @property
    def attempts(self) -> Path:
        return self.root / "attempts"

    @property
    def stat_caches(self) -> Path:
        return self.root / "stat"

    @property
    def backups(self) -> Path:
        return self.root / "backups"

    @property
    def datastores(self) -> Path:
        return self.root / "datastores"

    def attempt(self, attempt_id: str) -> Path:
        return self.attempts / attempt_id

    def create(self) -> None:
        """Make the folder and its parts, mode 0700. Raises MachineError where that cannot be done."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for part in (self.store, self.trees, self.staging, self.attempts, self.stat_caches, self.backups):
                part.mkdir(mode=0o700, exist_ok=True)
            (self.root / HOME_MARK).touch(mode=0o600)
        except OSError as error:
            raise MachineError(
                f"cannot use {str(self.root)!r} as the home: {error.strerror}",
                hint="set STEPWELL_HOME to a folder on a local disk that you can write",
                code="home_unusable",
            ) from error


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """Yield an address for `path` that fits a unix socket, through an open directory where it is too long."""
    if len(os.fsencode(path)) <= SUN_PATH_MAX:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def connect(path: Path, timeout_s: float | None = None) -> socket.socket:
    """Return a stream socket connected to the unix socket at `path`. Raises OSError."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        peer.settimeout(timeout_s)
        with socket_address(path) as address:
            peer.connect(address)
    except BaseException:
        peer.close()
        raise
    return peer
