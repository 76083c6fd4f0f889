"""The store as the rest of the engine sees it: contents by digest, folders as listings of such contents.

    store/ab/cdef…          one content, read-only; or one listing (see `core.trees`)
    store/trees/<digest>/   a listing with real names, built once (see `content.layouts`)

A listing is stored after all it lists, so that one that is there vouches for its contents;
`missing` still looks at each, since disks are cleaned by hand. Nothing here is synced: the
writer's background pass does that, and what was not synced before a power cut is hashed again
before it is trusted.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stepwell.content import layouts, outputs
from stepwell.content.hashing import OnRead
from stepwell.content.objects import Objects, disk_error, remove
from stepwell.core.trees import Tree
from stepwell.errors import MachineError
from stepwell.paths import Home

_ENTRIES_KEPT = 20_000  # of decoded listings, in memory: about 8 MB


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a step made. `objects`: (digest, size) of every content in it, the listing last."""

    kind: str  # "file" or "directory"
    digest: str
    files: int
    bytes: int
    objects: tuple[tuple[str, int], ...]


class ObjectStore:
    """The store of a home. Thread-safe; two that store the same content at once are both right."""

    def __init__(self, home: Home) -> None:
        self._objects = Objects(home)
        self._trees = os.fspath(home.trees)
        self._lock = threading.Lock()
        self._decoded: OrderedDict[str, Tree] = OrderedDict()
        self._kept = 0

    def path(self, digest: str) -> str:
        """Return where a content is, or would be."""
        return self._objects.path(digest)

    def has(self, digest: str) -> bool:
        return self._objects.has(digest)

    def intact(self, digest: str, size: int) -> bool:
        """Return whether a content is there and not altered. One stat; a damaged one is put aside."""
        return self._objects.intact(digest, size)

    def verify(self, digest: str) -> bool:
        """Hash a content; put it aside where it is not what its name says. False too where it is gone."""
        return self._objects.verify(digest)

    def read_bytes(self, digest: str) -> bytes:
        """Return a content. Raises FileNotFoundError where it is gone, or damaged."""
        return self._objects.read(digest)

    def put_bytes(self, data: bytes) -> str:
        return self._objects.put_bytes(data)

    def put_handle(self, handle: int, size: int, on_read: OnRead | None = None) -> str:
        """Copy what an open file holds, from its start, and return the digest of what was copied."""
        return self._objects.put_handle(handle, size, on_read)

    def put_file(self, path: str | os.PathLike[str], *, take: bool = False) -> str:
        """Store a file and return its digest; with `take` the store may own the file itself, by a hard link.

        Raises OSError where the file cannot be read, MachineError where the store cannot be written.
        """
        if take:
            return self._objects.take(os.fspath(path))[0]
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return self._objects.put_handle(handle, os.fstat(handle).st_size)
        finally:
            os.close(handle)

    def sweep(self) -> None:
        """Remove what a killed daemon left half-written. Only for who holds the lock of the home."""
        self._objects.sweep()

    def tree(self, digest: str) -> Tree:
        """Return the listing of that digest. Raises FileNotFoundError, BadListingError."""
        with self._lock:
            tree = self._decoded.get(digest)
            if tree is not None:
                self._decoded.move_to_end(digest)
                return tree
        tree = Tree.decode(self._objects.read(digest))
        self._remember(digest, tree)
        return tree

    def _remember(self, digest: str, tree: Tree) -> None:
        size = len(tree.entries) + 1
        with self._lock:
            if digest in self._decoded or size > _ENTRIES_KEPT // 4:
                return
            self._decoded[digest] = tree
            self._kept += size
            while self._kept > _ENTRIES_KEPT:
                self._kept -= len(self._decoded.popitem(last=False)[1].entries) + 1

    def file_name(self, digest: str) -> str | None:
        """Return the name of a file that was stored by itself; None for a folder."""
        tree = self.tree(digest)
        return tree.entries[0].path if tree.single else None

    def missing(self, digest: str) -> list[str]:
        """Return which contents of a tree are gone or altered, the listing itself included. One stat each."""
        if not self._objects.has(digest):
            return [digest]
        try:
            entries = self.tree(digest).entries
        except FileNotFoundError:  # it was damaged
            return [digest]
        intact = self._objects.intact
        return [e.digest for e in entries if e.kind == "file" and not intact(e.digest, e.size)]

    def store_output(self, path: Path, name: str) -> Artifact:
        """Take what a step wrote at `path` into the store; `name` is the output's.

        Calling it again for the same path gives the same answer. Raises StepFailedError for what
        is neither a file nor a folder, cannot be read, or keeps changing; MachineError where the
        store cannot be written.
        """
        tree = outputs.collect(self._objects, os.fspath(path), name)
        listing = tree.encode()
        digest = self._objects.put_bytes(listing)
        self._remember(digest, tree)
        contents = {entry.digest: entry.size for entry in tree.entries if entry.kind == "file"}
        objects = (*sorted(contents.items()), (digest, len(listing)))
        return Artifact("file" if tree.single else "directory", digest, tree.files, tree.bytes, objects)

    def tree_path(self, digest: str) -> Path:
        """Return where `materialize` puts an artifact: the file itself where it is one."""
        root = Path(self._trees, digest)
        try:
            name = self.file_name(digest)
        except (FileNotFoundError, ValueError):
            return root
        return root if name is None else root / name

    def materialize(self, digest: str) -> Path:
        """Return a read-only folder that holds the tree, shared by all who ask. Built once, looked over each time.

        One that was written into is taken out of use and built anew. Raises MachineError where a
        content is gone, or the disk is full.
        """
        target = f"{self._trees}/{digest}"
        if os.path.isdir(target):
            if not self.altered(digest):
                return Path(target)
            self.withdraw(digest)
        tree = self._tree_for(digest)
        with self._objects.staged() as staged:
            layouts.link_tree(self._objects, tree, staged)
            try:
                os.rename(staged, target)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
                remove(staged)  # somebody built it first
        return Path(target)

    def copy_out(self, digest: str, destination: Path) -> None:
        """Write a private, writable copy of the tree at `destination`, which must not exist.

        Raises MachineError where a content is gone, or the disk is full; then nothing is left there.
        """
        tree = self._tree_for(digest)
        if os.path.lexists(destination):
            raise MachineError(f"cannot copy the stored tree to {str(destination)!r}: it is there already")
        try:
            layouts.copy_tree(self._objects, tree, os.fspath(destination))
        except BaseException as error:
            remove(os.fspath(destination))
            if isinstance(error, OSError):
                raise disk_error(error, f"cannot copy the stored tree {digest[:12]}") from error
            raise

    def altered(self, digest: str) -> list[str]:
        """Return what in the shared folder of a tree was written to since it was built; [] also where it is not built.

        For after a step that could see it. One stat for each file and folder.
        """
        target = f"{self._trees}/{digest}"
        return layouts.altered(self._tree_for(digest), target) if os.path.isdir(target) else []

    def withdraw(self, digest: str) -> None:
        """Take an altered shared folder out of use, and put aside the contents that were altered through it."""
        with self._objects.staged() as staged, suppress(FileNotFoundError):  # somebody else was faster
            os.rename(f"{self._trees}/{digest}", staged)
            remove(staged)
        self.missing(digest)

    def _tree_for(self, digest: str) -> Tree:
        try:
            return self.tree(digest)
        except FileNotFoundError as error:
            raise MachineError(
                f"the stored tree {digest[:12]} is gone or damaged",
                hint="run it again: what was made from it is made anew",
                code="object_missing",
            ) from error
