from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from stepwell.core.events import Event, EventKind
from stepwell.store import journal, queries
from stepwell.store.database import Database
from stepwell.store.writer import Writer
from store.ledger import in_memory


def workspace(identity: str) -> Event:
    return Event(EventKind.WORKSPACE_REGISTERED, 1, {"id": identity, "name": identity, "root": None})


def experiment(place: str) -> Event:
    return Event(EventKind.EXPERIMENT_CREATED, 1, {"id": f"e-{place}", "workspace_id": place, "name": "digits"})


def submitted(run: str, place: str, number: int | None = None) -> Event:
    body: dict[str, Any] = {
        "number": number,
        "workspace_id": place,
        "experiment_id": f"e-{place}",
        "name": "digits",
        "spec": {},
    }
    return Event(EventKind.RUN_SUBMITTED, 2, body, run=run)


def numbers(events: list[Event]) -> list[int]:
    return [event.body["number"] for event in events if event.kind is EventKind.RUN_SUBMITTED]


def test_runs_are_numbered_within_their_workspace() -> None:
    with in_memory() as connection:
        journal.append(connection, [workspace("w"), experiment("w"), workspace("v"), experiment("v")])

        together = journal.append(connection, [submitted("a", "w"), submitted("b", "v"), submitted("c", "w")])
        later = journal.append(connection, [submitted("d", "w")])

        assert numbers([*together, *later]) == [1, 1, 2, 3]
        stored = queries.events(connection, 0, 100, None)
        assert numbers(stored) == [1, 1, 2, 3]


def test_the_event_that_was_handed_in_keeps_its_open_number() -> None:
    given = submitted("a", "w")
    with in_memory() as connection:
        journal.append(connection, [workspace("w"), experiment("w"), given])

    assert given.body["number"] is None


def test_a_number_that_is_given_is_kept_and_the_next_one_follows_it() -> None:
    with in_memory() as connection:
        journal.append(connection, [workspace("w"), experiment("w")])

        told = journal.append(connection, [submitted("a", "w", 7), submitted("b", "w")])

    assert numbers(told) == [7, 8]


def test_a_number_is_given_once() -> None:
    with in_memory() as connection:
        journal.append(connection, [workspace("w"), experiment("w"), submitted("a", "w", 7)])

        with pytest.raises(sqlite3.IntegrityError, match=r"UNIQUE constraint failed: run\.workspace_id, run\.number"):
            journal.append(connection, [submitted("b", "w", 7)])


def test_appending_nothing_is_nothing() -> None:
    with in_memory() as connection:
        assert journal.append(connection, []) == []
        assert journal.last_seq(connection) == 0


def test_the_place_in_the_journal_is_never_given_twice() -> None:
    with in_memory() as connection:
        journal.append(connection, [workspace("a"), workspace("b")])
        connection.execute("DELETE FROM event")

        (event,) = journal.append(connection, [workspace("c")])

        assert event.seq == 3


def test_what_was_taken_back_leaves_no_gap(database: Database, writer: Writer) -> None:
    writer.emit(workspace("a")).result()
    failing = writer.emit(workspace("b"), experiment("nowhere"))
    assert isinstance(failing.exception(timeout=20), sqlite3.IntegrityError)

    (event,) = writer.emit(workspace("c")).result()

    assert event.seq == 2


def test_nobody_rewrites_the_journal() -> None:
    with in_memory() as connection:
        journal.append(connection, [workspace("a")])

        with pytest.raises(sqlite3.IntegrityError, match="the journal is only ever appended to"):
            connection.execute("UPDATE event SET time_us = 2")


def test_an_object_that_reached_the_disk_is_noted_without_an_event(database: Database, writer: Writer) -> None:
    body = {"digest": "d", "kind": "file", "files": 1, "bytes": 3, "objects": [["o1", 1], ["o2", 2]]}
    writer.emit(Event(EventKind.ARTIFACT_STORED, 1, body)).result()

    told = writer.decide(lambda connection: journal.mark_synced(connection, ["o1"])).result()

    assert told == []
    with database.read() as connection:
        assert queries.unsynced_objects(connection, 10) == ["o2"]
        assert queries.last_seq(connection) == 1
