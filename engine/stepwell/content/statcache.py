"""Digests of files that look unchanged: what the last walk of a folder found, kept under `home/stat`.

    "stepwell stat 2\n" | blake3 of the rest (32 bytes) | uint32 length, JSON of the summary
    then for each folder: seven uint32 lengths (little-endian), its prefix, the six parts of `folders.Folder`

A file is believed to be unchanged when size, mtime, ctime and inode are equal and it was last
changed well before the walk began; one changed later than that may change again without its
numbers moving, and is hashed again. A torn or foreign file is an empty cache; it costs time, never
a wrong answer. 50,000 files in 500 folders are 5 MB, read and checked in about 10 ms.
"""

from __future__ import annotations

import json
import os
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from blake3 import blake3

from stepwell.content.folders import Folder
from stepwell.content.hashing import hash_bytes
from stepwell.paths import Home

_MAGIC = b"stepwell stat 2\n"
_HEAD = len(_MAGIC) + 32
_LENGTHS = struct.Struct("<7I")
_RACY_NS = 2_000_000_000  # coarser than the time stamps of any file system we know


@dataclass(frozen=True, slots=True)
class Summary:
    """What the folders come to, so that an unchanged tree need not be put together again."""

    digest: str
    files: int
    warnings: tuple[str, ...]


class StatCache:
    """The cache of one root. Not thread-safe; `save` replaces its file as a whole.

    `now_ns` is the time at which the walk begins; what was changed later than two seconds before
    it is racy.
    """

    def __init__(
        self,
        path: Path | None = None,
        summary: Summary | None = None,
        folders: Mapping[str, Folder] | None = None,
        *,
        now_ns: int | None = None,
    ) -> None:
        self._path = path
        self._summary = summary
        self._folders = dict(folders or {})
        self._dirty = False
        self._now_ns = time.time_ns() if now_ns is None else now_ns

    @classmethod
    def open(cls, home: Home, root: str | os.PathLike[str], *, now_ns: int | None = None) -> StatCache:
        """Return the cache of the tree at `root`; an empty one where there is none, or it is damaged."""
        path = home.stat_caches / hash_bytes(os.fsencode(root))[:40]
        try:
            data = path.read_bytes()
            if data.startswith(_MAGIC) and data[len(_MAGIC) : _HEAD] == blake3(data[_HEAD:]).digest():
                return cls(path, *_decode(data), now_ns=now_ns)
        except (OSError, ValueError, TypeError, KeyError, struct.error):
            pass  # not there, or made by another version: as good as none
        return cls(path, now_ns=now_ns)

    @property
    def summary(self) -> Summary | None:
        return self._summary

    @property
    def folders(self) -> Mapping[str, Folder]:
        return self._folders

    def is_racy(self, seen: os.stat_result) -> bool:
        """Return whether a file was changed so late that its numbers prove nothing next time."""
        return max(seen.st_mtime_ns, seen.st_ctime_ns) + _RACY_NS >= self._now_ns

    def replace(self, summary: Summary, folders: Mapping[str, Folder]) -> None:
        """Take what a walk found. What it did not find is forgotten."""
        known = self._folders
        same = len(known) == len(folders) and all(known.get(prefix) is folder for prefix, folder in folders.items())
        self._dirty = self._dirty or not same
        self._summary, self._folders = summary, dict(folders)

    def forget(self, prefix: str) -> None:
        """Drop what is known of one folder: it was seen to be wrong."""
        self._folders.pop(prefix, None)
        self._summary = None

    def save(self) -> None:
        """Write the cache where it differs from its file. A full disk only costs time later."""
        if not self._dirty or self._path is None or self._summary is None:
            return
        body = _encode(self._summary, self._folders)
        staged = self._path.with_name(f"{self._path.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            staged.write_bytes(_MAGIC + blake3(body).digest() + body)
            staged.replace(self._path)
            self._dirty = False
        except OSError:
            staged.unlink(missing_ok=True)


def _encode(summary: Summary, folders: Mapping[str, Folder]) -> bytes:
    head = json.dumps(asdict(summary)).encode()
    parts = [struct.pack("<I", len(head)), head]
    for prefix, folder in folders.items():
        fields = (
            os.fsencode(prefix),
            folder.names,
            folder.kinds,
            folder.stats,
            folder.digests,
            folder.targets,
            folder.rules,
        )
        parts.append(_LENGTHS.pack(*map(len, fields)))
        parts.extend(fields)
    return b"".join(parts)


def _decode(data: bytes) -> tuple[Summary, dict[str, Folder]]:
    """Raises ValueError, TypeError, KeyError or struct.error for what `_encode` did not write."""
    at = _HEAD + 4
    (length,) = struct.unpack_from("<I", data, _HEAD)
    head = json.loads(data[at : at + length])
    summary = Summary(str(head["digest"]), int(head["files"]), tuple(map(str, head["warnings"])))
    at += length
    folders: dict[str, Folder] = {}
    while at < len(data):
        fields = []
        lengths = _LENGTHS.unpack_from(data, at)
        at += _LENGTHS.size
        for length in lengths:
            fields.append(data[at : at + length])
            at += length
        folders[os.fsdecode(fields[0])] = Folder(*fields[1:])
    return summary, folders
