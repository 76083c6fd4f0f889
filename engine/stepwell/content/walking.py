"""One walk over a source folder: what is in it, and the digest of every file that is not known to be unchanged.

Paths are relative to the open root, so that what is as deep as the system allows can be reached.
Bounded: links are not followed, what is no file is not opened. The user's files are only read.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from types import TracebackType

from stepwell.content.artifacts import ObjectStore
from stepwell.content.folders import (
    FOLDER,
    LEFT_OUT,
    LEFT_OUT_FOLDER,
    LINK,
    SPECIAL,
    VENV,
    Folder,
    Known,
    joined,
    kind_of,
    names_of,
    pack,
    racy,
)
from stepwell.content.hashing import SMALL, OnRead, hash_bytes, hash_handle, stamp
from stepwell.content.ignores import FILES, MARKS, Ignores
from stepwell.content.statcache import StatCache
from stepwell.errors import MachineError, NotFoundError, UsageError

TRIES = 3
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # never waits for a FIFO's writer
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)


class MovedError(Exception):
    """What was seen a moment ago is no longer so: the walk is to begin anew. `path` is relative to the root."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class Walk:
    """A context: holds the root open. With a `store`, what is read is kept there at once."""

    def __init__(self, root: str, cache: StatCache, store: ObjectStore | None, on_read: OnRead | None = None) -> None:
        self.root = root
        self.folders: dict[str, Folder] = {}
        self.stored: set[str] = set()  # digests that were put into the store by this walk
        self._cache = cache
        self._store = store
        self._on_read = on_read

    def __enter__(self) -> Walk:
        try:
            self._handle = os.open(self.root, _FOLDER_FLAGS)
        except FileNotFoundError as error:
            raise NotFoundError(f"no source folder {self.root!r}", code="source_missing") from error
        except NotADirectoryError as error:
            raise UsageError(f"the source folder {self.root!r} is not a folder", code="source_no_folder") from error
        except OSError as error:
            raise unreadable(self.root, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)

    def run(self) -> bool:
        """Visit every folder; return whether anything that counts differs from what the cache knew.

        Raises MovedError, and MachineError naming what cannot be read.
        """
        changed = False
        known = self._cache.folders
        pending = [("", Ignores())]
        while pending:
            prefix, rules = pending.pop()
            folder, rules = self._visit(prefix, rules)
            self.folders[prefix] = folder
            before = known.get(prefix)
            changed = changed or not (before is folder or (before is not None and folder.same_content(before)))
            pending += [(f"{prefix}{name}/", rules) for name in folder.subfolders]
        return changed

    def read(self, path: str, size: int, known: Known | None = None) -> tuple[str, os.stat_result]:
        """Return the digest of a file below the root, and its stat; keep its content where there is a store."""
        for _ in range(TRIES):
            handle = self._open(path, _FILE_FLAGS)
            try:
                before = os.fstat(handle)
                if not stat.S_ISREG(before.st_mode):
                    raise MovedError(path)
                digest = self._content(handle, before.st_size, known)
                if stamp(before) == stamp(os.fstat(handle)):
                    return digest, before
            finally:
                os.close(handle)
        raise busy(path)

    def _content(self, handle: int, size: int, known: Known | None) -> str:
        store = self._store
        if store is None:
            return hash_handle(handle, size, self._on_read)
        if size > SMALL and known is not None and store.has(known[2].hex()):
            digest = hash_handle(handle, size, self._on_read)  # only touched, most likely: not copied for nothing
            if store.intact(digest, size):
                return digest
        digest = store.put_handle(handle, size, self._on_read)
        self.stored.add(digest)
        return digest

    def _visit(self, prefix: str, rules: Ignores) -> tuple[Folder, Ignores]:
        handle = self._open(prefix or ".", _FOLDER_FLAGS | os.O_NOFOLLOW)
        try:
            with os.scandir(handle) as scan:
                entries = list(scan)
            names = names_of(entries)
            marked = bool(prefix) and any(_holds(names, mark) for mark in MARKS)
            is_venv = marked and rules.leave_out(prefix[:-1], is_folder=True, is_venv=True)
            rules = self._rules(prefix, names, rules)
            before = self._cache.folders.get(prefix)
            alike = before is not None and before.names == names and before.rules == rules.fingerprint
            if before is not None and alike and before.unchanged(entries):
                return before, rules
            return self._look(prefix, entries, rules, is_venv, before), rules
        except FileNotFoundError as error:
            raise MovedError(prefix or ".") from error  # it went between the listing and the look
        finally:
            os.close(handle)

    def _rules(self, prefix: str, names: bytes, rules: Ignores) -> Ignores:
        name = next((name for name in FILES if _holds(names, name)), None)
        if name is None:
            return rules
        try:
            handle = self._open(prefix + name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except MovedError:
            return rules  # a link that leads nowhere; or it went, which the walk sees when it comes to it
        try:
            seen = os.fstat(handle)
            text = os.pread(handle, seen.st_size, 0) if stat.S_ISREG(seen.st_mode) else b""
        finally:
            os.close(handle)
        return rules.within(prefix, text.decode("utf-8", "surrogateescape"))

    def _look(
        self, prefix: str, entries: Sequence[os.DirEntry[str]], rules: Ignores, is_venv: bool, before: Folder | None
    ) -> Folder:
        known: Mapping[str, Known] = {} if before is None else before.known
        kinds, numbers, digests, targets = bytearray(), [], [], []
        for entry in entries:
            name, is_folder = entry.name, entry.is_dir(follow_symlinks=False)
            if is_venv or rules.leave_out(prefix + name, is_folder=is_folder):
                mark = VENV if is_venv and name in MARKS else LEFT_OUT
                kinds.append(LEFT_OUT_FOLDER if is_folder else mark)
                continue
            if is_folder:
                kinds.append(FOLDER)
                continue
            seen = entry.stat(follow_symlinks=False)
            kind, packed, was = kind_of(seen.st_mode), pack([seen]), known.get(name)
            if kind == LINK:
                targets.append(os.readlink(prefix + name, dir_fd=self._handle))
                digests.append(bytes.fromhex(hash_bytes(os.fsencode(targets[-1]))))
            elif kind not in SPECIAL:
                if was is not None and was[0] == packed and was[2]:
                    digests.append(was[2])
                else:
                    digest, seen = self.read(prefix + name, seen.st_size, was)
                    kind, packed = kind_of(seen.st_mode), pack([seen])
                    digests.append(bytes.fromhex(digest))
            kinds.append(kind)
            numbers.append(racy(packed) if self._cache.is_racy(seen) else packed)
        return Folder(
            names_of(entries),
            bytes(kinds),
            b"".join(numbers),
            b"".join(digests),
            joined(targets),
            rules.fingerprint,
        )

    def _open(self, path: str, flags: int) -> int:
        try:
            return os.open(path, flags, dir_fd=self._handle)
        except OSError as error:
            if error.errno in _GONE:
                raise MovedError(path) from error
            raise unreadable(path, error) from error


def _holds(names: bytes, name: str) -> bool:
    """Return whether `name` is one of the joined `names`."""
    wanted = name.encode()
    return wanted in names and wanted in names.split(b"\0")


def busy(path: str) -> MachineError:
    return MachineError(
        f"{path!r} keeps changing while it is read",
        hint="wait until it is written, or name it in .amlignore",
        code="source_changing",
    )


def unreadable(path: str, error: OSError) -> MachineError:
    return MachineError(
        f"cannot read {path!r}: {error.strerror}",
        hint="name it in .amlignore if no step needs it",
        code="sourceunreadable",
    )
