"""A folder as it is at one moment, as a tree of digests; kept in the store where a run needs it.

A snapshot is whole or not at all: what cannot be read, or never holds still, is an error that
names it. An unchanged tree costs one listing of every folder and one stat of every file, compared
in packed form with what the last walk found (see `folders`); nothing is read again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence

from stepwell.content.artifacts import ObjectStore
from stepwell.content.folders import SPECIAL, Folder, joined, kind_of, pack, racy, tree_of
from stepwell.content.hashing import OnRead
from stepwell.content.remarks import BIG_FILES, remarks
from stepwell.content.statcache import StatCache, Summary
from stepwell.content.walking import TRIES, MovedError, Walk, busy, unreadable
from stepwell.core.trees import Tree
from stepwell.errors import UsageError
from stepwell.paths import Home


class Snapshot:
    """What was frozen. `warnings` are for the user: special files left out, links that lead outside, too large."""

    def __init__(
        self, digest: str, warnings: tuple[str, ...], folders: Mapping[str, Folder], tree: Tree | None = None
    ) -> None:
        self.digest = digest
        self.warnings = warnings
        self._folders = folders
        self._tree = tree

    @property
    def tree(self) -> Tree:
        """The tree, put together when it is first asked for: 50,000 files take about a quarter of a second."""
        if self._tree is None:
            self._tree = tree_of(self._folders)
        return self._tree


def freeze(
    root: str | os.PathLike[str],
    store: ObjectStore | None,
    cache: StatCache | None,
    *,
    keep: bool = True,
    on_read: OnRead | None = None,
) -> Snapshot:
    """Return the tree of `root`; with `keep`, have the store hold all of it.

    `cache` is brought up to date; saving it is the caller's. `on_read` is told how many more bytes
    were read; raising from it ends the work. Raises NotFoundError where there is no such folder,
    MachineError naming a file that cannot be read or never holds still.
    """
    place = os.path.abspath(root)
    cache = StatCache() if cache is None else cache
    moved = "."
    for _ in range(TRIES):
        try:
            with Walk(place, cache, store if keep else None, on_read) as walk:
                return _freeze(walk, cache, store if keep else None)
        except MovedError as error:
            moved = error.path
    raise busy(moved)


def _freeze(walk: Walk, cache: StatCache, store: ObjectStore | None) -> Snapshot:
    changed = walk.run()
    summary = cache.summary
    if changed or summary is None:
        tree = tree_of(walk.folders)
        files = sum(entry.kind == "file" for entry in tree.entries)
        summary = Summary(tree.digest, files, tuple(remarks(walk.root, walk.folders, tree)))
        snapshot = Snapshot(summary.digest, summary.warnings, walk.folders, tree)
    else:
        snapshot = Snapshot(summary.digest, summary.warnings, walk.folders)
    if store is not None:
        _keep(walk, cache, snapshot, summary.files, store)
    cache.replace(summary, walk.folders)
    return snapshot


def _keep(walk: Walk, cache: StatCache, snapshot: Snapshot, files: int, store: ObjectStore) -> None:
    """Have the store hold what the walk knew by its stat only, then the listing.

    A listing is stored last, so one that is there vouches for its contents; that of the last walk,
    for those of every folder that is as it was. Of a tree that is not large each content is looked
    at all the same: that costs less than it may save.
    """
    vouched: Mapping[str, Folder] = {}
    if files > BIG_FILES and cache.summary is not None and store.has(cache.summary.digest):
        vouched = cache.folders
    for prefix, folder in walk.folders.items():
        if vouched.get(prefix) is folder:
            continue
        for name, digest, size, _ in folder.contents():
            if digest in walk.stored or store.intact(digest, size):
                continue
            if walk.read(prefix + name, size)[0] != digest:
                cache.forget(prefix)  # its numbers were those of the content we knew, and it was not that
                raise MovedError(prefix + name)
    if not store.has(snapshot.digest):
        store.put_bytes(snapshot.tree.encode())


def freeze_paths(root: str | os.PathLike[str], paths: Sequence[str], home: Home | None = None) -> dict[str, str]:
    """Return the digest of each of `paths` (below `root`, or absolute): of a file, or of a folder's tree.

    A path that is not there has the digest "missing": its appearance counts. Nothing is stored.
    With a `home`, what has not changed since is not read again. Raises MachineError for what
    cannot be read, UsageError for what is neither a file nor a folder.
    """
    return {path: _digest_of(path, os.path.abspath(os.path.join(root, path)), home) for path in paths}


def _digest_of(path: str, full: str, home: Home | None) -> str:
    try:
        seen = os.stat(full)
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except OSError as error:
        raise unreadable(path, error) from error
    cache = StatCache() if home is None else StatCache.open(home, full)
    if stat.S_ISDIR(seen.st_mode):
        digest = freeze(full, None, cache, keep=False).digest
    elif stat.S_ISREG(seen.st_mode):
        digest = _freeze_file(os.path.realpath(full), seen, cache)
    else:
        nature = SPECIAL[kind_of(seen.st_mode)]
        raise UsageError(
            f"{path!r} in hash_paths is {nature}, which has no content to compare", code="hash_path_special"
        )
    cache.save()
    return digest


def _freeze_file(full: str, seen: os.stat_result, cache: StatCache) -> str:
    """Return the digest of one file. Its cache is that of a folder which holds nothing else."""
    parent, name = os.path.split(full)
    before = cache.folders.get("")
    known = None if before is None else before.known.get(name)
    if known is not None and known[0] == pack([seen]):
        return known[2].hex()
    with Walk(parent, cache, None) as walk:
        try:
            digest, seen = walk.read(name, seen.st_size)
        except MovedError as error:
            raise busy(error.path) from error
    numbers = racy(pack([seen])) if cache.is_racy(seen) else pack([seen])
    alone = Folder(joined([name]), bytes([kind_of(seen.st_mode)]), numbers, bytes.fromhex(digest), b"", b"")
    cache.replace(Summary(digest, 1, ()), {"": alone})
    return digest
