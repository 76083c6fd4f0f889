"""From a Pipeline to a `PipelineSpec`: steps get their keys, data becomes edges, paths become absolute.

Nothing is read from disk but the current folder's name, and where an interpreter is to be found.
Errors begin with the line of the user's file that made the step.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from stepwell.authoring.data import InputPortBinding, Output
from stepwell.authoring.pipeline import Pipeline
from stepwell.authoring.sequence import flatten
from stepwell.authoring.steps import PipelineStep
from stepwell.core.spec import EnvironmentSpec, InputSpec, ParameterSpec, PipelineSpec, StepSpec
from stepwell.errors import UsageError

UNNAMED = "pipeline"


def compile_pipeline(
    pipeline: Pipeline, *, file: Path | None = None, folder: Path | None = None, name: str | None = None
) -> PipelineSpec:
    """Return the pipeline as plain data.

    `file` is the pipeline file. Relative paths belong to `folder`: that of the file, or the
    current one. `name` defaults to the file's, or to its folder's where the file is called
    `pipeline.py`. Raises UsageError for data that no step or more than one step writes, for
    `run_after` something that is no step, and for a parameter with two defaults.
    O(steps + edges); 1,000 steps are some 20 ms.
    """
    if folder is None and file is not None:
        folder = Path(file).parent
    base = os.getcwd() if folder is None else os.path.abspath(folder)
    steps = _closed(pipeline)
    scene = _Scene(pipeline, base, _keys(steps), _writers(steps), {})
    return PipelineSpec(
        name=name or _name(file),
        steps=tuple([_step(step, scene) for step in steps]),
        parameters=_parameters(steps),
        description=pipeline.description,
        file=None if file is None else os.path.abspath(file),
    )


class _Scene(NamedTuple):
    """What compiling one step needs to know of the others. Dicts are keyed by the id of the object."""

    pipeline: Pipeline
    base: str
    keys: Mapping[int, str]
    writers: Mapping[int, PipelineStep]
    interpreters: dict[str, str]


def _name(file: Path | None) -> str:
    if file is None:
        return UNNAMED
    stem = Path(file).stem
    return (Path(os.path.abspath(file)).parent.name or UNNAMED) if stem == UNNAMED else stem


def _closed(pipeline: Pipeline) -> list[PipelineStep]:
    """Return the listed steps, and those they wait for, each of these before the first that needs it."""
    if not pipeline.resolve_closure:
        return pipeline.steps
    listed = {id(step) for step in pipeline.steps}
    written = {id(output) for step in pipeline.steps for output in step.outputs}
    found: dict[int, PipelineStep] = {}
    pending = list(reversed(pipeline.steps))
    opened: set[int] = set()
    while pending:  # a stack, for chains deeper than Python's
        step = pending[-1]
        missing = []
        if id(step) not in opened:
            opened.add(id(step))
            missing = [above for above in _above(step, written) if id(above) not in listed and id(above) not in opened]
        if missing:
            pending.extend(reversed(missing))
        else:
            found.setdefault(id(pending.pop()), step)
    return list(found.values())


def _above(step: PipelineStep, written: set[int]) -> Iterable[PipelineStep]:
    """Yield the steps that `step` waits for; data in `written` has its step in the pipeline already."""
    for port in step.inputs:
        data = port.bind_object
        if data.producer is not None and id(data) not in written:
            yield data.producer
    yield from _run_after(step)


def _run_after(step: PipelineStep) -> list[PipelineStep]:
    if not step.upstream:
        return []
    try:
        return flatten(step.upstream, {})
    except TypeError:
        other = next(item for item in step.upstream if not isinstance(item, PipelineStep))
        raise UsageError(f"{_of(step)} runs after {other!r}, which is not a step", code="not_a_step") from None


def _keys(steps: Iterable[PipelineStep]) -> dict[int, str]:
    used: set[str] = set()
    counts: dict[str, int] = {}
    keys: dict[int, str] = {}
    for step in steps:
        key = step.name
        while key in used:
            counts[step.name] = counts.get(step.name, 1) + 1
            key = f"{step.name}#{counts[step.name]}"
        used.add(key)
        keys[id(step)] = key
    return keys


def _writers(steps: Iterable[PipelineStep]) -> dict[int, PipelineStep]:
    writers: dict[int, PipelineStep] = {}
    for step in steps:
        for output in step.outputs:
            first = writers.setdefault(id(output), step)
            if first is not step:
                raise UsageError(
                    f"{_of(step)} writes {output.name!r}, which {_other(first)} writes too",
                    hint="give each step a PipelineData of its own",
                    code="two_writers",
                )
    return writers


def _step(step: PipelineStep, scene: _Scene) -> StepSpec:
    own = scene.keys[id(step)]
    environment = step.environment
    if environment.interpreter is not None:
        environment = _with_interpreter(step, environment, scene)
    source = step.source_directory or scene.pipeline.default_source_directory or ""
    return StepSpec(
        key=own,
        name=step.name,
        kind=step.kind,
        settings=_settings(step),
        source_directory=os.path.normpath(os.path.join(scene.base, source)),
        arguments=step.words,
        inputs=tuple([_input(port, step, scene) for port in step.inputs]),
        outputs=tuple([output.declaration(scene.pipeline.default_datastore) for output in step.outputs]),
        params=step.params,
        run_after=_barriers(step, scene),
        compute_target=step.compute_target,
        environment=environment,
        environment_variables=step.environment_variables,
        pass_env=step.pass_env,
        allow_reuse=step.allow_reuse,
        version=step.version,
        hash_paths=step.hash_paths,
        resources=step.resources,
        timeout_s=step.timeout_s,
        retry=step.retry,
        warm=step.warm,
    )


def _settings(step: PipelineStep) -> dict[str, object]:
    """Return the settings of a step's kind, with the further names its outputs may be asked for by."""
    others = {output.output_name: output.name for output in step.outputs if output.output_name != output.name}
    return {**step.settings, "output_names": others} if others else step.settings


def _input(port: InputPortBinding, step: PipelineStep, scene: _Scene) -> InputSpec:
    data: Output = port.bind_object
    writer = scene.writers.get(id(data))
    if writer is None:
        known = data.producer
        raise UsageError(
            f"{_of(step)} reads {data.name!r}, which no step"
            + (" writes" if known is None else f" of this pipeline writes ({_other(known)} does)"),
            hint="list it in the outputs of the step that writes it"
            if known is None
            else "add that step, or leave resolve_closure=True",
            code="unwritten",
        )
    return InputSpec(
        name=port.name,
        step=scene.keys[id(writer)],
        output=data.name,
        mode=port.bind_mode,
        path_on_compute=port.path_on_compute,
        overwrite=bool(port.overwrite),
    )


def _barriers(step: PipelineStep, scene: _Scene) -> tuple[str, ...]:
    above = _run_after(step)
    above += scene.pipeline.barriers.get(id(step), ())
    if not above:
        return ()
    missing = next((other for other in above if id(other) not in scene.keys), None)
    if missing is not None:
        raise UsageError(
            f"{_of(step)} runs after {_other(missing)}, which is not in this pipeline",
            hint="add that step, or leave resolve_closure=True",
            code="unknown_step",
        )
    return tuple(dict.fromkeys(scene.keys[id(other)] for other in above))


def _with_interpreter(step: PipelineStep, environment: EnvironmentSpec, scene: _Scene) -> EnvironmentSpec:
    """Return the environment with its interpreter as an absolute path, found as a shell would find it."""
    from dataclasses import replace
    from shutil import which

    named = os.path.expanduser(environment.interpreter or "")
    path = scene.interpreters.get(named)
    if path is None:
        found = os.path.join(scene.base, named) if os.sep in named else which(named)
        if found is None or not os.access(found, os.X_OK) or os.path.isdir(found):
            raise UsageError(
                f"{_of(step)} names the interpreter {environment.interpreter!r}, which cannot be run",
                hint="set python.interpreter_path to a path such as '/opt/env/bin/python'",
                code="interpreter_missing",
            )
        path = scene.interpreters[named] = os.path.normpath(found)
    return replace(environment, interpreter=path)


def _parameters(steps: Iterable[PipelineStep]) -> tuple[ParameterSpec, ...]:
    found: dict[str, ParameterSpec] = {}
    for step in steps:
        for parameter in step.parameters:
            declared = parameter.declaration
            first = found.setdefault(declared.name, declared)
            if first != declared:
                raise UsageError(
                    f"{_of(step)} mentions the parameter {declared.name!r} with the default {declared.default!r},"
                    f" and another step with {first.default!r}",
                    hint="use one PipelineParameter in both",
                    code="parameter_conflict",
                )
    return tuple(found.values())


def _of(step: PipelineStep) -> str:
    """Return how an error calls a step: with the line that made it, where that is known."""
    return f"step {step.name!r}" if step.made_at is None else f"{step.made_at}: step {step.name!r}"


def _other(step: PipelineStep) -> str:
    """Return how an error calls a second step."""
    return f"step {step.name!r}" + ("" if step.made_at is None else f" ({step.made_at})")
