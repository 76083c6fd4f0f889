"""Stored trees with real names: shared and read-only, or private and writable.

    store/trees/<digest>/   shared: hard links to the contents, mode 0444 (0555 for programs, which are
                            copies); built once in staging and renamed

Everything in a shared layout carries the store's fixed time of modification, folders too, so that
a step that wrote into its input, as root can, shows in one stat a file. Paths are relative to an
open folder, so that a tree with paths as long as the system allows still fits below a home.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stepwell.content.objects import NO_LINK, STORED_NS, Objects
from stepwell.core.trees import Entry, Tree
from stepwell.errors import MachineError

_SMALL = 1 << 16  # bytes: read and written in one call each


def link_tree(objects: Objects, tree: Tree, root: str) -> None:
    """Build the shared layout of `tree` at `root`, which must not exist. Raises OSError, MachineError."""

    def place(entry: Entry, parent: int) -> None:
        source = objects.path(entry.digest)
        try:
            if not entry.executable:
                os.link(source, entry.path, dst_dir_fd=parent)
                return
        except OSError as error:
            if error.errno not in NO_LINK:
                raise
        mode = 0o555 if entry.executable else 0o444
        handle = _copy(source, entry, parent, mode)
        try:
            os.fchmod(handle, mode)
            os.utime(handle, ns=(STORED_NS, STORED_NS))
        finally:
            os.close(handle)

    _build(objects, tree, root, place)
    with _opened(root) as parent:
        for folder in _folders(tree):
            os.utime(folder, ns=(STORED_NS, STORED_NS), dir_fd=parent)


def copy_tree(objects: Objects, tree: Tree, root: str) -> None:
    """Build a private, writable copy of `tree` at `root`, which must not exist. Raises OSError, MachineError."""

    def place(entry: Entry, parent: int) -> None:
        os.close(_copy(objects.path(entry.digest), entry, parent, 0o777 if entry.executable else 0o666))

    _build(objects, tree, root, place)


def altered(tree: Tree, root: str) -> list[str]:
    """Return which paths of a shared layout are no longer what was built; a folder: what is in it. One stat each."""
    found = []
    with _opened(root) as parent:
        for folder in _folders(tree):
            if not _is_stored(folder, parent, stat.S_IFDIR):
                found.append(folder)
        for entry in tree.entries:
            if entry.kind == "file" and not _is_stored(entry.path, parent, stat.S_IFREG, entry.size):
                found.append(entry.path)
    return found


def _is_stored(path: str, parent: int, kind: int, size: int | None = None) -> bool:
    try:
        seen = os.stat(path, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_IFMT(seen.st_mode) == kind and seen.st_mtime_ns == STORED_NS and size in (None, seen.st_size)


def _folders(tree: Tree) -> list[str]:
    """Return the folders of a tree, "." among them, the deepest first."""
    found = {"."}
    for entry in tree.entries:
        path = entry.path if entry.kind == "folder" else entry.path.rpartition("/")[0]
        while path and path not in found:
            found.add(path)
            path = path.rpartition("/")[0]
    return sorted(found, reverse=True)


def _build(objects: Objects, tree: Tree, root: str, place: Callable[[Entry, int], None]) -> None:
    os.mkdir(root)
    made = {""}
    with _opened(root) as parent:
        for entry in tree.entries:
            folder = entry.path if entry.kind == "folder" else entry.path.rpartition("/")[0]
            if folder not in made:
                _make(folder, parent, made)
            if entry.kind == "link":
                os.symlink(entry.target, entry.path, dir_fd=parent)
            elif entry.kind == "file":
                if not objects.intact(entry.digest, entry.size):
                    raise _gone(entry)
                place(entry, parent)


def _make(folder: str, parent: int, made: set[str]) -> None:
    at = 0
    while at >= 0:
        at = folder.find("/", at + 1)
        path = folder if at < 0 else folder[:at]
        if path not in made:
            os.mkdir(path, dir_fd=parent)
            made.add(path)


@contextmanager
def _opened(root: str) -> Iterator[int]:
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def _copy(source: str, entry: Entry, parent: int, mode: int) -> int:
    """Copy a content to a new file, on file systems that can by sharing its blocks; return the open file."""
    read = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        write = os.open(entry.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode, dir_fd=parent)
        try:
            _transfer(read, write, entry.size)
        except BaseException:
            os.close(write)
            raise
    finally:
        os.close(read)
    return write


def _transfer(read: int, write: int, size: int) -> None:
    """Move `size` bytes from the start of one open file to another. Raises OSError."""
    if size <= _SMALL:
        data = os.read(read, size)
        done = os.write(write, data) if data else 0
    else:
        done = _shared(read, write, size)
    while done < size:
        count = os.sendfile(write, read, done, size - done)
        if count == 0:
            raise OSError(errno.EIO, "the stored content is shorter than it was")
        done += count


def _shared(read: int, write: int, size: int) -> int:
    """Copy as far as the kernel can do it inside the file system; return how far that was."""
    done = 0
    try:
        while done < size and (count := os.copy_file_range(read, write, size - done)):
            done += count
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    return done


def _gone(entry: Entry) -> MachineError:
    return MachineError(
        f"the stored content of {entry.path!r} is gone or damaged ({entry.digest[:12]})",
        hint="run it again: what was made from it is made anew",
        code="object_missing",
    )
