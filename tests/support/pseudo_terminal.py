"""A program on a terminal of its own: what it paints, and keys pressed at it.

The screen is what a simple terminal would show: lines, carriage returns, "up n lines", "clear to
the end" and colours are understood, which is all our programs may use.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from types import TracebackType

from support.waiting import wait_until

_TOKEN = re.compile(r"\x1b\[(\d*)([A-Za-z])|\x1b\[[0-9;]*m|(\r\n|\n|\r)|([^\x1b\r\n]+)|(\x1b)")


class PseudoTerminal:
    """Runs a program on a terminal of `columns` x `rows`. Use it as a context manager."""

    def __init__(self, words: Sequence[str], variables: dict[str, str], columns: int = 80, rows: int = 24) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.raw = b""
        # The first terminal that the leader of a new session opens becomes its own: Ctrl-C reaches it.
        take = ["/bin/sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(theirs)]
        try:
            self.process = subprocess.Popen([*take, *words], env=variables, start_new_session=True)
            self._wait_until_taken(theirs)
        finally:
            os.close(theirs)

    def _wait_until_taken(self, theirs: int) -> None:
        """Keep the terminal open until the program has it, or it would hang up."""
        wait_until(lambda: self.process.poll() is not None or self._has_terminal(theirs), within_s=10)

    def _has_terminal(self, theirs: int) -> bool:
        try:
            return os.stat(f"/proc/{self.process.pid}/fd/2").st_rdev == os.fstat(theirs).st_rdev
        except OSError:  # it is just being started
            return False

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def wait_for(self, text: str, within_s: float = 10) -> str:
        """Return the screen once it shows `text`. Raises AssertionError with the screen when it never does."""
        deadline = time.monotonic() + within_s
        while text not in self.screen():
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"never showed {text!r}:\n{self.screen()}")
        return self.screen()

    def wait_for_lines(self, count: int, within_s: float = 10) -> int:
        """Return how many whole lines there are once there are `count`. Raises AssertionError as `wait_for`."""
        deadline = time.monotonic() + within_s
        while self.raw.count(b"\n") < count:
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"never showed {count} lines:\n{self.screen()}")
        return self.raw.count(b"\n")

    def wait_for_end(self, within_s: float = 10) -> int:
        """Return the exit code; everything it wrote is on the screen then."""
        deadline = time.monotonic() + within_s
        while self._read(deadline - time.monotonic()):
            pass
        return self.process.wait(max(deadline - time.monotonic(), 0.1))

    def screen(self) -> str:
        """Return the lines as a terminal without folding shows them, colours left out."""
        lines = [""]
        row = 0
        for number, letter, end, text, _ in _TOKEN.findall(self.raw.decode("utf-8", "replace")):
            if letter == "F":
                row = max(row - int(number or 1), 0)
            elif letter == "J":
                lines[row:] = [""]
            elif end in ("\r\n", "\n"):
                row += 1
                lines += [""] * (row + 1 - len(lines))
            elif text:
                lines[row] += text
        return "\n".join(lines)

    def __enter__(self) -> PseudoTerminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self._ours)

    def _read(self, within_s: float) -> bool:
        """Read what is there, waiting at most so long; False at the end or when nothing came."""
        ready, _, _ = select.select([self._ours], [], [], max(within_s, 0))
        if not ready:
            return False
        try:
            part = os.read(self._ours, 65536)
        except OSError:  # how Linux says that the program has closed its end
            return False
        self.raw += part
        return bool(part)
