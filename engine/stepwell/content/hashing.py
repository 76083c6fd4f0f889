"""blake3 of bytes and files, by bounded reads.

A user's file is never mapped: one that is truncated while it is hashed would kill the daemon by
SIGBUS. Large files use all cores. Whoever needs to know that a file held still while it was read
compares `stamp` before and after.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from blake3 import blake3

SMALL = 1 << 17  # bytes: read whole, hashed in one call
PIECE = 1 << 23  # bytes of one read of a large file; enough to keep all cores busy
OnRead = Callable[[int], None]  # told how many more bytes were read; raising from it ends the reading


def hash_bytes(data: bytes) -> str:
    return blake3(data).hexdigest()


def hash_handle(handle: int, size: int, on_read: OnRead | None = None) -> str:
    """Return the digest of what an open file holds from its position on; `size` is a hint. Raises OSError."""
    if size <= SMALL:
        data = os.read(handle, SMALL + 1)
        if on_read is not None:
            on_read(len(data))
        if len(data) <= SMALL:
            return blake3(data).hexdigest()
        hasher = blake3(data)  # it grew while we looked
    else:
        hasher = blake3(max_threads=blake3.AUTO)
    buffer = memoryview(bytearray(min(max(size, SMALL), PIECE)))
    while count := os.readv(handle, [buffer]):
        hasher.update(buffer[:count])
        if on_read is not None:
            on_read(count)
    return hasher.hexdigest()


def hash_file(path: str | os.PathLike[str]) -> str:
    """Return the digest of a file's content as it is read. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return hash_handle(handle, os.fstat(handle).st_size)
    finally:
        os.close(handle)


def stamp(seen: os.stat_result) -> tuple[int, int, int, int]:
    """Return what moves when a file's content does: size, both times, and the inode, as editors replace files."""
    return seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino
