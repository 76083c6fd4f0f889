"""What the daemon and a shim say to each other through the attempt's folder, and who is still alive."""

from __future__ import annotations

import os
import signal

from stepwell.ids import now_us
from stepwell_step import attempt as protocol


def leave_word(folder: str, reason: str, grace_s: float) -> None:
    """Write down that the attempt is to end and why. A shim that starts its step later sees it first."""
    protocol.write_json_atomic(
        os.path.join(folder, "cancel.json"),
        {"v": 1, "reason": reason, "grace_s": grace_s, "time_us": now_us()},
    )


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
