"""Workspaces, experiments, compute targets."""

from __future__ import annotations

import sqlite3

from stepwell.errors import UsageError
from stepwell.store.encoding import bound, object_of
from stepwell.store.records import ComputeRecord, ExperimentRecord, WorkspaceRecord

_WORKSPACE = "SELECT id, name, root, created_us FROM workspace"
_EXPERIMENT = "SELECT id, workspace_id, name, created_us FROM experiment WHERE workspace_id = ?"


def workspaces(connection: sqlite3.Connection) -> list[WorkspaceRecord]:
    """Return all workspaces, oldest first."""
    return [WorkspaceRecord(*row) for row in connection.execute(f"{_WORKSPACE} ORDER BY created_us, id")]


def workspace(connection: sqlite3.Connection, id_or_name: str) -> WorkspaceRecord | None:
    """Return the workspace of that id, else of that name, else None.

    Raises UsageError where several folders have workspaces of that name.
    """
    wanted = bound(id_or_name)
    rows = connection.execute(f"{_WORKSPACE} WHERE id = CAST(? AS TEXT)", (wanted,)).fetchall()
    if not rows:
        by_name = f"{_WORKSPACE} WHERE name = CAST(? AS TEXT) ORDER BY created_us, id"
        rows = connection.execute(by_name, (wanted,)).fetchall()
    if len(rows) > 1:
        ids = ", ".join(f"{row[0]} ({row[2] or 'no folder'})" for row in rows)
        raise UsageError(
            f"{len(rows)} workspaces are named {id_or_name!r}",
            hint=f"use the id of one: {ids}",
            code="ambiguous_workspace",
        )
    return WorkspaceRecord(*rows[0]) if rows else None


def experiments(connection: sqlite3.Connection, workspace_id: str) -> list[ExperimentRecord]:
    """Return the experiments of a workspace, oldest first."""
    rows = connection.execute(f"{_EXPERIMENT} ORDER BY created_us, id", (workspace_id,))
    return [ExperimentRecord(*row) for row in rows]


def experiment(connection: sqlite3.Connection, workspace_id: str, name: str) -> ExperimentRecord | None:
    statement = f"{_EXPERIMENT} AND name = CAST(? AS TEXT)"
    row = connection.execute(statement, (workspace_id, bound(name))).fetchone()
    return None if row is None else ExperimentRecord(*row)


def computes(connection: sqlite3.Connection, workspace_id: str) -> list[ComputeRecord]:
    """Return the compute targets registered in a workspace, oldest first. `local` is not among them."""
    rows = connection.execute(
        "SELECT id, workspace_id, name, kind, config, created_us FROM compute_target"
        " WHERE workspace_id = ? ORDER BY created_us, name",
        (workspace_id,),
    )
    return [
        ComputeRecord(identity, workspace_id, name, kind, object_of(config), created_us)
        for identity, workspace_id, name, kind, config, created_us in rows
    ]
