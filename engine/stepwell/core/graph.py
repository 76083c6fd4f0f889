"""Which step waits for which: order, neighbours, closures. Built once from the steps; pure.

`validate` is everything the daemon refuses at submit without reading a file: it says what is
wrong in the user's own words, with what does exist.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stepwell.core.allocator import Machine, Pool
from stepwell.core.checks import check_steps
from stepwell.core.parameters import check_declarations, coerce_parameters
from stepwell.core.spec import PipelineSpec, StepSpec
from stepwell.errors import NotFoundError, UsageError, closest

__all__ = ["Graph", "coerce_parameters", "validate"]


@dataclass(frozen=True, slots=True)
class Graph:
    """The steps of a pipeline by key. A step is `upstream` of those that read from it or run after it.

    `order` is topological, and follows the authored order wherever that is possible; `position`
    is the place of a key in it.
    """

    order: tuple[str, ...]
    position: Mapping[str, int]
    upstream: Mapping[str, frozenset[str]]
    downstream: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, steps: Iterable[StepSpec]) -> Graph:
        """Raises UsageError for a key or port that occurs twice, an unknown step or output, and a cycle."""
        listed = tuple(steps)
        by_key = {step.key: step for step in listed}
        if len(by_key) < len(listed):
            key = _first_repeated(step.key for step in listed)
            raise UsageError(f"two steps have the key {key!r}", code="duplicate_step")
        for step in listed:
            _check_ports(step)
            _check_sources(step, by_key)
        upstream = {step.key: step.depends_on() for step in listed}
        below: dict[str, set[str]] = {step.key: set() for step in listed}
        for key, sources in upstream.items():
            for source in sources:
                below[source].add(key)
        downstream = {key: frozenset(keys) for key, keys in below.items()}
        order = _topological(tuple(by_key), upstream, downstream)
        return cls(order, {key: n for n, key in enumerate(order)}, upstream, downstream)

    def closure(self, keys: Iterable[str]) -> frozenset[str]:
        """Return `keys` and every step that any of them waits for, directly or not."""
        asked = frozenset(keys)
        return asked | _reach(asked, self.upstream)

    def below(self, keys: Iterable[str]) -> frozenset[str]:
        """Return every step that waits for any of `keys`, directly or not."""
        return frozenset(_reach(keys, self.downstream))


def validate(spec: PipelineSpec, computes: Mapping[str, Pool], machine: Machine | None = None) -> Graph:
    """Return the graph of `spec`, or raise the UsageError that says why it cannot run.

    `computes` are the compute targets by name; without `machine`, resources are not compared
    with what is there. Reads nothing: a script that is missing is for the step type to find.
    """
    if not spec.steps:
        raise UsageError("the pipeline has no steps", code="pipeline_empty")
    check_declarations(spec.parameters)
    graph = Graph.of(spec.steps)
    check_steps(spec, computes, machine)
    return graph


def _check_ports(step: StepSpec) -> None:
    for what, ports in (("outputs", step.outputs), ("inputs", step.inputs)):
        names = [port.name for port in ports]
        if len(set(names)) < len(names):
            repeated = _first_repeated(names)
            raise UsageError(f"step {step.key!r} has two {what} named {repeated!r}", code="duplicate_port")


def _check_sources(step: StepSpec, by_key: Mapping[str, StepSpec]) -> None:
    for source in step.inputs:
        writer = by_key.get(source.step)
        if writer is None:
            raise _no_such_step(f"step {step.key!r} reads {source.output!r} of", source.step, by_key)
        written = [output.name for output in writer.outputs]
        if source.output not in written:
            raise NotFoundError(
                f"step {step.key!r} reads {source.output!r} of step {source.step!r}, "
                f"which does not write it (it writes: {', '.join(written) or 'nothing'})",
                hint=closest(source.output, written),
                code="unknown_output",
            )
    for key in step.run_after:
        if key not in by_key:
            raise _no_such_step(f"step {step.key!r} runs after", key, by_key)


def _no_such_step(says: str, key: str, by_key: Mapping[str, StepSpec]) -> NotFoundError:
    return NotFoundError(
        f"{says} step {key!r}, which is not in this pipeline (there is: {', '.join(by_key)})",
        hint=closest(key, set(by_key)),
        code="unknown_step",
    )


def _topological(
    keys: Sequence[str], upstream: Mapping[str, frozenset[str]], downstream: Mapping[str, frozenset[str]]
) -> tuple[str, ...]:
    position = {key: n for n, key in enumerate(keys)}
    missing = {key: len(upstream[key]) for key in keys}
    ready = [position[key] for key in keys if not missing[key]]  # ascending, so a heap already
    order: list[str] = []
    while ready:
        key = keys[heapq.heappop(ready)]
        order.append(key)
        for reader in downstream[key]:
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(ready, position[reader])
    if len(order) < len(keys):
        left = [key for key in keys if missing[key]]
        raise _cycle(left, upstream, position)
    return tuple(order)


def _cycle(left: Sequence[str], upstream: Mapping[str, frozenset[str]], position: Mapping[str, int]) -> UsageError:
    """Walk upwards among the steps that are `left`; each of them has a source there, so the walk returns."""
    remaining = set(left)
    walk: list[str] = []
    key = left[0]
    while key not in walk:
        walk.append(key)
        key = min(upstream[key] & remaining, key=position.__getitem__)
    circle = walk[walk.index(key) :][::-1]
    first = circle.index(min(circle, key=position.__getitem__))
    shown = " -> ".join([*circle[first:], *circle[:first], circle[first]])
    return UsageError(
        f"these steps wait for each other: {shown}",
        hint="take one of these inputs or one run_after away",
        code="cycle",
    )


def _reach(keys: Iterable[str], neighbours: Mapping[str, frozenset[str]]) -> set[str]:
    found: set[str] = set()
    pending = list(keys)
    while pending:
        fresh = neighbours[pending.pop()] - found
        found |= fresh
        pending.extend(fresh)
    return found


def _first_repeated(names: Iterable[str]) -> str:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    raise ValueError("no name is repeated")
