from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.events import Event, EventKind
from stepwell.core.fold import Rows, fold
from stepwell.core.states import IllegalMove


def event(what: EventKind, time_us: int, /, **body: Any) -> Event:
    return Event(what, time_us, body, run="r1", step_run="s1")


HELD = {"pool": "local", "cpus": 1.0, "memory_mib": 0, "gpus": []}


def journal() -> list[Event]:
    """One run of one step: lost once, finished the second time."""
    run = {"number": 7, "workspace_id": "w", "experiment_id": "e", "name": "digits", "spec": {"v": 1}}
    step = {"key": "train", "name": "train", "kind": "python_script", "position": 0, "state": "NotStarted"}
    return [
        event(EventKind.WORKSPACE_REGISTERED, 1, id="w", name="ada", root="/home/ada"),
        event(EventKind.EXPERIMENT_CREATED, 2, id="e", workspace_id="w", name="digits"),
        event(EventKind.COMPUTE_REGISTERED, 3, id="c", workspace_id="w", name="gpu", kind="local", config={}),
        event(EventKind.RUN_SUBMITTED, 4, **run, parameters={}, options={}, client={}, file=None, resumed_from=None),
        event(EventKind.RUN_PLANNED, 5, snapshots={"sources": {"/src": "d"}}),
        event(EventKind.STEP_PLANNED, 6, **step, reason="after 'prep'", verdict="wait"),
        event(
            EventKind.STEP_RESOLVED, 7, fingerprint="f", recipe="q", manifest={"key": {}}, verdict="run", reason="new"
        ),
        event(EventKind.STEP_CHANGED, 8, state="Queued", reason="new"),
        event(EventKind.STEP_CHANGED, 9, state="Preparing"),
        event(EventKind.ATTEMPT_PREPARED, 10, id="a1", number=1, folder="attempts/a1", placement=HELD),
        event(EventKind.ATTEMPT_STARTED, 11, id="a1", pid=42, started_us=1100),
        event(EventKind.STEP_CHANGED, 12, state="Running"),
        event(EventKind.ATTEMPT_ENDED, 13, id="a1", state="Lost", message="nobody saw it end"),
        event(EventKind.STEP_CHANGED, 14, state="Queued", reason="retry 1 of 2"),
        event(EventKind.STEP_CHANGED, 15, state="Preparing"),
        event(EventKind.ATTEMPT_PREPARED, 16, id="a2", number=2, folder="attempts/a2", placement=HELD),
        event(EventKind.ATTEMPT_STARTED, 17, id="a2", pid=43, started_us=1700),
        event(EventKind.STEP_CHANGED, 18, state="Running"),
        event(EventKind.METRIC_LOGGED, 19, points=[point("loss", 0.5), point("loss", 0.25)], cursor=cursor(80)),
        event(EventKind.METRIC_LOGGED, 20, points=[point("loss", 0.125)], cursor=cursor(120)),
        event(EventKind.STEP_TAGGED, 21, tags={"best": "yes"}, properties={}),
        event(EventKind.RUN_TAGGED, 22, tags={"a": "1"}, properties={"p": "2"}),
        event(EventKind.RUN_TAGGED, 23, tags={"b": "2"}),
        event(
            EventKind.ATTEMPT_ENDED,
            24,
            id="a2",
            state="Finished",
            exit_code=0,
            cpu_s=1.5,
            max_rss_mib=90,
            duration_s=2.0,
        ),
        event(EventKind.STEP_CHANGED, 25, state="Finalizing"),
        event(EventKind.ARTIFACT_STORED, 26, digest="m1", kind="file", files=1, bytes=3, objects=[["o1", 3]]),
        event(
            EventKind.OUTPUT_PUBLISHED,
            27,
            name="model",
            digest="m1",
            kind="file",
            bytes=3,
            files=1,
            datastore_path="azureml/s1/model",
        ),
        event(EventKind.CACHE_STORED, 28, fingerprint="f", recipe="q"),
        event(EventKind.STEP_CHANGED, 29, state="Finished"),
        event(EventKind.RUN_CANCEL_ASKED, 30, reason="by you"),
        event(EventKind.RUN_ENDED, 31, state="Finished", error=None),
        event(EventKind.CACHE_EVICTED, 32, fingerprint="f", reason="removed by hand"),
    ]


def point(name: str, value: float) -> dict[str, Any]:
    return {"name": name, "kind": "scalar", "step": None, "time_us": 1, "value": value}


def cursor(position: int) -> dict[str, Any]:
    return {"file": "attempts/a2/metrics.jsonl", "position": position}


def test_the_journal_of_a_run_folds_into_its_rows() -> None:
    rows = fold(journal())

    run = rows["run"]["r1"]
    assert (run["number"], run["state"], run["started_us"], run["ended_us"]) == (7, "Finished", 5, 31)
    assert (run["cancel_asked"], run["cancel_reason"]) == (True, "by you")
    assert (run["tags"], run["properties"]) == ({"a": "1", "b": "2"}, {"p": "2"})
    assert run["counts"] == {"ran": 1, "reused": 0, "failed": 0, "skipped": 0}
    assert rows["snapshot"]["r1", "/src"]["digest"] == "d"
    step = rows["step_run"]["s1"]
    assert (step["state"], step["attempts"], step["reason"]) == ("Finished", 2, "retry 1 of 2")
    assert (step["queued_us"], step["started_us"], step["ended_us"]) == (14, 12, 29)
    assert (step["verdict"], step["fingerprint"], step["manifest"]) == ("run", "f", "f")
    assert step["tags"] == {"best": "yes"}
    assert rows["manifest"] == {"f": {"fingerprint": "f", "parts": {"key": {}}}}
    assert [attempt["state"] for attempt in rows["attempt"].values()] == ["Lost", "Finished"]
    assert rows["attempt"]["a2"] == {
        "id": "a2",
        "step_run_id": "s1",
        "number": 2,
        "state": "Finished",
        "folder": "attempts/a2",
        "pid": 43,
        "placement": HELD,
        "prepared_us": 16,
        "started_us": 1700,
        "ended_us": 24,
        "exit_code": 0,
        "signal": None,
        "message": None,
        "cpu_s": 1.5,
        "max_rss_mib": 90,
        "duration_s": 2.0,
    }
    assert step["verdict_reason"] == "new"
    assert {name: lease["freed_us"] for name, lease in rows["lease"].items()} == {"a1": 13, "a2": 24}
    assert [metric["value"] for metric in rows["metric"].values()] == [0.5, 0.25, 0.125]
    assert rows["cursor"] == {"attempts/a2/metrics.jsonl": cursor(120)}
    assert rows["object"] == {"o1": {"digest": "o1", "size": 3, "synced": 0}}
    assert rows["output"]["s1", "model"]["digest"] == "m1"
    assert rows["cache_entry"]["f", "s1"]["evicted_reason"] == "removed by hand"
    assert rows["compute_target"]["w", "gpu"]["kind"] == "local"
    assert rows["workspace"]["w"]["created_us"] == 1
    assert rows["experiment"]["e"]["name"] == "digits"


def test_a_compute_target_that_was_removed_is_gone() -> None:
    removed = event(EventKind.COMPUTE_REMOVED, 33, workspace_id="w", name="gpu")

    assert fold([*journal(), removed])["compute_target"] == {}


def test_a_reused_step_is_born_finished() -> None:
    planned = {"key": "a", "name": "a", "kind": "command", "position": 0, "state": "Finished"}

    step = fold([event(EventKind.STEP_PLANNED, 6, **planned, reused_from="s0", fingerprint="f")])["step_run"]["s1"]

    assert (step["reused_from"], step["started_us"], step["ended_us"]) == ("s0", None, 6)


@pytest.mark.parametrize("left_out", range(len(journal())))
def test_leaving_out_any_one_event_shows(left_out: int) -> None:
    events = journal()
    whole = fold(events)
    kept = events[:left_out] + events[left_out + 1 :]

    try:
        rows: Rows | None = fold(kept)
    except (KeyError, IllegalMove):
        rows = None

    assert rows != whole


def test_the_end_of_an_attempt_may_be_told_twice() -> None:
    events = journal()
    told = next(e for e in events if e.kind is EventKind.ATTEMPT_ENDED and e.body["state"] == "Finished")
    again = event(EventKind.ATTEMPT_ENDED, 99, id="a2", state="Finished", exit_code=0)

    assert fold([*events, again]) == fold(events)
    assert told.time_us == fold(events)["attempt"]["a2"]["ended_us"]


def test_a_start_that_is_told_after_the_end_changes_nothing() -> None:
    late = event(EventKind.ATTEMPT_STARTED, 99, id="a2", pid=1, started_us=1)

    assert fold([*journal(), late]) == fold(journal())


@pytest.mark.parametrize("state", ["Running", "Failed", "Canceled"])
def test_a_step_that_has_ended_goes_nowhere_else(state: str) -> None:
    with pytest.raises(IllegalMove, match=f"^a step run that is Finished cannot become {state}$"):
        fold([*journal(), event(EventKind.STEP_CHANGED, 99, state=state)])


def test_a_warning_is_in_the_journal_only() -> None:
    assert fold([*journal(), event(EventKind.WARNING, 99, text="disk is nearly full")]) == fold(journal())


def test_asking_to_cancel_again_keeps_the_first_reason() -> None:
    again = event(EventKind.RUN_CANCEL_ASKED, 99, reason="again")

    assert fold([*journal(), again])["run"]["r1"]["cancel_reason"] == "by you"


def test_an_event_about_a_run_has_to_name_it() -> None:
    with pytest.raises(ValueError, match=r"^run\.planned names no run$"):
        fold([Event(EventKind.RUN_PLANNED, 1, {"snapshots": {}})])


@given(st.integers(0, len(journal())))
def test_folding_in_two_pieces_is_folding_at_once(cut: int) -> None:
    events = journal()

    assert fold(events[cut:], fold(events[:cut])) == fold(events)


def test_of_two_experiments_of_one_name_the_first_counts() -> None:
    second = event(EventKind.EXPERIMENT_CREATED, 99, id="e2", workspace_id="w", name="digits")

    assert list(fold([*journal(), second])["experiment"]) == ["e"]


def test_a_compute_target_registered_again_has_its_new_configuration_and_its_old_age() -> None:
    again = event(
        EventKind.COMPUTE_REGISTERED, 99, id="c2", workspace_id="w", name="gpu", kind="local", config={"a": 1}
    )

    compute = fold([*journal(), again])["compute_target"]["w", "gpu"]

    assert (compute["id"], compute["config"], compute["created_us"]) == ("c2", {"a": 1}, 3)


def test_what_a_later_verdict_leaves_out_stays_as_it_was() -> None:
    later = event(EventKind.STEP_RESOLVED, 7, verdict="reuse", reason="same", fingerprint="f", recipe="q")

    step = fold([*journal()[:7], later])["step_run"]["s1"]

    assert (step["verdict"], step["verdict_reason"], step["manifest"]) == ("reuse", "same", "f")
