"""What tests of content put on a disk, and how they look at it."""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

LATER_NS = 60 * 1_000_000_000  # well past what counts as racy
NOBODY = 65534


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files by their relative path, folders as needed; a path that ends with "/" is an empty folder."""
    for name, text in files.items():
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)


def contents(root: Path) -> dict[str, object]:
    """Return what is below `root`: text and execute bit of files, text of links, None for empty folders."""
    found: dict[str, object] = {}
    for folder, folders, files in os.walk(root):
        for name in [*files, *folders]:
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, root)
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                found[relative] = ("link", os.readlink(path))
            elif stat.S_ISREG(mode):
                found[relative] = (Path(path).read_bytes(), bool(mode & stat.S_IXUSR))
            elif stat.S_ISDIR(mode) and not os.listdir(path):
                found[relative] = None
    return found


def traits(root: Path) -> dict[str, tuple[object, ...]]:
    """Return all that must not change about a user's files: content, mode, links, owner, times but the last access."""
    found: dict[str, tuple[object, ...]] = {}
    for folder, folders, files in os.walk(root):
        for name in [*files, *folders]:
            path = os.path.join(folder, name)
            seen = os.lstat(path)
            text = Path(path).read_bytes() if stat.S_ISREG(seen.st_mode) else None
            found[path] = (text, seen.st_mode, seen.st_nlink, seen.st_uid, seen.st_mtime_ns, seen.st_ctime_ns)
    return found


def later() -> int:
    """Return a time at which no file that is here now is racy any more."""
    return time.time_ns() + LATER_NS


def next_tick(folder: Path) -> None:
    """Return when the clock of the file system has moved on, so that the next change has another time."""
    with tempfile.NamedTemporaryFile(dir=folder) as probe:
        first = os.fstat(probe.fileno()).st_ctime_ns
        while os.fstat(probe.fileno()).st_ctime_ns == first:
            os.fchmod(probe.fileno(), 0o600)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be nobody for a while where we are root, whom no mode stops."""
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(mine)


@contextmanager
def open_to_all() -> Iterator[Path]:
    """Yield a folder that nobody, too, can reach and write; the one of pytest is closed to others."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o777)
        yield Path(name)
