"""Which processes belong to a home, and how a test ends them: politely, then by pid.

A process belongs to a home when the home's path is a word of its command line (daemon, launcher
and shims), the value of its STEPWELL_HOME (steps), or above its working folder (steps that lost
their environment). Zombies belong to nobody: they are not alive.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from support.waiting import wait_until

GRACE_S = 10.0  # what a daemon gets to stop after SIGTERM, and what its launcher gets to follow


@dataclass(frozen=True, slots=True)
class Survivor:
    """A live process of a home. `words` is its command line."""

    pid: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.pid} {' '.join(self.words)[:200]}"

    @property
    def is_daemon(self) -> bool:
        return "stepwell.runtime.daemon" in self.words


def survivors(home: Path) -> list[Survivor]:
    """Return the live processes of `home`, or of any home below it; never this process itself."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with suppress(OSError):  # it ended while we looked, or belongs to somebody else
                words = _belongs(Path("/proc", name), os.fsencode(home))
                if words:
                    found.append(Survivor(int(name), words))
    return found


def end_all(home: Path) -> list[Survivor]:
    """Stop the daemon of `home`, kill whatever is left, and return what had to be killed.

    The daemon gets SIGTERM and its launcher follows by itself, so after a clean test the
    list is empty. Everything left is killed by pid, which no test may rely on.
    """
    for daemon in (one for one in survivors(home) if one.is_daemon):
        with suppress(ProcessLookupError):
            os.kill(daemon.pid, signal.SIGTERM)
    with suppress(AssertionError):
        wait_until(lambda: not survivors(home), within_s=GRACE_S)
    left = survivors(home)
    for one in left:
        with suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGKILL)
    wait_until(lambda: not survivors(home), within_s=GRACE_S)
    return left


def _belongs(process: Path, home: bytes) -> tuple[str, ...]:
    """Return the command line of a process of `home`, () for every other. Raises OSError if it is gone."""
    line = (process / "cmdline").read_bytes()
    if not line:  # a zombie, or a thread of the kernel
        return ()
    variables = (process / "environ").read_bytes().split(b"\0")
    folder = os.fsencode((process / "cwd").readlink())
    ours = (
        any(_within(word, home) for word in line.split(b"\0"))
        or any(_within(text[14:], home) for text in variables if text.startswith(b"STEPWELL_HOME="))
        or _within(folder, home)
    )
    return tuple(os.fsdecode(line).rstrip("\0").split("\0")) if ours else ()


def _within(path: bytes, home: bytes) -> bool:
    return path == home or path.startswith(home + b"/")
