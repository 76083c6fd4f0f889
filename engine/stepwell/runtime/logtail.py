"""Reading a step's log: any range of its bytes, of both streams or of one.

The log is one file of raw bytes; beside it lies an index of 24-byte records, one for each write
of the shim: offset u64, time u64, newlines u32, stream u16 (1 out, 2 err), flags u16.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from stepwell.core.states import ATTEMPT_TERMINAL, STEP_TERMINAL
from stepwell.errors import NotFoundError
from stepwell.paths import Home
from stepwell.store import queries
from stepwell.store.database import Database

RECORD = struct.Struct("<QQIHH")
STREAMS = {"out": 1, "err": 2}


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of a log. `next_offset`: where to go on; `size`: bytes so far; `done`: no more will come."""

    data: bytes
    next_offset: int
    size: int
    done: bool


class Logs:
    """Finds and reads the logs of step runs. Thread-safe."""

    def __init__(self, home: Home, database: Database) -> None:
        self._home = home
        self._database = database

    def read(self, step_run: str, attempt: str | None, offset: int, limit: int, stream: str) -> Chunk:
        """Return up to `limit` bytes from `offset`. A reused step answers with the original's log."""
        folder, ended = self._find(step_run, attempt)
        if folder is None:
            return Chunk(b"", offset, 0, ended)
        try:
            with (folder / "step.log").open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if stream in STREAMS:
                    data, reached = _one_stream(file.fileno(), folder, offset, limit, size, STREAMS[stream])
                else:
                    data = os.pread(file.fileno(), limit, offset)
                    reached = offset + len(data)
        except FileNotFoundError:
            return Chunk(b"", offset, 0, ended)
        return Chunk(data, reached, size, ended and reached >= size)

    def _find(self, step_run: str, wanted: str | None) -> tuple[Path | None, bool]:
        with self._database.read() as connection:
            step = queries.step(connection, step_run)
            if step.reused_from is not None:
                step = queries.step(connection, step.reused_from)
            attempts = queries.attempts(connection, step.id)
        over = step.state in STEP_TERMINAL
        if not attempts:
            return None, over
        if wanted is None:
            chosen = attempts[-1]
        else:
            found = [attempt for attempt in attempts if wanted in (attempt.id, str(attempt.number))]
            if not found:
                there_is = ", ".join(str(attempt.number) for attempt in attempts)
                raise NotFoundError(
                    f"no attempt {wanted!r} of this step (there is: {there_is})", code="unknown_attempt"
                )
            chosen = found[0]
        ended = over if wanted is None else chosen.state in ATTEMPT_TERMINAL
        return self._home.root / chosen.folder, ended


def _one_stream(handle: int, folder: Path, offset: int, limit: int, size: int, stream: int) -> tuple[bytes, int]:
    """Return bytes of one stream from raw offset `offset` on, and the raw offset reached."""
    index = (folder / "step.log.idx").read_bytes()
    records = list(RECORD.iter_unpack(index[: len(index) // RECORD.size * RECORD.size]))
    parts: list[bytes] = []
    taken = 0
    reached = offset
    for number, (start, _, _, kind, _) in enumerate(records):
        end = min(records[number + 1][0] if number + 1 < len(records) else size, size)
        if end <= offset:
            continue
        begin = max(start, offset)
        if kind == stream:
            part = os.pread(handle, min(end - begin, limit - taken), begin)
            parts.append(part)
            taken += len(part)
            reached = begin + len(part)
            if taken >= limit:
                return b"".join(parts), reached
        else:
            reached = end
    return b"".join(parts), reached
