"""What one look at one folder found, packed so that 50,000 files are not 50,000 objects.

Whether a folder is still the same is then a comparison of a few byte strings, made by C loops:

    names    all names, left-out ones too, in the order the system lists them, joined by NUL
    kinds    one letter a name: f file, x file that may be executed, l link, d folder,
             p FIFO, s socket, c device; - left out, = folder that is left out,
             v the mark of a virtual environment that is left out
    stats    four int64 for each of f x l p s c: size, mtime, ctime (ns), inode
    digests  32 bytes for each of f x l (of a link: the digest of its text)
    targets  the texts of the links, joined by NUL
    rules    the fingerprint of the ignore rules these kinds were decided by

The inode of a file that was changed in the very moment of the look is kept inverted, so that it
never matches: its numbers may not move when it is changed again ("racy", as git calls it).
"""

from __future__ import annotations

import os
import stat
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, compress
from operator import attrgetter, methodcaller

from stepwell.core.trees import Entry, Tree

FILE, PROGRAM, LINK, FOLDER, LEFT_OUT, LEFT_OUT_FOLDER, VENV = b"fxld-=v"
SPECIAL = {ord("p"): "a FIFO", ord("s"): "a socket", ord("c"): "a device"}

_is_folder = methodcaller("is_dir", follow_symlinks=False)
_stat = methodcaller("stat", follow_symlinks=False)
_name = attrgetter("name")
_numbers = attrgetter("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")  # the order of the packed ones
_NUMBERS = 32  # bytes of the four numbers
_DIGEST = 32  # bytes of a digest
_INT64 = 1 << 63

Known = tuple[bytes, int, bytes]  # the four numbers, the kind, the digest (b"" for what is not hashed)


def _table(letters: bytes) -> bytes:
    return bytes(code in letters for code in range(256))


_LOOKED_AT = _table(b"fxlpsc")
_FOLDERS = _table(b"d=")
_ENTERED = _table(b"d")


@dataclass(frozen=True)
class Folder:
    """One folder, packed. Immutable."""

    names: bytes
    kinds: bytes
    stats: bytes
    digests: bytes
    targets: bytes
    rules: bytes

    def same_content(self, other: Folder) -> bool:
        """Return whether both stand for the same lines of a listing."""
        mine = (self.names, self.kinds, self.digests, self.targets)
        return mine == (other.names, other.kinds, other.digests, other.targets)

    def unchanged(self, entries: Sequence[os.DirEntry[str]]) -> bool:
        """Return whether `entries`, whose names are known to be equal, are what they were. Raises OSError."""
        if bytes(map(_is_folder, entries)) != self.kinds.translate(_FOLDERS):
            return False
        return pack(map(_stat, compress(entries, self.kinds.translate(_LOOKED_AT)))) == self.stats

    @property
    def subfolders(self) -> list[str]:
        return self._chosen(_ENTERED) if FOLDER in self.kinds else []

    @cached_property
    def known(self) -> dict[str, Known]:
        """What was looked at, by name, in order."""
        found: dict[str, Known] = {}
        at, hashed = 0, 0
        for name, kind in zip(self._chosen(_LOOKED_AT), self.kinds.translate(None, b"d-=v"), strict=True):
            digest = b""
            if kind not in SPECIAL:
                digest = self.digests[hashed : hashed + _DIGEST]
                hashed += _DIGEST
            found[name] = (self.stats[at : at + _NUMBERS], kind, digest)
            at += _NUMBERS
        return found

    def contents(self) -> Iterator[tuple[str, str, int, bool]]:
        """Yield name, digest, size in bytes and "may be executed" of every file."""
        for name, (numbers, kind, digest) in self.known.items():
            if kind in (FILE, PROGRAM):
                yield name, digest.hex(), int.from_bytes(numbers[:8], sys.byteorder), kind == PROGRAM

    def links(self) -> Iterator[tuple[str, str, str]]:
        """Yield name, digest and text of every link."""
        targets = iter(separate(self.targets))
        for name, (_, kind, digest) in self.known.items():
            if kind == LINK:
                yield name, digest.hex(), next(targets)

    def specials(self) -> Iterator[tuple[str, str]]:
        """Yield name and nature ("a FIFO") of what is neither file, link nor folder."""
        for name, (_, kind, _) in self.known.items():
            if kind in SPECIAL:
                yield name, SPECIAL[kind]

    def _chosen(self, table: bytes) -> list[str]:
        return list(compress(separate(self.names), self.kinds.translate(table)))


def tree_of(folders: Mapping[str, Folder]) -> Tree:
    """Return the tree of a root whose folders are given by their prefix: "" for the root, "a/b/" below it.

    A folder is listed where nothing in it counts, be it empty or be all of it left out, so that
    a `__pycache__` that appears in it changes nothing.
    """
    silent = {prefix for prefix, folder in folders.items() if VENV in folder.kinds}
    entries: list[Entry] = []
    for prefix, folder in folders.items():
        if prefix in silent:
            continue
        before = len(entries)
        entries += [Entry(prefix + name, "file", digest, size, bit) for name, digest, size, bit in folder.contents()]
        if LINK in folder.kinds:
            for name, digest, target in folder.links():
                entries.append(Entry(prefix + name, "link", digest, len(os.fsencode(target)), target=target))
        if prefix and len(entries) == before and all(f"{prefix}{name}/" in silent for name in folder.subfolders):
            entries.append(Entry(prefix[:-1], "folder"))
    return Tree(tuple(entries))


def joined(names: Iterable[str]) -> bytes:
    return os.fsencode("\0".join(names))


def separate(names: bytes) -> list[str]:
    return os.fsdecode(names).split("\0") if names else []


def names_of(entries: Iterable[os.DirEntry[str]]) -> bytes:
    return joined(map(_name, entries))


def pack(seen: Iterable[os.stat_result]) -> bytes:
    """Return the four numbers of each, as int64. Inodes of some file systems use all 64 bits: those wrap."""
    flat = list(chain.from_iterable(map(_numbers, seen)))
    try:
        return array("q", flat).tobytes()
    except OverflowError:
        return array("q", ((number + _INT64) % (2 * _INT64) - _INT64 for number in flat)).tobytes()


def racy(numbers: bytes) -> bytes:
    """Return numbers of a stat that never match, with the size kept."""
    return numbers[:-8] + bytes(255 - byte for byte in numbers[-8:])


def kind_of(mode: int) -> int:
    """Return the letter for what is no folder, by the mode of its stat."""
    if stat.S_ISREG(mode):
        return PROGRAM if mode & stat.S_IXUSR else FILE
    if stat.S_ISLNK(mode):
        return LINK
    if stat.S_ISFIFO(mode):
        return ord("p")
    return ord("s") if stat.S_ISSOCK(mode) else ord("c")
