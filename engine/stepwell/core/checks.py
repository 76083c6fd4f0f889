"""What a single step may not say: names, modes, numbers, arguments, resources. Pure.

Each check either passes or raises a UsageError that begins with the step it is about.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from stepwell.core.allocator import Machine, Pool, fits
from stepwell.core.spec import Argument, PipelineSpec, StepSpec
from stepwell.errors import NotFoundError, UsageError, closest, unknown

INPUT_MODES = ("mount", "download")
OUTPUT_MODES = ("mount", "upload")
_KEY_MAX = 300  # characters; a name and its #2
_NAME_BYTES_MAX = 255  # input and output names become names of folders


def check_steps(spec: PipelineSpec, computes: Mapping[str, Pool], machine: Machine | None) -> None:
    """Raise UsageError for the first step of `spec` that cannot be meant."""
    parameters = {parameter.name for parameter in spec.parameters}
    for step in spec.steps:
        _check_names(step)
        _check_modes(step)
        _check_arguments(step, parameters)
        _check_numbers(step)
        if step.compute_target is not None and step.compute_target not in computes:
            raise unknown("compute target", step.compute_target, set(computes))
        impossible = None if machine is None else fits(step.resources, machine)
        if impossible is not None:
            raise UsageError(f"step {step.key!r} {impossible}", code="resources_impossible")


def _check_names(step: StepSpec) -> None:
    if not step.key or "\0" in step.key or len(step.key) > _KEY_MAX:
        raise UsageError(f"a step cannot be named {step.key[:60]!r}", code="step_name")
    for what, names in (
        ("input", [source.name for source in step.inputs]),
        ("output", [output.name for output in step.outputs]),
    ):
        for name in names:
            if not _is_file_name(name):
                raise UsageError(
                    f"step {step.key!r} cannot name an {what} {name!r}",
                    hint="letters, digits and underscores, as in 'clean_data'",
                    code="port_name",
                )
    for name, value in step.environment_variables.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise UsageError(f"step {step.key!r} cannot set the environment variable {name!r}", code="variable_name")


def _is_file_name(name: str) -> bool:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        return False
    return len(name.encode("utf-8", "surrogateescape")) <= _NAME_BYTES_MAX


def _check_modes(step: StepSpec) -> None:
    for source in step.inputs:
        if source.mode not in INPUT_MODES:
            raise _unknown_mode(step, f"input {source.name!r}", source.mode, INPUT_MODES)
    for output in step.outputs:
        if output.mode not in OUTPUT_MODES:
            raise _unknown_mode(step, f"output {output.name!r}", output.mode, OUTPUT_MODES)


def _unknown_mode(step: StepSpec, port: str, mode: str, known: tuple[str, ...]) -> UsageError:
    return UsageError(
        f"step {step.key!r}: {port} has the mode {mode!r} (there is: {', '.join(known)})",
        hint=closest(mode, known),
        code="unknown_mode",
    )


def _check_arguments(step: StepSpec, parameters: set[str]) -> None:
    inputs = {source.name for source in step.inputs}
    outputs = {output.name for output in step.outputs}
    for argument in (*step.arguments, *step.params.values()):
        for word in _words(argument):
            if word.text is not None and "\0" in word.text:
                raise UsageError(
                    f"step {step.key!r} has a NUL character in an argument, which no program can be given",
                    code="argument_nul",
                )
            for what, name, known in (
                ("parameter", word.param, parameters),
                ("input", word.input, inputs),
                ("output", word.output, outputs),
            ):
                if name is not None and name not in known:
                    raise NotFoundError(
                        f"step {step.key!r} mentions the {what} {name!r}, which is not declared "
                        f"(there is: {', '.join(sorted(known)) or 'none'})",
                        hint=closest(name, known),
                        code=f"unknown_{what}",
                    )


def _words(argument: Argument) -> Iterator[Argument]:
    yield argument
    for part in argument.parts:
        yield from _words(part)


def _check_numbers(step: StepSpec) -> None:
    wanted, retry = step.resources, step.retry
    timeout_s = math.inf if step.timeout_s is None else step.timeout_s
    for name, value, least in (
        ("memory_mib", wanted.memory_mib, 0),
        ("gpus", wanted.gpus, 0),
        ("gpu_memory_mib", wanted.gpu_memory_mib, 0),
        ("retry.count", retry.count, 0),
        ("retry.lost_count", retry.lost_count, 0),
        ("retry.delay_s", retry.delay_s, 0),
        ("retry.max_delay_s", retry.max_delay_s, 0),
        ("node_count", step.node_count, 1),
        ("process_count_per_node", step.process_count_per_node, 1),
    ):
        if not value >= least:  # also true of NaN
            raise UsageError(f"step {step.key!r} has {name} {value:g}, the least is {least}", code="number_range")
    for name, value in (("cpus", wanted.cpus), ("timeout_s", timeout_s)):
        if not value > 0:
            raise UsageError(f"step {step.key!r} has {name} {value:g}, it must be above 0", code="number_range")
