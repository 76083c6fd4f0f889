"""`StepSequence`: steps one after the other, where no data says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stepwell.authoring.steps import PipelineStep


class StepSequence:
    """A barrier between its elements: each starts when all of the one before have ended.

    An element is a step, a list of steps that may run side by side, or another StepSequence
    (SDK reference, `StepSequence`). Empty elements wait for nothing and are passed over.
    """

    def __init__(self, steps: Sequence[object] | None = None) -> None:
        self.steps: list[object] = list(steps or ())

    def __iter__(self) -> Iterator[object]:
        return iter(self.steps)


Barriers = dict[int, list[PipelineStep]]  # id of a step -> those it waits for


def flatten(items: object, barriers: Barriers) -> list[PipelineStep]:
    """Return the steps of nested lists and sequences in order, and note in `barriers` who waits for whom.

    Raises TypeError for what is no step.
    """
    if isinstance(items, PipelineStep):
        return [items]
    if isinstance(items, StepSequence):
        return _in_sequence(items, barriers)
    if isinstance(items, (list, tuple)):
        return [step for item in items for step in flatten(item, barriers)]
    raise TypeError(f"steps are PipelineSteps, lists of them and StepSequences, not {items!r}")


def _in_sequence(sequence: StepSequence, barriers: Barriers) -> list[PipelineStep]:
    steps: list[PipelineStep] = []
    before: list[PipelineStep] = []
    for element in sequence:
        stage = flatten(element, barriers)
        for step in stage:
            barriers.setdefault(id(step), []).extend(before)
        before = stage or before
        steps += stage
    return steps
