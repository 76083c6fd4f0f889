"""`CommandStep`: any program. A text goes through `/bin/sh`, a list runs as it is."""

from __future__ import annotations

import shlex
from typing import ClassVar

from stepwell.core.spec import Argument, StepSpec
from stepwell.errors import UsageError
from stepwell.extend.api import LaunchSpec, StepContext, StepType


class Command(StepType):
    kind: ClassVar[str] = "command"
    version: ClassVar[str] = "1"

    def check(self, step: StepSpec) -> None:
        if not step.arguments:
            raise UsageError(f"step {step.key!r} has an empty command", code="command_empty")

    def prepare(self, step: StepSpec, context: StepContext) -> LaunchSpec:
        if not step.settings.get("shell"):
            return LaunchSpec(tuple(context.word(argument) for argument in step.arguments), context.work)
        text = "".join(self._shell_text(argument, context) for argument in step.arguments)
        return LaunchSpec(("/bin/sh", "-c", text), context.work)

    def _shell_text(self, argument: Argument, context: StepContext) -> str:
        """Text is shell code of the user's own; whatever is put into it is quoted."""
        if argument.text is not None:
            return argument.text
        if argument.parts:
            return "".join(self._shell_text(part, context) for part in argument.parts)
        return shlex.quote(context.word(argument))
