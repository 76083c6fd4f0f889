"""From objects to a specification: keys, edges, closures, barriers, paths."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell import (
    CommandStep,
    Environment,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PythonScriptStep,
    RunConfiguration,
    StepSequence,
    UsageError,
    Workspace,
)
from stepwell.authoring.place import Place
from stepwell.authoring.spec import compile_pipeline
from stepwell.core.graph import Graph
from stepwell.core.spec import InputSpec, ParameterSpec, PipelineSpec

ANYWHERE = Workspace._at(Place("default"))


def step(
    name: str, reads: list[Any] | None = None, writes: list[PipelineData] | None = None, **fields: Any
) -> CommandStep:
    return CommandStep(["true"], name=name, inputs=reads, outputs=writes, **fields)


def compiled(steps: Any, **fields: Any) -> PipelineSpec:
    return compile_pipeline(Pipeline(ANYWHERE, steps, **fields))


def keys(spec: PipelineSpec) -> list[str]:
    return [one.key for one in spec.steps]


# --- closure


def test_the_last_step_brings_those_it_waits_for() -> None:
    a, b, c = PipelineData("a"), PipelineData("b"), PipelineData("c")
    first, second = step("first", writes=[a]), step("second", [a], [b])
    other = step("other", writes=[c])
    last = step("last", [b, c])
    last.run_after(step("by hand"))

    spec = compiled([last])

    assert keys(spec) == ["first", "second", "other", "by hand", "last"]
    assert spec.step("last").inputs == (InputSpec("b", "second", "b"), InputSpec("c", "other", "c"))
    assert spec.step("last").run_after == ("by hand",)
    assert (first.name, second.name, other.name) == ("first", "second", "other")


def test_without_closure_data_of_a_step_that_is_not_listed_is_an_error() -> None:
    a = PipelineData("a")
    maker = step("maker", writes=[a])

    with pytest.raises(UsageError) as caught:
        compiled([step("reader", [a])], resolve_closure=False)

    assert caught.value.message.endswith(
        f"step 'reader' reads 'a', which no step of this pipeline writes (step 'maker' ({maker.made_at}) does)"
    )
    assert caught.value.hint == "add that step, or leave resolve_closure=True"


def test_without_closure_a_step_to_run_after_has_to_be_listed() -> None:
    last = step("last")
    last.run_after(step("first"))

    with pytest.raises(UsageError, match=r"step 'last' runs after step 'first' \(.*\), which is not in this pipeline"):
        compiled([last], resolve_closure=False)


def test_data_that_nobody_writes_is_told_with_the_line_of_the_reader() -> None:
    reader = step("reader", [PipelineData("a")])

    with pytest.raises(UsageError) as caught:
        compiled(reader)

    assert reader.made_at is not None
    assert caught.value.message == f"{reader.made_at}: step 'reader' reads 'a', which no step writes"


def test_a_chain_longer_than_the_stack_is_closed() -> None:
    above = step("0")
    for number in range(1, 3000):
        below = step(str(number))
        below.run_after(above)
        above = below

    assert keys(compiled(above)) == [str(number) for number in range(3000)]


def test_listed_steps_keep_their_order_and_are_listed_once() -> None:
    a = PipelineData("a")
    maker, reader = step("maker", writes=[a]), step("reader", [a])

    assert keys(compiled([reader, [maker, reader]])) == ["reader", "maker"]


def test_a_step_made_anew_with_the_same_data_takes_its_place() -> None:
    data = PipelineData("a")
    step("as first written", writes=[data])
    step("as written again", writes=[data])

    assert keys(compiled(step("reader", [data]))) == ["as written again", "reader"]


def test_two_steps_that_write_the_same_data_are_both_named() -> None:
    data = PipelineData("model")
    one, two = step("one", writes=[data]), step("two", writes=[data])

    with pytest.raises(UsageError) as caught:
        compiled([one, two])

    assert caught.value.message == (
        f"{two.made_at}: step 'two' writes 'model', which step 'one' ({one.made_at}) writes too"
    )


def test_equal_names_are_told_apart_by_number() -> None:
    data = PipelineData("x")
    spec = compiled([step("a", writes=[data]), step("a", [data]), step("a#2"), step("a")])

    assert keys(spec) == ["a", "a#2", "a#2#2", "a#3"]
    assert [one.name for one in spec.steps] == ["a", "a", "a#2", "a"]
    assert spec.step("a#2").inputs[0].step == "a"


edges = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.booleans()), max_size=14)


@given(edges, st.randoms())
def test_listing_the_last_steps_describes_the_same_as_listing_all_in_any_order(
    pairs: list[tuple[int, int, bool]], random: Any
) -> None:
    made = [PipelineData(f"d{number}") for number in range(8)]
    reads: dict[int, list[PipelineData]] = {}
    after: dict[int, list[int]] = {}
    for one, other, by_data in pairs:
        above, below = sorted((one, other))
        if above != below and by_data and made[above] not in reads.get(below, []):
            reads.setdefault(below, []).append(made[above])
        elif above != below:
            after.setdefault(below, []).append(above)
    steps = [step(f"s{number}", reads.get(number), [made[number]]) for number in range(8)]
    for below, numbers in after.items():
        for above in numbers:
            steps[below].run_after(steps[above])
    waited_for = {above for below in range(8) for above in after.get(below, [])}
    waited_for |= {int(data.name[1:]) for read in reads.values() for data in read}
    last = [one for number, one in enumerate(steps) if number not in waited_for]
    random.shuffle(steps)

    closed, listed = compiled(last), compiled(steps, resolve_closure=False)

    assert {one.key: one for one in closed.steps} == {one.key: one for one in listed.steps}
    assert [one.key for one in listed.steps] == [one.name for one in steps]


# --- order


def test_nested_lists_say_nothing_about_order() -> None:
    spec = compiled([[step("a"), [step("b")]], (step("c"),)])

    assert keys(spec) == ["a", "b", "c"]
    assert all(not one.depends_on() for one in spec.steps)


def test_a_sequence_is_a_barrier_between_its_elements() -> None:
    a, b, c, d, e = map(step, "abcde")

    spec = compiled(StepSequence([a, [b, c], [], StepSequence([d, e])]))

    assert {one.key: one.depends_on() for one in spec.steps} == {
        "a": set(),
        "b": {"a"},
        "c": {"a"},
        "d": {"b", "c"},
        "e": {"b", "c", "d"},
    }


def test_a_sequence_changes_no_step() -> None:
    a, b = step("a"), step("b")
    compiled(StepSequence([a, b]))

    assert all(not one.depends_on() for one in compiled([a, b]).steps)


stages = st.lists(st.lists(st.integers(0, 1), min_size=0, max_size=3), max_size=5)


@given(stages)
def test_in_a_sequence_exactly_the_earlier_stages_are_upstream(widths: list[list[int]]) -> None:
    counter = itertools.count()
    made = [[step(f"s{next(counter)}") for _ in stage] for stage in widths]
    if not any(made):
        return

    graph = Graph.of(compiled(StepSequence(made)).steps)

    earlier: set[str] = set()
    for stage in made:
        names = {one.name for one in stage}
        for name in names:
            assert graph.closure([name]) - {name} == earlier
        earlier |= names


def test_running_after_itself_is_a_cycle_found_by_validate() -> None:
    one = step("one")
    one.run_after(one)

    assert Pipeline(ANYWHERE, [one]).validate() == [
        "these steps wait for each other: one -> one\n  try: take one of these inputs or one run_after away"
    ]


def test_a_cycle_is_drawn_by_validate() -> None:
    a, b = step("a"), step("b")
    a.run_after(b)
    b.run_after(a)

    (told,) = Pipeline(ANYWHERE, [a]).validate()

    assert told.startswith("these steps wait for each other: ")
    assert "a -> b -> a" in told or "b -> a -> b" in told


def test_a_pipeline_that_can_be_right_has_nothing_to_tell() -> None:
    assert Pipeline(ANYWHERE, [step("a")]).validate() == []


@pytest.mark.parametrize("other", [5, "a", None, [7]])
def test_running_after_what_is_no_step_is_accepted_and_told_at_validate(other: Any) -> None:
    one = step("one")
    one.run_after(other)

    (told,) = Pipeline(ANYWHERE, [one]).validate()

    assert told == f"{one.made_at}: step 'one' runs after {other!r}, which is not a step"


def test_a_list_or_a_sequence_may_be_run_after() -> None:
    last = step("last")
    last.run_after([step("a"), step("b")])
    last.run_after(StepSequence([step("c")]))

    assert compiled(last).step("last").run_after == ("a", "b", "c")


@pytest.mark.parametrize("steps", [5, "steps", [step("a"), "b"], None])
def test_what_is_no_step_is_refused_by_the_pipeline(steps: Any) -> None:
    with pytest.raises(TypeError, match="steps are PipelineSteps, lists of them and StepSequences, not "):
        Pipeline(ANYWHERE, steps)


# --- parameters


def test_parameters_are_declared_once_in_the_order_of_their_first_mention() -> None:
    n, rate = PipelineParameter("n", 5), PipelineParameter("rate", 0.5)

    spec = compiled(
        [CommandStep(["true", rate], params={"n": n}), CommandStep(["true", PipelineParameter("n", 5)], name="b")]
    )

    assert spec.parameters == (ParameterSpec("rate", "float", 0.5), ParameterSpec("n", "int", 5))


@pytest.mark.parametrize("other", [6, 5.0, True, "5"])
def test_one_parameter_with_two_defaults_is_an_error(other: Any) -> None:
    one = CommandStep(["true", PipelineParameter("n", 5)], name="one")
    two = CommandStep(["true", PipelineParameter("n", other)], name="two")

    with pytest.raises(UsageError) as caught:
        compiled([one, two])

    assert caught.value.message == (
        f"{two.made_at}: step 'two' mentions the parameter 'n' with the default {other!r}, and another step with 5"
    )


# --- paths


def test_relative_folders_belong_to_the_current_folder(here: Path) -> None:
    spec = compiled(
        [PythonScriptStep("a.py", source_directory="src/../lib"), PythonScriptStep("b.py", source_directory="/opt/b")]
    )

    assert [one.source_directory for one in spec.steps] == [str(here / "lib"), "/opt/b"]
    assert spec.file is None


def test_relative_folders_belong_to_the_folder_of_the_pipeline_file(here: Path) -> None:
    pipeline = Pipeline(ANYWHERE, PythonScriptStep("a.py", source_directory="src"))

    spec = compile_pipeline(pipeline, file=Path("sub/train.py"))

    assert (spec.name, spec.file) == ("train", str(here / "sub" / "train.py"))
    assert spec.steps[0].source_directory == str(here / "sub" / "src")
    other = compile_pipeline(pipeline, file=Path("sub/train.py"), folder=here)
    assert other.steps[0].source_directory == str(here / "src")


def test_a_pipeline_is_named_after_its_file_or_the_folder_of_a_pipeline_py(here: Path) -> None:
    pipeline = Pipeline(ANYWHERE, step("a"))

    assert compile_pipeline(pipeline, file=here / "digits" / "pipeline.py").name == "digits"
    assert compile_pipeline(pipeline, file=here / "train_all.py").name == "train_all"
    assert compile_pipeline(pipeline).name == "pipeline"
    assert compile_pipeline(pipeline, name="other").name == "other"


def test_the_default_folder_and_datastore_fill_in_where_none_is_named(here: Path) -> None:
    spec = compiled(
        [
            PythonScriptStep("a.py", outputs=[PipelineData("x"), PipelineData("y", datastore="workspaceblobstore")]),
            PythonScriptStep("b.py", source_directory="own"),
        ],
        default_source_directory="src",
        default_datastore="workspacefilestore",
    )

    assert [one.source_directory for one in spec.steps] == [str(here / "src"), str(here / "own")]
    assert [port.datastore for port in spec.steps[0].outputs] == ["workspacefilestore", "workspaceblobstore"]


def test_without_any_folder_it_is_the_current_one(here: Path) -> None:
    assert compiled(PythonScriptStep("a.py")).steps[0].source_directory == str(here)


# --- environments


def with_environment(environment: Environment) -> CommandStep:
    configuration = RunConfiguration()
    configuration.environment = environment
    return step("a", runconfig=configuration)


def test_a_named_interpreter_is_found_as_a_shell_finds_it(here: Path) -> None:
    environment = Environment("own")
    environment.python.user_managed_dependencies = True
    environment.python.interpreter_path = "sh"

    found = compiled(with_environment(environment)).steps[0].environment.interpreter

    assert found is not None
    assert Path(found).name == "sh"
    assert Path(found).is_absolute()


def test_a_relative_interpreter_belongs_to_the_folder(here: Path) -> None:
    (here / "env").symlink_to(Path(sys.executable).parent)
    environment = Environment("own")
    environment.python.interpreter_path = "env/" + Path(sys.executable).name

    spec = compiled(with_environment(environment))

    assert spec.steps[0].environment.interpreter == str(here / "env" / Path(sys.executable).name)


@pytest.mark.parametrize("path", ["no-such-python", "/no/such/python", "/tmp"])
def test_an_interpreter_that_cannot_be_run_is_told(here: Path, path: str) -> None:
    environment = Environment("own")
    environment.python.interpreter_path = path

    with pytest.raises(UsageError, match=f"step 'a' names the interpreter '{path}', which cannot be run"):
        compiled(with_environment(environment))


# --- the whole


def test_a_specification_survives_the_wire(here: Path) -> None:
    data = PipelineData("x", output_name="made", pipeline_output_name="best")
    maker = PythonScriptStep(
        "make.py",
        arguments=["--n", PipelineParameter("n", 5), f"--to={data}"],
        outputs=[data],
        params={"a": 1},
        version="2",
        hash_paths=["../shared"],
        cpus=0.5,
        retry=2,
        pass_env=["TOKEN"],
    )
    spec = compiled(step("read", [data.as_download("y", path_on_compute="in")]), description="two steps")
    again = compiled(step("read", [data.as_download("y", path_on_compute="in")]), description="two steps")

    assert PipelineSpec.from_wire(spec.to_wire()) == spec == again
    assert spec.steps[0].settings == {"script_name": "make.py", "output_names": {"made": "x"}}
    assert (spec.steps[0].version, spec.steps[0].hash_paths, maker.kind) == ("2", ("../shared",), "python_script")


def test_the_graph_shows_nodes_edges_and_parameters() -> None:
    data = PipelineData("x")
    last = step("last", [data.as_input("y")])
    last.run_after(step("first"))
    maker = CommandStep(["true", PipelineParameter("n", 5)], name="maker", outputs=[data])

    graph = Pipeline(ANYWHERE, [maker, last]).graph

    assert [node.node_id for node in graph.nodes] == ["maker", "first", "last"]
    assert [tuple(edge) for edge in graph.edges] == [("maker", "last", "x", "y"), ("first", "last", None, None)]
    assert graph.params == {"n": 5}
    assert graph.get_node("last").inputs == ("y",)
    assert [node.name for node in graph.node_name_dict["maker"]] == ["maker"]
