"""Asking a shim to end its step: a file that says why, then a signal through a pidfd.

A recycled pid is never signalled: the pidfd is opened first, and only then is the start time
compared with the one the shim wrote down.
"""

from __future__ import annotations

import os
import signal

from stepwell.ids import now_us
from stepwell_step import attempt as protocol


def ask_to_end(folder: str, reason: str, grace_s: float) -> bool:
    """Ask the attempt in `folder` to end: TERM, then KILL after `grace_s`. False where it already has."""
    protocol.write_json_atomic(
        os.path.join(folder, "cancel.json"),
        {"v": 1, "reason": reason, "grace_s": grace_s, "time_us": now_us()},
    )
    started = protocol.started_record(folder)
    if started is None:
        return False  # not there yet: the shim looks for the file before it starts the step
    return _signal(int(started["shim_pid"]), int(started["shim_start_ticks"]), signal.SIGTERM)


def shim_alive(folder: str) -> int | None:
    """Return the pid of the shim that holds the attempt's lock, or None. The lock decides, not the pid."""
    if not protocol.is_locked(folder):
        return None
    started = protocol.started_record(folder)
    return None if started is None else int(started["shim_pid"])


def kill_group(folder: str) -> None:
    """End what a dead shim left of its step's process group, if that group is still the same one."""
    started = protocol.started_record(folder)
    if started is None:
        return
    pid, ticks = int(started["pid"]), int(started["start_ticks"])
    if protocol.start_time(pid) == ticks:
        try:
            os.killpg(int(started["pgid"]), signal.SIGKILL)
        except ProcessLookupError:
            pass  # it went in between


def _signal(pid: int, ticks: int, number: signal.Signals) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if protocol.start_time(pid) != ticks:
            return False
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True
