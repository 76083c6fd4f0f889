from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from core.strategies import pipelines
from stepwell.core.allocator import Machine, Pool
from stepwell.core.graph import Graph, validate
from stepwell.core.spec import InputSpec, OutputSpec, ParameterSpec, PipelineSpec, Resources, StepSpec
from stepwell.errors import NotFoundError, UsageError


def step(key: str, *reads: str, after: tuple[str, ...] = (), **other: Any) -> StepSpec:
    inputs = tuple(InputSpec(f"from_{above}", above, "out") for above in reads)
    return StepSpec(key, key, "command", inputs=inputs, outputs=(OutputSpec("out"),), run_after=after, **other)


def refused(*steps: StepSpec) -> UsageError:
    with pytest.raises(UsageError) as error:
        Graph.of(steps)
    return error.value


def test_the_order_follows_what_was_written_wherever_it_can() -> None:
    graph = Graph.of([step("d"), step("b", "c"), step("c"), step("a", after=("d",))])

    assert graph.order == ("d", "c", "b", "a")
    assert graph.position["b"] == 2


def test_neighbours_are_known_in_both_directions() -> None:
    graph = Graph.of([step("a"), step("b", "a"), step("c", "a", after=("b",))])

    assert graph.upstream == {"a": frozenset(), "b": {"a"}, "c": {"a", "b"}}
    assert graph.downstream == {"a": {"b", "c"}, "b": {"c"}, "c": frozenset()}


def test_the_closure_holds_everything_above_and_below_everything_below() -> None:
    graph = Graph.of([step("a"), step("b", "a"), step("c", "b"), step("d"), step("e", "d")])

    assert graph.closure(["b", "e"]) == {"a", "b", "d", "e"}
    assert graph.below(["a"]) == {"b", "c"}
    assert graph.below(iter(["a", "b"])) == {"b", "c"}
    assert graph.below(["c"]) == frozenset()


@given(pipelines())
def test_every_step_comes_after_those_above_it(spec: PipelineSpec) -> None:
    graph = Graph.of(spec.steps)

    assert sorted(graph.order) == sorted(step.key for step in spec.steps)
    for key in graph.order:
        assert all(graph.position[above] < graph.position[key] for above in graph.upstream[key])
        assert all(key in graph.upstream[below] for below in graph.downstream[key])


@given(pipelines())
def test_above_and_below_are_each_other_s_mirror(spec: PipelineSpec) -> None:
    graph = Graph.of(spec.steps)

    for key in graph.order:
        for other in graph.order:
            if other != key:
                assert (other in graph.closure([key])) == (key in graph.below([other]))


@pytest.mark.parametrize(
    ("steps", "circle"),
    [
        ([step("a", "a")], "a -> a"),
        ([step("a", "b"), step("b", "a")], "a -> b -> a"),
        ([step("z"), step("c", "b"), step("a", "z", "c"), step("b", after=("a",))], "c -> a -> b -> c"),
        ([step("end", "b"), step("a", "b"), step("b", "a")], "a -> b -> a"),
    ],
)
def test_a_cycle_is_printed_in_the_order_in_which_data_flows(steps: list[StepSpec], circle: str) -> None:
    error = refused(*steps)

    assert str(error) == (
        f"these steps wait for each other: {circle}\n  try: take one of these inputs or one run_after away"
    )
    assert error.code == "cycle"


def test_two_steps_cannot_share_a_key() -> None:
    assert str(refused(step("a"), step("b"), step("a"))) == "two steps have the key 'a'"


def test_a_step_cannot_write_two_outputs_of_one_name() -> None:
    twice = replace(step("a"), outputs=(OutputSpec("m"), OutputSpec("n"), OutputSpec("m")))

    assert str(refused(twice)) == "step 'a' has two outputs named 'm'"


def test_a_step_cannot_have_two_inputs_of_one_name() -> None:
    assert str(refused(step("a"), step("b", "a", "a"))) == "step 'b' has two inputs named 'from_a'"


def test_an_unknown_step_is_answered_with_those_there_are() -> None:
    error = refused(step("prepare"), step("train", "prepaer"))

    assert isinstance(error, NotFoundError)
    assert str(error) == (
        "step 'train' reads 'out' of step 'prepaer', which is not in this pipeline (there is: prepare, train)\n"
        "  try: did you mean 'prepare'?"
    )


def test_a_step_cannot_run_after_one_that_is_not_there() -> None:
    assert str(refused(step("train", after=("x",)))) == (
        "step 'train' runs after step 'x', which is not in this pipeline (there is: train)"
    )


def test_an_unknown_output_is_answered_with_those_the_step_writes() -> None:
    wrong = StepSpec("train", "train", "command", inputs=(InputSpec("x", "prepare", "outt"),))

    assert str(refused(step("prepare"), wrong)) == (
        "step 'train' reads 'outt' of step 'prepare', which does not write it (it writes: out)\n"
        "  try: did you mean 'out'?"
    )


def test_a_step_that_writes_nothing_is_said_to_write_nothing() -> None:
    silent = StepSpec("prepare", "prepare", "command")

    assert "(it writes: nothing)" in str(refused(silent, step("train", "prepare")))


# --- validate -------------------------------------------------------------------------------------

COMPUTES = {"local": Pool("local"), "gpu": Pool("gpu", 1)}
MACHINE = Machine(cpus=8, memory_mib=16_000)


def test_a_sound_pipeline_gives_its_graph() -> None:
    spec = PipelineSpec("p", (step("a"), step("b", "a", compute_target="gpu")))

    assert validate(spec, COMPUTES, MACHINE).order == ("a", "b")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (PipelineSpec("p", ()), "the pipeline has no steps"),
        (PipelineSpec("p", (step("a", "a"),)), "these steps wait for each other: a -> a"),
        (
            PipelineSpec("p", (step("a", compute_target="loacl"),)),
            "no compute target named 'loacl' (there is: gpu, local)\n  try: did you mean 'local'?",
        ),
        (
            PipelineSpec("p", (step("a", resources=Resources(gpus=1)),)),
            "step 'a' asks for 1 GPU, this machine has none",
        ),
        (
            PipelineSpec("p", (step("a"),), (ParameterSpec("n", "int", 1), ParameterSpec("n", "int", 2))),
            "parameter 'n' is declared twice",
        ),
    ],
)
def test_what_cannot_run_is_refused_at_submit(spec: PipelineSpec, says: str) -> None:
    with pytest.raises(UsageError) as error:
        validate(spec, COMPUTES, MACHINE)

    assert str(error.value).startswith(says)


def test_without_a_machine_resources_are_not_compared() -> None:
    validate(PipelineSpec("p", (step("a", resources=Resources(gpus=1)),)), COMPUTES)
