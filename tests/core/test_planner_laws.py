"""Laws of planning: against a slow model of the rules, and in simulated runs against running everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from core.drawn_runs import Pipeline, entry_for, pipeline, recipe_of
from models.planning import LIVE, ModelFacts, ModelStep, expected
from models.work import Work, from_scratch
from stepwell.core.graph import Graph
from stepwell.core.manifest import fingerprint
from stepwell.core.planner import Action, Entry, PlanFacts, StepFacts, Verdict, plan, twins_of
from stepwell.core.spec import InputSpec, OutputSpec, StepSpec
from stepwell.core.states import STEP_TERMINAL, StepState

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
