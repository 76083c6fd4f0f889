"""Workspaces, experiments and compute targets."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from stepwell.core.events import Event
from stepwell.store.encoding import bound, to_json

_WORKSPACE = """
    INSERT INTO workspace (id, name, root, created_us) VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), ?)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, root = excluded.root
"""
_EXPERIMENT = """
    INSERT INTO experiment (id, workspace_id, name, created_us) VALUES (?, ?, CAST(? AS TEXT), ?)
    ON CONFLICT DO NOTHING
"""
_COMPUTE = """
    INSERT INTO compute_target (id, workspace_id, name, kind, config, created_us)
    VALUES (?, ?, CAST(? AS TEXT), ?, ?, ?)
    ON CONFLICT (workspace_id, name)
    DO UPDATE SET id = excluded.id, kind = excluded.kind, config = excluded.config
"""


def workspaces_registered(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """Make workspaces; one that is there gets the name and the root it has now."""
    connection.executemany(
        _WORKSPACE,
        [(e.body["id"], bound(e.body["name"]), bound(e.body["root"]), e.time_us) for e in events],
    )


def experiments_created(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """Make experiments. Of two askers for one name the first wins, and both read its row."""
    connection.executemany(
        _EXPERIMENT,
        [(e.body["id"], e.body["workspace_id"], bound(e.body["name"]), e.time_us) for e in events],
    )


def computes_registered(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """Make compute targets; one of that name gets the new configuration."""
    for event in events:
        body = event.body
        values = (
            body["id"],
            body["workspace_id"],
            bound(body["name"]),
            body["kind"],
            to_json(body["config"]),
            event.time_us,
        )
        connection.execute(_COMPUTE, values)


def computes_removed(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    connection.executemany(
        "DELETE FROM compute_target WHERE workspace_id = ? AND name = CAST(? AS TEXT)",
        [(e.body["workspace_id"], bound(e.body["name"])) for e in events],
    )
