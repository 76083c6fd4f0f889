"""Text and JSON on their way into a column and back.

A file name on Linux is bytes. Python carries those that are no UTF-8 as lone surrogates, which
SQLite's text binding refuses. JSON columns are ASCII, where a surrogate is an escape like any
other. Plain text columns that can hold a name of the user's take what `bound` returns, through
`CAST(? AS TEXT)`, and connections decode text by `TEXT_FACTORY`; so every name comes back as it was.
"""

from __future__ import annotations

import json
import operator
from typing import Any

TEXT_FACTORY = operator.methodcaller("decode", "utf-8", "surrogateescape")
to_json = json.JSONEncoder(separators=(",", ":")).encode
from_json = json.loads


def bound(text: str | None) -> str | bytes | None:
    """Return `text` as SQLite takes it: itself, or its bytes where it is no valid Unicode."""
    if text is None or text.isascii():
        return text
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that stands for no byte: it cannot come from a file name
        return text.encode("utf-8", "backslashreplace")


def json_or_null(value: Any) -> str | None:
    """Return `value` as JSON text, None for None."""
    return None if value is None else to_json(value)


def object_of(text: str | None) -> dict[str, Any]:
    """Return the object in `text`; none at all counts as an empty one."""
    if text is None or text == "{}":
        return {}
    found: dict[str, Any] = json.loads(text)
    return found


def list_of(text: str | None) -> list[Any]:
    """Return the list in `text`; none at all counts as an empty one."""
    if text is None or text == "[]":
        return []
    found: list[Any] = json.loads(text)
    return found


def object_or_none(text: str | None) -> dict[str, Any] | None:
    """Return the object in `text`, None for None."""
    return None if text is None else object_of(text)
