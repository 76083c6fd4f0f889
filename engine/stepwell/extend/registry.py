"""Which step types there are: found through entry points, listed without importing, loaded one at a time.

Two distributions that claim one kind are both refused, by name.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from stepwell.errors import MachineError, UsageError, unknown
from stepwell.extend.api import StepType

GROUP = "stepwell.step_types"


class StepTypes:
    """The step types of this installation. Loading one that fails raises; the others stay usable."""

    def __init__(self) -> None:
        self._found: dict[str, list[EntryPoint]] = {}
        for entry in entry_points(group=GROUP):
            self._found.setdefault(entry.name, []).append(entry)
        self._loaded: dict[str, StepType] = {}

    def kinds(self) -> list[str]:
        return sorted(self._found)

    def get(self, kind: str) -> StepType:
        """Return the step type of that kind. Raises UsageError where there is none, or two."""
        loaded = self._loaded.get(kind)
        if loaded is not None:
            return loaded
        claims = self._found.get(kind, [])
        if not claims:
            raise unknown("step type", kind, self.kinds())
        if len({entry.value for entry in claims}) > 1:
            origins = " and ".join(sorted(entry.dist.name if entry.dist else entry.value for entry in claims))
            raise UsageError(f"step type {kind!r} is claimed by {origins}, so neither is used", code="step_type_clash")
        try:
            made = claims[0].load()()
        except Exception as error:
            raise MachineError(
                f"step type {kind!r} from {claims[0].value!r} cannot be loaded: {error!r}",
                code="plugin_broken",
            ) from error
        if not isinstance(made, StepType):
            raise MachineError(f"step type {kind!r} from {claims[0].value!r} is no StepType", code="plugin_broken")
        self._loaded[kind] = made
        return made
