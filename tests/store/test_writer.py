from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from stepwell.core.events import Event, EventKind
from stepwell.core.states import IllegalMove
from stepwell.errors import MachineError
from stepwell.paths import Home
from stepwell.store import queries
from stepwell.store.database import Database
from stepwell.store.writer import BATCH_MAX, Writer


def workspace(identity: str) -> Event:
    return Event(EventKind.WORKSPACE_REGISTERED, 1, {"id": identity, "name": identity, "root": None})


def orphan() -> Event:
    """An event about a workspace that is not there."""
    return Event(EventKind.EXPERIMENT_CREATED, 1, {"id": "e", "workspace_id": "nowhere", "name": "e"})


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return [record.name for record in queries.workspaces(connection)]


@contextmanager
def held(writer: Writer) -> Iterator[None]:
    """Keep the writer busy, so that what is asked meanwhile becomes one batch."""
    begun, go_on = threading.Event(), threading.Event()

    def wait(connection: sqlite3.Connection) -> Sequence[Event]:
        begun.set()
        go_on.wait(timeout=20)
        return []

    writer.decide(wait)
    begun.wait(timeout=20)
    try:
        yield
    finally:
        go_on.set()


def test_events_come_back_with_their_place_in_the_journal(writer: Writer) -> None:
    first = writer.emit(workspace("a"), workspace("b")).result()
    second = writer.emit(workspace("c")).result()

    assert [event.seq for event in (*first, *second)] == [1, 2, 3]
    assert [event.body["id"] for event in (*first, *second)] == ["a", "b", "c"]


def test_a_future_is_done_only_when_readers_and_listeners_can_see_its_events(database: Database) -> None:
    heard: list[Event] = []
    writer = Writer(database, heard.extend)
    seen: list[tuple[list[str], int]] = []
    done = threading.Event()

    def look(answer: Future[list[Event]]) -> None:
        seen.append((names(database), len(heard)))
        done.set()

    writer.emit(workspace("a")).add_done_callback(look)
    done.wait(timeout=20)
    writer.close()

    assert seen == [(["a"], 1)]


def test_listeners_hear_every_event_once_and_in_order(database: Database) -> None:
    heard: list[Event] = []
    writer = Writer(database, heard.extend)

    answers = [writer.emit(workspace(str(number))) for number in range(200)]
    told = [event for answer in answers for event in answer.result()]
    writer.close()

    assert heard == told
    assert [event.seq for event in heard] == list(range(1, 201))


def test_what_waits_is_committed_together(database: Database) -> None:
    commits: list[int] = []
    writer = Writer(database, lambda events: commits.append(len(events)))

    with held(writer):
        for number in range(BATCH_MAX + 10):
            writer.emit(workspace(str(number)))
    writer.close()

    assert commits == [BATCH_MAX, 10]


def test_a_failing_request_does_not_sink_the_others_of_its_batch(database: Database, writer: Writer) -> None:
    with held(writer):
        before = writer.emit(workspace("before"))
        failing = writer.emit(workspace("with it"), orphan())
        after = writer.emit(workspace("after"))

    assert isinstance(failing.exception(timeout=20), sqlite3.IntegrityError)
    assert [event.seq for event in (*before.result(), *after.result())] == [1, 2]
    assert names(database) == ["after", "before"]


def test_what_a_request_raises_its_future_raises(writer: Writer) -> None:
    def refuse(connection: sqlite3.Connection) -> Sequence[Event]:
        raise IllegalMove("no")

    with pytest.raises(IllegalMove, match="no"):
        writer.decide(refuse).result()


def test_a_decision_reads_inside_the_transaction_that_writes_it(database: Database, writer: Writer) -> None:
    def next_one(connection: sqlite3.Connection) -> list[Event]:
        assert connection.in_transaction
        return [workspace(f"w{len(queries.workspaces(connection))}")]

    with held(writer):
        answers = [writer.decide(next_one) for _ in range(20)]

    assert [answer.result()[0].body["id"] for answer in answers] == [f"w{number}" for number in range(20)]


def test_emitting_nothing_waits_for_what_was_emitted_before(database: Database, writer: Writer) -> None:
    with held(writer):
        writer.emit(workspace("a"))
        barrier = writer.emit()

    assert barrier.result() == []
    assert names(database) == ["a"]


def test_a_request_that_was_canceled_in_time_is_not_written(database: Database, writer: Writer) -> None:
    with held(writer):
        unwanted = writer.emit(workspace("unwanted"))
        wanted = writer.emit(workspace("wanted"))
        assert unwanted.cancel()

    wanted.result()
    assert names(database) == ["wanted"]


def test_a_full_disk_fails_the_batch_by_name_and_nothing_else(database: Database, writer: Writer) -> None:
    writer.emit(workspace("before")).result()

    def fill(connection: sqlite3.Connection) -> list[Event]:
        connection.execute("PRAGMA max_page_count = 1")  # SQLite keeps it at what there is: full from here on
        return []

    writer.decide(fill).result()
    big = Event(EventKind.WORKSPACE_REGISTERED, 1, {"id": "big", "name": "x" * 100_000, "root": None})
    with held(writer):
        small, large = writer.emit(workspace("small")), writer.emit(big)

    for answer in (small, large):
        error = answer.exception(timeout=20)
        assert isinstance(error, MachineError)
        assert str(error) == f"the disk is full, so {str(database.path)!r} cannot be written\n  try: free some space"
        assert error.code == "disk_full"
    assert names(database) == ["before"]


def test_the_writer_goes_on_when_there_is_space_again(database: Database, writer: Writer) -> None:
    def pages(limit: int) -> None:
        def set_limit(connection: sqlite3.Connection) -> list[Event]:
            connection.execute(f"PRAGMA max_page_count = {limit}")
            return []

        writer.decide(set_limit).result()

    pages(1)
    big = Event(EventKind.WORKSPACE_REGISTERED, 1, {"id": "big", "name": "x" * 100_000, "root": None})
    assert isinstance(writer.emit(big).exception(timeout=20), MachineError)
    pages(1_000_000)

    assert [event.seq for event in writer.emit(big).result()] == [1]


def test_a_listener_that_fails_is_told_to_those_who_wait(database: Database) -> None:
    def fail(events: list[Event]) -> None:
        raise ZeroDivisionError("listener")

    writer = Writer(database, fail)

    error = writer.emit(workspace("a")).exception(timeout=20)
    writer.close()

    assert isinstance(error, ZeroDivisionError)
    assert names(database) == ["a"]


def test_closing_writes_what_waits_and_then_refuses(database: Database) -> None:
    writer = Writer(database, lambda events: None)
    with held(writer):
        waiting = writer.emit(workspace("a"))
        threading.Thread(target=writer.close).start()
    assert waiting.result()[0].seq == 1

    writer.close()
    with pytest.raises(MachineError) as caught:
        writer.emit(workspace("b"))

    assert str(caught.value) == "the daemon is stopping\n  try: again in a moment"
    assert names(database) == ["a"]


def test_many_threads_write_and_read_at_once_without_waiting_for_a_lock(database: Database) -> None:
    heard: list[Event] = []
    writer = Writer(database, heard.extend)
    start = threading.Barrier(8)

    def work(thread: int) -> None:
        start.wait(timeout=20)
        for number in range(50):
            (event,) = writer.emit(workspace(f"{thread}-{number}")).result(timeout=60)
            with database.read() as connection:
                assert queries.last_seq(connection) >= event.seq
                assert queries.workspace(connection, f"{thread}-{number}") is not None

    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(work, range(8)):
            pass
    writer.close()

    assert [event.seq for event in heard] == list(range(1, 401))
    assert len(names(database)) == 400


def test_a_reader_that_stays_does_not_keep_the_writer_waiting(home: Home) -> None:
    database = Database.open(home)
    writer = Writer(database, lambda events: None)

    with database.read() as connection:
        queries.last_seq(connection)
        for number in range(100):
            writer.emit(workspace(str(number))).result(timeout=20)
        assert queries.workspaces(connection) == []

    writer.close()
    database.close()
