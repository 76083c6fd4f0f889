"""Two runs side by side: parameters, sources, environments, metrics, outputs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from stepwell.content.artifacts import ObjectStore
from stepwell.core.trees import Tree
from stepwell.runtime.preparation import Frozen
from stepwell.store import queries
from stepwell.store.database import Database
from stepwell.store.records import RunRecord, StepRecord

Row = dict[str, Any]


class Comparison:
    """Read-only. Only what differs is listed; steps are matched by their key."""

    def __init__(self, database: Database, store: ObjectStore) -> None:
        self._database = database
        self._store = store

    def diff(self, left_ref: str, right_ref: str) -> dict[str, Any]:
        with self._database.read() as connection:
            left = queries.find_run(connection, left_ref, None)
            right = queries.find_run(connection, right_ref, None)
            pairs = _pair(queries.steps(connection, left.id), queries.steps(connection, right.id))
            metrics, outputs = [], []
            for key, (one, other) in pairs.items():
                if one is not None and other is not None:
                    metrics += _named(key, self._metrics(connection, one), self._metrics(connection, other))
                    outputs += _named(key, self._outputs(connection, one), self._outputs(connection, other))
        alone = [
            {"step": key, "only_in": "left" if other is None else "right"}
            for key, (one, other) in pairs.items()
            if one is None or other is None
        ]
        return {
            "left": {"run": left.id, "number": left.number},
            "right": {"run": right.id, "number": right.number},
            "parameters": [
                {"name": name, "left": before, "right": after}
                for name, before, after in _differing(left.parameters, right.parameters)
            ],
            "sources": list(self._sources(left, right)),
            "environments": list(self._environments(left, right)),
            "metrics": metrics,
            "outputs": outputs,
            "steps": alone,
        }

    def _metrics(self, connection: Any, step: StepRecord) -> dict[str, Any]:
        points = queries.metrics(connection, step.reused_from or step.id, None)
        return {point.name: point.value for point in points if point.kind == "scalar"}

    def _outputs(self, connection: Any, step: StepRecord) -> dict[str, Any]:
        return {o.name: o.digest for o in queries.outputs(connection, step.reused_from or step.id)}

    def _sources(self, left: RunRecord, right: RunRecord) -> Iterator[Row]:
        before, after = _frozen(left), _frozen(right)
        for step in _spec_steps(left):
            folder = step.get("source_directory")
            twin = next((s for s in _spec_steps(right) if s["key"] == step["key"]), None)
            if folder is None or twin is None or twin.get("source_directory") is None:
                continue
            old = before.sources.get(folder)
            new = after.sources.get(twin["source_directory"])
            if old is None or new is None or old == new:
                continue
            for path, was, is_now in _differing(self._listing(old), self._listing(new)):
                yield {"step": step["key"], "path": path, "left": was, "right": is_now}

    def _environments(self, left: RunRecord, right: RunRecord) -> Iterator[Row]:
        before, after = _frozen(left).interpreters, _frozen(right).interpreters
        for (_, one), (_, other) in zip(sorted(before.items()), sorted(after.items()), strict=False):
            for name, was, is_now in _differing(one, other):
                if name != "distributions":
                    yield {"item": name, "left": was, "right": is_now}
                    continue
                packages = _differing(self._listing(str(was)[5:]), self._listing(str(is_now)[5:]))
                yield from ({"item": item, "left": a, "right": b} for item, a, b in packages)

    def _listing(self, digest: str) -> Mapping[str, str]:
        try:
            body = self._store.read_bytes(digest)
        except FileNotFoundError:
            return {}
        if body.startswith(b"{"):
            listing: dict[str, str] = json.loads(body)
            return listing
        return Tree.decode(body).as_mapping()


def _pair(left: list[StepRecord], right: list[StepRecord]) -> dict[str, tuple[StepRecord | None, StepRecord | None]]:
    one = {step.key: step for step in left}
    other = {step.key: step for step in right}
    return {key: (one.get(key), other.get(key)) for key in [*one, *(k for k in other if k not in one)]}


def _named(key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Row]:
    return [{"step": key, "name": name, "left": a, "right": b} for name, a, b in _differing(before, after)]


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in [*before, *(n for n in after if n not in before)]:
        if before.get(name) != after.get(name):
            yield name, before.get(name), after.get(name)


def _frozen(record: RunRecord) -> Frozen:
    return Frozen() if record.snapshots is None else Frozen.from_wire(record.snapshots)


def _spec_steps(record: RunRecord) -> list[Row]:
    steps: list[Row] = record.spec["steps"]
    return steps
