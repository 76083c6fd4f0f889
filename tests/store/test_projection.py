from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.events import Event, EventKind
from stepwell.core.states import (
    ATTEMPT_MOVES,
    ATTEMPT_TERMINAL,
    STEP_MOVES,
    STEP_TERMINAL,
    AttemptState,
    IllegalMove,
    RunState,
    StepState,
)
from stepwell.store import journal, queries
from stepwell.store.encoding import TEXT_FACTORY, bound
from store.ledger import dump
from store.scene import event, finished, made, moved, place, planned, prepared, submitted, told

ONE_STEP = (submitted("r"), planned("r", "s"))
RUNNING = (*ONE_STEP, *moved("r", "s", "Queued", "Preparing"), prepared("r", "s", "a"))


def unchanged_by(connection: sqlite3.Connection, again: Event) -> bool:
    before = dump(connection)
    journal.append(connection, [again])
    return dump(connection) == before


# --- states -------------------------------------------------------------------------------------


def into(state: StepState) -> list[Event]:
    """The moves that lead a planned step into a state."""
    way = ["Queued", "Preparing", "Running", "Finalizing"]
    if state is StepState.NOT_STARTED:
        return []
    return moved("r", "s", *(way[: way.index(state) + 1] if state in way else [str(state)]))


@pytest.mark.parametrize("current", StepState)
@pytest.mark.parametrize("target", StepState)
def test_a_step_moves_as_its_table_says_and_in_no_other_way(current: StepState, target: StepState) -> None:
    with told(*ONE_STEP, *into(current)) as connection:
        (move,) = moved("r", "s", str(target))
        if target in STEP_MOVES[current]:
            journal.append(connection, [move])
            assert queries.step(connection, "s").state is target
        elif target is current and current in STEP_TERMINAL:
            assert unchanged_by(connection, move)
        else:
            with pytest.raises(IllegalMove, match=f"a step run that is {current} cannot become {target}"):
                journal.append(connection, [move])


@pytest.mark.parametrize("current", AttemptState)
@pytest.mark.parametrize("target", sorted(ATTEMPT_TERMINAL))
def test_an_attempt_ends_as_its_table_says_and_in_no_other_way(current: AttemptState, target: AttemptState) -> None:
    first = []
    if current is AttemptState.RUNNING:
        first = [event(EventKind.ATTEMPT_STARTED, "r", "s", id="a", pid=1, started_us=2)]
    elif current in ATTEMPT_TERMINAL:
        first = [event(EventKind.ATTEMPT_ENDED, "r", "s", id="a", state=str(current))]
    with told(*RUNNING, *first) as connection:
        end = event(EventKind.ATTEMPT_ENDED, "r", "s", time_us=99, id="a", state=str(target), exit_code=1)
        if target in ATTEMPT_MOVES[current]:
            journal.append(connection, [end])
            assert queries.attempts(connection, "s")[0].state is target
        elif target is current:
            assert unchanged_by(connection, end)
        else:
            with pytest.raises(IllegalMove, match=f"an attempt that is {current} cannot become {target}"):
                journal.append(connection, [end])


@pytest.mark.parametrize("ended", sorted(STEP_TERMINAL))
@pytest.mark.parametrize("other", StepState)
def test_the_database_itself_keeps_a_step_that_has_ended(ended: StepState, other: StepState) -> None:
    with told(*ONE_STEP, *moved("r", "s", str(ended))) as connection:
        if other is ended:
            return
        with pytest.raises(sqlite3.IntegrityError, match="a step run that has ended keeps its state"):
            connection.execute("UPDATE step_run SET state = ?, ended_us = NULL", (str(other),))


@pytest.mark.parametrize("ended", sorted(ATTEMPT_TERMINAL))
def test_the_database_itself_keeps_an_attempt_that_has_ended(ended: AttemptState) -> None:
    end = event(EventKind.ATTEMPT_ENDED, "r", "s", id="a", state=str(ended))
    with told(*RUNNING, end) as connection:
        for other in set(AttemptState) - {ended}:
            with pytest.raises(sqlite3.IntegrityError, match="an attempt that has ended keeps its state"):
                connection.execute("UPDATE attempt SET state = ?", (str(other),))


@pytest.mark.parametrize("ended", ["Finished", "Failed", "Canceled"])
def test_the_database_itself_keeps_a_run_that_has_ended(ended: str) -> None:
    with told(submitted("r"), event(EventKind.RUN_ENDED, "r", state=ended)) as connection:
        for other in {str(state) for state in RunState} - {ended}:
            with pytest.raises(sqlite3.IntegrityError, match="a run that has ended keeps its state"):
                connection.execute("UPDATE run SET state = ?", (other,))


@pytest.mark.parametrize("table", ["run", "step_run", "attempt"])
def test_a_state_that_there_is_not_is_refused(table: str) -> None:
    with told(*RUNNING) as connection, pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed"):
        connection.execute(f"UPDATE {table} SET state = 'Finishd'")


def test_the_times_of_a_step_are_those_of_its_last_queue_its_first_start_and_its_end() -> None:
    moves = [("Queued", 1), ("Preparing", 2), ("Running", 3), ("Queued", 4), ("Preparing", 5), ("Running", 6)]
    events = [move for state, at in moves for move in moved("r", "s", state, time_us=at)]

    with told(*ONE_STEP, *events, *moved("r", "s", "Failed", time_us=7)) as connection:
        step = queries.step(connection, "s")

    assert (step.queued_us, step.started_us, step.ended_us) == (4, 3, 7)


def test_a_move_changes_the_reason_and_the_error_only_where_it_names_them() -> None:
    failed = {"message": "exit code 3"}
    with told(*ONE_STEP, *moved("r", "s", "Queued", reason="retry 1 of 2", error=failed)) as connection:
        journal.append(connection, moved("r", "s", "Preparing"))
        kept = queries.step(connection, "s")
        journal.append(connection, moved("r", "s", "Running", reason="again", error=None))
        changed = queries.step(connection, "s")

    assert (kept.reason, kept.error) == ("retry 1 of 2", failed)
    assert (changed.reason, changed.error) == ("again", None)


# --- runs ---------------------------------------------------------------------------------------


def test_a_run_is_under_way_from_the_moment_its_sources_are_frozen() -> None:
    with told(submitted("r")) as connection:
        before = queries.run(connection, "r")
        frozen = {"sources": {"/src": "tree"}, "interpreters": {}}
        journal.append(connection, [event(EventKind.RUN_PLANNED, "r", time_us=12, snapshots=frozen)])
        after = queries.run(connection, "r")
        snapshots = dump(connection)["snapshot"]

    assert (before.state, before.started_us, before.snapshots) == (RunState.NOT_STARTED, None, None)
    assert (after.state, after.started_us, after.snapshots) == (RunState.RUNNING, 12, frozen)
    assert snapshots == [{"run_id": "r", "folder": "/src", "digest": "tree"}]


def test_the_first_end_of_a_run_counts() -> None:
    with told(submitted("r"), event(EventKind.RUN_ENDED, "r", time_us=5, state="Failed", error={"m": 1})) as connection:
        assert unchanged_by(connection, event(EventKind.RUN_ENDED, "r", time_us=6, state="Finished", error=None))


def test_the_first_who_cancels_gives_the_reason() -> None:
    with told(submitted("r"), event(EventKind.RUN_CANCEL_ASKED, "r", reason="by you")) as connection:
        assert unchanged_by(connection, event(EventKind.RUN_CANCEL_ASKED, "r", reason="by me"))
        run = queries.run(connection, "r")

    assert (run.cancel_asked, run.cancel_reason) == (True, "by you")


@pytest.mark.parametrize("state", ["NotStarted", "Running", "Ended"])
def test_a_run_cannot_end_in_a_state_that_is_no_end(state: str) -> None:
    with told(submitted("r")) as connection, pytest.raises((sqlite3.IntegrityError, ValueError)):
        journal.append(connection, [event(EventKind.RUN_ENDED, "r", state=state)])


def test_tags_and_properties_are_merged_and_the_newer_value_wins() -> None:
    with told(*ONE_STEP) as connection:
        for kind, step in ((EventKind.RUN_TAGGED, None), (EventKind.STEP_TAGGED, "s")):
            journal.append(connection, [event(kind, "r", step, tags={"a": "1", "b": "1"}, properties={"p": 1})])
            journal.append(connection, [event(kind, "r", step, tags={"b": "2"})])
        run, step_run = queries.run(connection, "r"), queries.step(connection, "s")

    assert (run.tags, run.properties) == ({"by": "ada", "a": "1", "b": "2"}, {"p": 1})
    assert (step_run.tags, step_run.properties) == ({"a": "1", "b": "2"}, {"p": 1})


# --- attempts -----------------------------------------------------------------------------------


def test_an_attempt_holds_what_it_was_placed_on_until_it_ends() -> None:
    with told(*RUNNING) as connection:
        during = queries.leases(connection)
        journal.append(connection, [event(EventKind.ATTEMPT_ENDED, "r", "s", id="a", state="Lost")])
        after = queries.leases(connection)

    (lease,) = during
    assert (lease.attempt, lease.pool, lease.cpus, lease.memory_mib) == ("a", "local", 1.0, 64)
    assert lease.gpus == ("GPU-1",)
    assert after == []


def test_an_exit_that_was_seen_before_the_start_stays_the_end() -> None:
    end = event(EventKind.ATTEMPT_ENDED, "r", "s", id="a", state="Finished", exit_code=0)
    with told(*RUNNING, end) as connection:
        assert unchanged_by(connection, event(EventKind.ATTEMPT_STARTED, "r", "s", id="a", pid=1, started_us=2))


def test_a_step_knows_how_often_it_was_tried() -> None:
    with told(*RUNNING, prepared("r", "s", "b", number=2)) as connection:
        assert queries.step(connection, "s").attempts == 2
        assert [attempt.id for attempt in queries.attempts(connection, "s")] == ["a", "b"]


# --- registering --------------------------------------------------------------------------------


def test_a_workspace_that_moved_keeps_its_birthday() -> None:
    with told() as connection:
        journal.append(connection, [event(EventKind.WORKSPACE_REGISTERED, time_us=9, id="w", name="b", root="/new")])
        (workspace,) = queries.workspaces(connection)

    assert (workspace.name, workspace.root, workspace.created_us) == ("b", "/new", 1)


def test_of_two_who_create_one_experiment_the_first_wins() -> None:
    with told() as connection:
        again = event(EventKind.EXPERIMENT_CREATED, time_us=9, id="other", workspace_id="w", name="digits")
        assert unchanged_by(connection, again)


def test_a_compute_target_registered_again_has_the_new_configuration() -> None:
    first: dict[str, Any] = {
        "id": "c1",
        "workspace_id": "w",
        "name": "gpu",
        "kind": "aml_compute",
        "config": {"max_nodes": 1},
    }
    with told(event(EventKind.COMPUTE_REGISTERED, **first)) as connection:
        again = {**first, "id": "c2", "config": {"max_nodes": 4}}
        journal.append(connection, [event(EventKind.COMPUTE_REGISTERED, time_us=9, **again)])
        (compute,) = queries.computes(connection, "w")

    assert (compute.id, compute.config, compute.created_us) == ("c2", {"max_nodes": 4}, 1)


def test_a_compute_target_that_was_removed_is_gone() -> None:
    body: dict[str, Any] = {"id": "c", "workspace_id": "w", "name": "gpu", "kind": "aml_compute", "config": {}}
    with told(event(EventKind.COMPUTE_REGISTERED, **body)) as connection:
        gone = event(EventKind.COMPUTE_REMOVED, workspace_id="w", name="gpu")
        journal.append(connection, [gone])

        assert queries.computes(connection, "w") == []
        assert unchanged_by(connection, gone)


# --- results ------------------------------------------------------------------------------------


def test_content_that_is_stored_again_is_kept_once() -> None:
    with told(*ONE_STEP, *made("r", "s", "model", "d")) as connection:
        (again, _) = made("r", "s", "model", "d")
        assert unchanged_by(connection, again)


def test_a_further_attempt_replaces_the_output_of_the_one_before() -> None:
    with told(*ONE_STEP, *made("r", "s", "./logs", "d1"), *made("r", "s", "./logs", "d2")) as connection:
        (output,) = queries.outputs(connection, "s")

    assert output.digest == "d2"


def test_an_output_of_content_that_was_never_stored_is_refused() -> None:
    (_, published) = made("r", "s", "model", "d")
    with told(*ONE_STEP) as connection, pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        journal.append(connection, [published])


def test_points_come_with_the_place_up_to_which_their_file_was_read() -> None:
    point = {"name": "loss", "kind": "scalar", "step": 1, "time_us": 7, "value": float("inf")}
    cursor = {"file": "a/metrics.jsonl", "position": 80}
    logged = event(EventKind.METRIC_LOGGED, "r", "s", points=[point], cursor=cursor)

    with told(*RUNNING, logged) as connection:
        (metric,) = queries.metrics(connection, "s", None)
        positions = queries.cursors(connection, "a")

    assert (metric.name, metric.kind, metric.step, metric.time_us, metric.value) == (
        "loss",
        "scalar",
        1,
        7,
        float("inf"),
    )
    assert positions == {"metrics.jsonl": 80}


# --- events about nothing -----------------------------------------------------------------------

ABOUT_NOTHING: list[tuple[EventKind, dict[str, Any]]] = [
    (EventKind.RUN_PLANNED, {"snapshots": {}}),
    (EventKind.RUN_TAGGED, {"tags": {}}),
    (EventKind.RUN_CANCEL_ASKED, {"reason": "x"}),
    (EventKind.RUN_ENDED, {"state": "Finished"}),
    (EventKind.STEP_RESOLVED, {"verdict": "run", "reason": "x"}),
    (EventKind.STEP_CHANGED, {"state": "Queued"}),
    (EventKind.STEP_TAGGED, {"tags": {}}),
    (EventKind.ATTEMPT_STARTED, {"id": "nobody", "pid": 1, "started_us": 2}),
    (EventKind.ATTEMPT_ENDED, {"id": "nobody", "state": "Finished"}),
]


@pytest.mark.parametrize(("kind", "body"), ABOUT_NOTHING)
def test_an_event_about_what_is_not_there_is_refused(kind: EventKind, body: dict[str, Any]) -> None:
    with told() as connection, pytest.raises(LookupError, match=rf"{kind} is about 'nobody', which is not there"):
        journal.append(connection, [event(kind, "nobody", "nobody", **body)])


@pytest.mark.parametrize(("kind", "body"), ABOUT_NOTHING[:7])
def test_an_event_that_does_not_say_what_it_is_about_is_refused(kind: EventKind, body: dict[str, Any]) -> None:
    with told() as connection, pytest.raises(ValueError, match=rf"{kind} names no (run|step run)"):
        journal.append(connection, [event(kind, **body)])


# --- names --------------------------------------------------------------------------------------

odd = st.text(
    st.one_of(st.characters(codec="utf-8"), st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)), min_size=1
)


@given(odd)
def test_every_name_comes_back_as_it_was(name: str) -> None:
    events = [
        *place("v", name, root=name),
        event(EventKind.EXPERIMENT_CREATED, id="e", workspace_id="v", name=f"x{name}"),
        submitted("r", file=name, name=name, spec={name: name}),
        planned("r", "s", key=name, reason=name),
        *moved("r", "s", "Failed", reason=name, error={"message": name}),
        *made("r", "s", name, "d"),
    ]
    with told(*events) as connection:
        step, run, output = (
            queries.step(connection, "s"),
            queries.run(connection, "r"),
            queries.outputs(connection, "s"),
        )
        found = queries.experiment(connection, "v", f"x{name}")
        workspace = queries.workspace(connection, "v")

    assert (step.key, step.name, step.reason, step.error) == (name, name, name, {"message": name})
    assert (run.file, run.name, run.spec) == (name, name, {name: name})
    assert [item.name for item in output] == [name]
    assert found is not None
    assert found.name == f"x{name}"
    assert workspace is not None
    assert (workspace.name, workspace.root) == (name, name)


def test_text_that_stands_for_no_bytes_is_stored_readably() -> None:
    stored = bound("half of an emoji: \ud83d")

    assert isinstance(stored, bytes)
    assert TEXT_FACTORY(stored) == "half of an emoji: \\ud83d"


def test_events_that_stand_together_are_applied_as_they_stand() -> None:
    events = [planned("r", f"s{number}", key=f"k{number}", position=number) for number in range(1200)]

    with told(submitted("r"), *events, *finished("r", "s0", "f", "q")) as connection:
        steps = queries.steps(connection, "r")

    assert [step.key for step in steps] == [f"k{number}" for number in range(1200)]
    assert steps[0].state is StepState.FINISHED
