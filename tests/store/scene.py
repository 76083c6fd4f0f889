"""A workspace with one experiment, and short words for the events about its runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stepwell.core.events import Event, EventKind
from stepwell.store import journal
from store.ledger import in_memory

HELD = {"pool": "local", "cpus": 1.0, "memory_mib": 64, "gpus": ["GPU-1"]}


def event(what: EventKind, /, run: str | None = None, step: str | None = None, time_us: int = 1, **body: Any) -> Event:
    return Event(what, time_us, body, run=run, step_run=step)


def place(name: str = "w", title: str = "ada", root: str | None = None, time_us: int = 1) -> list[Event]:
    """A workspace named `title` with id `name`, and its experiment "digits"."""
    return [
        event(EventKind.WORKSPACE_REGISTERED, time_us=time_us, id=name, name=title, root=root),
        event(EventKind.EXPERIMENT_CREATED, id=f"{name}-digits", workspace_id=name, name="digits"),
    ]


def submitted(run: str, where: str = "w", experiment: str = "digits", time_us: int = 10, **body: Any) -> Event:
    known = {
        "number": None,
        "workspace_id": where,
        "experiment_id": f"{where}-{experiment}",
        "name": "digits",
        "spec": {"v": 1},
        "parameters": {"epochs": 5},
        "options": {"force": True},
        "client": {"python": "/usr/bin/python3"},
        "file": "/p.py",
        "resumed_from": None,
        "tags": {"by": "ada"},
    }
    return event(EventKind.RUN_SUBMITTED, run, time_us=time_us, **{**known, **body})


def planned(run: str, step: str, key: str = "train", time_us: int = 20, **body: Any) -> Event:
    known = {"key": key, "name": key, "kind": "python_script", "position": 0, "state": "NotStarted"}
    return event(EventKind.STEP_PLANNED, run, step, time_us, **{**known, **body})


def moved(run: str, step: str, *states: str, time_us: int = 30, **body: Any) -> list[Event]:
    return [event(EventKind.STEP_CHANGED, run, step, time_us, state=state, **body) for state in states]


def prepared(run: str, step: str, attempt: str, number: int = 1, time_us: int = 40) -> Event:
    body = {"id": attempt, "number": number, "folder": f"attempts/{attempt}", "placement": HELD}
    return event(EventKind.ATTEMPT_PREPARED, run, step, time_us, **body)


def made(run: str, step: str, name: str, digest: str) -> list[Event]:
    """An output, with the artifact that it is."""
    common: dict[str, Any] = {"digest": digest, "kind": "file", "files": 1, "bytes": 3}
    return [
        event(EventKind.ARTIFACT_STORED, run, step, **common, objects=[[f"o-{digest}", 3]]),
        event(EventKind.OUTPUT_PUBLISHED, run, step, **common, name=name, datastore_path=f"azureml/{step}/{name}"),
    ]


def finished(run: str, step: str, fingerprint: str, recipe: str, time_us: int = 50) -> list[Event]:
    """A step that was resolved, ran, made the output "model" and may be reused."""
    verdict: dict[str, Any] = {
        "verdict": "run",
        "reason": "no earlier result of this step",
        "manifest": {"key": {"v": fingerprint}},
    }
    return [
        event(EventKind.STEP_RESOLVED, run, step, fingerprint=fingerprint, recipe=recipe, **verdict),
        *moved(run, step, "Queued", "Preparing", "Running", "Finalizing", time_us=time_us),
        *made(run, step, "model", f"digest-of-{step}"),
        event(EventKind.CACHE_STORED, run, step, time_us, fingerprint=fingerprint, recipe=recipe),
        *moved(run, step, "Finished", time_us=time_us),
    ]


@contextmanager
def told(*events: Event) -> Iterator[sqlite3.Connection]:
    """Yield a database in memory in which these things have happened."""
    with in_memory() as connection:
        journal.append(connection, [*place(), *events])
        yield connection
