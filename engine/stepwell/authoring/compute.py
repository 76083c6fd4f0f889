"""`ComputeTarget`: where a step runs. For now all of them are on this machine.

`local` is this machine. An AmlCompute is a named pool on it: at most `max_nodes` steps of that
name run at a time. What describes a cluster (sizes of virtual machines, priorities, networks,
administrators) is accepted, shown again and means nothing here.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

from stepwell.api import wire
from stepwell.authoring.compute_status import AmlComputeProvisioningConfiguration, AmlComputeStatus, ScaleSettings
from stepwell.authoring.later import Later
from stepwell.authoring.parameters import PipelineParameter
from stepwell.errors import ComputeTargetException, unknown

if TYPE_CHECKING:
    from stepwell.authoring.workspace import Workspace

Json = dict[str, Any]
LOCAL = "local"
_CLUSTER = "this machine is the only node"
_IDENTITY = "steps run with the rights of the user who submits"


class ComputeTarget:
    """`ComputeTarget(workspace, name)` returns the compute target of that name.

    Raises ComputeTargetException for a name that the workspace does not know (SDK reference,
    `ComputeTarget`).
    """

    attach = Later("ComputeTarget.create with AmlCompute.provisioning_configuration makes a pool on this machine")
    detach = Later("delete() removes a pool")
    deserialize = Later("ComputeTarget(workspace, name)")
    type: ClassVar[str] = "Unknown"

    workspace: Workspace
    name: str

    def __new__(cls, workspace: Workspace, name: str) -> ComputeTarget:
        found = known(workspace)
        if name not in found:
            missing = unknown("compute target", name, set(found))
            raise ComputeTargetException(missing.message, hint=missing.hint, code=missing.code)
        made = found[name]
        if not isinstance(made, cls):
            raise ComputeTargetException(
                f"the compute target {name!r} is a {made.type}, not a {cls.__name__}", code="compute_kind"
            )
        return made

    def __init__(self, workspace: Workspace, name: str) -> None:
        """All is done in `__new__`: the class depends on what is registered."""

    @classmethod
    def _of(cls, workspace: Workspace, row: Json) -> ComputeTarget:
        made = object.__new__(cls)
        made.workspace = workspace
        made._take(row)
        return made

    def _take(self, row: Json) -> None:
        self._row = row
        self.name = row["name"]

    @staticmethod
    def create(
        workspace: Workspace, name: str, provisioning_configuration: AmlComputeProvisioningConfiguration
    ) -> ComputeTarget:
        """Make a named pool on this machine and return it; it is ready at once.

        The same name again gets the new configuration. Raises ComputeTargetException for one that
        cannot be, and ConflictError for the name `local`.
        """
        if not isinstance(provisioning_configuration, AmlComputeProvisioningConfiguration):
            raise ComputeTargetException(
                f"cannot provision from a {type(provisioning_configuration).__name__}",
                hint="AmlCompute.provisioning_configuration(vm_size='STANDARD_D2', max_nodes=4)",
                code="compute_config",
            )
        provisioning_configuration.validate()
        body = {"name": name, "kind": AmlCompute.type, "config": provisioning_configuration.to_wire()}
        return AmlCompute._of(workspace, workspace.client.post(_route(workspace), body))

    @staticmethod
    def list(workspace: Workspace) -> Targets:
        """Return the compute targets of a workspace, `local` first."""
        return [*known(workspace).values()]

    @property
    def id(self) -> str:
        return str(self._row["id"])

    @property
    def location(self) -> str:
        return LOCAL

    @property
    def provisioning_state(self) -> str:
        """`Succeeded`: what is registered is ready."""
        return str(self._row["state"])

    @property
    def provisioning_errors(self) -> None:
        """Nothing has to be provisioned, so nothing fails."""
        return None

    @property
    def cluster_resource_id(self) -> str:
        return self.id

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._row["config"].get("tags") or {})

    @property
    def description(self) -> str | None:
        value = self._row["config"].get("description")
        return None if value is None else str(value)

    def get_status(self) -> Any:
        """Return the state of the compute target: for this machine a word, for an AmlCompute its status."""
        return self.provisioning_state

    def refresh_state(self) -> None:
        """Read the configuration again. Raises ComputeTargetException when it has been deleted."""
        self._take(ComputeTarget(self.workspace, self.name)._row)

    def wait_for_completion(self, show_output: bool = False, is_delete_operation: bool = False) -> None:
        """Return at once: there is nothing to wait for. With `show_output` the state is printed."""
        if show_output:
            _say(f"{self.provisioning_state}\n{self.name} is ready")

    def delete(self) -> None:
        """Remove the pool. Runs that use it go on. Raises NotFoundError for `local`."""
        self.workspace.client.delete(_route(self.workspace, self.name))

    def serialize(self) -> Json:
        """Return the compute target as plain data."""
        return {
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "location": self.location,
            "provisioningState": self.provisioning_state,
            "provisioningErrors": None,
            "description": self.description,
            "tags": self.tags,
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class LocalTarget(ComputeTarget):
    """This machine itself, with all its processors and memory."""

    type: ClassVar[str] = "Local"


class AmlCompute(ComputeTarget):
    """A named pool on this machine: at most `max_nodes` steps at a time, as many as fit where that is None."""

    type: ClassVar[str] = "AmlCompute"

    add_identity = Later(_IDENTITY)
    remove_identity = Later(_IDENTITY)
    list_nodes = Later(_CLUSTER)
    list_quotas = Later(_CLUSTER)
    list_usages = Later(_CLUSTER)
    update_quotas = Later(_CLUSTER)
    supported_vmsizes = Later("any vm_size is accepted, and means nothing here")
    get_active_runs = Later("Experiment.get_runs lists runs with their status")

    def __new__(cls, workspace: Workspace, name: str) -> AmlCompute:
        made = super().__new__(cls, workspace, name)
        assert isinstance(made, AmlCompute)
        return made

    @staticmethod
    def provisioning_configuration(
        vm_size: str = "",
        vm_priority: str = "dedicated",
        min_nodes: int = 0,
        max_nodes: int | None = None,
        idle_seconds_before_scaledown: int = 1800,
        admin_username: str | None = None,
        admin_user_password: str | None = None,
        admin_user_ssh_key: str | None = None,
        vnet_resourcegroup_name: str | None = None,
        vnet_name: str | None = None,
        subnet_name: str | None = None,
        tags: dict[str, str] | None = None,
        description: str | None = None,
        remote_login_port_public_access: str = "NotSpecified",
        identity_type: str | None = None,
        identity_id: object = None,
        location: str | None = None,
        enable_node_public_ip: bool = True,
    ) -> AmlComputeProvisioningConfiguration:
        """Return what `ComputeTarget.create` takes. Of all this, `max_nodes` decides something here.

        Administrators, networks, identities and locations are accepted and not kept.
        """
        return AmlComputeProvisioningConfiguration(
            vm_size=vm_size,
            vm_priority=vm_priority,
            min_nodes=min_nodes,
            max_nodes=max_nodes,
            idle_seconds_before_scaledown=idle_seconds_before_scaledown,
            tags=tags,
            description=description,
        )

    @property
    def vm_size(self) -> str:
        return str(self._row["config"].get("vm_size") or "")

    @property
    def scale_settings(self) -> ScaleSettings:
        return self.status.scale_settings

    @property
    def status(self) -> AmlComputeStatus:
        """What the pool is like now."""
        return AmlComputeStatus.of(self._row)

    def get_status(self) -> AmlComputeStatus:
        self.refresh_state()
        return self.status

    def get(self) -> Json:
        """Return the pool as plain data, with its scale settings."""
        return {**self.serialize(), "vmSize": self.vm_size, "scaleSettings": self.scale_settings.serialize()}

    def update(
        self,
        min_nodes: int | None = None,
        max_nodes: int | None = None,
        idle_seconds_before_scaledown: int | None = None,
    ) -> None:
        """Change how many steps may run at a time; what is not given stays. Holds for runs submitted later."""
        given = {
            "min_nodes": min_nodes,
            "max_nodes": max_nodes,
            "idle_seconds_before_scaledown": idle_seconds_before_scaledown,
        }
        config = self._row["config"] | {name: value for name, value in given.items() if value is not None}
        wanted = AmlComputeProvisioningConfiguration(**config)
        made = ComputeTarget.create(self.workspace, self.name, wanted)
        self._take(made._row)

    def wait_for_completion(  # type: ignore[override]  # the SDK's own order of arguments
        self,
        show_output: bool = False,
        min_node_count: int | None = None,
        timeout_in_minutes: float = 25,
        is_delete_operation: bool = False,
    ) -> None:
        """Return at once: the pool is there when it is created. Nothing is waited for, whatever is asked."""
        super().wait_for_completion(show_output, is_delete_operation)


Targets = list[ComputeTarget]


def known(workspace: Workspace) -> dict[str, ComputeTarget]:
    """Return the compute targets of a workspace by name."""
    rows = workspace.client.get(_route(workspace))["computes"]
    return {row["name"]: _class_of(row)._of(workspace, row) for row in rows}


def target_name(target: object) -> str | None:
    """Return the name of a compute target given as an object, a name, or a tuple of name and type.

    Raises TypeError for anything else.
    """
    if target is None or isinstance(target, str):
        return target or None
    if isinstance(target, ComputeTarget):
        return target.name
    if isinstance(target, tuple) and target and isinstance(target[0], str):
        return target[0]
    if isinstance(target, PipelineParameter):
        raise TypeError("a compute_target cannot be a PipelineParameter for this kind of step")
    raise TypeError(f"a compute_target is a compute target, its name, or a tuple of name and type, not {target!r}")


def _class_of(row: Json) -> type[ComputeTarget]:
    return LocalTarget if row["kind"] == LOCAL else AmlCompute


def _route(workspace: Workspace, *name: str) -> str:
    return wire.route("workspaces", workspace.id, "computes", *name)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
