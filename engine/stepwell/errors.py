"""Every error Stepwell raises on purpose, as one tree, drawn by who must act.

    StepwellError
    ├── UsageError              2  the caller asked for something that cannot be
    │   ├── NotFoundError          ... that is not there
    │   ├── ComputeTargetException     an unknown or unusable compute target     (SDK)
    │   ├── UserErrorException         misuse of a dataset, output or name       (SDK)
    │   ├── RunEnvironmentException    no run here to take a context from        (SDK)
    │   └── WorkspaceException         no workspace, or two that disagree        (SDK)
    ├── ConflictError           3  somebody else holds it, or it has already ended
    ├── MachineError            4  no daemon, disk full, a database we must not touch
    └── StepFailedError         5  a step said no
        ├── ActivityFailedException    a run that was waited for failed          (SDK)
        └── ExperimentExecutionException                                         (SDK)

The number is the exit code of the command line. A message is lower case, has no full
stop and quotes the user's own words; `hint` is the next thing to try. Whatever is not
in this tree is a bug: exit code 1, and the traceback goes to the log.
"""

from __future__ import annotations

from typing import Any, ClassVar


class StepwellError(Exception):
    """An error with a next step. `code` is stable and meant for programs."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    kind: ClassVar[str] = "bug"

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or self.kind

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  try: {self.hint}"

    def to_wire(self) -> dict[str, Any]:
        """Return the error as plain data; `from_wire` is its inverse."""
        return {"kind": self.kind, "code": self.code, "message": self.message, "hint": self.hint}


class UsageError(StepwellError):
    exit_code = 2
    http_status = 400
    kind = "usage"


class NotFoundError(UsageError):
    http_status = 404
    kind = "not_found"


class ComputeTargetException(UsageError):
    kind = "compute_target"


class UserErrorException(UsageError):
    kind = "user_error"


class RunEnvironmentException(UsageError):
    kind = "run_environment"


class WorkspaceException(UsageError):
    kind = "workspace"


class ConflictError(StepwellError):
    exit_code = 3
    http_status = 409
    kind = "conflict"


class MachineError(StepwellError):
    exit_code = 4
    http_status = 503
    kind = "machine"


class StepFailedError(StepwellError):
    exit_code = 5
    http_status = 422
    kind = "step_failed"


class ActivityFailedException(StepFailedError):
    kind = "activity_failed"


class ExperimentExecutionException(StepFailedError):
    kind = "experiment_execution"


def _tree(root: type[StepwellError]) -> dict[str, type[StepwellError]]:
    found = {root.kind: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


def from_wire(data: dict[str, Any]) -> StepwellError:
    """Rebuild the error that `to_wire` described; an unknown kind becomes the root of the tree."""
    cls = _tree(StepwellError).get(str(data.get("kind")), StepwellError)
    return cls(str(data.get("message", "unknown error")), hint=data.get("hint"), code=data.get("code"))


def closest(word: str, known: list[str] | tuple[str, ...] | set[str]) -> str | None:
    """Return "did you mean 'local'?" for the known name nearest to `word`, or None."""
    import difflib

    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f"did you mean {near[0]!r}?" if near else None


def unknown(what: str, word: str, known: list[str] | tuple[str, ...] | set[str]) -> NotFoundError:
    """The one way to say that a name is not known: what was asked, what there is, what is near."""
    there_is = ", ".join(sorted(known)) if known else "none"
    return NotFoundError(
        f"no {what} named {word!r} (there is: {there_is})",
        hint=closest(word, known),
        code=f"unknown_{what.replace(' ', '_')}",
    )
