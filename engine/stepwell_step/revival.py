"""Bringing the daemon back when it died with work in hand.

A daemon says whether it has work and how it is started. If its connection ends without a good-bye
while it has work, it is started again: after 0.2 s, then twice as long each time, at most five
times in ten minutes. Pure bookkeeping but for `start`; the launcher owns the loop.
"""

from __future__ import annotations

import os
import signal
from typing import List, Optional

FIRST_S = 0.2
MOST = 5
WINDOW_S = 600.0


class Revival:
    """When to start the daemon again. All moments are monotonic seconds, given by the caller."""

    def __init__(self, log: str) -> None:
        self._log = log
        self._argv: List[str] = []
        self._tries: List[float] = []
        self.active = False
        self.due: Optional[float] = None
        self.pid: Optional[int] = None  # of the daemon that we started, while it lives

    def work(self, active: bool, argv: List[str]) -> None:
        """A daemon is there, and says whether it has work."""
        self.active = active
        self._argv = argv
        self.due = None

    def lost(self, now: float) -> None:
        """The last daemon has gone without a good-bye, or the one we started died: try again later, or give up."""
        self.due = None
        if not self.active:
            return
        self._tries = [moment for moment in self._tries if now - moment < WINDOW_S]
        if len(self._tries) >= MOST or not self._argv:
            self.active = False
            print(
                f"stepwell launcher: the daemon died {MOST} times in {WINDOW_S / 60:g} minutes; it stays down",
                flush=True,
            )
            return
        self.due = now + FIRST_S * 2 ** len(self._tries)

    def start(self, now: float) -> None:
        """Start the daemon: its own session, nothing on stdin, both outputs appended to the log."""
        self.due = None
        self._tries.append(now)
        argv = [word.encode("utf-8", "surrogateescape") for word in self._argv]
        pid = os.fork()
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                os.setsid()
                for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
                    signal.signal(number, signal.SIG_DFL)
                null = os.open(os.devnull, os.O_RDONLY)
                log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                os.dup2(null, 0)
                os.dup2(log, 1)
                os.dup2(log, 2)
                os.execv(argv[0], argv)
            except OSError as error:
                os.write(2, f"stepwell launcher: cannot start the daemon: {error}\n".encode("utf-8", "replace"))
            finally:
                os._exit(127)
        self.pid = pid
