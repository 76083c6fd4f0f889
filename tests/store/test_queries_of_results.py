"""Outputs, metrics, what may be reused, the journal."""

from __future__ import annotations

from typing import Any

import pytest

from stepwell.core.events import Event, EventKind
from stepwell.store import journal, queries
from store.scene import event, finished, made, moved, place, planned, submitted, told

# --- results ------------------------------------------------------------------------------------


def test_outputs_of_a_step_of_a_run_and_of_any_steps() -> None:
    events = [
        submitted("r"),
        planned("r", "s1", "a", position=1),
        planned("r", "s2", "b", position=0),
        *made("r", "s1", "model", "d1"),
        *made("r", "s1", "./logs", "d2"),
        *made("r", "s2", "clean", "d3"),
    ]
    with told(*events) as connection:
        (logs, model) = queries.outputs(connection, "s1")
        of_run = [output.name for output in queries.outputs_of_run(connection, "r")]
        of_steps = [output.name for output in queries.outputs_of_steps(connection, ["s2", "s1", "s2"])]

    assert (logs.name, model.name, model.digest, model.kind) == ("./logs", "model", "d1", "file")
    assert (model.step_run, model.bytes, model.files, model.datastore_path) == ("s1", 3, 1, "azureml/s1/model")
    assert of_run == ["clean", "./logs", "model"]
    assert of_steps == ["./logs", "model", "clean"]


def test_the_points_of_a_step_and_those_of_the_run_itself() -> None:
    def logged(step: str | None, value: object) -> Event:
        point = {"name": "loss", "kind": "scalar", "step": None, "time_us": 5, "value": value}
        return event(EventKind.METRIC_LOGGED, "r", step, points=[point], cursor=None)

    events = [submitted("r"), planned("r", "s"), logged("s", 2), logged(None, [1]), logged("s", 1)]
    with told(*events) as connection:
        assert [point.value for point in queries.metrics(connection, "s", None)] == [2, 1]
        assert [point.value for point in queries.metrics(connection, None, "r")] == [[1]]
        with pytest.raises(ValueError, match="metrics of what: give a step run or a run"):
            queries.metrics(connection, None, None)


# --- reuse --------------------------------------------------------------------------------------


def test_entries_are_those_of_the_recipes_newest_last_with_their_outputs() -> None:
    events = [
        submitted("r"),
        *(planned("r", f"s{number}", f"k{number}") for number in range(4)),
        *finished("r", "s0", "f", "q", time_us=70),
        *finished("r", "s1", "f", "q", time_us=60),
        *finished("r", "s2", "g", "p"),
        *finished("r", "s3", "h", "unasked"),
        *made("r", "s1", "extra", "d"),
    ]
    with told(*events) as connection:
        found = queries.entries(connection, ["q", "p", "nothing"])

    assert [(entry.step_run, entry.fingerprint, entry.recipe) for entry in found] == [
        ("s2", "g", "p"),
        ("s1", "f", "q"),
        ("s0", "f", "q"),
    ]
    assert (found[1].run, found[1].run_number, found[1].created_us) == ("r", 1, 60)
    assert found[1].outputs == {"model": "digest-of-s1", "extra": "d"}
    assert found[2].outputs == {"model": "digest-of-s0"}


def test_an_entry_that_was_evicted_is_no_entry_until_it_is_stored_again() -> None:
    events = [submitted("r"), planned("r", "s"), *finished("r", "s", "f", "q")]
    with told(*events) as connection:
        journal.append(connection, [event(EventKind.CACHE_EVICTED, fingerprint="f", reason="'model' is gone")])
        evicted = queries.entries(connection, ["q"])
        journal.append(connection, [event(EventKind.CACHE_STORED, "r", "s", fingerprint="f", recipe="q")])
        stored = queries.entries(connection, ["q"])

    assert evicted == []
    assert [entry.step_run for entry in stored] == ["s"]


def test_a_result_without_outputs_is_a_result() -> None:
    stored = event(EventKind.CACHE_STORED, "r", "s", fingerprint="f", recipe="q")
    with told(submitted("r"), planned("r", "s"), stored) as connection:
        (entry,) = queries.entries(connection, ["q"])

    assert entry.outputs == {}


def test_entries_of_thousands_of_recipes() -> None:
    with told(submitted("r"), planned("r", "s"), *finished("r", "s", "f", "q700")) as connection:
        assert len(queries.entries(connection, [f"q{number}" for number in range(1500)])) == 1
        assert queries.entries(connection, []) == []


def test_the_previous_run_of_a_step_is_the_newest_that_finished_reused_or_not() -> None:
    reuse: dict[str, Any] = {"verdict": "reuse", "reused_from": "s1", "fingerprint": "f1", "state": "Finished"}
    events = [
        submitted("a"),
        planned("a", "s1"),
        *finished("a", "s1", "f1", "q"),
        submitted("b"),
        planned("b", "s2"),
        *finished("b", "s2", "f2", "q"),
        submitted("c"),
        planned("c", "s3", **reuse),
        submitted("d"),
        planned("d", "s4"),
        *moved("d", "s4", "Failed"),
        planned("d", "s5", "prep"),
        *finished("d", "s5", "f5", "q"),
        *place("v"),
        submitted("e", "v"),
        planned("e", "s6"),
        *finished("e", "s6", "f6", "q"),
    ]
    with told(*events) as connection:
        found = queries.previous(connection, "w", "python_script", "train")
        nothing = (
            queries.previous(connection, "w", "command", "train"),
            queries.previous(connection, "w", "x", "y\udcff"),
        )

    assert found is not None
    assert (found.step_run, found.run, found.run_number, found.fingerprint) == ("s3", "c", 3, "f1")
    assert found.manifest == {"key": {"v": "f1"}}
    assert nothing == (None, None)


def test_a_manifest_is_kept_once_by_its_fingerprint() -> None:
    with told(submitted("r"), planned("r", "s"), *finished("r", "s", "f", "q")) as connection:
        assert queries.manifest(connection, "f") == {"key": {"v": "f"}}
        assert queries.manifest(connection, "other") is None


# --- the journal --------------------------------------------------------------------------------


def test_events_are_read_after_a_place_up_to_a_limit_of_one_run_or_of_all() -> None:
    with told(submitted("a"), submitted("b"), planned("a", "s")) as connection:
        everything = queries.events(connection, 0, 100, None)

        assert [item.seq for item in everything] == [1, 2, 3, 4, 5]
        assert everything[4] == Event(EventKind.STEP_PLANNED, 20, everything[4].body, "a", "s", 5)
        assert [item.seq for item in queries.events(connection, 1, 2, None)] == [2, 3]
        assert [item.seq for item in queries.events(connection, 0, 100, "a")] == [3, 5]
        assert [item.seq for item in queries.events(connection, 3, 100, "a")] == [5]
        assert queries.events(connection, 5, 100, None) == []


def test_the_ends_of_the_journal() -> None:
    with told() as connection:
        assert (queries.oldest_seq(connection), queries.last_seq(connection)) == (1, 2)

        connection.execute("DELETE FROM event WHERE seq < 2")
        assert (queries.oldest_seq(connection), queries.last_seq(connection)) == (2, 2)

        connection.execute("DELETE FROM event")
        assert (queries.oldest_seq(connection), queries.last_seq(connection)) == (None, 2)


def test_warnings_name_their_step_and_are_told_once() -> None:
    def warning(text: str, step: str | None = None) -> Event:
        return event(EventKind.WARNING, "r", step, text=text)

    events = [submitted("r"), planned("r", "s"), warning("big"), warning("it left cat", "s"), warning("big")]
    with told(*events) as connection:
        assert queries.warnings(connection, "r") == ["big", "step 'train': it left cat"]
        assert queries.warnings(connection, "other") == []


def test_cursors_are_those_of_one_attempt() -> None:
    def read(file: str, position: int) -> Event:
        return event(EventKind.METRIC_LOGGED, "r", points=[], cursor={"file": file, "position": position})

    events = [submitted("r"), read("a/m", 1), read("a/n", 2), read("a/m", 3), read("b/m", 4), read("a0/m", 5)]
    with told(*events) as connection:
        assert queries.cursors(connection, "a") == {"m": 3, "n": 2}
        assert queries.cursors(connection, "c") == {}
