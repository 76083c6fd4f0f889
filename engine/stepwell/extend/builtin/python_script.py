"""`PythonScriptStep`: one Python script in an interpreter, through the step bootstrap."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

import stepwell_step
from stepwell.core.spec import StepSpec
from stepwell.errors import UsageError, closest
from stepwell.extend.api import LaunchSpec, StepContext, StepType

BOOTSTRAP = Path(stepwell_step.__file__).with_name("bootstrap.py")


class PythonScript(StepType):
    kind: ClassVar[str] = "python_script"
    version: ClassVar[str] = "1"

    def check(self, step: StepSpec) -> None:
        script = str(step.settings.get("script_name", ""))
        folder = step.source_directory or ""
        path = os.path.join(folder, script)
        root = os.path.realpath(folder)
        if os.path.isabs(script) or not os.path.realpath(path).startswith(root + os.sep):
            raise UsageError(
                f"step {step.key!r} runs {script!r}, which does not lie in {folder!r}, so edits of it would not count",
                hint="name the script relative to its source_directory",
                code="script_outside",
            )
        if os.path.isfile(path):
            return
        scripts = sorted(name for name in os.listdir(folder) if name.endswith(".py"))
        there_is = ", ".join(scripts[:8]) if scripts else "no .py file"
        raise UsageError(
            f"step {step.key!r} runs {script!r}, which is not in {folder!r} (there is: {there_is})",
            hint=closest(script, scripts),
            code="script_missing",
        )

    def prepare(self, step: StepSpec, context: StepContext) -> LaunchSpec:
        words = tuple(context.word(argument) for argument in step.arguments)
        script = str(step.settings["script_name"])
        return LaunchSpec((context.interpreter, str(BOOTSTRAP), script, *words), context.work)
