"""From two pipes to one log: raw bytes in `step.log`, one fixed record per write in `step.log.idx`.

    record (24 bytes, little-endian)   <QQIHH
        offset    u64   where the bytes begin in step.log
        time_us   u64   when the first of them was read, wall clock, UTC
        newlines  u32   how many of them are b"\\n"
        stream    u16   1 standard output, 2 standard error
        flags     u16   1: written by the shim, not by the step

A record ends where the next begins, the last one at the end of the log; it may be empty. Its
record is written before its bytes are, so that no byte ever lies in a record of the other stream.
A torn last record (a file size that is no multiple of 24) is not there yet.

A byte waits at most 50 ms: a line that comes after a pause is written at once, a flood is gathered
to writes of 64 KiB. Nothing is held in memory beyond that. When the log cannot be written (disk
full, size limit) the step must not notice: its output is drained and counted as lost.
"""

from __future__ import annotations

import os
import struct
from typing import Optional

from stepwell_step.attempt import INDEX, LOG, now_us

RECORD = struct.Struct("<QQIHH")
OUT, ERR = 1, 2
BY_SHIM = 1
CHUNK = 65536  # bytes
HOLD_S = 0.05

_OPEN = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


class Log:
    """The two files of one attempt's log. Writes by position: truncating or renaming the file stops nothing."""

    def __init__(self, folder: str, cap_bytes: Optional[int] = None) -> None:
        self._log = os.open(os.path.join(folder, LOG), _OPEN, 0o600)
        self._index = os.open(os.path.join(folder, INDEX), _OPEN, 0o600)
        self._indexed = 0
        self._cap = cap_bytes
        self._capped = False
        self.size = 0
        self.lost = 0
        self.failure: Optional[str] = None

    def write(self, data: bytes, stream: int, time_us: int, flags: int = 0) -> None:
        """Append bytes of one stream, or count them as lost."""
        if self._capped:
            self.lost += len(data)
            return
        if self._cap is not None and self.size + len(data) > self._cap:
            keep = self._cap - self.size
            self._append(data[:keep], stream, time_us, flags)
            self._capped = True
            self.lost += len(data) - keep
            marker = f"\n[stepwell: the log is capped at {self._cap} bytes; what follows is not kept]\n"
            self._append(marker.encode("ascii"), stream, time_us, BY_SHIM)
            return
        self._append(data, stream, time_us, flags)

    def _append(self, data: bytes, stream: int, time_us: int, flags: int) -> None:
        record = RECORD.pack(self.size, time_us, data.count(b"\n"), stream, flags)
        end = self.size + len(data)
        try:
            if os.pwrite(self._index, record, self._indexed) == RECORD.size:
                self._indexed += RECORD.size
            self.size += os.pwrite(self._log, data, self.size)
            while self.size < end:  # a short write: the next one says why
                self.size += os.pwrite(self._log, data[len(data) - (end - self.size) :], self.size)
        except OSError as error:
            self.failure = self.failure or error.strerror
            self.lost += end - self.size

    def close(self) -> None:
        os.close(self._log)
        os.close(self._index)


class Pump:
    """Gathers what is read from the two pipes into writes of one stream each."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._held = b""
        self._stream = OUT
        self._time_us = 0
        self._written = 0.0  # monotonic time of the last write
        self.due: Optional[float] = None  # monotonic time by which held bytes must be written

    def feed(self, stream: int, data: bytes, now: float) -> None:
        """Take bytes just read from `stream`. `now`: monotonic seconds."""
        if self._held and stream != self._stream:
            self.flush(now)
        if not self._held:
            self._stream, self._time_us = stream, now_us()
        self._held = self._held + data if self._held else data
        if len(self._held) >= CHUNK or now - self._written >= HOLD_S:
            self.flush(now)
        else:
            self.due = self._written + HOLD_S

    def flush(self, now: float) -> None:
        """Write what is held."""
        if self._held:
            self._log.write(self._held, self._stream, self._time_us)
            self._held = b""
        self._written = now
        self.due = None
