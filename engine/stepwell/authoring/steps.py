"""`PipelineStep`: what all steps have in common, whatever they run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

from stepwell.authoring.arguments import Ports, params, words
from stepwell.authoring.compute import target_name
from stepwell.authoring.data import InputPortBinding, Output, OutputPortBinding, PipelineData
from stepwell.authoring.later import Later, no_others, not_yet
from stepwell.authoring.origin import origin
from stepwell.authoring.parameters import PipelineParameter
from stepwell.authoring.runconfig import RunConfiguration, configured
from stepwell.core.spec import Argument, Resources, RetrySpec

if TYPE_CHECKING:
    from stepwell.authoring.sequence import StepSequence

_GRAPH = "Pipeline.graph shows the nodes and edges of a pipeline"
_USUAL, _NO_RETRY = Resources(), RetrySpec()
_COUNTS = ("NodeCount", "MpiProcessCountPerNode", "TensorflowWorkerCount", "TensorflowParameterServerCount")


class EngineKeywords(TypedDict, total=False):
    """What every step takes beside the SDK's own arguments. None of them but `pass_env` counts for reuse.

    `cpus` (1), `memory_mib` (0: not stated), `gpus` (0), `gpu_memory_mib` (0): booked while the step
    runs. `timeout_s`: ended when it takes longer. `retry`: how many more tries after a failure, or
    a RetrySpec. `warm` (True): may run in a process that holds its imports. `pass_env`: names of
    variables whose values are passed on from the submitting process; they count for reuse.
    """

    cpus: float
    memory_mib: int
    gpus: int
    gpu_memory_mib: int
    timeout_s: float | None
    retry: int | RetrySpec
    warm: bool
    pass_env: Sequence[str]


class PipelineStep:
    """A step of a pipeline. Made as one of its kinds: PythonScriptStep, CommandStep.

    `inputs` are PipelineData or bindings of it, `outputs` PipelineData; `arguments` may mention
    both. Raises ValueError for an input that is not data, for names that occur twice among the
    outputs ("Output port names must be unique") or the inputs, and for data in `arguments` that
    is in neither list. With `fix_port_name_collisions` an input that has the name of an output is
    called `INPUT_<name>`; without it that is a ValueError too.
    """

    create_input_output_bindings = Later(_GRAPH)
    create_module_def = Later(_GRAPH)
    create_node = Later(_GRAPH)
    get_source_directory = Later("the source directory is resolved when the pipeline is submitted")

    kind: ClassVar[str] = ""

    def __init__(
        self,
        name: str,
        inputs: Sequence[object] | None,
        outputs: Sequence[object] | None,
        arguments: Sequence[object] | None = None,
        fix_port_name_collisions: bool = False,
        resource_inputs: Sequence[object] | None = None,
    ) -> None:
        if type(self) is PipelineStep:
            raise TypeError("a PipelineStep is made as one of its kinds, such as PythonScriptStep")
        if resource_inputs:
            raise not_yet(f"{type(self).__name__}(resource_inputs=...)", "list the data in inputs")
        if not isinstance(name, str) or not name:
            raise ValueError(f"a step needs a name, not {name!r}")
        self.name = name
        self.made_at = origin()
        self.outputs = _outputs(outputs)
        self.inputs = _inputs(inputs, self.outputs, fix_port_name_collisions)
        self.ports = Ports(self.inputs, self.outputs)
        self.words = words(arguments, self.ports)
        self.arguments: list[object] = list(arguments or ())
        self.params: dict[str, Argument] = {}
        self.parameters = _parameters(self.arguments)
        self.settings: dict[str, Any] = {}
        self.upstream: list[object] = []
        for output in self.outputs:
            output.producer = self

    def run_after(self, step: PipelineStep | StepSequence | Sequence[object]) -> None:
        """Have this step wait for `step`, though it reads nothing of it. Checked when the pipeline is submitted."""
        self.upstream.append(step)

    def configure(
        self,
        *,
        compute_target: object,
        runconfig: RunConfiguration | None,
        runconfig_pipeline_params: Mapping[str, object] | None,
        given_params: Mapping[str, object] | None,
        source_directory: str | os.PathLike[str] | None,
        allow_reuse: bool,
        version: str | None,
        hash_paths: Sequence[str | os.PathLike[str]] | None,
        engine: EngineKeywords,
    ) -> None:
        """Take what the kinds of steps have in common; called once by their constructors."""
        configuration = configured(runconfig)
        wanted = configuration.target if compute_target is None else compute_target
        self.compute_target = target_name(wanted)
        self.environment = configuration.environment
        self.environment_variables = configuration.variables
        self.source_directory = None if source_directory is None else os.fspath(source_directory)
        self.allow_reuse = bool(allow_reuse)
        self.version = None if version is None else str(version)
        self.hash_paths = tuple([os.fspath(path) for path in hash_paths or ()])
        self.params = params(given_params, self.ports)
        if given_params:
            self.parameters = _parameters([*self.arguments, *given_params.values()])
        self._take_engine(engine, configuration.timeout_s)
        _check_counts(runconfig_pipeline_params)

    def _take_engine(self, engine: EngineKeywords, timeout_s: float | None) -> None:
        self.resources, self.retry, self.warm = _USUAL, _NO_RETRY, True
        self.timeout_s = timeout_s
        self.pass_env: tuple[str, ...] = ()
        if not engine:  # most steps, and thousands of them
            return
        known = EngineKeywords.__annotations__
        no_others(type(self).__name__, {name: None for name in engine if name not in known})
        self.resources = Resources(
            cpus=float(_number("cpus", engine.get("cpus"), 1.0)),
            memory_mib=int(_number("memory_mib", engine.get("memory_mib"), 0)),
            gpus=int(_number("gpus", engine.get("gpus"), 0)),
            gpu_memory_mib=int(_number("gpu_memory_mib", engine.get("gpu_memory_mib"), 0)),
        )
        if engine.get("timeout_s") is not None:
            self.timeout_s = float(_number("timeout_s", engine["timeout_s"], 0.0))
        self.retry = _retry(engine.get("retry"))
        self.warm = bool(engine.get("warm", True))
        passed = engine.get("pass_env") or ()
        if isinstance(passed, str) or not all(isinstance(name, str) for name in passed):
            raise TypeError(f"pass_env takes a list of names of variables, not {passed!r}")
        self.pass_env = tuple(passed)

    @staticmethod
    def resolve_input_arguments(
        arguments: Sequence[object],
        inputs: Sequence[object] | None,
        outputs: Sequence[object] | None,
        params: Mapping[str, object] | None,
    ) -> list[Argument]:
        """Return the arguments as symbolic words of a command line. Raises as the constructors do."""
        made = _outputs(outputs)
        return list(words(arguments, Ports(_inputs(inputs, made, True), made)))

    @staticmethod
    def validate_arguments(
        arguments: Sequence[object], inputs: Sequence[object] | None, outputs: Sequence[object] | None
    ) -> None:
        """Raise TypeError or ValueError for arguments that a step with these ports could not have."""
        PipelineStep.resolve_input_arguments(arguments, inputs, outputs, None)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


def _outputs(given: Sequence[object] | None) -> list[Output]:
    found: list[Output] = []
    for output in _listed("outputs", given):
        if not isinstance(output, (PipelineData, OutputPortBinding)):
            raise ValueError(f"an output must be a PipelineData, not {output!r}")
        found.append(output)
    names = [output.name for output in found]
    if len(set(names)) < len(names):
        raise ValueError(f"Output port names must be unique: {names}")
    return found


def _inputs(given: Sequence[object] | None, outputs: Sequence[Output], rename: bool) -> list[InputPortBinding]:
    found: dict[str, InputPortBinding] = {}
    written = {output.name for output in outputs}
    for item in _listed("inputs", given):
        if isinstance(item, (PipelineData, OutputPortBinding)):
            port = InputPortBinding(item.name, item)
        elif isinstance(item, InputPortBinding):
            port = item
        else:
            raise ValueError(f"an input must be a PipelineData or a binding of one, not {item!r}")
        if port.name in written:
            if not rename:
                raise ValueError(f"Input and output port names must be unique: {port.name!r} is both")
            port = InputPortBinding(
                f"INPUT_{port.name}", port.bind_object, port.bind_mode, port.path_on_compute, port.overwrite
            )
        known = found.setdefault(port.name, port)
        if not known.same_as(port):
            raise ValueError(f"Input port names must be unique: {port.name!r} is given twice")
    return list(found.values())


def _listed(what: str, given: Sequence[object] | None) -> Sequence[object]:
    if isinstance(given, (list, tuple)) or given is None:
        return given or ()
    if isinstance(given, (str, bytes)) or not isinstance(given, Sequence):
        raise ValueError(f"{what} must be a list, not {given!r}")
    return given


def _parameters(values: Sequence[object]) -> list[PipelineParameter]:
    return [value for value in values if isinstance(value, PipelineParameter)]


def _retry(given: int | RetrySpec | None) -> RetrySpec:
    if given is None:
        return _NO_RETRY
    if isinstance(given, RetrySpec):
        return given
    return RetrySpec(count=int(_number("retry", given, 0)))


def _number(name: str, value: object, default: float) -> float:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    return value


def _check_counts(given: Mapping[str, object] | None) -> None:
    for name, value in (given or {}).items():
        if name not in _COUNTS:
            raise ValueError(f"runconfig_pipeline_params knows no {name!r} (there is: {', '.join(_COUNTS)})")
        if value != 1 or isinstance(value, bool):
            raise not_yet(f"runconfig_pipeline_params[{name!r}]", "leave it out; a step is one process on this machine")
