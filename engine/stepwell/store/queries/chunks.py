"""Many values in one question: SQLite takes a limited number of them at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

VALUES_MAX = 500  # SQLite's own limit was 999 once


def select_in(connection: sqlite3.Connection, statement: str, values: Iterable[str]) -> Iterator[Any]:
    """Yield the rows of `statement`, whose `{}` stands for the values, each asked for once."""
    left = iter(dict.fromkeys(values))
    while chunk := list(islice(left, VALUES_MAX)):
        yield from connection.execute(statement.format(", ".join("?" * len(chunk))), chunk)
