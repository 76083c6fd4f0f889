"""What an extension implements. Plain types only, so that a plugin needs no other part of Stepwell.

A `StepType` turns the description of a step into a process to start. It runs inside the daemon's
workers: it must not run user code, and it must be quick. Its `version` is part of every
fingerprint of its steps: raise it when the same description would now do something else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from stepwell.core.spec import Argument, Scalar, StepSpec

API_VERSION = 1


@dataclass(frozen=True, slots=True)
class StepContext:
    """Where one attempt of a step lives. All paths are absolute.

    `work` is the step's own writable folder (a private copy of its source); `inputs` maps input
    names to what the step may read; `outputs` maps output names to what it must write.
    """

    work: Path
    inputs: Mapping[str, Path]
    outputs: Mapping[str, Path]
    parameters: Mapping[str, Scalar]
    interpreter: str

    def word(self, argument: Argument) -> str:
        """Return one word of the command line, with paths and parameter values put in."""
        if argument.text is not None:
            return argument.text
        if argument.param is not None:
            return scalar_text(self.parameters[argument.param])
        if argument.input is not None:
            return str(self.inputs[argument.input])
        if argument.output is not None:
            return str(self.outputs[argument.output])
        return "".join(self.word(part) for part in argument.parts)


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """One process: its words, its folder, and the variables it gets beside the usual ones."""

    argv: tuple[str, ...]
    cwd: Path
    variables: Mapping[str, str] = field(default_factory=dict)


class StepType(ABC):
    """A kind of step, such as `python_script`."""

    kind: ClassVar[str]
    version: ClassVar[str]

    @abstractmethod
    def check(self, step: StepSpec) -> None:
        """Raise UsageError when the step cannot work (its script is not there). May read the disk."""

    @abstractmethod
    def prepare(self, step: StepSpec, context: StepContext) -> LaunchSpec:
        """Return the process that does the step's work."""


def scalar_text(value: Scalar) -> str:
    """Return a parameter's value as a command line shows it: `True`, `5`, `0.1`, `adam`."""
    return value if isinstance(value, str) else repr(value)
