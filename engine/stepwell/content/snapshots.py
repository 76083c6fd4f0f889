"""A folder as it is at one moment, as a tree of digests; kept in the store where a run needs it.

The walk is bounded: links are content (their text), never followed; FIFOs, sockets and devices are
never opened; a file that changes while it is read is read again, and after three tries the folder
is too busy to be frozen. The user's files are only ever read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stepwell.content.artifacts import ObjectStore
from stepwell.content.hashing import hash_bytes, hash_handle
from stepwell.content.ignores import Ignores
from stepwell.content.statcache import StatCache
from stepwell.core.trees import Entry, Tree
from stepwell.errors import MachineError

BIG_BYTES = 100 * 1000 * 1000
BIG_FILES = 2_000
_TRIES = 3
_SPECIAL = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`warnings` are for the user: special files left out, links that lead outside, a tree that is too large."""

    tree: Tree
    warnings: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        return self.tree.digest


@dataclass(frozen=True, slots=True)
class Found:
    """One thing the walk met. `path` is relative, with "/"."""

    path: str
    full: str
    stat: os.stat_result


def freeze(root: Path, store: ObjectStore, cache: StatCache | None, *, keep: bool = True) -> Snapshot:
    """Return the tree of `root`; with `keep`, have the store hold all of it.

    Raises MachineError naming a file that cannot be read, or that never holds still: a snapshot
    is whole or not at all.
    """
    warnings: list[str] = []
    found: list[tuple[Found, str | None]] = []
    entries: list[Entry] = []
    for item in walk(root, warnings):
        if stat.S_ISREG(item.stat.st_mode):
            digest = cache.lookup(item.path, item.stat) if cache is not None else None
            found.append((item, digest))
        elif stat.S_ISLNK(item.stat.st_mode):
            entries.append(_link(item, root, warnings))
        else:
            entries.append(Entry(item.path, "folder"))
    fresh: set[str] = set()
    for item, known in found:
        size, digest, seen = item.stat.st_size, known, item.stat
        if digest is None:
            digest, size, seen = _read(item, store if keep else None)
            fresh.add(item.path)
            if cache is not None:
                cache.store(item.path, seen, digest)
        entries.append(Entry(item.path, "file", digest, size, executable=bool(seen.st_mode & stat.S_IXUSR)))
    tree = Tree(tuple(entries))
    if keep and not store.has(tree.digest):
        for item, known in found:
            if item.path not in fresh and known is not None and not store.has(known):
                digest, _, _ = _read(item, store)
                if digest != known:
                    raise _busy(item)
        store.put_bytes(tree.encode())
    warnings += _too_large(tree)
    return Snapshot(tree, tuple(warnings))


def freeze_paths(root: Path, paths: Sequence[str]) -> dict[str, str]:
    """Return the digest of each of `paths` (below `root`, or absolute): of a file, or of a folder's tree.

    A path that is not there has the digest "missing": its appearance counts.
    """
    digests: dict[str, str] = {}
    for path in paths:
        full = Path(os.path.join(root, path))
        if full.is_dir():
            warnings: list[str] = []
            entries = []
            for item in walk(full, warnings):
                if stat.S_ISREG(item.stat.st_mode):
                    entries.append(Entry(item.path, "file", _read(item, None)[0], item.stat.st_size))
            digests[path] = Tree(tuple(entries)).digest
        elif full.is_file():
            digests[path] = _read(Found(path, str(full), full.stat()), None)[0]
        else:
            digests[path] = "missing"
    return digests


def walk(root: Path, warnings: list[str]) -> Iterator[Found]:
    """Yield files, links and empty folders below `root` that are not ignored, depth first."""
    yield from _walk(str(root), "", Ignores(), warnings)


def _walk(full: str, prefix: str, ignores: Ignores, warnings: list[str]) -> Iterator[Found]:
    try:
        with os.scandir(full) as scan:
            names = {entry.name: entry for entry in scan}
    except OSError as error:
        raise MachineError(f"cannot read the folder {full!r}: {error.strerror}", code="source_unreadable") from error
    ignores = ignores.within(prefix, names)
    for name, entry in names.items():
        path = prefix + name
        is_folder = entry.is_dir(follow_symlinks=False)
        if ignores.leave_out(path, name, is_folder, entry.path):
            continue
        if is_folder:
            empty = True
            for found in _walk(entry.path, f"{path}/", ignores, warnings):
                empty = False
                yield found
            if empty and not any(os.scandir(entry.path)):
                yield Found(path, entry.path, entry.stat(follow_symlinks=False))
            continue
        try:
            seen = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue  # it went between the listing and the look
        special = next((word for test, word in _SPECIAL if test(seen.st_mode)), None)
        if special is not None:
            warnings.append(f"{path!r} is {special} and is left out")
            continue
        yield Found(path, entry.path, seen)


def _link(item: Found, root: Path, warnings: list[str]) -> Entry:
    target = os.readlink(item.full)
    resolved = os.path.normpath(os.path.join(os.path.dirname(item.full), target))
    if not (resolved + "/").startswith(f"{root}/"):
        warnings.append(
            f"{item.path!r} is a link that leads out of the folder, to {target!r}: what is there does not count"
        )
    raw = os.fsencode(target)
    return Entry(item.path, "link", hash_bytes(raw), len(raw), target=target)


def _read(item: Found, store: ObjectStore | None) -> tuple[str, int, os.stat_result]:
    """Return digest, size and stat of a file that held still while it was read; keep it where a store is given."""
    for _ in range(_TRIES):
        try:
            handle = os.open(item.full, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise MachineError(
                f"cannot read {item.path!r}: {error.strerror}", hint="name it in .amlignore", code="source_unreadable"
            ) from error
        try:
            before = os.fstat(handle)
            digest = (
                store.put_handle(handle, before.st_size) if store is not None else hash_handle(handle, before.st_size)
            )
            after = os.fstat(handle)
        finally:
            os.close(handle)
        if (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
            after.st_size,
            after.st_mtime_ns,
            after.st_ctime_ns,
        ):
            return digest, after.st_size, after
    raise _busy(item)


def _busy(item: Found) -> MachineError:
    return MachineError(
        f"{item.path!r} keeps changing while it is read", hint="name it in .amlignore", code="source_changing"
    )


def _too_large(tree: Tree) -> list[str]:
    total = tree.bytes
    if total <= BIG_BYTES and tree.files <= BIG_FILES:
        return []
    largest = sorted((e for e in tree.entries if e.kind == "file"), key=lambda e: -e.size)[:10]
    lines = [f"the source folder is large: {tree.files:,} files, {total / 1e6:,.0f} MB; the largest:"]
    lines += [f"    {entry.size / 1e6:10,.1f} MB  {entry.path}" for entry in largest]
    folders = sorted({entry.path.partition("/")[0] + "/" for entry in largest if "/" in entry.path})
    suggested = folders or sorted({f"*{os.path.splitext(entry.path)[1]}" for entry in largest})
    lines.append(f"    to leave them out, put into .amlignore: {' '.join(suggested)}")
    return ["\n".join(lines)]
