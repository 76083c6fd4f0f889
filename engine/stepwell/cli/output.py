"""Where words go: data to stdout, messages to stderr, JSON to stdout alone."""

from __future__ import annotations

import json
import sys
from typing import Any

from stepwell.cli.terminal import Terminal


def print_json(data: Any) -> None:
    """Print one JSON value: indented for a person at a terminal, in one line for a program."""
    indent = 2 if sys.stdout.isatty() else None
    sys.stdout.write(json.dumps(data, indent=indent) + "\n")


def say(text: str) -> None:
    """Print a message: about what was done, not the thing that was asked for."""
    print(text, file=sys.stderr, flush=True)


def here() -> Terminal:
    """Return what stdout can show."""
    return Terminal.of(sys.stdout)


def show(lines: list[str]) -> None:
    """Print lines of data, all at once."""
    if lines:
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
