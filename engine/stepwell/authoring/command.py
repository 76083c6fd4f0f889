"""`CommandStep`: a step that runs any program."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import ClassVar, Unpack

from stepwell.authoring.arguments import Ports, split
from stepwell.authoring.runconfig import RunConfiguration
from stepwell.authoring.script_run_config import ScriptRunConfig
from stepwell.authoring.steps import EngineKeywords, PipelineStep
from stepwell.core.spec import Argument


class CommandStep(PipelineStep):
    """Runs `command`: a text through `/bin/sh -c`, a list directly, word by word.

    In a list, data and parameters are items of their own. In a text, `f"sort {data}"` puts in the
    data's path, quoted. The command may also come from `runconfig=ScriptRunConfig(command=...)`;
    with neither it is a ValueError. The name is `CommandStep_<first word>` unless given. All else is
    as for PythonScriptStep; `python` is the interpreter of the step's environment.
    """

    kind: ClassVar[str] = "command"

    def __init__(
        self,
        command: str | Sequence[object] | None = None,
        name: str | None = None,
        compute_target: object = None,
        runconfig: RunConfiguration | ScriptRunConfig | None = None,
        runconfig_pipeline_params: Mapping[str, object] | None = None,
        inputs: Sequence[object] | None = None,
        outputs: Sequence[object] | None = None,
        params: Mapping[str, object] | None = None,
        source_directory: str | os.PathLike[str] | None = None,
        allow_reuse: bool = True,
        version: str | None = None,
        **engine: Unpack[EngineKeywords],
    ) -> None:
        if isinstance(runconfig, ScriptRunConfig):
            command = runconfig.command if command is None else command
            source_directory = runconfig.source_directory if source_directory is None else source_directory
            runconfig = runconfig.run_config
        elif command is None and runconfig is not None:
            command = runconfig.command
        if not command:
            raise ValueError("a CommandStep needs a command, its own or that of its runconfig")
        first = command.split(maxsplit=1)[:1] if isinstance(command, str) else [str(command[0])]
        if not first:
            raise ValueError(f"the command {command!r} is empty")
        listed = [] if isinstance(command, str) else command
        super().__init__(name or f"CommandStep_{first[0]}", inputs, outputs, listed, fix_port_name_collisions=True)
        self.command = command
        self.settings = {"shell": isinstance(command, str)}
        if isinstance(command, str):
            self.words = shell_words(command, self.ports)
        self.configure(
            compute_target=compute_target,
            runconfig=runconfig,
            runconfig_pipeline_params=runconfig_pipeline_params,
            given_params=params,
            source_directory=source_directory,
            allow_reuse=allow_reuse,
            version=version,
            hash_paths=None,
            engine=engine,
        )


def shell_words(command: str, ports: Ports) -> tuple[Argument, ...]:
    """Return a shell text in pieces: code of the user's own, and paths, which are quoted when put in.

    A reference inside quotes stays the shell's to expand (or, in single quotes, not to): there a
    quoted path would be quoted twice, and the variable is set in the step.
    """
    pieces: list[Argument] = []
    quote = ""
    for piece in split(command, ports):
        if piece.text is None and quote:
            name = piece.input if piece.input is not None else piece.output
            piece = Argument(text=f"$AZUREML_DATAREFERENCE_{name}")
        elif piece.text is not None:
            quote = _quote_after(piece.text, quote)
        before = pieces[-1].text if pieces else None
        if before is not None and piece.text is not None:
            pieces[-1] = Argument(text=before + piece.text)
        else:
            pieces.append(piece)
    return tuple(pieces)


def _quote_after(text: str, quote: str) -> str:
    """Return which quote is open behind `text`, where `quote` is open before it: one of `'`, `"` and none."""
    escaped = False
    for letter in text:
        if escaped:
            escaped = False
        elif letter == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
    return quote
