"""The folder of one attempt: the only thing a daemon, a launcher and a shim agree on.

    launch.json    what to start; written by the daemon before anybody is asked to start it
    lease.lock     flock held by the shim for its whole life: "alive?" is this lock, never a pid
    started.json   who runs; exists before the step's first instruction does
    cancel.json    a wish to end, written before the shim is signalled
    exit.json      how it ended; written once, last
    step.log       raw bytes of both streams        step.log.idx   24-byte records, see `pump`
    metrics.jsonl  points the step logged           notes.jsonl    tags, properties, a wish to cancel the run
    work/ outputs/ the step's own

Every JSON file holds `"v": 1`; a reader keeps understanding every `v` ever written. Files appear
whole, by rename, and are not synced: they must survive the death of any process, not of the
machine, after which no attempt is alive anyway.

    launch.json   {v, attempt, argv: [text], cwd, env: {name: text}, timeout_s | null, grace_s, log_cap_bytes | null}
    started.json  {v, pid, shim_pid, pgid, start_ticks, shim_start_ticks, boot_id, started_us}
    cancel.json   {v, reason, grace_s}
    exit.json     {v, outcome, exit_code | null, signal | null, message | null, started_us | null, ended_us,
                   duration_s, cpu_s, max_rss_mib, log_bytes, log_lost_bytes, left_behind: [{pid, name}]}

Text may hold bytes that are not UTF-8: they travel as lone surrogates (`surrogateescape`), written
as ASCII escapes. Times are microseconds UTC, durations seconds of the monotonic clock.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from typing import Any

VERSION = 1
LAUNCH = "launch.json"
LOCK = "lease.lock"
STARTED = "started.json"
CANCEL = "cancel.json"
EXIT = "exit.json"
LOG = "step.log"
INDEX = "step.log.idx"
METRICS = "metrics.jsonl"
NOTES = "notes.jsonl"


def now_us() -> int:
    """Return the wall clock in integer microseconds UTC."""
    return time.time_ns() // 1000


def encode(value: dict[str, Any]) -> bytes:
    """Return `value` as one line of JSON in ASCII."""
    return json.dumps(value).encode("ascii") + b"\n"


def decode(data: bytes) -> dict[str, Any] | None:
    """Return the object that `data` holds, or None where it is torn or no object."""
    try:
        value = json.loads(data)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def write_json_atomic(path: str, value: dict[str, Any]) -> None:
    """Write `value` so that a reader finds the old file, or all of the new one. Raises OSError."""
    staged = f"{path}.{os.getpid()}.tmp"
    data = encode(value)
    try:
        handle = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            while data:
                data = data[os.write(handle, data) :]
        finally:
            os.close(handle)
        os.rename(staged, path)
    except OSError:
        try:
            os.unlink(staged)
        except FileNotFoundError:
            pass  # it was never made
        raise


def read_json(path: str) -> dict[str, Any] | None:
    """Return what the file holds, or None where it is absent, torn, or not an object."""
    try:
        return decode(_bytes(path))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _bytes(path: str) -> bytes:
    """Return what a file holds; with half the system calls of `open`, and a step waits for each."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while True:
            parts.append(os.read(handle, 1 << 18))
            if not parts[-1]:
                return b"".join(parts)
    finally:
        os.close(handle)


def launch_record(folder: str) -> dict[str, Any] | None:
    return read_json(os.path.join(folder, LAUNCH))


def started_record(folder: str) -> dict[str, Any] | None:
    return read_json(os.path.join(folder, STARTED))


def cancel_record(folder: str) -> dict[str, Any] | None:
    return read_json(os.path.join(folder, CANCEL))


def exit_record(folder: str) -> dict[str, Any] | None:
    return read_json(os.path.join(folder, EXIT))


def refusal(folder: str) -> str | None:
    """Return why an attempt whose lock we hold must not be launched any more, or None."""
    if os.path.exists(os.path.join(folder, EXIT)):
        return "it has already ended"
    if os.path.exists(os.path.join(folder, STARTED)):
        return "it was started before, and nobody saw how it ended"
    return None


def write_never_started(folder: str, message: str) -> None:
    """Say that nothing was run. Only for the holder of the lock. Raises OSError."""
    record = {
        "v": VERSION,
        "outcome": "NeverStarted",
        "exit_code": None,
        "signal": None,
        "message": message,
        "started_us": None,
        "ended_us": now_us(),
        "duration_s": 0.0,
        "cpu_s": 0.0,
        "max_rss_mib": 0.0,
        "log_bytes": 0,
        "log_lost_bytes": 0,
        "left_behind": [],
    }
    write_json_atomic(os.path.join(folder, EXIT), record)


class Lock:
    """The lock of an attempt, not yet taken. A forked child that is handed `handle` keeps it by keeping that open.

    Never unlocked, only closed: `LOCK_UN` in one process would free it for all that share it.
    """

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, LOCK)
        self.handle = -1

    def acquire(self, within_s: float = 0.02) -> bool:
        """Take the lock; False where somebody holds it. Raises OSError where the folder is not there.

        The short patience outlasts another process that only looks (`is_locked`).
        """
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + within_s
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN) or time.monotonic() > deadline:
                    os.close(handle)
                    if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN):
                        return False
                    raise
            time.sleep(0.001)
        self.handle = handle
        return True

    def release(self) -> None:
        """Close our handle. The lock is free when every process that shares it has done so."""
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1


def is_locked(folder: str) -> bool:
    """Return whether somebody holds the attempt's lock, which is what "it is alive" means."""
    try:
        handle = os.open(os.path.join(folder, LOCK), os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN):
            return True
        raise
    finally:
        os.close(handle)
    return False


def start_time(pid: int) -> int | None:
    """Return when process `pid` started, in clock ticks since boot, or None where it is gone.

    With the boot id this names a process for ever; a pid alone is soon somebody else's. A zombie
    still has its start time.
    """
    try:
        line = _bytes(f"/proc/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(line[line.rindex(b")") + 2 :].split()[19])


def boot_id() -> str:
    """Return the kernel's name for this boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
