"""`PythonScriptStep`: a step that runs one Python script."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import ClassVar, Unpack

from stepwell.authoring.runconfig import RunConfiguration
from stepwell.authoring.steps import EngineKeywords, PipelineStep


class PythonScriptStep(PipelineStep):
    """Runs `script_name` of `source_directory` in the interpreter of its environment.

    `name` is the script's unless given. `arguments` are the words behind the script; `params`
    become variables `AML_PARAMETER_<name>`. `compute_target` is a compute target, its name, or a
    tuple of name and type; without one it is the runconfig's, which is `local` unless set. All of
    `source_directory` counts for reuse, less what `.amlignore` or `.gitignore` there leave out;
    `hash_paths` adds files outside of it. Without a directory it is the pipeline's, else that of
    the pipeline file or, in a script, the current one. A script that is not there is told when the
    pipeline is submitted (SDK reference, `PythonScriptStep`; document "Create and run machine
    learning pipelines").

    See `PipelineStep` for what it raises and `EngineKeywords` for the further keywords.
    """

    kind: ClassVar[str] = "python_script"

    def __init__(
        self,
        script_name: str,
        name: str | None = None,
        arguments: Sequence[object] | None = None,
        compute_target: object = None,
        runconfig: RunConfiguration | None = None,
        runconfig_pipeline_params: Mapping[str, object] | None = None,
        inputs: Sequence[object] | None = None,
        outputs: Sequence[object] | None = None,
        params: Mapping[str, object] | None = None,
        source_directory: str | os.PathLike[str] | None = None,
        allow_reuse: bool = True,
        version: str | None = None,
        hash_paths: Sequence[str | os.PathLike[str]] | None = None,
        **engine: Unpack[EngineKeywords],
    ) -> None:
        script = os.fspath(script_name) if isinstance(script_name, os.PathLike) else script_name
        if not isinstance(script, str) or not script:
            raise ValueError(f"a PythonScriptStep needs a script_name, not {script_name!r}")
        super().__init__(name or script, inputs, outputs, arguments, fix_port_name_collisions=True)
        self.settings = {"script_name": script}
        self.configure(
            compute_target=compute_target,
            runconfig=runconfig,
            runconfig_pipeline_params=runconfig_pipeline_params,
            given_params=params,
            source_directory=source_directory,
            allow_reuse=allow_reuse,
            version=version,
            hash_paths=hash_paths,
            engine=engine,
        )
