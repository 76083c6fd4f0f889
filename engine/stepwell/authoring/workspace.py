"""`Workspace`: where experiments, runs and compute targets live, under one name."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepwell.api import wire
from stepwell.api.client import Client
from stepwell.authoring import place
from stepwell.authoring.later import Later
from stepwell.authoring.place import Place
from stepwell.errors import ConflictError, NotFoundError, WorkspaceException
from stepwell.paths import Home

if TYPE_CHECKING:
    from stepwell.authoring.compute import ComputeTarget
    from stepwell.authoring.datastores import Datastore
    from stepwell.authoring.experiment import Experiment
    from stepwell.authoring.runs import Run

LOCAL = "local"  # what stands for a subscription, a resource group and a location
Json = dict[str, Any]
_DATA = "pass data between steps as PipelineData"
_CLOUD = "leave it out; everything is on this machine"


class Workspace:
    """`Workspace(subscription_id, resource_group, workspace_name)` opens one that exists.

    Subscription and resource group are kept as they are given and mean nothing here, nor do
    `auth` and `sku`. Raises WorkspaceException for a name that is not known; `Workspace.create`
    makes one. Nothing is asked of the daemon before it is needed.
    """

    datasets = Later(_DATA)
    environments = Later("make an Environment(name) and pass it to the RunConfiguration")
    images = Later(_CLOUD)
    linked_services = Later(_CLOUD)
    models = Later("write models to a PipelineData, and read them with get_output_data")
    private_endpoints = Later(_CLOUD)
    webservices = Later(_CLOUD)
    get_default_keyvault = Later("pass secrets to steps with pass_env")
    get_mlflow_tracking_uri = Later("Run.get_context().log and run.get_metrics")
    set_default_datastore = Later("pass default_datastore to the Pipeline")
    delete = Later("remove the folder's .stepwell; the runs stay")
    update = Later("the fields of a workspace are fixed when it is created")

    def __init__(
        self,
        subscription_id: str | None,
        resource_group: str | None,
        workspace_name: str,
        auth: object = None,
        sku: str = "basic",
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self._open(Place(workspace_name), subscription_id, resource_group, tags)
        try:
            self._take(self.client.get(wire.route("workspaces", workspace_name)))
        except NotFoundError as error:
            raise WorkspaceException(error.message, hint=error.hint, code=error.code) from error

    def _open(
        self,
        where: Place,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self._place = where
        self._name = where.name
        self._row: Json | None = None
        self.subscription_id = subscription_id or LOCAL
        self.resource_group = resource_group or LOCAL
        self.tags = dict(tags or {})
        self.client: Client = Client(Home.from_environment(), start=True)
        weakref.finalize(self, self.client.close)

    def _take(self, row: Json) -> None:
        self._row = row
        self._name = str(row["name"])

    @classmethod
    def _at(
        cls,
        where: Place,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Workspace:
        made = cls.__new__(cls)
        made._open(where, subscription_id, resource_group, tags)
        return made

    @classmethod
    def from_config(cls, path: str | os.PathLike[str] | None = None, auth: object = None) -> Workspace:
        """Return the workspace of the current folder, or of the nearest folder above that is one.

        A folder is one when it holds `.stepwell/config.json`, `config.json` or `.azureml/config.json`;
        where none does, it is the workspace named `default`. In a step it is the workspace of the
        run. `path`: another folder to begin with, or such a file; then something must be found.
        Raises WorkspaceException for a file that names no workspace.
        """
        if path is None and os.environ.get("STEPWELL_WORKSPACE_ID"):
            return cls._at(Place(os.environ.get("STEPWELL_WORKSPACE", ""), os.environ["STEPWELL_WORKSPACE_ID"]))
        start = Path(os.path.abspath(path or os.curdir))
        if path is not None and not start.is_dir():
            return cls._at(place.read(start))
        found = place.nearest(start)
        if found is None and path is not None:
            raise WorkspaceException(
                f"neither {str(start)!r} nor a folder above it is a workspace",
                hint=f"stepwell init {start}",
                code="workspace_config",
            )
        return cls._at(found or Place(place.DEFAULT))

    @classmethod
    def get(
        cls,
        name: str,
        auth: object = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        location: str | None = None,
        cloud: str = "AzureCloud",
        id: str | None = None,  # noqa: A002  # the SDK's name
    ) -> Workspace:
        """Return the workspace of that name, or of that `id`. Raises WorkspaceException for an unknown one."""
        return cls(subscription_id, resource_group, id or name)

    @classmethod
    def create(
        cls,
        name: str,
        auth: object = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        location: str | None = None,
        create_resource_group: bool = True,
        sku: str = "basic",
        tags: Mapping[str, str] | None = None,
        friendly_name: str | None = None,
        storage_account: str | None = None,
        key_vault: str | None = None,
        app_insights: str | None = None,
        container_registry: str | None = None,
        adb_workspace: str | None = None,
        primary_user_assigned_identity: str | None = None,
        cmk_keyvault: str | None = None,
        resource_cmk_uri: str | None = None,
        hbi_workspace: bool = False,
        default_cpu_compute_target: object = None,
        default_gpu_compute_target: object = None,
        private_endpoint_config: object = None,
        private_endpoint_auto_approval: bool = True,
        exist_ok: bool = False,
        show_output: bool = True,
        user_assigned_identity_for_cmk_encryption: str | None = None,
        system_datastores_auth_mode: str = "accessKey",
        v1_legacy_mode: bool | None = None,
    ) -> Workspace:
        """Make a workspace of that name and return it.

        With `exist_ok` one that exists is returned as it is, otherwise it is a WorkspaceException.
        `tags` stay with the returned object. All else describes a cloud and means nothing here.
        """
        made = cls._at(Place(name), subscription_id, resource_group, tags)
        try:
            made._take(made.client.post("/v1/workspaces", {"name": name, "exist_ok": exist_ok}))
        except ConflictError as error:
            raise WorkspaceException(error.message, hint="pass exist_ok=True to use it", code=error.code) from error
        return made

    @classmethod
    def list(
        cls, subscription_id: str | None = None, auth: object = None, resource_group: str | None = None
    ) -> dict[str, Workspaces]:
        """Return all workspaces of the home, in lists by name."""
        asking = cls._at(Place(place.DEFAULT))
        found: dict[str, Workspaces] = {}
        for row in asking.client.get("/v1/workspaces")["workspaces"]:
            one = cls._at(Place(row["name"], row["id"]))
            one._take(row)
            found.setdefault(row["name"], []).append(one)
        return found

    @property
    def row(self) -> Json:
        """The workspace as the daemon knows it; it is made known where it is not yet."""
        if self._row is None:
            self._take(place.register(self.client, self._place))
        assert self._row is not None
        return self._row

    @property
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def name(self) -> str:
        return self._name

    @property
    def location(self) -> str:
        return LOCAL

    @property
    def sku(self) -> str:
        return "basic"

    @property
    def experiments(self) -> dict[str, Experiment]:
        """The experiments by name."""
        from stepwell.authoring.experiment import Experiment

        return {experiment.name: experiment for experiment in Experiment.list(self)}

    @property
    def datastores(self) -> dict[str, Datastore]:
        """The datastores by name: `workspaceblobstore`, the default, and `workspacefilestore`."""
        from stepwell.authoring.datastores import KINDS, Datastore

        return {name: Datastore(self, name) for name in KINDS}

    @property
    def compute_targets(self) -> dict[str, ComputeTarget]:
        """The compute targets by name; `local` is always among them."""
        from stepwell.authoring.compute import known

        return known(self)

    def get_default_datastore(self) -> Datastore:
        from stepwell.authoring.datastores import Datastore

        return Datastore(self)

    def get_default_compute_target(self, type: str = "CPU") -> ComputeTarget:  # noqa: A002  # the SDK's name
        """Return `local`, whatever `type` says."""
        from stepwell.authoring.compute import LOCAL as THIS_MACHINE
        from stepwell.authoring.compute import ComputeTarget

        return ComputeTarget(self, THIS_MACHINE)

    def get_run(self, run_id: str) -> Run:
        """Return a run or a step run of this workspace. Raises NotFoundError."""
        from stepwell.authoring.runs import Run

        return Run.get(self, run_id)

    def get_details(self) -> Json:
        """Return what is known about the workspace as plain data; `creationTime` is RFC 3339."""
        return {
            "id": self.id,
            "workspaceid": self.id,
            "name": self.name,
            "location": self.location,
            "type": "Workspace",
            "sku": self.sku,
            "tags": dict(self.tags),
            "friendlyName": self.name,
            "description": "",
            "creationTime": wire.rfc3339(self.row["created_us"]),
            "root": self.row["root"],
        }

    def write_config(self, path: str | os.PathLike[str] | None = None, file_name: str | None = None) -> None:
        """Make the folder `path` (the current one) belong to this workspace, for `from_config` to find.

        Writes `.stepwell/config.json` there, or another `file_name` that `from_config` is then given.
        The first folder that is written to becomes the folder of the workspace.
        """
        folder = Path(os.path.abspath(path or os.curdir))
        name = file_name or place.OWN.name
        place.write(folder, name, Place(self.name, self.id))
        if self.row["root"] is None and name == place.OWN.name:
            self._take(place.register(self.client, Place(self.name, self.id, folder)))

    def __repr__(self) -> str:
        return f"Workspace(name={self.name!r}, id={self._place.id!r})"


Workspaces = list[Workspace]
