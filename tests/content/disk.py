"""A disk on which something happens at the n-th operation that writes."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

WRITES = ("write", "link", "rename", "mkdir", "symlink", "sendfile", "copy_file_range", "fchmod", "utime")


class Disk:
    """Lets `left` writing operations through, then calls `then` before every one; None: lets all through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, then: Callable[[], None]) -> None:
        self.left: int | None = None
        self._then = then
        for name in WRITES:
            monkeypatch.setattr(os, name, self._guarded(getattr(os, name)))
        monkeypatch.setattr(os, "open", self._guarded(os.open, only_new=True))

    def _guarded(self, real: Callable[..., object], *, only_new: bool = False) -> Callable[..., object]:
        def call(*words: object, **named: object) -> object:
            if self.left is not None and not (only_new and not int(str(words[1])) & os.O_CREAT):
                if self.left <= 0:
                    self._then()
                self.left -= 1
            return real(*words, **named)

        return call
