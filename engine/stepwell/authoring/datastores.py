"""`Datastore`: where results are published, by name. The two that every workspace has are folders of the home."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwell.authoring.later import Later
from stepwell.errors import unknown

if TYPE_CHECKING:
    from stepwell.authoring.workspace import Workspace

DEFAULT = "workspaceblobstore"
KINDS = {DEFAULT: "AzureBlob", "workspacefilestore": "AzureFile"}
_OTHERS = "use the workspace's own datastores, or read local files in the step"
_FILES = "read local files in the step; datastores hold the outputs of steps for now"


class Datastore:
    """A datastore of a workspace: `Datastore(workspace, "workspaceblobstore")`.

    Without a name it is the default one. Outputs of steps are published in it at
    `azureml/<step run id>/<output name>`. Raises NotFoundError for a name that is not there.
    """

    register_azure_blob_container = Later(_OTHERS)
    register_azure_data_lake = Later(_OTHERS)
    register_azure_data_lake_gen2 = Later(_OTHERS)
    register_azure_file_share = Later(_OTHERS)
    register_azure_my_sql = Later(_OTHERS)
    register_azure_postgre_sql = Later(_OTHERS)
    register_azure_sql_database = Later(_OTHERS)
    register_dbfs = Later(_OTHERS)
    register_hdfs = Later(_OTHERS)
    set_as_default = Later("pass default_datastore to the Pipeline")
    unregister = Later("every workspace keeps its two datastores")
    upload = Later(_FILES)
    upload_files = Later(_FILES)
    download = Later("PortDataReference.download copies the output of a step")
    path = Later(_FILES)
    as_mount = Later(_FILES)
    as_download = Later(_FILES)
    as_upload = Later(_FILES)

    def __init__(self, workspace: Workspace, name: str | None = None) -> None:
        self.workspace = workspace
        self.name = DEFAULT if name is None else name
        if self.name not in KINDS:
            raise unknown("datastore", self.name, set(KINDS))

    @property
    def datastore_type(self) -> str:
        """`AzureBlob` or `AzureFile`, as the SDK calls the two."""
        return KINDS[self.name]

    @staticmethod
    def get(workspace: Workspace, datastore_name: str) -> Datastore:
        """Return a datastore by its name. Raises NotFoundError."""
        return Datastore(workspace, datastore_name)

    @staticmethod
    def get_default(workspace: Workspace) -> Datastore:
        return Datastore(workspace)

    def __repr__(self) -> str:
        return f"Datastore({self.name!r})"


def datastore_name(datastore: Datastore | str | None) -> str | None:
    """Return the name of a datastore that may be given as its name. Raises NotFoundError for an unknown one."""
    if datastore is None or isinstance(datastore, Datastore):
        return None if datastore is None else datastore.name
    if datastore not in KINDS:
        raise unknown("datastore", str(datastore), set(KINDS))
    return datastore
