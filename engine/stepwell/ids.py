"""Identities: UUIDv7 as text, so that ids sort by the time they were made.

Layout (RFC 9562): 48 bits of Unix milliseconds, version, 12 random bits, variant, 62 random bits.
"""

from __future__ import annotations

import os
import time
import uuid


def new_id(now_us: int | None = None) -> str:
    """Return a fresh UUIDv7 as 36 characters of text. `now_us`: microseconds since the epoch, UTC."""
    millis = (time.time_ns() // 1_000_000 if now_us is None else now_us // 1000) & ((1 << 48) - 1)
    value = millis << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def now_us() -> int:
    """Return the wall clock in integer microseconds UTC, as every table and event stores it."""
    return time.time_ns() // 1000
