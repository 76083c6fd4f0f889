"""How much processor time running steps have used, read from /proc as the kernel counts it.

Every step is a session of its own, whose number is the pid of its first process: summing over the
session finds workers that the step has started. Children that ended and were waited for count in
their parent's numbers.
"""

from __future__ import annotations

import os

_TICKS = os.sysconf("SC_CLK_TCK")


def of_sessions(sessions: set[int]) -> dict[int, float]:
    """Return seconds of user and system time by session. One pass over /proc; absent ones are left out."""
    used: dict[int, int] = {}
    if not sessions:
        return {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:  # it ended in between
            continue
        session = int(fields[3])
        if session in sessions:
            used[session] = used.get(session, 0) + sum(int(number) for number in fields[11:15])
    return {session: ticks / _TICKS for session, ticks in used.items()}
