"""What the stream in front of us can show, and text made safe to show on it.

Colour needs a terminal, no `NO_COLOR`, and a `TERM` that is not dumb. Marks beyond ASCII need an
encoding that has them. Text that comes from steps or files is never trusted with the terminal:
`visible` takes its escape sequences away.
"""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass
from typing import TextIO

NARROWEST = 20  # columns; below that we draw as if there were so many
_CODES = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35, "cyan": 36, "dim": 2, "bold": 1}
_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movements
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"  # OSC, DCS and the like: titles, clipboard
    r"|\x1b[ -/]*[0-~]",  # two-character escapes
    re.DOTALL,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Terminal:
    """Width in columns, height in rows. `live`: lines can be painted over."""

    width: int
    height: int
    color: bool
    unicode: bool
    live: bool

    @classmethod
    def of(cls, stream: TextIO, environment: dict[str, str] | None = None) -> Terminal:
        variables = dict(os.environ) if environment is None else environment
        smart = stream.isatty() and variables.get("TERM", "dumb") != "dumb"
        width, height = _size(stream, variables)
        return cls(
            width=max(width, NARROWEST),
            height=height,
            color=smart and not variables.get("NO_COLOR"),
            unicode=_has_marks(stream.encoding),
            live=smart,
        )

    def paint(self, text: str, color: str | None) -> str:
        """Return `text` in a colour, or as it is where there are none."""
        if color is None or not self.color:
            return text
        return f"\x1b[{_CODES[color]}m{text}\x1b[0m"

    def fit(self, text: str, width: int) -> str:
        """Return `text` cut to `width` columns, with a mark where something is missing."""
        if columns(text) <= width:
            return text
        mark = "…" if self.unicode else "~"
        kept, taken = [], 0
        for character in text:
            taken += columns(character)
            if taken > width - 1:
                break
            kept.append(character)
        return "".join(kept) + mark if width > 0 else ""

    def pad(self, text: str, width: int) -> str:
        """Return `text` in exactly `width` columns."""
        fitted = self.fit(text, width)
        return fitted + " " * (width - columns(fitted))


def columns(text: str) -> int:
    """Return how many columns a terminal needs for `text`, which has no control characters."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def bare(text: str) -> str:
    """Return `text` without its escape sequences."""
    return _SEQUENCE.sub("", text)


def visible(text: str) -> str:
    """Return `text` in one line that cannot move the cursor, recolour, retitle or reorder the terminal.

    Escape sequences vanish; other control characters become `\\x07`-like text. What a carriage
    return would have painted over, as progress bars do, is left out.
    """
    if text.isascii() and text.isprintable():
        return text
    text = text.rstrip("\r\n")
    text = _SEQUENCE.sub("", text[text.rfind("\r") + 1 :]).expandtabs(8)
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def _has_marks(encoding: str | None) -> bool:
    try:
        "✓↺●○✗…├└│─".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _size(stream: TextIO, variables: dict[str, str]) -> tuple[int, int]:
    try:
        size = os.get_terminal_size(stream.fileno())
        width, height = size.columns, size.lines
    except (OSError, ValueError):  # not a terminal, or not a file at all
        width, height = 0, 0
    columns_wanted = variables.get("COLUMNS", "")
    if columns_wanted.isdigit() and int(columns_wanted) > 0:
        width = int(columns_wanted)
    return width or 100, height or 24
