"""`PipelineData` and its bindings: data that one step writes and others read.

An object stands for one output of one step. It is passed to the step that writes it (`outputs=`)
and to those that read it (`inputs=`), and that is what orders them. Its name is the key of
everything: the variable `AZUREML_DATAREFERENCE_<name>`, the port, the place in the datastore.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stepwell.authoring.datastores import Datastore, datastore_name
from stepwell.authoring.later import Later, no_others, not_yet
from stepwell.core.spec import OutputSpec

if TYPE_CHECKING:
    from stepwell.authoring.steps import PipelineStep

VARIABLE_PREFIX = "AZUREML_DATAREFERENCE_"
_NAME = re.compile(r"[A-Za-z0-9_]+")
_INPUT_MODES = ("mount", "download")
_OUTPUT_MODES = ("mount", "upload")
_TRAINED = "write the model or the metrics to a PipelineData of the step itself"


class _Written:
    """An output of a step. `producer` is the step that was made with it last."""

    name: str
    output_name: str
    producer: PipelineStep | None = None

    def get_env_variable_name(self) -> str:
        """Return the name of the variable that holds this data's path in a step."""
        return VARIABLE_PREFIX + self.name

    def __str__(self) -> str:
        return f"${self.get_env_variable_name()}"

    __repr__ = __str__


class PipelineData(_Written):
    """Data that flows between steps: a file or a folder, whichever the step makes at its path.

    `name`: letters, digits and underscores (it may begin with a digit). `output_mode` is `mount`
    (the step writes to the path it is given) or `upload` (it writes to `output_path_on_compute`, and
    that is taken when the step has ended well). `output_name` is another name under which the
    output can be asked for afterwards, `pipeline_output_name` one for `get_pipeline_output`.
    `is_directory` and `data_type` describe, and decide nothing; `output_overwrite` means nothing here,
    where each run writes to a place of its own. Raises ValueError for a name or
    mode that cannot be. The folder the path lies in exists, the path itself does not: a script
    makes it (document "Create and run machine learning pipelines").
    """

    as_dataset = Later("pass the PipelineData itself in inputs; datasets do not exist yet")

    def __init__(
        self,
        name: str,
        datastore: Datastore | str | None = None,
        output_name: str | None = None,
        output_mode: str = "mount",
        output_path_on_compute: str | None = None,
        output_overwrite: bool | None = None,
        data_type: str | None = None,
        is_directory: bool | None = None,
        pipeline_output_name: str | None = None,
        training_output: object = None,
    ) -> None:
        self.name = _checked_name("PipelineData", name)
        self.output_name = name if output_name is None else _checked_name("PipelineData", output_name)
        self.datastore = datastore
        self.data_type = data_type
        self.is_directory = is_directory
        self.pipeline_output_name = pipeline_output_name
        self._mode = _checked_mode(f"PipelineData {name!r}", output_mode, _OUTPUT_MODES)
        self._path_on_compute = output_path_on_compute
        self._overwrite = bool(output_overwrite)
        self._datastore_name = datastore_name(datastore)
        if training_output is not None:
            raise not_yet("PipelineData(training_output=...)", _TRAINED)
        if output_path_on_compute is not None and output_mode == "mount":
            raise not_yet(f"an output_path_on_compute for {name!r}, which is mounted", "output_mode='upload'")

    def as_input(self, input_name: str | None = None) -> InputPortBinding:
        """Return this data as an input, under `input_name` or its own name."""
        return InputPortBinding(input_name or self.name, self)

    def as_mount(self, input_name: str | None = None) -> InputPortBinding:
        """Return this data as an input that is read in place: a path that must not be written to."""
        return InputPortBinding(input_name or self.name, self, "mount")

    def as_download(
        self, input_name: str | None = None, path_on_compute: str | None = None, overwrite: bool | None = None
    ) -> InputPortBinding:
        """Return this data as an input of which the step gets a private copy.

        `path_on_compute` is relative to the working folder of the step.
        """
        return self.create_input_binding(input_name, "download", path_on_compute, overwrite)

    def create_input_binding(
        self,
        input_name: str | None = None,
        mode: str | None = None,
        path_on_compute: str | None = None,
        overwrite: bool | None = None,
    ) -> InputPortBinding:
        """Return this data as an input in `mode`: `mount` (the default) or `download`."""
        return InputPortBinding(input_name or self.name, self, mode or "mount", path_on_compute, overwrite)

    def declaration(self, default_datastore: str) -> OutputSpec:
        """Return this data as the output that its step declares."""
        return OutputSpec(
            name=self.name,
            mode=self._mode,
            path_on_compute=self._path_on_compute,
            datastore=self._datastore_name or default_datastore,
            is_directory=self.is_directory,
            data_type=self.data_type,
            overwrite=self._overwrite,
            pipeline_output_name=self.pipeline_output_name,
        )


class OutputPortBinding(_Written):
    """An output of a step, named and placed by itself; what a PipelineData is made into.

    Arguments as of PipelineData. Raises ValueError for a name or mode that cannot be.
    """

    def __init__(
        self,
        name: str,
        datastore: Datastore | str | None = None,
        output_name: str | None = None,
        bind_mode: str = "mount",
        path_on_compute: str | None = None,
        is_directory: bool | None = None,
        overwrite: bool | None = None,
        data_type: str | None = None,
        pipeline_output_name: str | None = None,
        training_output: object = None,
        dataset_registration: object = None,
        dataset_output: object = None,
    ) -> None:
        self.name = _checked_name("OutputPortBinding", name)
        self.output_name = name if output_name is None else _checked_name("OutputPortBinding", output_name)
        self.datastore = datastore
        self.bind_mode = _checked_mode(f"OutputPortBinding {name!r}", bind_mode, _OUTPUT_MODES)
        self.path_on_compute = path_on_compute
        self.is_directory = is_directory
        self.overwrite = overwrite
        self.data_type = data_type
        self.pipeline_output_name = pipeline_output_name
        if path_on_compute is not None and bind_mode == "mount":
            raise not_yet(f"a path_on_compute for output {name!r}, which is mounted", "bind_mode='upload'")
        for argument, value, instead in (
            ("training_output", training_output, _TRAINED),
            ("dataset_registration", dataset_registration, "read the output with get_output_data"),
            ("dataset_output", dataset_output, "read the output with get_output_data"),
        ):
            if value is not None:
                raise not_yet(f"OutputPortBinding({argument}=...)", instead)

    def declaration(self, default_datastore: str) -> OutputSpec:
        return OutputSpec(
            name=self.name,
            mode=self.bind_mode,
            path_on_compute=self.path_on_compute,
            datastore=datastore_name(self.datastore) or default_datastore,
            is_directory=self.is_directory,
            data_type=self.data_type,
            overwrite=bool(self.overwrite),
            pipeline_output_name=self.pipeline_output_name,
        )


class InputPortBinding:
    """An input of a step: some data, under a name and in a mode.

    `bind_mode` is `mount` (read in place, never written to) or `download` (a private copy, at
    `path_on_compute` of the working folder where that is given). Raises ValueError for a name or
    mode that cannot be, and for a `bind_object` that no step writes.
    """

    as_resource = Later("list the data in inputs, and read it at the path it has there")

    def __init__(
        self,
        name: str,
        bind_object: PipelineData | OutputPortBinding | None = None,
        bind_mode: str = "mount",
        path_on_compute: str | None = None,
        overwrite: bool | None = None,
        is_resource: bool = False,
        additional_transformations: object = None,
        **kwargs: object,
    ) -> None:
        self._name = _checked_name("InputPortBinding", name)
        if not isinstance(bind_object, _Written):
            raise ValueError(f"input {name!r} is bound to {bind_object!r}; it can be bound to a PipelineData")
        self.bind_object: PipelineData | OutputPortBinding = bind_object
        self.bind_mode = _checked_mode(f"input {name!r}", bind_mode, _INPUT_MODES)
        self.path_on_compute = path_on_compute
        self.overwrite = overwrite
        self.is_resource = is_resource
        self.additional_transformations = additional_transformations
        if is_resource:
            raise not_yet("InputPortBinding(is_resource=True)", "leave it out and read the input at its path")
        if additional_transformations is not None:
            raise not_yet("InputPortBinding(additional_transformations=...)", "transform the data in the step")
        if path_on_compute is not None and bind_mode == "mount":
            raise not_yet(f"a path_on_compute for input {name!r}, which is mounted", "as_download(path_on_compute=...)")
        no_others("InputPortBinding", kwargs)

    @property
    def name(self) -> str:
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        self._name = _checked_name("InputPortBinding", value)

    @property
    def data_reference_name(self) -> str:
        """The name in the variable that holds the path: the input's own."""
        return self._name

    @property
    def data_type(self) -> str | None:
        return self.bind_object.data_type

    def get_bind_object_name(self) -> str:
        return self.bind_object.name

    def get_bind_object_data_type(self) -> str | None:
        return self.bind_object.data_type

    def get_env_variable_name(self) -> str:
        return VARIABLE_PREFIX + self._name

    def __str__(self) -> str:
        return f"${self.get_env_variable_name()}"

    def same_as(self, other: InputPortBinding) -> bool:
        """Say whether both bind the same data under the same name in the same way."""
        return self is other or (
            self.bind_object is other.bind_object
            and (self._name, self.bind_mode, self.path_on_compute, bool(self.overwrite))
            == (other._name, other.bind_mode, other.path_on_compute, bool(other.overwrite))
        )


Output = PipelineData | OutputPortBinding
Readable = PipelineData | OutputPortBinding | InputPortBinding


def _checked_name(what: str, name: object) -> str:
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise ValueError(
            f"the name of a {what} may have letters, digits and underscores, and {name!r} is not such a name"
        )
    return name


def _checked_mode(what: str, mode: str, known: tuple[str, ...]) -> str:
    if mode not in known:
        raise ValueError(f"{what} has the mode {mode!r} (there is: {', '.join(known)})")
    return mode
