"""A disk on which something happens at the n-th operation that writes.

As a program it is a process that dies of it, as often as it is asked to:

    python -m content.disk <home> freeze|store|share <folder>      with tests/ on the path

reads a number from each line of its input, forks a child that does that until it is killed before
that many operations, and prints how the child ended. The children are forked here and not by the
test, since a test has hashed before: threads of blake3 do not survive a fork.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from stepwell.content.artifacts import ObjectStore
from stepwell.content.snapshots import freeze
from stepwell.paths import Home

WRITES = ("write", "link", "rename", "mkdir", "symlink", "sendfile", "copy_file_range", "fchmod", "utime")


class Disk:
    """Lets `left` writing operations through, then calls `then` before every one; None: lets all through."""

    def __init__(self, patch: Callable[[object, str, object], None], then: Callable[[], None]) -> None:
        self.left: int | None = None
        self._then = then
        for name in WRITES:
            patch(os, name, self._guarded(getattr(os, name)))
        patch(os, "open", self._guarded(os.open, only_new=True))

    def _guarded(self, real: Callable[..., object], *, only_new: bool = False) -> Callable[..., object]:
        def call(*words: object, **named: object) -> object:
            if self.left is not None and not (only_new and not int(str(words[1])) & os.O_CREAT):
                if self.left <= 0:
                    self._then()
                self.left -= 1
            return real(*words, **named)

        return call


def act(home: Home, what: str, folder: Path) -> None:
    store = ObjectStore(home)
    if what == "freeze":
        freeze(folder, store, None)
    elif what == "store":
        store.store_output(folder, "made")
    else:
        store.materialize(freeze(folder, None, None, keep=False).digest)


def main() -> None:
    home, what, folder = Home.at(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            disk = Disk(setattr, lambda: os.kill(os.getpid(), signal.SIGKILL))
            disk.left = int(line)
            try:
                act(home, what, folder)
                os._exit(0)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
