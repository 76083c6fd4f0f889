"""The processes below one process: finding them, signalling them, naming them.

A shim is a child subreaper, so whatever its step leaves behind, also through a double fork and a
session of its own, stays below the shim and is found here. Linux only: all of it is read from
/proc, about ten microseconds a process.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Container, Dict, List, NamedTuple, Optional

from stepwell_step.attempt import start_time, started_record


class Process(NamedTuple):
    """One process. `start_ticks` tells it from a later one with its pid."""

    pid: int
    parent: int
    name: str
    start_ticks: int


def _read(pid: int) -> Optional[Process]:
    """Return process `pid`, or None where it is gone or a zombie.

    The leader of a process whose other threads live on is shown as a zombie too, but is not over.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            line = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    opening, closing = line.index(b"("), line.rindex(b")")
    fields = line[closing + 2 :].split()
    state, parent, threads, ticks = fields[0], int(fields[1]), int(fields[17]), int(fields[19])
    if state in (b"Z", b"X") and threads <= 1:
        return None
    name = line[opening + 1 : closing].decode("utf-8", "surrogateescape")
    return Process(pid, parent, name, ticks)


def below(root: int) -> List[Process]:
    """Return every live process below `root`, parents first; not `root` itself."""
    children: Dict[int, List[Process]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            process = _read(int(entry))
            if process is not None:
                children.setdefault(process.parent, []).append(process)
    found: List[Process] = []
    parents = [root]
    while parents:
        for process in children.pop(parents.pop(0), ()):
            found.append(process)
            parents.append(process.pid)
    return found


def send(process: Process, number: int) -> bool:
    """Signal exactly this process: never a later one that has its pid. False where it is gone."""
    if not hasattr(os, "pidfd_open"):  # before 3.9 a window of microseconds remains
        try:
            if start_time(process.pid) != process.start_ticks:
                return False
            os.kill(process.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:  # gone, or a zombie leader on a kernel that refuses those
        return False
    try:
        if start_time(process.pid) != process.start_ticks:
            return False
        signal.pidfd_send_signal(handle, number)
    except (ProcessLookupError, PermissionError):
        return False  # gone; or it changed its user, and is not ours to signal any more
    finally:
        os.close(handle)
    return True


def signal_below(root: int, *numbers: int) -> List[Process]:
    """Send each of `numbers` to every live process below `root`; return those processes."""
    found = below(root)
    for process in found:
        for number in numbers:
            send(process, number)
    return found


def end_orphans(folder: str, keep: Container[int], tries: int = 20) -> None:
    """Kill what a dead shim left to us, its reaper: our children, not in `keep`, that are of the attempt in `folder`.

    Known by the session that started.json names, or by the attempt's folder in their environment,
    so that the orphans of somebody else, who is also below us, are left alone.
    """
    started = started_record(folder) or {}
    mark = b"STEPWELL_ATTEMPT_DIR=" + os.fsencode(folder) + b"\0"
    for _ in range(tries):
        found = below(os.getpid())
        orphans = [
            each
            for each in found
            if each.parent == os.getpid() and each.pid not in keep and _belongs(each.pid, started.get("pid"), mark)
        ]
        for orphan in orphans:
            signal_below(orphan.pid, signal.SIGKILL)
            send(orphan, signal.SIGKILL)
        if not orphans:
            return
        time.sleep(0.005)


def _belongs(pid: int, session: Optional[int], mark: bytes) -> bool:
    try:
        if os.getsid(pid) == session:
            return True
        with open(f"/proc/{pid}/environ", "rb") as file:
            return mark in file.read()
    except (ProcessLookupError, FileNotFoundError, PermissionError):
        return False
