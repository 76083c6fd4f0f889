"""Rows as the wire shows them. Nothing is decided here, and no reason is made up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from stepwell.api.wire import rfc3339
from stepwell.content.artifacts import ObjectStore
from stepwell.core.spec import PipelineSpec
from stepwell.errors import ConflictError
from stepwell.paths import Home
from stepwell.runtime.feed import Feed
from stepwell.store import queries
from stepwell.store.database import Database
from stepwell.store.records import AttemptRecord, OutputRecord, RunRecord, StepRecord

_R = TypeVar("_R", AttemptRecord, OutputRecord)


class Views:
    """Read-only. Thread-safe: each call takes a connection of its own."""

    def __init__(self, home: Home, database: Database, store: ObjectStore, feed: Feed) -> None:
        self._home = home
        self._database = database
        self._store = store
        self._feed = feed

    def runs(self, workspace: str | None, experiment: str | None, limit: int) -> dict[str, Any]:
        with self._database.read() as connection:
            workspace_id = None
            if workspace is not None:
                found = queries.workspace(connection, workspace)
                workspace_id = found.id if found else workspace
            records = queries.runs(connection, workspace_id, experiment, limit)
            counts = queries.step_counts(connection, [record.id for record in records])
        return {"runs": [_run(record, counts.get(record.id, {})) for record in records]}

    def run(self, ref: str, workspace: str | None = None, *, brief: bool = False) -> dict[str, Any]:
        """Return a run with its steps. `ref`: a number, `last`, an id or a unique prefix of one.

        `brief` leaves out what the steps made and what they come after: for who only counts.
        """
        with self._database.read() as connection:
            workspace_id = None
            if workspace is not None:
                found = queries.workspace(connection, workspace)
                workspace_id = found.id if found else workspace
            record = queries.find_run(connection, ref, workspace_id)
            steps = queries.steps(connection, record.id)
            attempts = _by_step(queries.attempts_of_run(connection, record.id))
            reused = [step.reused_from for step in steps if step.reused_from is not None]
            outputs: dict[str, list[OutputRecord]] = {}
            if not brief:
                outputs |= _by_step(queries.outputs_of_run(connection, record.id))
                outputs |= _by_step(queries.outputs_of_steps(connection, reused))
            origins = queries.run_numbers(connection, reused)
            warnings = queries.warnings(connection, record.id)
            seq = queries.last_seq(connection)
            counts = queries.step_counts(connection, [record.id])
        row = _brief if brief else self._step
        rows = [row(step, attempts.get(step.id, []), outputs, origins) for step in steps]
        body = _run(record, counts.get(record.id, {}))
        body["warnings"] = warnings
        body["seq"] = seq  # of the same moment: go on with the events after it
        body["steps"] = rows
        return body

    def spec(self, ref: str) -> dict[str, Any]:
        with self._database.read() as connection:
            spec: dict[str, Any] = queries.find_run(connection, ref, None).spec
        return spec

    def spec_of(self, ref: str) -> PipelineSpec:
        return PipelineSpec.from_wire(self.spec(ref))

    def run_id(self, ref: str) -> str:
        with self._database.read() as connection:
            return queries.find_run(connection, ref, None).id

    def step(self, step_run: str) -> dict[str, Any]:
        with self._database.read() as connection:
            step = queries.step(connection, step_run)
            attempts = queries.attempts(connection, step.id)
            origin = step.reused_from or step.id
            outputs = {origin: queries.outputs(connection, origin)}
            origins = queries.run_numbers(connection, [origin])
        return self._step(step, attempts, outputs, origins)

    def why(self, step_run: str) -> dict[str, Any]:
        """Return the verdict that was taken on a step, with the reason the planner gave."""
        with self._database.read() as connection:
            step = queries.step(connection, step_run)
            run = queries.run(connection, step.run)
            origins = queries.run_numbers(connection, [s for s in (step.reused_from, step.compared_with) if s])
        return {
            "step": step.key,
            "run": run.id,
            "number": run.number,
            "status": str(step.state),
            "verdict": step.verdict,
            "reason": step.verdict_reason or step.reason,
            "changed": step.changed,
            "compared_with": step.compared_with,
            "compared_run": origins.get(step.compared_with or ""),
            "reused_from": step.reused_from,
            "reused_run": origins.get(step.reused_from or ""),
            "fingerprint": step.fingerprint,
        }

    def events(self, after: int, limit: int, run: str | None, kind: str | None) -> dict[str, Any]:
        """Return events after `after`, of one run or kind or of all, and where to go on.

        Raises ConflictError (`events_gone`) when they are no longer kept.
        """
        last = self._feed.last_seq  # before looking: what is committed in between comes next time
        found = self._feed.after(after, limit, run, kind)
        if found is None:
            with self._database.read() as connection:
                oldest = queries.oldest_seq(connection)
                if oldest is not None and after + 1 < oldest:
                    raise ConflictError(
                        f"events up to {oldest - 1} are no longer kept",
                        hint="read the state anew",
                        code="events_gone",
                    )
                found = queries.events(connection, after, limit, run, kind)
        seq = found[-1].seq if len(found) >= limit else max(last, after)
        return {"events": [event.to_wire() for event in found], "seq": seq}

    def _step(
        self,
        step: StepRecord,
        attempts: list[AttemptRecord],
        outputs: Mapping[str, list[OutputRecord]],
        origins: Mapping[str, int],
    ) -> dict[str, Any]:
        return {
            **_brief(step, attempts, outputs, origins),
            "run": step.run,
            "kind": step.kind,
            "verdict": step.verdict,
            "fingerprint": step.fingerprint,
            "attempt": attempts[-1].id if attempts else None,
            "upstream": step.upstream,
            "outputs": [self._output(output) for output in outputs.get(step.reused_from or step.id, [])],
            "compute_target": step.compute_target,
            "properties": step.properties,
            "tags": step.tags,
        }

    def _output(self, output: OutputRecord) -> dict[str, Any]:
        return {
            "name": output.name,
            "kind": output.kind,
            "digest": output.digest,
            "bytes": output.bytes,
            "files": output.files,
            "path": str(self._store.tree_path(output.digest)),
            "datastore_path": output.datastore_path,
        }


def _brief(
    step: StepRecord, attempts: list[AttemptRecord], _: Mapping[str, list[OutputRecord]], origins: Mapping[str, int]
) -> dict[str, Any]:
    """Return what `run --json` prints of a step, and what failed steps need."""
    last = attempts[-1] if attempts else None
    placement = last.placement if last else {}
    return {
        "name": step.name,
        "key": step.key,
        "step_run": step.id,
        "status": str(step.state),
        "reused": step.reused_from is not None,
        "reused_from": step.reused_from,
        "reused_run": origins.get(step.reused_from or ""),
        "reason": step.reason,
        "exit_code": last.exit_code if last else None,
        "signal": last.signal if last else None,
        "error": step.error,
        "attempts": len(attempts),
        "started_us": step.started_us,
        "ended_us": step.ended_us,
        "started_at": rfc3339(step.started_us),
        "ended_at": rfc3339(step.ended_us),
        "duration_s": last.duration_s if last else None,
        "resources": {
            "cpus": placement.get("cpus"),
            "memory_mib": placement.get("memory_mib"),
            "gpus": placement.get("gpus", []),
            "cpu_s": last.cpu_s if last else None,
            "max_rss_mib": last.max_rss_mib if last else None,
        },
    }


def _run(record: RunRecord, counts: Mapping[str, int]) -> dict[str, Any]:
    started, ended = record.started_us, record.ended_us
    return {
        "run": record.id,
        "number": record.number,
        "workspace": record.workspace_id,
        "workspace_name": record.workspace_name,
        "experiment": record.experiment,
        "name": record.name,
        "file": record.file,
        "status": str(record.state),
        "cancel_asked": record.cancel_asked,
        "submitted_us": record.submitted_us,
        "started_us": started,
        "ended_us": ended,
        "started_at": rfc3339(started),
        "ended_at": rfc3339(ended),
        "duration_s": (ended - record.submitted_us) / 1e6 if ended is not None else None,
        "parameters": record.parameters,
        "tags": record.tags,
        "properties": record.properties,
        "error": record.error,
        "ran": counts.get("ran", 0),
        "reused": counts.get("reused", 0),
        "failed": counts.get("failed", 0),
        "skipped": counts.get("skipped", 0),
    }


def _by_step(records: Iterable[_R]) -> dict[str, list[_R]]:
    found: dict[str, list[_R]] = {}
    for record in records:
        found.setdefault(record.step_run, []).append(record)
    return found
