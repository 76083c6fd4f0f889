"""Digests of files that look unchanged, one packed file for each folder tree, under `home/stat`.

    "stepwell stat 1\\n" | blake3 of the rest (32 bytes) | marshal of (time_ns, {path: entry})
    entry: (size, mtime_ns, ctime_ns, inode, digest)      # inode too: editors replace files

A file is believed to be unchanged when all four numbers are equal and it was last changed well
before the cache was written: one that was changed in the same instant may change again without
its numbers moving, so it is hashed again ("racy", as git calls it). A torn or foreign file is an
empty cache; it costs time, never a wrong answer.
"""

from __future__ import annotations

import marshal
import os
import threading
import time
from pathlib import Path

from blake3 import blake3

from stepwell.content.hashing import hash_bytes
from stepwell.paths import Home

_MAGIC = b"stepwell stat 1\n"
_RACY_NS = 2_000_000_000  # coarser than the time stamps of any file system we know
Entry = tuple[int, int, int, int, str]


class StatCache:
    """The cache of one tree. Not thread-safe; `save` replaces the file as a whole."""

    def __init__(self, path: Path, written_ns: int = 0, entries: dict[str, Entry] | None = None) -> None:
        self._path = path
        self._written_ns = written_ns
        self._old = entries or {}
        self._new: dict[str, Entry] = {}
        self._opened_ns = time.time_ns()
        self._changed = False

    @classmethod
    def open(cls, home: Home, root: Path) -> StatCache:
        """Return the cache of the tree at `root`; an empty one where there is none, or it is damaged."""
        path = home.stat_caches / hash_bytes(os.fsencode(root))[:40]
        try:
            data = path.read_bytes()
            body = data[len(_MAGIC) + 32 :]
            if not data.startswith(_MAGIC) or data[len(_MAGIC) : len(_MAGIC) + 32] != blake3(body).digest():
                return cls(path)
            written_ns, entries = marshal.loads(body)
        except (OSError, ValueError, EOFError, TypeError):
            return cls(path)
        return cls(path, written_ns, entries)

    def lookup(self, path: str, stat: os.stat_result) -> str | None:
        """Return the digest of a file that surely has not changed since, else None."""
        entry = self._old.get(path)
        if entry is None or entry[0] != stat.st_size or entry[3] != stat.st_ino:
            return None
        mtime, ctime = stat.st_mtime_ns, stat.st_ctime_ns
        if entry[1] != mtime or entry[2] != ctime:
            return None
        if max(mtime, ctime) + _RACY_NS >= self._written_ns:
            return None
        self._new[path] = entry
        return entry[4]

    def store(self, path: str, stat: os.stat_result, digest: str) -> None:
        self._new[path] = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, digest)
        self._changed = True

    def save(self) -> None:
        """Write what this walk saw; what it did not see is forgotten. A full disk only costs time later."""
        if not self._changed and len(self._new) == len(self._old):
            return
        body = marshal.dumps((self._opened_ns, self._new))
        staged = self._path.with_name(f"{self._path.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            staged.write_bytes(_MAGIC + blake3(body).digest() + body)
            staged.replace(self._path)
        except OSError:
            staged.unlink(missing_ok=True)
