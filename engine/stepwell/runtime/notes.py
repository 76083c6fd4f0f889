"""Lines that steps append to files of their attempt: anybody's text, read with care.

What is no file, no JSON or no object is counted as unreadable and passed over: a step can spoil
what it says about itself, never the daemon that reads it.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

AT_ONCE = 4 << 20  # bytes of one look; the next look goes on
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # never waits for a FIFO's writer
Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lines:
    """`items`: what could be read; `position`: the byte to go on from; `broken`: how many lines could not."""

    items: tuple[Item, ...]
    position: int
    broken: int = 0


def read_lines(path: str | os.PathLike[str], position: int, parse: Callable[[Item], Item]) -> Lines:
    """Return the complete lines after byte `position`, each through `parse`; a torn last line waits for its end.

    Never raises for what is in the file, or for what is there instead of one.
    """
    data = _bytes(path, position)
    end = data.rfind(b"\n") + 1
    if end == 0 and len(data) == AT_ONCE:
        return Lines((), position + len(data), 1)  # a line without an end is no line
    items: list[Item] = []
    broken = 0
    for line in data[:end].splitlines():
        try:
            item = json.loads(line)
            items.append(parse(item))
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError, OverflowError):
            broken += 1
    return Lines(tuple(items), position + end, broken)


def _bytes(path: str | os.PathLike[str], position: int) -> bytes:
    try:
        handle = os.open(path, _FLAGS)
    except OSError:
        return b""  # not there, or something else in its place
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return b""
        return os.pread(handle, AT_ONCE, position)
    finally:
        os.close(handle)
