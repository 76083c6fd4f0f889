"""Runs, workspaces, steps: found as people name them, told what there is where they are not."""

from __future__ import annotations

from typing import Any

import pytest

from stepwell.core.events import Event, EventKind
from stepwell.core.states import RunState, StepState
from stepwell.errors import NotFoundError, StepwellError, UsageError
from stepwell.store import journal, queries
from store.scene import event, moved, place, planned, prepared, submitted, told

IDS = ("0198c1aa-0001-7000", "0198c1aa-0002-7000", "0198c1ff-0003-7000")


def ended(run: str, state: str = "Finished") -> Event:
    return event(EventKind.RUN_ENDED, run, state=state, error=None)


def message(error: StepwellError) -> tuple[str, str]:
    return str(error), error.code


# --- workspaces ---------------------------------------------------------------------------------


def test_a_workspace_is_found_by_its_id_or_its_name() -> None:
    with told(*place("v", "bo", root="/src", time_us=2)) as connection:
        by_id, by_name = queries.workspace(connection, "v"), queries.workspace(connection, "bo")

        assert by_id == by_name
        assert by_id is not None
        assert (by_id.id, by_id.name, by_id.root, by_id.created_us) == ("v", "bo", "/src", 2)
        assert queries.workspace(connection, "nobody") is None
        assert queries.workspace(connection, "raw\udcff") is None


def test_an_id_goes_before_a_name() -> None:
    with told(*place("v", "w")) as connection:
        found = queries.workspace(connection, "w")

    assert found is not None
    assert found.id == "w"


def test_a_name_that_two_folders_have_is_not_guessed() -> None:
    with told(*place("v", "ada", root="/b", time_us=2)) as connection, pytest.raises(UsageError) as caught:
        queries.workspace(connection, "ada")

    assert message(caught.value) == (
        "2 workspaces are named 'ada'\n  try: use the id of one: w (no folder), v (/b)",
        "ambiguous_workspace",
    )


def test_workspaces_and_experiments_are_listed_oldest_first() -> None:
    more = event(EventKind.EXPERIMENT_CREATED, time_us=9, id="later", workspace_id="w", name="a")
    with told(more, *place("v", "bo", time_us=2)) as connection:
        assert [item.name for item in queries.workspaces(connection)] == ["ada", "bo"]
        assert [item.name for item in queries.experiments(connection, "w")] == ["digits", "a"]
        assert queries.experiment(connection, "w", "nothing") is None


# --- finding a run ------------------------------------------------------------------------------


@pytest.mark.parametrize("ref", ["2", IDS[1], IDS[1][:14], "0198c1aa-0002"])
def test_a_run_is_found_by_its_number_its_id_or_a_unique_beginning_of_it(ref: str) -> None:
    with told(*map(submitted, IDS)) as connection:
        assert queries.find_run(connection, ref, "w").id == IDS[1]


def test_last_is_the_one_submitted_last_whatever_the_clock_says() -> None:
    events = [submitted("b", time_us=900), submitted("a", time_us=100)]
    with told(*events) as connection:
        assert queries.find_run(connection, "last", "w").id == "a"
        assert queries.find_run(connection, "last", None).id == "a"


def test_last_is_that_of_the_workspace() -> None:
    with told(*place("v"), submitted("a", "w"), submitted("b", "v")) as connection:
        assert queries.find_run(connection, "last", "w").id == "a"
        assert queries.find_run(connection, "last", None).id == "b"


def test_a_run_has_its_own_number_in_each_workspace() -> None:
    with told(*place("v", "bo"), submitted("a", "w"), submitted("b", "v")) as connection:
        assert queries.find_run(connection, "1", "v").id == "b"
        with pytest.raises(UsageError) as caught:
            queries.find_run(connection, "1", None)

    assert message(caught.value) == (
        "several workspaces have a run 1\n  try: give its id: a (ada), b (bo)",
        "ambiguous_run",
    )


def test_an_id_counts_in_every_workspace() -> None:
    with told(*place("v"), submitted(IDS[0], "w")) as connection:
        assert queries.find_run(connection, IDS[0], "v").id == IDS[0]


def test_a_beginning_that_several_runs_share_names_them() -> None:
    with told(*map(submitted, IDS)) as connection, pytest.raises(UsageError) as caught:
        queries.find_run(connection, "0198c1aa", "w")

    assert message(caught.value) == (
        f"'0198c1aa' begins the ids of several runs: {IDS[0]} (run 1), {IDS[1]} (run 2)\n"
        "  try: give more of the id, or the number of the run",
        "ambiguous_run",
    )


def test_of_many_that_share_a_beginning_a_few_are_named() -> None:
    with told(*(submitted(f"0198-{number}") for number in range(9))) as connection, pytest.raises(UsageError) as caught:
        queries.find_run(connection, "0198", None)

    assert caught.value.message == (
        "'0198' begins the ids of several runs: 0198-0 (run 1), 0198-1 (run 2), 0198-2 (run 3), …"
    )


@pytest.mark.parametrize(
    "ref", ["7", "99999999999999999999999", "abc", "", "train", "0198c1aa%", "²", "raw\udcff", "-1"]
)
def test_a_run_that_there_is_not_is_told_with_the_last_one(ref: str) -> None:
    with told(*map(submitted, IDS)) as connection, pytest.raises(NotFoundError) as caught:
        queries.find_run(connection, ref, "w")

    assert message(caught.value) == (f"no run {ref!r} (the last one is 3)\n  try: stepwell runs", "unknown_run")


def test_before_the_first_run_the_next_step_is_to_run_one() -> None:
    with told() as connection, pytest.raises(NotFoundError) as caught:
        queries.find_run(connection, "last", "w")

    assert message(caught.value) == ("there is no run yet\n  try: stepwell run FILE", "unknown_run")


@pytest.mark.parametrize("ref", ["1", "0198"])
def test_a_run_that_is_named_before_the_first_one(ref: str) -> None:
    with told() as connection, pytest.raises(NotFoundError) as caught:
        queries.find_run(connection, ref, "w")

    assert str(caught.value) == f"no run {ref!r} (there is none yet)\n  try: stepwell runs"


def test_a_run_of_exactly_that_id_or_none() -> None:
    with told(submitted(IDS[0])) as connection:
        assert queries.run(connection, IDS[0]).number == 1
        with pytest.raises(NotFoundError, match="no run '0198c1aa'"):
            queries.run(connection, "0198c1aa")


def test_a_run_is_shown_with_everything_it_was_submitted_with() -> None:
    with told(submitted("r", properties={"p": 1}, resumed_from="old")) as connection:
        run = queries.run(connection, "r")

    assert (run.number, run.workspace_id, run.workspace_name, run.experiment) == (1, "w", "ada", "digits")
    assert (run.name, run.file, run.state) == ("digits", "/p.py", RunState.NOT_STARTED)
    assert (run.spec, run.parameters, run.options) == ({"v": 1}, {"epochs": 5}, {"force": True})
    assert run.client == {"python": "/usr/bin/python3"}
    assert (run.tags, run.properties, run.resumed_from) == ({"by": "ada"}, {"p": 1}, "old")
    assert (run.submitted_us, run.started_us, run.ended_us, run.error) == (10, None, None, None)


# --- listing runs -------------------------------------------------------------------------------


def test_runs_are_listed_newest_first_of_all_of_a_workspace_or_of_an_experiment() -> None:
    other = event(EventKind.EXPERIMENT_CREATED, id="w-other", workspace_id="w", name="other")
    runs = [submitted("a"), submitted("b", "v"), submitted("c", "w", "other"), submitted("d")]
    with told(*place("v"), other, *runs) as connection:

        def ids(workspace: str | None, experiment: str | None, limit: int = 50) -> str:
            return "".join(run.id for run in queries.runs(connection, workspace, experiment, limit))

        assert ids(None, None) == "dcba"
        assert ids(None, None, 2) == "dc"
        assert ids("w", None) == "dca"
        assert ids("w", "digits") == "da"
        assert ids(None, "digits") == "dba"
        assert ids("v", "other") == ids("w", "raw\udcff") == ids("nowhere", None) == ""


@pytest.mark.parametrize(
    ("where", "values"),
    [
        ("1 ORDER BY run.seq", ()),
        ("run.workspace_id = ? ORDER BY run.number", ("w",)),
        ("run.experiment_id IN (?) ORDER BY run.seq", ("w-digits",)),
    ],
)
def test_a_listing_walks_an_index_and_never_sorts(where: str, values: tuple[str, ...]) -> None:
    with told() as connection:
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN SELECT * FROM run WHERE {where} DESC LIMIT 50", values
        ).fetchall()

    assert len(plan) == 1
    assert "USING INDEX" in plan[0][3]


def test_unfinished_runs_come_in_the_order_they_were_submitted() -> None:
    with told(submitted("c"), submitted("a"), submitted("b"), ended("a")) as connection:
        assert [run.id for run in queries.unfinished_runs(connection)] == ["c", "b"]


def test_steps_are_counted_by_what_became_of_them() -> None:
    origin: dict[str, Any] = {"verdict": "reuse", "reused_from": "s1", "fingerprint": "f"}
    events = [
        submitted("r"),
        planned("r", "s1", "ran"),
        *moved("r", "s1", "Queued", "Preparing"),
        prepared("r", "s1", "a"),
        *moved("r", "s1", "Failed"),
        planned("r", "s2", "reused", state="Finished", **origin),
        planned("r", "s3", "skipped"),
        *moved("r", "s3", "Skipped"),
        planned("r", "s4", "canceled"),
        *moved("r", "s4", "Canceled"),
        planned("r", "s5", "waits"),
        submitted("empty"),
    ]
    wanted = {"ran": 1, "reused": 1, "failed": 1, "skipped": 2}
    with told(*events) as connection:
        live = queries.step_counts(connection, ["r", "empty", "nothing"])
        journal.append(connection, [ended("r"), ended("empty")])
        over = queries.step_counts(connection, ["r", "empty", "nothing"])

    assert live == {"r": wanted}
    assert over == {"r": wanted, "empty": {"ran": 0, "reused": 0, "failed": 0, "skipped": 0}}


def test_run_numbers_are_found_for_thousands_of_steps() -> None:
    steps = [planned("b", f"s{number}", f"k{number}") for number in range(1100)]
    with told(submitted("a"), submitted("b"), *steps) as connection:
        found = queries.run_numbers(connection, [f"s{number}" for number in range(1100)] * 2)

    assert found == {f"s{number}": 2 for number in range(1100)}


# --- steps --------------------------------------------------------------------------------------


def test_steps_come_in_the_order_of_their_pipeline_with_all_that_is_known() -> None:
    more: dict[str, Any] = {"compute_target": "local", "upstream": ["b"], "recipe": "q", "reason": "after 'b'"}
    change = {"part": "source", "item": "train.py", "before": "1", "after": "2"}
    verdict: dict[str, Any] = {"verdict": "run", "reason": "train.py changed", "fingerprint": "f", "recipe": "q2"}
    events = [
        submitted("r"),
        planned("r", "s1", "a", position=1, **more),
        planned("r", "s2", "b", position=0),
        event(EventKind.STEP_RESOLVED, "r", "s1", **verdict, manifest={"key": {}}, changed=[change], compared_with="x"),
        *moved("r", "s1", "Queued", reason="waits for cpus"),
    ]
    with told(*events) as connection:
        first, second = queries.steps(connection, "r")

        assert first.key == "b"
        assert (first.compute_target, first.upstream, first.reason, first.changed) == (None, [], None, [])
        assert (second.run, second.position, second.kind, second.state) == ("r", 1, "python_script", StepState.QUEUED)
        assert (second.compute_target, second.upstream) == ("local", ["b"])
        assert (second.verdict, second.verdict_reason, second.reason) == ("run", "train.py changed", "waits for cpus")
        assert (second.fingerprint, second.recipe, second.manifest) == ("f", "q2", "f")
        assert (second.changed, second.compared_with, second.reused_from) == ([change], "x", None)
        assert queries.step(connection, "s1") == second
        assert queries.steps(connection, "nothing") == []


def test_a_step_run_that_there_is_not() -> None:
    with told() as connection, pytest.raises(NotFoundError) as caught:
        queries.step(connection, "raw\udcff")

    assert message(caught.value) == (
        "no step run 'raw\\udcff'\n  try: stepwell show RUN",
        "unknown_step_run",
    )


def test_attempts_of_a_step_of_a_run_and_those_that_live() -> None:
    end = event(EventKind.ATTEMPT_ENDED, "r", "s1", time_us=99, id="a1", state="Lost", message="gone", cpu_s=1.5)
    events = [
        submitted("r"),
        planned("r", "s1", "a", position=1),
        planned("r", "s2", "b", position=0),
        prepared("r", "s1", "a1"),
        end,
        prepared("r", "s1", "a2", number=2),
        prepared("r", "s2", "a3"),
        event(EventKind.ATTEMPT_STARTED, "r", "s2", id="a3", pid=42, started_us=7),
    ]
    with told(*events) as connection:
        (lost, again) = queries.attempts(connection, "s1")
        of_run = [attempt.id for attempt in queries.attempts_of_run(connection, "r")]
        live = [attempt.id for attempt in queries.live_attempts(connection)]
        (running,) = queries.attempts(connection, "s2")

    assert (lost.state, lost.message, lost.cpu_s, lost.ended_us, lost.exit_code) == ("Lost", "gone", 1.5, 99, None)
    assert (again.number, again.step_run, again.folder, again.state) == (2, "s1", "attempts/a2", "Prepared")
    assert (running.pid, running.started_us, running.prepared_us) == (42, 7, 40)
    assert running.placement == {"pool": "local", "cpus": 1.0, "memory_mib": 64, "gpus": ["GPU-1"]}
    assert of_run == ["a3", "a1", "a2"]
    assert live == ["a2", "a3"]
