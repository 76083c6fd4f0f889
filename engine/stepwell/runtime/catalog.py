"""Workspaces, experiments and compute targets: looking them up and registering them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepwell.core.allocator import Pool
from stepwell.core.events import Event, EventKind
from stepwell.errors import ConflictError, UsageError, unknown
from stepwell.ids import new_id, now_us
from stepwell.runtime.context import Context
from stepwell.store import queries
from stepwell.store.records import ComputeRecord, WorkspaceRecord

NAME_LIMIT = 255
LOCAL = "local"


class Catalog:
    """Thread-safe: reads on the caller's connection, writes through the one writer."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def find(self, name_or_id: str) -> WorkspaceRecord:
        """Return the workspace of that id or name. Raises NotFoundError naming those there are."""
        with self._context.database.read() as connection:
            found = queries.workspace(connection, name_or_id)
            if found is not None:
                return found
            raise unknown("workspace", name_or_id, [record.name for record in queries.workspaces(connection)])

    def workspaces(self) -> dict[str, Any]:
        with self._context.database.read() as connection:
            return {"workspaces": [_workspace(record) for record in queries.workspaces(connection)]}

    def workspace(self, name_or_id: str) -> dict[str, Any]:
        return _workspace(self.find(name_or_id))

    def register_workspace(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make a workspace, or return the one there is when `exist_ok`. A moved one gets its new path."""
        name = _name("workspace", body.get("name"))
        wanted, root = body.get("id"), body.get("root")
        with self._context.database.read() as connection:
            known = queries.workspace(connection, str(wanted)) if wanted else None
            same = known or next((w for w in queries.workspaces(connection) if w.name == name and not wanted), None)
        if same is not None:
            if not body.get("exist_ok"):
                raise ConflictError(f"there is a workspace named {name!r} already", code="workspace_exists")
            if root is None or same.root == root:
                return _workspace(same)
        event = Event(
            EventKind.WORKSPACE_REGISTERED,
            now_us(),
            {"id": same.id if same else wanted or new_id(), "name": name, "root": root},
        )
        self._context.writer.emit(event).result()
        return self.workspace(event.body["id"])

    def experiments(self, workspace: str) -> dict[str, Any]:
        record = self.find(workspace)
        with self._context.database.read() as connection:
            found = queries.experiments(connection, record.id)
        return {"experiments": [{"id": item.id, "name": item.name, "created_us": item.created_us} for item in found]}

    def create_experiment(self, workspace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        name = _name("experiment", body.get("name"))
        record = self.find(workspace)
        return {"id": self.experiment(record.id, name), "name": name}

    def experiment(self, workspace_id: str, name: str) -> str:
        """Return the id of an experiment, making it where it is not there yet."""
        _name("experiment", name)
        with self._context.database.read() as connection:
            found = queries.experiment(connection, workspace_id, name)
        if found is not None:
            return found.id
        body = {"id": new_id(), "workspace_id": workspace_id, "name": name}
        self._context.writer.emit(Event(EventKind.EXPERIMENT_CREATED, now_us(), body)).result()
        with self._context.database.read() as connection:
            made = queries.experiment(connection, workspace_id, name)
        assert made is not None  # of two askers one row wins, and both read it here
        return made.id

    def computes(self, workspace: str) -> dict[str, Any]:
        record = self.find(workspace)
        local = {"id": LOCAL, "name": LOCAL, "kind": "local", "config": {}, "state": "Succeeded"}
        with self._context.database.read() as connection:
            found = queries.computes(connection, record.id)
        return {"computes": [local, *(_compute(item) for item in found if item.name != LOCAL)]}

    def register_compute(self, workspace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make a named pool on this machine. Registering the same name again replaces its configuration."""
        name = _name("compute target", body.get("name"))
        if name == LOCAL:
            raise ConflictError("'local' is this machine itself and cannot be replaced", code="compute_reserved")
        config = body.get("config") or {}
        if not isinstance(config, Mapping):
            raise UsageError("the configuration of a compute target must be an object", code="bad_compute")
        record = self.find(workspace)
        event = Event(
            EventKind.COMPUTE_REGISTERED,
            now_us(),
            {
                "id": new_id(),
                "workspace_id": record.id,
                "name": name,
                "kind": str(body.get("kind") or "aml_compute"),
                "config": dict(config),
            },
        )
        self._context.writer.emit(event).result()
        found = next(item for item in self.computes(record.id)["computes"] if item["name"] == name)
        assert isinstance(found, dict)
        return found

    def remove_compute(self, workspace: str, name: str) -> dict[str, Any]:
        record = self.find(workspace)
        known = [item["name"] for item in self.computes(record.id)["computes"]]
        if name not in known or name == LOCAL:
            raise unknown("compute target", name, known)
        body = {"workspace_id": record.id, "name": name}
        self._context.writer.emit(Event(EventKind.COMPUTE_REMOVED, now_us(), body)).result()
        return {}

    def pools(self, workspace_id: str) -> dict[str, Pool]:
        """Return the pools a run of this workspace may name, `local` among them."""
        with self._context.database.read() as connection:
            found = queries.computes(connection, workspace_id)
        return {LOCAL: Pool(LOCAL, None)} | {item.name: pool_of(workspace_id, item) for item in found}


def pool_of(workspace_id: str, record: ComputeRecord) -> Pool:
    """Return the pool a compute target stands for: `max_nodes` steps at a time."""
    width = record.config.get("max_nodes")
    return Pool(record.name, int(width) if width else None)


def _name(what: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"a {what} needs a name, not {value!r}", code="bad_name")
    if len(value) > NAME_LIMIT or not value.isprintable() or "/" in value:
        raise UsageError(
            f"{value[:60]!r} cannot be the name of a {what}",
            hint=f"use up to {NAME_LIMIT} printable characters without '/'",
            code="bad_name",
        )
    return value


def _workspace(record: WorkspaceRecord) -> dict[str, Any]:
    return {"id": record.id, "name": record.name, "root": record.root, "created_us": record.created_us}


def _compute(record: ComputeRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "kind": record.kind,
        "config": record.config,
        "state": "Succeeded",
        "created_us": record.created_us,
    }
