"""What a step prints is seen at once: by a person who follows its log on a terminal."""

from __future__ import annotations

import os
import pty
import select
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stepwell.core.spec import StepSpec
from support.live import Live, python, shell

LINES = 12
WITHIN_S = 0.25
TICKER_C = """
#include <stdio.h>
#include <time.h>
int main(void) {
    struct timespec now, pause = {0, 120000000};
    for (int i = 0; i < 12; i++) {
        clock_gettime(CLOCK_REALTIME, &now);
        printf("tick %lld.%09ld\\n", (long long) now.tv_sec, now.tv_nsec);
        nanosleep(&pause, NULL);
    }
    return 0;
}
"""
TICKER_PY = """
import time
for i in range(12):
    print("tick", time.time())
    time.sleep(0.12)
"""


def c_step(folder: Path) -> StepSpec:
    (folder / "ticker.c").write_text(TICKER_C)
    subprocess.run(["cc", "-O1", "-o", folder / "ticker", folder / "ticker.c"], check=True)
    return shell("ticks", f"exec {folder / 'ticker'}")


def python_step(folder: Path) -> StepSpec:
    (folder / "ticker.py").write_text(TICKER_PY)
    return python("ticks", folder, "ticker.py")


@contextmanager
def followed(run: str) -> Iterator[int]:
    """Run `stepwell logs -f RUN ticks` on a terminal of its own and yield that terminal."""
    ours, theirs = pty.openpty()
    command = [str(Path(sys.executable).with_name("stepwell")), "logs", "-f", run, "ticks"]
    child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        yield ours
    finally:
        child.wait(timeout=20)
        os.close(ours)


def delays(terminal: int, lines: int) -> list[float]:
    """Return by how many seconds each tick was seen after it was printed."""
    seen: list[float] = []
    rest = b""
    while len(seen) < lines and select.select([terminal], [], [], 20)[0]:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the other end is gone
            break
        now = time.time()
        *whole, rest = (rest + data).split(b"\n")
        seen += [now - float(line.split(b"tick")[1]) for line in whole if b"tick" in line]
    return seen


@pytest.mark.real("cc")
@pytest.mark.alone
@pytest.mark.parametrize("make", [python_step, c_step], ids=["a Python step", "a C program"])
def test_a_line_is_on_the_terminal_within_a_quarter_of_a_second(live: Live, tmp_path: Path, make: object) -> None:
    assert callable(make)
    run = live.submit(make(tmp_path))
    live.in_state(run, "ticks", "Running")

    with followed(run) as terminal:
        seen = delays(terminal, LINES)

    assert len(seen) == LINES
    later = seen[LINES // 2 :]  # the first ones were printed before anybody followed
    assert statistics.median(later) < WITHIN_S, seen
