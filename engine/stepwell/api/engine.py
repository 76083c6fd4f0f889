"""The running daemon as its routes see it: one object with a method for each thing that can be asked."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from stepwell.api.commits import Commits
from stepwell.api.views import Views
from stepwell.api.wire import VERSION
from stepwell.core.events import Event, EventKind
from stepwell.core.states import RUN_TERMINAL
from stepwell.errors import ConflictError, UsageError
from stepwell.ids import now_us
from stepwell.runtime import doctor
from stepwell.runtime.catalog import Catalog
from stepwell.runtime.comparison import Comparison
from stepwell.runtime.context import Context
from stepwell.runtime.logtail import Logs
from stepwell.runtime.loop import Loop
from stepwell.runtime.scheduler import Scheduler
from stepwell.runtime.submissions import Submissions
from stepwell.store import queries


class Engine:
    """Thread-safe; `stop_asked` is called once somebody asks the daemon to end."""

    version = VERSION

    def __init__(self, context: Context, scheduler: Scheduler, loop: Loop, stop_asked: Callable[[], None]) -> None:
        self._context = context
        self._scheduler = scheduler
        self._loop = loop
        self._stop_asked = stop_asked
        self._started_us = now_us()
        self._started = time.monotonic()
        self._touched = time.monotonic()
        self.commits = Commits()
        self.catalog = Catalog(context)
        self.submissions = Submissions(context, self.catalog, scheduler, loop)
        self.views = Views(context.home, context.database, context.store, context.feed)
        self.comparison = Comparison(context.database, context.store)
        self.logs = Logs(context.home, context.database)
        context.feed.listen(self.commits.happened)

    def touched(self) -> None:
        """Somebody asked something."""
        self._touched = time.monotonic()

    def idle_s(self) -> float:
        """Return for how long nobody has asked anything and nothing has run."""
        if self._scheduler.runs:
            self.touched()
        return time.monotonic() - self._touched

    def hello(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "wire": 1,
            "pid": os.getpid(),
            "home": str(self._context.home.root),
            "uptime_s": round(time.monotonic() - self._started, 3),
            "started_us": self._started_us,
            "runs_active": len(self._scheduler.runs),
        }

    def stop(self, wait_runs: bool) -> dict[str, Any]:
        """End the daemon. Steps go on under their shims unless `wait_runs` asks to refuse while any run."""
        if wait_runs and self._scheduler.runs:
            raise ConflictError(f"{len(self._scheduler.runs)} runs are under way", code="runs_active")
        threading.Timer(0.05, self._stop_asked).start()  # after this reply has left
        return {}

    def status(self) -> dict[str, Any]:
        live = self._loop.call(self._live)
        assert isinstance(live, dict)
        runs = []
        for run_id, waits in live["waits"].items():
            row = self.views.run(run_id)
            row.pop("warnings")
            runs.append({**row, "waits": waits})
        machine = self._context.machine
        return {
            "daemon": self.hello(),
            "runs": runs,
            "machine": {
                "cpus": machine.cpus,
                "memory_mib": machine.memory_mib,
                "cpus_used": live["cpus"],
                "memory_used_mib": live["memory_mib"],
            },
            "seq": self._context.feed.last_seq,
        }

    def _live(self) -> dict[str, Any]:
        """On the loop's thread."""
        holdings = self._scheduler.dispatch.holdings()
        return {
            "waits": {
                run.id: [
                    {"step": step.spec.key, "reason": step.waits}
                    for step in run.steps.values()
                    if step.waits and not step.started
                ]
                for run in self._scheduler.runs.values()
            },
            "cpus": sum(holding.cpus for holding in holdings),
            "memory_mib": sum(holding.memory_mib for holding in holdings),
        }

    def cancel(self, ref: str, reason: str) -> dict[str, Any]:
        run_id = self.views.run_id(ref)
        with self._context.database.read() as connection:
            state = queries.run(connection, run_id).state
        if state in RUN_TERMINAL:
            return {"run": run_id, "status": str(state), "already": True}
        status = self._loop.call(partial(self._scheduler.cancel, run_id, reason))
        return {"run": run_id, "status": str(status), "already": False}

    def tag(self, ref: str, body: Mapping[str, Any]) -> dict[str, Any]:
        tags, properties = body.get("tags") or {}, body.get("properties") or {}
        if not isinstance(tags, Mapping) or not isinstance(properties, Mapping):
            raise UsageError("tags and properties must be objects", code="bad_tags")
        fields = {"tags": {str(k): str(v) for k, v in tags.items()}, "properties": dict(properties)}
        event = Event(EventKind.RUN_TAGGED, now_us(), fields, run=self.views.run_id(ref))
        self._context.writer.emit(event).result()
        return {}

    def run_metrics(self, ref: str) -> dict[str, Any]:
        self._ingest()
        with self._context.database.read() as connection:
            run = queries.find_run(connection, ref, None)
            return {"metrics": _series(queries.metrics(connection, None, run.id))}

    def step_metrics(self, step_run: str) -> dict[str, Any]:
        """Return what a step logged, by name; a reused step shows the original's."""
        self._ingest()
        with self._context.database.read() as connection:
            step = queries.step(connection, step_run)
            return {"metrics": _series(queries.metrics(connection, step.reused_from or step.id, None))}

    def _ingest(self) -> None:
        """Take in what running steps have written up to now, so that whoever asks sees it."""
        if self._scheduler.runs:
            self._loop.call(self._scheduler.tracking.read_all)
            self._context.writer.emit().result()

    def doctor(self) -> dict[str, Any]:
        return {"checks": doctor.checks(self._context)}


def _series(points: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for point in points:
        series = found.setdefault(point.name, {"kind": point.kind, "points": []})
        series["points"].append({"step": point.step, "time_us": point.time_us, "value": point.value})
    return found
