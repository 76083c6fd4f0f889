"""The journal as its readers want it, and how far the files of attempts have been read."""

from __future__ import annotations

import sqlite3

from stepwell.core.events import Event, EventKind
from stepwell.store.encoding import from_json
from stepwell.store.journal import last_seq

__all__ = ["cursors", "events", "last_seq", "oldest_seq", "warnings"]

_EVENT = "SELECT kind, time_us, body, run_id, step_run_id, seq FROM event WHERE seq > ?"
_KINDS = {str(kind): kind for kind in EventKind}


def events(
    connection: sqlite3.Connection, after: int, limit: int, run: str | None, kind: str | None = None
) -> list[Event]:
    """Return up to `limit` events after `after`, in order; of one run or of all, of one kind or of all."""
    wanted = [(" AND run_id = ?", run), (" AND kind = ?", kind)]
    where = "".join(clause for clause, value in wanted if value is not None)
    values = [value for _, value in wanted if value is not None]
    rows = connection.execute(f"{_EVENT}{where} ORDER BY seq LIMIT ?", (after, *values, limit))
    return [
        Event(_KINDS[kind], time_us, from_json(body), run_id, step_run_id, seq)
        for kind, time_us, body, run_id, step_run_id, seq in rows
    ]


def oldest_seq(connection: sqlite3.Connection) -> int | None:
    """Return the number of the oldest event that is still kept, None where there is none."""
    (oldest,) = connection.execute("SELECT MIN(seq) FROM event").fetchone()
    return None if oldest is None else int(oldest)


def warnings(connection: sqlite3.Connection, run_id: str) -> list[str]:
    """Return the warnings about a run and its steps, each once, in the order they came."""
    rows = connection.execute(
        "SELECT event.body, step_run.key FROM event LEFT JOIN step_run ON step_run.id = event.step_run_id"
        " WHERE event.run_id = ? AND event.kind = 'warning' ORDER BY event.seq",
        (run_id,),
    )
    texts = ((str(from_json(body)["text"]), key) for body, key in rows)
    return list(dict.fromkeys(text if key is None else f"step {key!r}: {text}" for text, key in texts))


def cursors(connection: sqlite3.Connection, attempt: str) -> dict[str, int]:
    """Return, by file name, up to which byte the files of an attempt have been read."""
    rows = connection.execute(
        "SELECT file, position FROM cursor WHERE file >= ? AND file < ?", (f"{attempt}/", f"{attempt}0")
    )
    return {file.removeprefix(f"{attempt}/"): position for file, position in rows}
