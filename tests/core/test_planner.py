from __future__ import annotations

from typing import Any

import pytest

from core.drawn_runs import entry_for, pipeline, recipe_of
from stepwell.core.manifest import with_inputs
from stepwell.core.planner import Action, Previous, Verdict, ago, plan
from stepwell.core.states import StepState


def test_a_step_with_no_earlier_result_runs_and_says_so() -> None:
    drawn = pipeline(prep=())

    assert plan(drawn.facts()) == {"prep": Verdict(Action.RUN, "no earlier result of this step", drawn.mark("prep"))}


def test_a_step_with_the_same_fingerprint_is_reused_and_names_the_run_and_its_age() -> None:
    drawn = pipeline(prep=())
    entry = entry_for(drawn.mark("prep"), {"out": "1"})

    verdict = plan(drawn.facts(entries={entry.fingerprint: entry}))["prep"]

    assert verdict == Verdict(Action.REUSE, "same as run 12, 3 min ago", entry.fingerprint, entry)


def test_the_outputs_of_a_reused_step_decide_about_the_one_below_at_once() -> None:
    drawn = pipeline(prep=(), train=("prep",))
    entries = [
        entry_for(drawn.mark("prep"), {"out": "1"}),
        entry_for(drawn.mark("train", prep="1"), {"out": "2"}),
    ]

    verdicts = plan(drawn.facts(entries={entry.fingerprint: entry for entry in entries}))

    assert [verdict.action for verdict in verdicts.values()] == [Action.REUSE, Action.REUSE]


def test_a_step_whose_input_came_out_the_same_is_reused_although_the_one_above_ran() -> None:
    """Early cut-off."""
    drawn = pipeline(prep=(), train=("prep",))
    drawn.set("prep", state=StepState.FINISHED, outputs={"out": "1"})
    entry = entry_for(drawn.mark("train", prep="1"), {"out": "2"})

    assert plan(drawn.facts(entries={entry.fingerprint: entry}))["train"].action is Action.REUSE


def test_a_step_that_changed_says_what_changed_and_compared_with_what() -> None:
    drawn = pipeline(prep=(), train=("prep",))
    drawn.set("prep", state=StepState.FINISHED, outputs={"out": "2"})
    before = with_inputs(recipe_of("fit"), {"prep": "1"})

    verdict = plan(drawn.facts(previous=lambda key: Previous(before, 12, "step run 1")))["train"]

    assert verdict.action is Action.RUN
    assert verdict.reason == "argument 1: 'fit' -> 'train' and 1 more"
    assert [change.sentence() for change in verdict.changed] == [
        "argument 1: 'fit' -> 'train'",
        "input 'prep' has other content",
    ]
    assert verdict.compared_with == "step run 1"


def test_a_result_that_is_no_longer_kept_is_said_to_be_so() -> None:
    drawn = pipeline(prep=())
    same = with_inputs(recipe_of("prep"), {})

    verdict = plan(drawn.facts(previous=lambda key: Previous(same, 12, "step run 1")))["prep"]

    assert verdict.reason == "run 12 did the same, but its result is no longer kept"
    assert verdict.changed == ()


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (("m",), "the stored output 'm' of run 12 is gone"),
        (("m", "n"), "the stored outputs 'm' and 'n' of run 12 are gone"),
    ],
)
def test_a_step_whose_stored_output_is_gone_runs_and_names_it(missing: tuple[str, ...], reason: str) -> None:
    drawn = pipeline(prep=())
    entry = entry_for(drawn.mark("prep"), {"m": "1"}, missing=missing)

    verdict = plan(drawn.facts(entries={entry.fingerprint: entry}))["prep"]

    assert (verdict.action, verdict.reason) == (Action.RUN, reason)


def test_a_step_below_one_that_will_run_waits_and_says_what_for() -> None:
    drawn = pipeline(prep=(), train=("prep",))

    verdict = plan(drawn.facts())["train"]

    assert verdict == Verdict(
        Action.WAIT, "after 'prep', which will run; reused if its output is unchanged", waits_on=("prep",)
    )


def test_a_step_below_a_running_one_waits_for_it() -> None:
    drawn = pipeline(prep=(), train=("prep",))
    drawn.set("prep", state=StepState.RUNNING)

    assert plan(drawn.facts())["train"].reason == "after 'prep', which is running"


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        ({}, "after 'a', 'b' and 'c', which will run; reused if their outputs are unchanged"),
        (dict.fromkeys("abc", StepState.RUNNING), "after 'a', 'b' and 'c', which are running"),
        ({"a": StepState.RUNNING}, "after 'a', 'b' and 'c'"),
    ],
)
def test_a_step_below_several_names_them(states: dict[str, StepState], reason: str) -> None:
    drawn = pipeline(a=(), b=(), c=(), last=("c", "b", "a"))
    for key, state in states.items():
        drawn.set(key, state=state)

    verdict = plan(drawn.facts())["last"]

    assert verdict.reason == reason
    assert verdict.waits_on == ("a", "b", "c")


def test_a_step_below_many_names_two_and_counts_the_rest() -> None:
    drawn = pipeline(a=(), b=(), c=(), d=(), last=("a", "b", "c", "d"))

    assert plan(drawn.facts())["last"].reason.startswith("after 'a', 'b' and 2 more, which will run")


def test_a_step_two_below_one_that_will_run_waits_for_a_waiting_one() -> None:
    drawn = pipeline(a=(), b=("a",), c=("b",))

    assert plan(drawn.facts())["c"].reason == ("after 'b', which waits too; reused if its output is unchanged")


def test_a_step_that_only_comes_after_another_promises_nothing_about_reuse() -> None:
    drawn = pipeline(a=(), b=("+a",))

    assert plan(drawn.facts())["b"].reason == "after 'a', which will run"


def test_equal_work_of_another_run_is_waited_for() -> None:
    drawn = pipeline(train=())

    verdict = plan(drawn.facts(in_flight={drawn.mark("train"): "run 7 step 'train'"}))["train"]

    assert verdict == Verdict(Action.WAIT, "the same work is under way: run 7 step 'train'", drawn.mark("train"))


def test_of_two_equal_steps_the_first_runs_and_the_other_waits_for_it() -> None:
    drawn = pipeline(a=(), b=())
    drawn.set("b", recipe=recipe_of("a"))

    verdicts = plan(drawn.facts())

    assert [verdict.action for verdict in verdicts.values()] == [Action.RUN, Action.WAIT]
    assert verdicts["b"].reason == "step 'a' does the same work; reused when that has finished"
    assert verdicts["b"].waits_on == ("a",)


def test_asked_about_the_second_of_two_equal_steps_alone_a_plan_still_knows_the_first() -> None:
    drawn = pipeline(a=(), b=())
    drawn.set("b", recipe=recipe_of("a"))

    assert plan(drawn.facts(), ["b"])["b"].waits_on == ("a",)


def test_a_step_waits_for_the_equal_one_that_has_begun_wherever_it_stands() -> None:
    drawn = pipeline(a=(), b=(), c=())
    for key in "bc":
        drawn.set(key, recipe=recipe_of("a"))
    drawn.set("c", state=StepState.RUNNING)

    verdicts = plan(drawn.facts())

    assert [verdict.waits_on for verdict in verdicts.values()] == [("c",), ("c",)]


@pytest.mark.parametrize(
    ("forced", "reason"),
    [
        ({"allow_reuse": False}, "allow_reuse is False"),
        ({"forced": "forced by --force"}, "forced by --force"),
        ({"forced": "forced by --force", "allow_reuse": False}, "forced by --force"),
    ],
)
def test_a_forced_step_runs_whatever_is_stored_or_under_way(forced: dict[str, Any], reason: str) -> None:
    drawn = pipeline(prep=(), same=())
    drawn.set("prep", **forced)
    drawn.set("same", recipe=recipe_of("prep"), state=StepState.RUNNING)
    mark = drawn.mark("prep")

    verdict = plan(drawn.facts(entries={mark: entry_for(mark, {})}, in_flight={mark: "run 7"}))["prep"]

    assert verdict == Verdict(Action.RUN, reason, mark)


def test_nobody_waits_for_a_forced_step_that_does_the_same() -> None:
    drawn = pipeline(a=(), b=())
    drawn.set("a", forced="forced by --force", state=StepState.RUNNING)
    drawn.set("b", recipe=recipe_of("a"))

    assert plan(drawn.facts())["b"].action is Action.RUN


def test_a_forced_step_still_waits_for_its_data() -> None:
    drawn = pipeline(a=(), b=("a",))
    drawn.set("b", allow_reuse=False)

    assert plan(drawn.facts())["b"].reason == "after 'a', which will run; runs then: allow_reuse is False"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (StepState.FAILED, "'prep' failed"),
        (StepState.LOST, "'prep' was lost"),
        (StepState.CANCELED, "'prep' was canceled"),
        (StepState.SKIPPED, "'prep' was skipped"),
    ],
)
def test_a_step_below_a_failed_step_is_skipped_and_names_it(state: StepState, reason: str) -> None:
    drawn = pipeline(prep=(), train=("prep",), other=())
    drawn.set("prep", state=state)

    verdicts = plan(drawn.facts(continue_on_failure=True))

    assert verdicts["train"] == Verdict(Action.SKIP, reason)
    assert verdicts["other"].action is Action.RUN


def test_far_below_a_failed_step_the_failed_one_is_named_not_the_skipped_ones() -> None:
    drawn = pipeline(a=(), b=("a",), c=("b",), d=("c",))
    drawn.set("a", state=StepState.FAILED)
    drawn.set("b", state=StepState.SKIPPED)

    verdicts = plan(drawn.facts(continue_on_failure=True))

    assert [verdict.reason for verdict in verdicts.values()] == ["'a' failed", "'a' failed"]


def test_unless_the_run_goes_on_after_a_failure_nothing_starts_any_more() -> None:
    drawn = pipeline(a=(), b=(), c=())
    drawn.set("b", state=StepState.FAILED)

    verdicts = plan(drawn.facts())

    assert {verdict.reason for verdict in verdicts.values()} == {"'b' failed"}


def test_when_a_run_is_stopped_everything_is_skipped_for_that_reason() -> None:
    drawn = pipeline(a=(), b=("a",))
    entry = entry_for(drawn.mark("a"), {"out": "1"})

    verdicts = plan(drawn.facts(entries={entry.fingerprint: entry}, stop="canceled by you"))

    assert set(verdicts.values()) == {Verdict(Action.SKIP, "canceled by you")}


def test_steps_that_have_started_get_no_verdict() -> None:
    drawn = pipeline(a=(), b=("a",))
    drawn.set("a", state=StepState.RUNNING)

    assert list(plan(drawn.facts())) == ["b"]
    assert plan(drawn.facts(), ["a"]) == {}


def test_an_optional_output_that_was_not_written_is_like_no_input() -> None:
    drawn = pipeline(a=(), b=("a",))
    drawn.set("a", state=StepState.FINISHED, outputs={})

    assert plan(drawn.facts())["b"].fingerprint == drawn.mark("b")


def test_a_chain_longer_than_the_stack_of_python_is_planned_from_its_end() -> None:
    keys = [f"s{number}" for number in range(5000)]
    drawn = pipeline(**{key: (keys[number - 1],) if number else () for number, key in enumerate(keys)})

    verdicts = plan(drawn.facts(), [keys[-1]])

    assert verdicts[keys[-1]].waits_on == (keys[-2],)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "just now"),
        (1, "just now"),
        (2, "2 s ago"),
        (119, "119 s ago"),
        (120, "2 min ago"),
        (7199, "119 min ago"),
        (7200, "2 h ago"),
        (172_799, "47 h ago"),
        (172_800, "2 days ago"),
    ],
)
def test_an_age_is_said_in_one_unit(seconds: int, text: str) -> None:
    assert ago(seconds * 1_000_000) == text
