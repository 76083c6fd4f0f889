"""Durations, ages, sizes and counts in words a person reads at a glance."""

from __future__ import annotations

import re
import time

_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


def duration(seconds: float | None) -> str:
    """Return `0.25 s`, `12.3 s`, `3 min 04 s`, `2 h 05 min`, or a dash where there is none."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{max(seconds, 0):.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min"
    return f"{hours // 24} d {hours % 24} h"


def elapsed(started_us: int | None, ended_us: int | None, now_us: int) -> float | None:
    """Return the seconds between two moments, up to now where the second has not come. Never negative."""
    if started_us is None:
        return None
    return max((ended_us if ended_us is not None else now_us) - started_us, 0) / 1e6


def size(count: int | None) -> str:
    """Return `512 B`, `1.2 KiB`, `3.4 GiB`."""
    if count is None:
        return "-"
    if count < 1024:
        return f"{count} B"
    amount = float(count)
    for unit in ("KiB", "MiB", "GiB"):
        amount /= 1024
        if amount < 1024:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1024:.1f} TiB"


def short_digests(text: str) -> str:
    """Return `text` with each digest cut to the twelve characters that tell two apart."""
    return _DIGEST.sub(lambda found: found[0][:12], text)


def count(number: int, noun: str) -> str:
    """Return `1 step`, `3 steps`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def clock(time_us: int | None) -> str:
    """Return a moment in the reader's own time zone, to the second."""
    if time_us is None:
        return "-"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_us / 1e6))
