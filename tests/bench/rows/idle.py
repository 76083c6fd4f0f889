"""What a daemon costs that has nothing to do: memory, and processor time over half a minute.

It has served a small run before, so that everything it loads late is loaded. Processor time is
read from the scheduler in nanoseconds: the usual counter has ticks of 10 ms, which is a tenth of
the budget.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench.row import Row
from bench.rows.overhead import CHAIN, PROGRAM
from bench.scene import scene

WATCHED_S = 30.0
SETTLE_S = 5.0


def cpu_s(pid: int) -> float:
    """Return the processor time of all threads of a process so far, in seconds."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def measure() -> Iterator[Row]:
    with scene() as made:
        made.stepwell("run", made.pipeline("small", CHAIN.format(steps=3, program=PROGRAM, chained=True)))
        pid = int(made.asked("daemon", "status")["pid"])
        time.sleep(SETTLE_S)

        before = cpu_s(pid)
        time.sleep(WATCHED_S)
        used = cpu_s(pid) - before
        daemon = psutil.Process(pid)
        memory = daemon.memory_info().rss
        launchers = sum(child.memory_info().rss for child in daemon.children())

    mib = 1 << 20
    yield Row(
        name="idle daemon, memory",
        what="resident set after a small run",
        unit="MB",
        value=memory / 1e6,
        details={"MiB": memory / mib, "its launcher, MB": launchers / 1e6},
    )
    yield Row(
        name="idle daemon, processor",
        what=f"share of one processor over {WATCHED_S:.0f} s",
        unit="%",
        value=100 * used / WATCHED_S,
    )
