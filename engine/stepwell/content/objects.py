"""Contents, each in a file named by its blake3.

    store/ab/cdef…       one content, mode 0444, modified at `STORED_NS`
    store/.staging/      being written; same file system, renamed into place
    quarantine/          what was found to hold something else than its name says

A content appears whole, by a rename or a hard link, and is never written again. It carries one
fixed time of modification, so that a write in place shows in a single stat. Nothing is synced
here: after a power cut a content may be empty or torn, which its size tells, and such a one is
put aside, never served.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from blake3 import blake3

from stepwell.content.hashing import PIECE, SMALL, OnRead, hash_bytes, hash_file, hash_handle, stamp
from stepwell.errors import MachineError, StepwellError
from stepwell.paths import Home

STORED_NS = 946_684_800_000_000_000  # 2000-01-01; zip files know no time before 1980
NO_LINK = frozenset({errno.EXDEV, errno.EMLINK, errno.EPERM, errno.ENOTSUP})


class Objects:
    """The contents of a home. Thread-safe; two that store the same content at once are both right."""

    def __init__(self, home: Home) -> None:
        self._root = os.fspath(home.store)
        self._staging = os.fspath(home.staging)
        self._quarantine = os.fspath(home.root / "quarantine")
        self._mark = f"{os.getpid()}-{os.urandom(4).hex()}"  # pids repeat, in containers at once
        self._count = itertools.count()

    def path(self, digest: str) -> str:
        return f"{self._root}/{digest[:2]}/{digest[2:]}"

    def has(self, digest: str) -> bool:
        return os.path.exists(self.path(digest))

    def intact(self, digest: str, size: int) -> bool:
        """Return whether the content is there, as large as it was and not written to since. One stat.

        Where only the time differs (a home that was copied without its times) the content is
        hashed; one that holds something else is put aside.
        """
        path = self.path(digest)
        try:
            seen = os.stat(path)
        except FileNotFoundError:
            return False
        if seen.st_size == size and (seen.st_mtime_ns == STORED_NS or _restored(path, digest)):
            return True
        self.put_aside(digest)
        return False

    def verify(self, digest: str) -> bool:
        """Hash a content; put it aside where it is not what its name says. False too where it is gone."""
        try:
            if hash_file(self.path(digest)) == digest:
                return True
        except FileNotFoundError:
            return False
        self.put_aside(digest)
        return False

    def read(self, digest: str) -> bytes:
        """Return a content. Raises FileNotFoundError where it is gone, or was damaged and is put aside."""
        with open(self.path(digest), "rb") as file:
            data = file.read()
        if hash_bytes(data) != digest:
            self.put_aside(digest)
            raise FileNotFoundError(errno.ENOENT, "the stored content was damaged and is put aside", self.path(digest))
        return data

    def put_aside(self, digest: str) -> None:
        """Move a damaged content to the quarantine: who wants to look can, nobody is served it."""
        try:
            os.makedirs(self._quarantine, mode=0o700, exist_ok=True)
            os.rename(self.path(digest), f"{self._quarantine}/{digest}")
        except FileNotFoundError:
            pass  # somebody else was faster
        except OSError as error:
            raise disk_error(error, "cannot put a damaged content aside") from error

    def put_bytes(self, data: bytes) -> str:
        """Store a small content and return its digest."""
        digest = hash_bytes(data)
        if not self.intact(digest, len(data)):
            with self.staged() as staged:
                handle = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
                try:
                    _write(handle, data)
                    _seal(handle)
                finally:
                    os.close(handle)
                self._adopt(staged, digest)
        return digest

    def put_handle(self, handle: int, size: int, on_read: OnRead | None = None) -> str:
        """Copy what an open file holds, from its start, and return the digest of what was copied.

        Whatever happens to the file meanwhile, the digest is that of the copy.
        """
        if size <= SMALL:
            data = os.pread(handle, SMALL + 1, 0)
            if len(data) <= SMALL:
                if on_read is not None:
                    on_read(len(data))
                return self.put_bytes(data)
        self._room_for(size)
        hasher = blake3(max_threads=blake3.AUTO)
        buffer = memoryview(bytearray(min(max(size, SMALL), PIECE)))
        os.lseek(handle, 0, os.SEEK_SET)
        with self.staged() as staged:
            copy = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
            try:
                while count := os.readv(handle, [buffer]):
                    hasher.update(buffer[:count])
                    _write(copy, buffer[:count])
                    if on_read is not None:
                        on_read(count)
                _seal(copy)
            finally:
                os.close(copy)
            digest = hasher.hexdigest()
            self._adopt(staged, digest)
        return digest

    def take(self, path: str) -> tuple[str, os.stat_result]:
        """Have the store own a file that a step made; return its digest, and its stat as it was.

        By a hard link where that can be. A file that has another name too, or may be executed, is
        copied: its mode is not ours to change. Raises OSError, BlockingIOError where it is still
        being written.
        """
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            seen = os.fstat(handle)
            alone = seen.st_nlink == 1 and not seen.st_mode & 0o111
            if alone or seen.st_size > SMALL:
                digest = hash_handle(handle, seen.st_size)
                _held_still(handle, seen, path)
                if self.intact(digest, seen.st_size) or (alone and self._link(handle, path, digest)):
                    return digest, seen
            before = os.fstat(handle)
            digest = self.put_handle(handle, seen.st_size)
            _held_still(handle, before, path)
        finally:
            os.close(handle)
        return digest, seen

    def _link(self, handle: int, path: str, digest: str) -> bool:
        try:
            _seal(handle)
            self._into_place(os.link, path, digest)
        except FileExistsError:
            pass  # somebody stored the same content first
        except OSError as error:
            if error.errno not in NO_LINK:
                raise disk_error(error, "cannot write to the store") from error
            return False
        return True

    def _adopt(self, staged: str, digest: str) -> None:
        self._into_place(os.rename, staged, digest)

    def _into_place(self, how: Callable[[str, str], None], source: str, digest: str) -> None:
        target = self.path(digest)
        try:
            how(source, target)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            how(source, target)

    def _room_for(self, size: int) -> None:
        disk = os.statvfs(self._root)
        free = disk.f_bavail * disk.f_frsize
        if size > free:
            raise MachineError(
                f"disk full: {size / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB are free where the home is",
                hint="free some space where the home is, or set STEPWELL_HOME to a larger disk",
                code="disk_full",
            )

    @contextmanager
    def staged(self) -> Iterator[str]:
        """Yield a fresh path to write to; whatever is still there in the end is removed. Says when the disk is full."""
        path = f"{self._staging}/{self._mark}-{next(self._count)}"
        try:
            yield path
        except BaseException as error:
            remove(path)
            if isinstance(error, OSError):
                raise disk_error(error, "cannot write to the store") from error
            raise

    def sweep(self) -> None:
        """Remove what a killed daemon left half-written. Only for who holds the lock of the home."""
        for entry in list(os.scandir(self._staging)):
            remove(entry.path)


def _restored(path: str, digest: str) -> bool:
    if hash_file(path) != digest:
        return False
    os.utime(path, ns=(STORED_NS, STORED_NS))
    return True


def _held_still(handle: int, before: os.stat_result, path: str) -> None:
    if stamp(os.fstat(handle)) != stamp(before):
        raise BlockingIOError(errno.EAGAIN, "it is still being written", path)


def _seal(handle: int) -> None:
    os.fchmod(handle, 0o444)
    os.utime(handle, ns=(STORED_NS, STORED_NS))


def _write(handle: int, data: bytes | memoryview) -> None:
    written = os.write(handle, data)
    while written < len(data):
        written += os.write(handle, memoryview(data)[written:])


def remove(path: str) -> None:
    """Remove a file or a folder of ours, as far as that goes."""
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISDIR(mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
    except OSError:
        pass  # it was never made, or the disk says no to that too; `sweep` comes again


def disk_error(error: OSError, what: str) -> StepwellError:
    """Return what to tell the user about an error of the disk the home is on."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return MachineError(f"disk full: {what}", hint="free some space where the home is", code="disk_full")
    named = f" ({os.fsdecode(error.filename)!r})" if isinstance(error.filename, (str, bytes)) else ""
    return MachineError(f"{what}: {error.strerror}{named}", code="store")
