"""The store: contents named by their blake3, folders as listings of such names.

    store/ab/cdef…          one content, read-only; or one listing (see `core.trees`)
    store/trees/<digest>/   a listing with real names, hard links to the contents; built once
    store/.staging/         being written; same file system, renamed into place

Everything appears whole, by link or rename. Nothing here is synced: the writer's background pass
does that, and what was not synced before a power cut is hashed again before it is trusted.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from stepwell.content.hashing import SMALL, hash_bytes, hash_file
from stepwell.core.trees import Entry, Tree
from stepwell.errors import MachineError, StepFailedError
from stepwell.paths import Home

_TREES_KEPT = 256  # decoded listings in memory
_TREE_ENTRIES = 5_000  # ... of up to so many entries
_COPY = 1 << 20


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a step made. `objects`: (digest, size) of every content in it, the listing among them."""

    kind: str  # "file" or "directory"
    digest: str
    files: int
    bytes: int
    objects: tuple[tuple[str, int], ...]


class ObjectStore:
    """The store of a home. Thread-safe; two that store the same content at once are both right."""

    def __init__(self, home: Home) -> None:
        self._root = os.fspath(home.store)
        self._trees = os.fspath(home.trees)
        self._staging = os.fspath(home.staging)
        self._count = itertools.count()
        self._lock = threading.Lock()
        self._decoded: OrderedDict[str, Tree] = OrderedDict()

    # --- contents ------------------------------------------------------------------------------

    def path(self, digest: str) -> str:
        return f"{self._root}/{digest[:2]}/{digest[2:]}"

    def has(self, digest: str) -> bool:
        return os.path.exists(self.path(digest))

    def read_bytes(self, digest: str) -> bytes:
        """Return a content. Raises FileNotFoundError where it is gone."""
        with open(self.path(digest), "rb") as file:
            return file.read()

    def put_bytes(self, data: bytes) -> str:
        digest = hash_bytes(data)
        if not self.has(digest):
            staged = self._stage()
            with _disk(staged):
                with open(staged, "wb") as file:
                    file.write(data)
                self._adopt(staged, digest)
        return digest

    def put_handle(self, handle: int, size: int) -> str:
        """Copy what an open file holds, from its start, and return the digest of what was copied."""
        if size <= SMALL:
            data = os.pread(handle, SMALL + 1, 0)
            if len(data) <= SMALL:
                return self.put_bytes(data)
        staged = self._stage()
        hasher = blake3(max_threads=blake3.AUTO)
        os.lseek(handle, 0, os.SEEK_SET)
        with _disk(staged):
            with open(staged, "wb", buffering=0) as file:
                while piece := os.read(handle, _COPY):
                    hasher.update(piece)
                    file.write(piece)
            digest = hasher.hexdigest()
            self._adopt(staged, digest)
        return digest

    def take_file(self, path: str) -> tuple[str, int]:
        """Have the store own a file that a step made: by a hard link where that can be. Returns digest and size."""
        digest = hash_file(path)
        size = os.stat(path).st_size
        target = self.path(digest)
        if os.path.exists(target):
            return digest, size
        try:
            os.chmod(path, 0o444)
            self._link(path, target)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EMLINK, errno.EPERM):
                raise
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                digest = self.put_handle(handle, size)
            finally:
                os.close(handle)
        return digest, size

    def _stage(self) -> str:
        return f"{self._staging}/{os.getpid()}-{next(self._count)}"

    def _adopt(self, staged: str, digest: str) -> None:
        os.chmod(staged, 0o444)
        self._link(staged, self.path(digest))
        os.unlink(staged)

    def _link(self, source: str, target: str) -> None:
        try:
            os.link(source, target)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            self._link(source, target)
        except FileExistsError:
            pass  # somebody stored the same content first

    # --- trees ---------------------------------------------------------------------------------

    def tree(self, digest: str) -> Tree:
        """Return the listing of that digest. Raises FileNotFoundError, BadListing."""
        with self._lock:
            tree = self._decoded.get(digest)
            if tree is not None:
                self._decoded.move_to_end(digest)
                return tree
        tree = Tree.decode(self.read_bytes(digest))
        if len(tree.entries) <= _TREE_ENTRIES:
            with self._lock:
                self._decoded[digest] = tree
                if len(self._decoded) > _TREES_KEPT:
                    self._decoded.popitem(last=False)
        return tree

    def file_name(self, digest: str) -> str | None:
        """Return the name of a file that was stored by itself; None for a folder."""
        tree = self.tree(digest)
        return tree.entries[0].path if tree.single else None

    def missing(self, digest: str) -> list[str]:
        """Return which contents of a tree are gone, the listing itself included. One stat each."""
        if not self.has(digest):
            return [digest]
        return [e.digest for e in self.tree(digest).entries if e.kind == "file" and not self.has(e.digest)]

    def store_output(self, path: Path, name: str) -> Artifact:
        """Take what a step wrote at `path` into the store. Raises StepFailedError for what is neither file nor folder.

        Calling it again for the same path gives the same answer.
        """
        try:
            seen = os.lstat(path)
            if stat.S_ISREG(seen.st_mode):
                return self._single(path, name, seen)
            if stat.S_ISDIR(seen.st_mode):
                return self._folder(path, name)
        except OSError as error:
            raise _full(error, f"cannot store the output {name!r}") from error
        if stat.S_ISLNK(seen.st_mode):
            raise StepFailedError(
                f"the output {name!r} is a link to {os.readlink(path)!r}; an output must be a file or a folder itself",
                code="output_is_link",
            )
        raise StepFailedError(f"the output {name!r} is neither a file nor a folder", code="output_special")

    def _single(self, path: Path, name: str, seen: os.stat_result) -> Artifact:
        executable = bool(seen.st_mode & stat.S_IXUSR)
        digest, size = self.take_file(os.fspath(path))
        tree = Tree((Entry(name, "file", digest, size, executable=executable),), single=True)
        return self._artifact("file", tree)

    def _folder(self, path: Path, name: str) -> Artifact:
        entries: list[Entry] = []
        root = os.fspath(path)
        pending = [(root, "")]
        while pending:
            folder, prefix = pending.pop()
            children = sorted(os.scandir(folder), key=lambda entry: entry.name)
            if not children and prefix:
                entries.append(Entry(prefix[:-1], "folder"))
            for child in children:
                relative = prefix + child.name
                mode = child.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    pending.append((child.path, f"{relative}/"))
                elif stat.S_ISREG(mode):
                    digest, size = self.take_file(child.path)
                    entries.append(Entry(relative, "file", digest, size, executable=bool(mode & stat.S_IXUSR)))
                elif stat.S_ISLNK(mode):
                    target = os.readlink(child.path)
                    raw = os.fsencode(target)
                    entries.append(Entry(relative, "link", hash_bytes(raw), len(raw), target=target))
                else:
                    raise StepFailedError(
                        f"the output {name!r} holds {relative!r}, which is neither a file nor a folder",
                        code="output_special",
                    )
        return self._artifact("directory", Tree(tuple(entries)))

    def _artifact(self, kind: str, tree: Tree) -> Artifact:
        listing = tree.encode()
        digest = self.put_bytes(listing)
        contents = {entry.digest: entry.size for entry in tree.entries if entry.kind == "file"}
        return Artifact(kind, digest, tree.files, tree.bytes, (*sorted(contents.items()), (digest, len(listing))))

    def tree_path(self, digest: str) -> Path:
        """Return where `materialize` puts an artifact: the file itself where it is one."""
        root = Path(self._trees, digest)
        try:
            name = self.file_name(digest)
        except (FileNotFoundError, ValueError):
            return root
        return root if name is None else root / name

    def materialize(self, digest: str) -> Path:
        """Return a read-only folder that holds the tree, made of hard links. Built once; cheap after that."""
        target = f"{self._trees}/{digest}"
        if not os.path.isdir(target):
            staged = self._stage()
            try:
                os.mkdir(staged, 0o700)
                self._build(self.tree(digest), staged, link=True)
                os.rename(staged, target)
            except OSError as error:
                _remove(staged)
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):  # else somebody built it first
                    raise _full(error, f"cannot lay out the stored tree {digest[:12]}") from error
        return Path(target)

    def copy_out(self, digest: str, destination: Path) -> None:
        """Write a private, writable copy of the tree at `destination`, which must not exist."""
        try:
            os.mkdir(destination, 0o755)
            self._build(self.tree(digest), os.fspath(destination), link=False)
        except OSError as error:
            raise _full(error, f"cannot copy the stored tree {digest[:12]}") from error

    def _build(self, tree: Tree, root: str, *, link: bool) -> None:
        made = {""}
        for entry in tree.entries:
            folder = entry.path if entry.kind == "folder" else entry.path.rpartition("/")[0]
            if folder not in made:
                os.makedirs(f"{root}/{folder}", exist_ok=True)
                made.add(folder)
            path = f"{root}/{entry.path}"
            if entry.kind == "link":
                os.symlink(entry.target, path)
            elif entry.kind == "file":
                source = self.path(entry.digest)
                if link and not entry.executable and _hard_link(source, path):
                    continue
                mode = (0o555 if entry.executable else 0o444) if link else (0o755 if entry.executable else 0o644)
                _copy(source, path, mode)


def _hard_link(source: str, path: str) -> bool:
    try:
        os.link(source, path)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EMLINK, errno.EPERM):
            return False
        raise
    return True


def _copy(source: str, path: str, mode: int) -> None:
    read = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        write = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            while os.sendfile(write, read, None, 1 << 30):
                pass
        finally:
            os.close(write)
    finally:
        os.close(read)


@contextmanager
def _disk(staged: str) -> Iterator[None]:
    """Take a staged file away when writing it fails, and say which disk is full."""
    try:
        yield
    except BaseException as error:
        with suppress(OSError):  # it was never made, or the disk says no to that too
            os.unlink(staged)
        if isinstance(error, OSError):
            raise _full(error, "cannot write to the store") from error
        raise


def _full(error: OSError, what: str) -> MachineError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return MachineError(f"disk full: {what}", hint="free some space where the home is", code="disk_full")
    return MachineError(f"{what}: {error.strerror} ({error.filename!r})", code="store")


def _remove(path: str) -> None:
    shutil.rmtree(path, ignore_errors=True)
