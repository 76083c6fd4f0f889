from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.planning import LIVE, ModelFacts, ModelStep, expected
from models.work import Work, from_scratch
from stepwell.core.graph import Graph
from stepwell.core.manifest import Manifest, Part, fingerprint, with_inputs
from stepwell.core.planner import Action, Entry, PlanFacts, Previous, StepFacts, Verdict, ago, plan, twins_of
from stepwell.core.spec import InputSpec, OutputSpec, StepSpec
from stepwell.core.states import STEP_TERMINAL, StepState

NOW = 1_000_000_000_000


def recipe_of(name: str) -> Manifest:
    return Manifest((Part("arguments", {"0": name}),))


def entry_for(mark: str, outputs: Mapping[str, str], **other: Any) -> Entry:
    known: dict[str, Any] = {"step_run": "sr", "run": "r", "run_number": 12, "created_us": NOW - 180_000_000}
    return Entry(mark, outputs=outputs, **{**known, **other})


@dataclass
class Pipeline:
    """Steps by key: `inputs` are (name, step above, output), `after` more keys."""

    steps: dict[str, StepFacts]
    graph: Graph

    def facts(self, **other: Any) -> PlanFacts:
        return PlanFacts(graph=self.graph, steps=self.steps, now_us=NOW, **other)

    def mark(self, key: str, **inputs: str) -> str:
        return fingerprint(self.steps[key].recipe, inputs)

    def set(self, key: str, **other: Any) -> None:
        self.steps[key] = replace(self.steps[key], **other)


def pipeline(**reads: tuple[str, ...]) -> Pipeline:
    """Return steps that each read `out` of the steps named; a name that begins with `+` is only run after."""
    specs = [
        StepSpec(
            key=key,
            name=key,
            kind="python_script",
            inputs=tuple(InputSpec(above, above, "out") for above in sources if above[0] != "+"),
            outputs=(OutputSpec("out"),),
            run_after=tuple(above[1:] for above in sources if above[0] == "+"),
        )
        for key, sources in reads.items()
    ]
    graph = Graph.of(specs)
    steps = {
        spec.key: StepFacts(
            key=spec.key,
            upstream=spec.depends_on(),
            inputs=tuple((port.name, port.step, port.output) for port in spec.inputs),
            recipe=recipe_of(spec.key),
        )
        for spec in specs
    }
    return Pipeline(steps, graph)


# --- what each verdict says -------------------------------------------------------------------


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


# --- laws ---------------------------------------------------------------------------------------

CONTENTS = ("1", "2")
states = st.sampled_from(list(StepState))


@dataclass(frozen=True)
class Situation:
    facts: PlanFacts
    model: ModelFacts


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Draw a small pipeline in any mixture of states, few recipes and few contents, so that much is equal."""
    count = draw(st.integers(1, 7))
    model_steps: dict[str, ModelStep] = {}
    specs: list[StepSpec] = []
    for number in range(count):
        above = draw(st.lists(st.integers(0, number - 1), max_size=2, unique=True)) if number else []
        after = draw(st.lists(st.integers(0, number - 1), max_size=1)) if number else []
        reads = tuple((f"in{n}", f"s{source}", "out") for n, source in enumerate(above))
        state = draw(states)
        settled = all(model_steps[f"s{source}"].state == StepState.FINISHED for source in (*above, *after))
        if not settled and state in LIVE:  # a live step has all of its inputs
            state = StepState.NOT_STARTED
        model_steps[f"s{number}"] = ModelStep(
            recipe=draw(st.sampled_from(("x", "y"))),
            state=str(state),
            inputs=reads,
            after=frozenset(f"s{source}" for source in after),
            outputs={"out": draw(st.sampled_from(CONTENTS))} if state is StepState.FINISHED else None,
            must_run=draw(st.sampled_from((False, False, False, True))),
        )
        specs.append(
            StepSpec(
                key=f"s{number}",
                name="s",
                kind="command",
                inputs=tuple(InputSpec(*read) for read in reads),
                outputs=(OutputSpec("out"),),
                run_after=tuple(f"s{source}" for source in after),
            )
        )
    return _situation(draw, specs, model_steps)


def _situation(draw: st.DrawFn, specs: list[StepSpec], model_steps: dict[str, ModelStep]) -> Situation:
    marks = draw(st.lists(st.sampled_from(_marks()), max_size=4, unique=True))
    stored = {mark: {"out": draw(st.sampled_from(CONTENTS))} for mark in marks}
    flying = frozenset(draw(st.lists(st.sampled_from(_marks()), max_size=1)))
    stopped, go_on = draw(st.sampled_from((False, False, False, True))), draw(st.booleans())
    graph = Graph.of(specs)
    ordered = {key: model_steps[key] for key in graph.order}
    steps = {
        key: StepFacts(
            key=key,
            upstream=step.above,
            inputs=step.inputs,
            recipe=recipe_of(step.recipe),
            state=StepState(step.state),
            outputs=step.outputs,
            forced="forced by --force" if step.must_run else None,
        )
        for key, step in ordered.items()
    }
    facts = PlanFacts(
        graph=graph,
        steps=steps,
        entries={_real(mark): entry_for(_real(mark), outputs) for mark, outputs in stored.items()},
        in_flight={_real(mark): "run 7 step 'x'" for mark in flying},
        continue_on_failure=go_on,
        stop="canceled by you" if stopped else None,
    )
    return Situation(facts, ModelFacts(ordered, stored, flying, stopped, go_on))


def _marks() -> list[tuple[str, frozenset[tuple[str, str]]]]:
    contents = [frozenset[tuple[str, str]]()]
    contents += [frozenset({("in0", content)}) for content in CONTENTS]
    contents += [frozenset({("in0", one), ("in1", two)}) for one in CONTENTS for two in CONTENTS]
    return [(name, content) for name in ("x", "y") for content in contents]


def _real(mark: tuple[str, frozenset[tuple[str, str]]]) -> str:
    return fingerprint(recipe_of(mark[0]), dict(mark[1]))


@given(situations())
def test_a_plan_says_what_the_rules_say(drawn: Situation) -> None:
    said = {key: str(verdict.action) for key, verdict in plan(drawn.facts).items()}

    assert said == expected(drawn.model)


@given(situations(), st.data())
def test_a_plan_for_some_keys_is_the_whole_plan_for_these_keys(drawn: Situation, data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.sampled_from(drawn.facts.graph.order), unique=True))
    whole = plan(drawn.facts)

    some = plan(drawn.facts, keys)

    assert some == {key: verdict for key, verdict in whole.items() if key in keys}
    assert list(some) == [key for key in whole if key in keys]


@given(situations())
def test_twins_that_a_caller_keeps_change_no_verdict(drawn: Situation) -> None:
    kept = replace(drawn.facts, twins=twins_of(drawn.facts.graph, drawn.facts.steps))

    assert plan(kept) == plan(drawn.facts)


@given(situations())
def test_forced_steps_neither_wait_for_equal_work_nor_are_waited_for(drawn: Situation) -> None:
    for key, verdict in plan(drawn.facts).items():
        step = drawn.facts.steps[key]
        if step.must_run is not None:
            assert verdict.action is not Action.REUSE
            assert verdict.action is not Action.WAIT or set(verdict.waits_on) <= step.upstream
        for other in set(verdict.waits_on) - step.upstream:
            assert drawn.facts.steps[other].must_run is None


@given(situations())
def test_a_step_never_waits_in_a_circle(drawn: Situation) -> None:
    verdicts = plan(drawn.facts)

    for key in verdicts:
        seen: set[str] = set()
        pending = [key]
        while pending:
            for other in verdicts[pending.pop()].waits_on:
                assert other != key
                if other in verdicts and other not in seen:
                    seen.add(other)
                    pending.append(other)


# --- a plan and the run that follows it -----------------------------------------------------------


@st.composite
def works(draw: st.DrawFn) -> dict[str, Work]:
    count = draw(st.integers(1, 6))
    drawn: dict[str, Work] = {}
    for number in range(count):
        above = draw(st.lists(st.integers(0, number - 1), max_size=2, unique=True)) if number else []
        drawn[f"s{number}"] = Work(
            recipe=draw(st.sampled_from(("x", "y", "z"))),
            inputs=tuple((f"in{n}", f"s{source}", "out") for n, source in enumerate(above)),
            constant=draw(st.booleans()),
        )
    return drawn


class Simulation:
    """Runs drawn work by plans alone, keeping results from one run to the next."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def run(self, drawn: dict[str, Work]) -> tuple[dict[str, Mapping[str, str]], dict[str, str]]:
        """Return what every step has at the end, and how it came about: run or reuse."""
        keys = {key: (work.recipe + "!" * work.constant) for key, work in drawn.items()}
        sim = pipeline(**{key: tuple(above for _, above, _ in work.inputs) for key, work in drawn.items()})
        for key, work in drawn.items():
            sim.set(key, recipe=recipe_of(keys[key]), inputs=work.inputs)
        how: dict[str, str] = {}
        first = plan(sim.facts(entries=self.entries))
        while len(how) < len(drawn):
            verdicts = plan(sim.facts(entries=self.entries))
            self._act(drawn, sim, verdicts, how)
        for key, verdict in first.items():
            assert verdict.action is Action.WAIT or str(verdict.action) == how[key]
        return {key: sim.steps[key].outputs or {} for key in drawn}, how

    def _act(self, drawn: dict[str, Work], sim: Pipeline, verdicts: dict[str, Verdict], how: dict[str, str]) -> None:
        for key, verdict in verdicts.items():
            if verdict.action is Action.REUSE:
                assert verdict.entry is not None
                outputs = verdict.entry.outputs
            elif verdict.action is Action.RUN:
                read = {name: (sim.steps[above].outputs or {})[out] for name, above, out in drawn[key].inputs}
                outputs = drawn[key].produce(read)
                assert verdict.fingerprint is not None
                self.entries[verdict.fingerprint] = entry_for(verdict.fingerprint, outputs)
            else:
                continue
            how[key] = str(verdict.action)
            assert sim.steps[key].state not in STEP_TERMINAL
            sim.set(key, state=StepState.FINISHED, outputs=outputs)


@given(st.lists(works(), min_size=1, max_size=4))
def test_nothing_is_ever_reused_wrongly(pipelines: list[dict[str, Work]]) -> None:
    simulation = Simulation()

    for drawn in pipelines:
        result, _ = simulation.run(drawn)
        assert result == from_scratch(drawn)


@given(works())
def test_nothing_runs_when_nothing_changed(drawn: dict[str, Work]) -> None:
    simulation = Simulation()
    simulation.run(drawn)

    _, how = simulation.run(drawn)

    assert set(how.values()) == {"reuse"}


@given(works())
def test_equal_work_is_done_once_in_a_run(drawn: dict[str, Work]) -> None:
    simulation = Simulation()

    _, how = simulation.run(drawn)

    assert list(how.values()).count("run") == len(simulation.entries)


@given(works(), st.data())
def test_after_an_edit_only_steps_with_other_inputs_run_again(drawn: dict[str, Work], data: st.DataObject) -> None:
    simulation = Simulation()
    before, _ = simulation.run(drawn)
    edited = data.draw(st.sampled_from(sorted(drawn)))
    changed = {**drawn, edited: replace(drawn[edited], recipe="edited")}

    after, how = simulation.run(changed)

    for key, work in changed.items():
        same = all(before[above][output] == after[above][output] for _, above, output in work.inputs)
        if key != edited and same:
            assert how[key] == "reuse"
