"""A pipeline as plain data: what the SDK objects become, what travels, what is stored with a run.

Format (JSON, one object, canonical: keys sorted, no blanks, UTF-8):

    {"v": 1, "name": "digits", "file": "/abs/pipeline.py" | null, "description": null,
     "parameters": [{"name": "epochs", "type": "int", "default": 5}],
     "continue_on_step_failure": false,
     "steps": [{"key": "train", "name": "train", "kind": "python_script",
                "settings": {"script_name": "train.py"},
                "source_directory": "/abs/dir" | null,
                "arguments": [{"text": "--out"}, {"output": "model"}, {"input": "x"}, {"param": "epochs"}],
                "inputs": [{"name": "x", "step": "prepare", "output": "clean", "mode": "mount", ...}],
                "outputs": [{"name": "model", ...}], ...}]}

`key` is the step's name, or `name#2` for the second step of that name; it is how steps are
addressed everywhere. Arguments are symbolic: paths are put in when an attempt is prepared, so
that two homes, or two runs, agree about what a step is. Nothing here is read from disk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stepwell.core.plain import from_plain, to_plain
from stepwell.errors import UsageError

SPEC_VERSION = 1
Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Argument:
    """One word of a command line. Exactly one field is set, or `parts` joins several into one word."""

    text: str | None = None
    param: str | None = None  # the value of a pipeline parameter, as text
    input: str | None = None  # the local path of an input, by its name
    output: str | None = None  # the local path of an output, by its name
    parts: tuple[Argument, ...] = ()


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Data that a step reads: the output `output` of the step with key `step`."""

    name: str
    step: str
    output: str
    mode: str = "mount"  # mount: a read-only path, no copy; download: a private copy
    path_on_compute: str | None = None  # download only: relative to the step's working folder
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """Data that a step writes. The parent of its path exists; the path does not."""

    name: str
    mode: str = "mount"  # upload: the step writes to `path_on_compute` and it is taken from there
    path_on_compute: str | None = None
    datastore: str = "workspaceblobstore"
    is_directory: bool | None = None  # None: whichever the step makes
    data_type: str | None = None
    overwrite: bool = False
    optional: bool = False
    pipeline_output_name: str | None = None


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """A pipeline parameter; `type` is one of str, int, float, bool and values are coerced to it."""

    name: str
    type: str
    default: Scalar


@dataclass(frozen=True, slots=True)
class Resources:
    """What a step needs while it runs. `memory_mib` 0 means not stated."""

    cpus: float = 1.0
    memory_mib: int = 0
    gpus: int = 0
    gpu_memory_mib: int = 0


@dataclass(frozen=True, slots=True)
class RetrySpec:
    """How often to try again after a failure: `delay_s`, then twice that, never above `max_delay_s`."""

    count: int = 0
    delay_s: float = 1.0
    max_delay_s: float = 300.0
    lost_count: int = 2  # further tries granted when an attempt was Lost; NeverStarted costs nothing


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """The interpreter a step runs in. With `interpreter` None it is the submitting one."""

    name: str | None = None
    version: str | None = None
    interpreter: str | None = None
    user_managed: bool = True
    conda_packages: tuple[str, ...] = ()
    pip_packages: tuple[str, ...] = ()
    python_version: str | None = None
    docker_image: str | None = None

    @property
    def must_be_built(self) -> bool:
        return not self.user_managed and bool(self.conda_packages or self.pip_packages)


@dataclass(frozen=True, slots=True)
class StepSpec:
    key: str
    name: str
    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    source_directory: str | None = None
    arguments: tuple[Argument, ...] = ()
    inputs: tuple[InputSpec, ...] = ()
    outputs: tuple[OutputSpec, ...] = ()
    params: Mapping[str, Argument] = field(default_factory=dict)  # become AML_PARAMETER_<name>
    run_after: tuple[str, ...] = ()
    compute_target: str | None = None
    environment: EnvironmentSpec = EnvironmentSpec()
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    pass_env: tuple[str, ...] = ()
    allow_reuse: bool = True
    version: str | None = None
    hash_paths: tuple[str, ...] = ()
    resources: Resources = Resources()
    timeout_s: float | None = None
    retry: RetrySpec = RetrySpec()
    node_count: int = 1
    process_count_per_node: int = 1
    warm: bool = True

    def depends_on(self) -> frozenset[str]:
        """Return the keys of the steps that must have ended before this one may start."""
        return frozenset(self.run_after) | {source.step for source in self.inputs}

    def used_parameters(self) -> frozenset[str]:
        """Return the names of the pipeline parameters that this step's command or variables mention."""
        found: set[str] = set()
        pending = [*self.arguments, *self.params.values()]
        while pending:
            argument = pending.pop()
            pending.extend(argument.parts)
            if argument.param is not None:
                found.add(argument.param)
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    name: str
    steps: tuple[StepSpec, ...]
    parameters: tuple[ParameterSpec, ...] = ()
    description: str | None = None
    file: str | None = None
    continue_on_step_failure: bool = False
    v: int = SPEC_VERSION

    def step(self, key: str) -> StepSpec:
        return next(step for step in self.steps if step.key == key)

    def to_wire(self) -> dict[str, Any]:
        """Return plain data; fields that hold their default are left out, so specs stay small and stable."""
        return {**to_plain(self), "v": self.v}

    def canonical(self) -> str:
        return json.dumps(self.to_wire(), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_wire(cls, data: Any) -> PipelineSpec:
        """Rebuild a spec from plain data. Raises UsageError naming the field that is wrong."""
        if not isinstance(data, Mapping) or data.get("v") != SPEC_VERSION:
            found = data.get("v") if isinstance(data, Mapping) else type(data).__name__
            raise UsageError(f"cannot read a pipeline of format {found!r}, only {SPEC_VERSION}", code="spec_version")
        return from_plain(cls, data, "pipeline")
