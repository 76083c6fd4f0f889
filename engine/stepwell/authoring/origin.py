"""Where in the user's own code an object was made, so that an error can point there."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

_OURS = __name__.rpartition(".")[0]  # "stepwell.authoring"


class Origin(NamedTuple):
    """A line of a file, shown relative to the current folder where it lies below it."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{shown(self.file)}:{self.line}"


def origin() -> Origin | None:
    """Return the line of the first caller outside this package; None where there is none. About a microsecond."""
    frame = sys._getframe(1)
    while frame.f_globals.get("__name__", "").startswith(_OURS):
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return Origin(frame.f_code.co_filename, frame.f_lineno)


def shown(file: str) -> str:
    """Return a file's path as an error shows it."""
    try:
        return file.removeprefix(os.getcwd() + os.sep)
    except FileNotFoundError:  # the current folder has been removed
        return file
