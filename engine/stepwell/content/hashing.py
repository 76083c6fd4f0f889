"""blake3 of bytes and files, by bounded reads. A user's file is never mapped: one that is cut would kill us."""

from __future__ import annotations

import os

from blake3 import blake3

SMALL = 1 << 17  # bytes: read whole, hashed in one call
_PIECE = 1 << 23  # bytes of one read of a large file; enough to keep all cores busy
DIGEST_LENGTH = 64


def hash_bytes(data: bytes) -> str:
    return blake3(data).hexdigest()


def hash_handle(handle: int, size: int) -> str:
    """Return the digest of what an open file holds from its position on; `size` is a hint."""
    if size <= SMALL:
        data = os.read(handle, SMALL + 1)
        if len(data) <= SMALL:
            return blake3(data).hexdigest()
        hasher = blake3(data)  # it grew while we looked
    else:
        hasher = blake3(max_threads=blake3.AUTO)
    buffer = bytearray(min(max(size, SMALL), _PIECE))
    view = memoryview(buffer)
    while count := os.readv(handle, [buffer]):
        hasher.update(view[:count])
    return hasher.hexdigest()


def hash_file(path: str | os.PathLike[str]) -> str:
    """Return the digest of a file's content. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return hash_handle(handle, os.fstat(handle).st_size)
    finally:
        os.close(handle)
