"""Drawn pipelines, names and manifests for the laws of the core."""

from __future__ import annotations

from hypothesis import strategies as st

from stepwell.core.manifest import Manifest, Part
from stepwell.core.spec import (
    Argument,
    EnvironmentSpec,
    InputSpec,
    OutputSpec,
    ParameterSpec,
    PipelineSpec,
    Resources,
    RetrySpec,
    StepSpec,
)

words = st.text(st.sampled_from("ab{}\\:=-é \n'\"\udcff😀"), max_size=6)
names = st.text(st.sampled_from("abcé '#"), min_size=1, max_size=4)
numbers = st.floats(min_value=0.1, max_value=1e6, allow_nan=False)
scalars = words | st.integers() | st.booleans() | st.floats(allow_nan=False)

arguments: st.SearchStrategy[Argument] = st.recursive(
    st.builds(Argument, text=words)
    | st.builds(Argument, param=words)
    | st.builds(Argument, input=words)
    | st.builds(Argument, output=words),
    lambda inner: st.builds(Argument, parts=st.lists(inner, max_size=3).map(tuple)),
    max_leaves=4,
)
environments = st.builds(
    EnvironmentSpec, name=st.none() | words, interpreter=st.none() | words, pip_packages=st.tuples(words)
)
json_values = st.recursive(
    st.none() | scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)
resources = st.builds(Resources, cpus=numbers, memory_mib=st.integers(0, 9), gpus=st.integers(0, 4))
retries = st.builds(RetrySpec, count=st.integers(0, 5), delay_s=numbers)


@st.composite
def step_specs(draw: st.DrawFn, number: int) -> StepSpec:
    """Return step `s<number>`, which reads and follows only steps with lower numbers."""
    above = st.integers(0, number - 1) if number else st.nothing()
    sources = draw(st.lists(above, max_size=3, unique=True)) if number else []
    earlier = draw(st.lists(above, max_size=2, unique=True)) if number else []
    return StepSpec(
        key=f"s{number}",
        name=draw(names),
        kind=draw(st.sampled_from(("python_script", "command"))),
        settings=draw(st.dictionaries(names, json_values, max_size=2)),
        source_directory=draw(st.none() | words),
        arguments=tuple(draw(st.lists(arguments, max_size=3))),
        inputs=tuple(InputSpec(f"in{n}", f"s{source}", "out") for n, source in enumerate(sources)),
        outputs=(OutputSpec("out", is_directory=draw(st.none() | st.booleans())),),
        params=draw(st.dictionaries(names, arguments, max_size=2)),
        run_after=tuple(f"s{source}" for source in earlier),
        compute_target=draw(st.none() | names),
        environment=draw(environments),
        environment_variables=draw(st.dictionaries(names, words, max_size=2)),
        pass_env=tuple(draw(st.lists(names, max_size=2))),
        allow_reuse=draw(st.booleans()),
        version=draw(st.none() | words),
        resources=draw(resources),
        timeout_s=draw(st.none() | numbers),
        retry=draw(retries),
        node_count=draw(st.integers(1, 3)),
    )


@st.composite
def pipelines(draw: st.DrawFn, max_steps: int = 5) -> PipelineSpec:
    count = draw(st.integers(1, max_steps))
    parameters = draw(st.lists(st.tuples(names, scalars), max_size=3, unique_by=lambda pair: pair[0]))
    return PipelineSpec(
        name=draw(names),
        steps=tuple(draw(step_specs(number)) for number in range(count)),
        parameters=tuple(ParameterSpec(name, type(value).__name__, value) for name, value in parameters),
        description=draw(st.none() | words),
        file=draw(st.none() | words),
        continue_on_step_failure=draw(st.booleans()),
    )


PART_NAMES = ("key", "settings", "arguments", "parameters", "source", "inputs", "environment", "reads", "new")
item_values = words | st.sampled_from(("tree:a", "tree:b", "tree:c", "5", '"x"', "1.0 aa", "blake3:0"))
items = st.dictionaries(st.sampled_from(("0", "1", "command", "a.py", "package a", "ü\n")), item_values, max_size=3)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    chosen = draw(st.lists(st.sampled_from(PART_NAMES), unique=True, max_size=5))
    return Manifest(tuple(Part(name, draw(items)) for name in chosen))
