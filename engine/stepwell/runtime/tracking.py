"""What steps say about themselves while they run: metrics, tags, properties, a wish to cancel.

Steps append lines to files in their attempt's folder. We read whole lines from a remembered byte
and store the cursor with the rows, in one transaction, so that nothing is lost or counted twice,
whoever dies. While attempts run their files are looked at once a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from stepwell.core.events import Event, EventKind
from stepwell.ids import now_us
from stepwell.runtime.active import LiveRun, LiveStep
from stepwell.runtime.context import Context
from stepwell.runtime.loop import Loop
from stepwell.runtime.notes import read_lines

EVERY_S = 1.0


@dataclass(slots=True)
class _Followed:
    run: LiveRun
    step: LiveStep
    folder: Path
    positions: dict[str, int]


class Tracking:
    """Follows the files of running attempts. Methods run on the loop's thread."""

    def __init__(self, context: Context, loop: Loop, cancel: Callable[[str, str], object]) -> None:
        self._context = context
        self._loop = loop
        self._followed: dict[str, _Followed] = {}
        self._ticking = False
        self._cancel = cancel

    def follow(self, attempt: str, run: LiveRun, step: LiveStep, positions: Mapping[str, int]) -> None:
        """Read the attempt's files from `positions` (file name -> byte) on."""
        folder = self._context.home.attempt(attempt)
        self._followed[attempt] = _Followed(run, step, folder, dict(positions))
        if not self._ticking:
            self._ticking = True
            self._loop.later(EVERY_S, self._tick)

    def finish(self, attempt: str) -> None:
        """Read what is left and stop following."""
        if attempt in self._followed:
            self.read(attempt)
            del self._followed[attempt]

    def read(self, attempt: str) -> None:
        """Emit what the attempt's files hold beyond the cursors."""
        followed = self._followed[attempt]
        for name in ("metrics.jsonl", "notes.jsonl"):
            position = followed.positions.get(name, 0)
            parse = _point if name == "metrics.jsonl" else _note
            lines = read_lines(followed.folder / name, position, parse)
            if lines.position == position:
                continue
            followed.positions[name] = lines.position
            cursor = {"file": f"{attempt}/{name}", "position": lines.position}
            translate = self._metrics if name == "metrics.jsonl" else self._notes
            self._loop.emit(*translate(followed, lines.items, cursor))
            if lines.broken:
                text = f"{lines.broken} unreadable lines in its {name}"
                self._loop.emit(followed.run.event(EventKind.WARNING, now_us(), {"text": text}, followed.step))

    def _metrics(self, followed: _Followed, items: tuple[dict[str, Any], ...], cursor: dict[str, Any]) -> list[Event]:
        own = [_without_parent(item) for item in items if not item["parent"]]
        parents = [_without_parent(item) for item in items if item["parent"]]
        now = now_us()
        kind = EventKind.METRIC_LOGGED
        events = [followed.run.event(kind, now, {"points": own, "cursor": cursor}, followed.step)]
        if parents:
            events.append(followed.run.event(kind, now, {"points": parents, "cursor": None}))
        return events

    def _notes(self, followed: _Followed, items: tuple[dict[str, Any], ...], cursor: dict[str, Any]) -> list[Event]:
        """Notes are {"op": "tag" | "properties" | "cancel", "parent": bool, ...}; see `stepwell_step.run`."""
        events: list[Event] = []
        run, step, now = followed.run, followed.step, now_us()
        for item in items:
            if item["op"] == "cancel":
                self._loop.post(partial(self._cancel, run.id, f"canceled by step {step.spec.key!r}"))
                continue
            body = {"tags": item["tags"], "properties": item["properties"]}
            if item["parent"]:
                events.append(run.event(EventKind.RUN_TAGGED, now, body))
            else:
                events.append(run.event(EventKind.STEP_TAGGED, now, body, step))
        events.append(run.event(EventKind.METRIC_LOGGED, now, {"points": [], "cursor": cursor}, step))
        return events

    def read_all(self) -> None:
        for attempt in list(self._followed):
            self.read(attempt)

    def _tick(self) -> None:
        self._ticking = False
        self.read_all()
        if self._followed:
            self._ticking = True
            self._loop.later(EVERY_S, self._tick)


def _point(item: dict[str, Any]) -> dict[str, Any]:
    """Return a point as events carry it. Raises where the line says something impossible."""
    step = item.get("s")
    return {
        "name": str(item["n"]),
        "kind": str(item.get("k", "scalar")),
        "step": None if step is None else int(step),
        "time_us": int(item.get("t") or now_us()),
        "value": item.get("v"),
        "parent": bool(item.get("parent")),
    }


def _without_parent(point: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in point.items() if name != "parent"}


def _note(item: dict[str, Any]) -> dict[str, Any]:
    """Return a note with text for tags, and objects where objects belong. Raises where it is none."""
    tags, properties = item.get("tags") or {}, item.get("properties") or {}
    return {
        "op": str(item.get("op")),
        "parent": bool(item.get("parent")),
        "tags": {str(key): str(value) for key, value in tags.items()},
        "properties": {str(key): value for key, value in properties.items()},
    }
