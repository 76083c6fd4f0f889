"""What the SDK offers and Stepwell does not have yet: refused by name, with what to do instead.

    class Pipeline:
        publish = Later("submit it with Experiment.submit")

    pipeline.publish(...)     Pipeline.publish does not exist yet
                                try: submit it with Experiment.submit

An argument that is accepted and then ignored would be worse than none. `hasattr` says False, as
it should.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NoReturn

from stepwell.errors import UsageError


class NotThereYetError(UsageError, AttributeError):
    """A name or an argument of the SDK that a later version of Stepwell will have."""

    kind: ClassVar[str] = "not_there_yet"


class Later:
    """An attribute that does not exist yet. Reading it raises NotThereYetError."""

    def __init__(self, instead: str) -> None:
        self._instead = instead
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"{owner.__name__}.{name}"

    def __get__(self, instance: object, owner: type | None = None) -> NoReturn:
        raise not_yet(self._name, self._instead)


def not_yet(what: str, instead: str) -> NotThereYetError:
    """Return the error for `what`, which may be `Class(argument=...)`; `instead` is the thing to do now."""
    return NotThereYetError(f"{what} does not exist yet", hint=instead)


def no_others(what: str, given: Mapping[str, object]) -> None:
    """Raise TypeError, as Python would, for keywords that `what` takes in its `**kwargs` only to refuse them."""
    for name in given:
        raise TypeError(f"{what}() got an unexpected keyword argument {name!r}")
