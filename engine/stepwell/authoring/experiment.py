"""`Experiment`: a name that runs are gathered under, and what submits them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, overload

from stepwell.api import wire
from stepwell.authoring.later import Later, no_others, not_yet
from stepwell.authoring.pipeline import Pipeline
from stepwell.authoring.script_run_config import ScriptRunConfig

if TYPE_CHECKING:
    from stepwell.authoring.pipeline_run import PipelineRun
    from stepwell.authoring.runs import Run
    from stepwell.authoring.script_run import ScriptRun
    from stepwell.authoring.workspace import Workspace


class Experiment:
    """`Experiment(workspace, name)`; it comes into being with its first run.

    Raises ValueError for a name that is no text. What else a name may not be, the daemon says at
    the first submit.
    """

    archive = Later("leave it; experiments are only names")
    delete = Later("leave it; experiments are only names")
    from_directory = Later("Experiment(Workspace.from_config(), name)")
    reactivate = Later("submit to it")
    remove_tags = Later("tag the runs: submit(..., tags={...})")
    set_tags = Later("tag the runs: submit(..., tags={...})")
    tag = Later("tag the runs: submit(..., tags={...})")
    start_logging = Later("submit a ScriptRunConfig, and log with Run.get_context() in the script")

    def __init__(self, workspace: Workspace, name: str, **kwargs: object) -> None:
        no_others("Experiment", kwargs)
        if not isinstance(name, str) or not name:
            raise ValueError(f"an Experiment needs a name, not {name!r}")
        self.workspace = workspace
        self.name = name

    @property
    def workspace_object(self) -> Workspace:
        return self.workspace

    @property
    def id(self) -> str:
        """The id; asking for it makes the experiment where it does not exist yet."""
        route = wire.route("workspaces", self.workspace.id, "experiments")
        return str(self.workspace.client.post(route, {"name": self.name})["id"])

    @property
    def tags(self) -> dict[str, str]:
        """Experiments have no tags; their runs do."""
        return {}

    @overload
    def submit(self, config: Pipeline, tags: Mapping[str, str] | None = None, **kwargs: Any) -> PipelineRun: ...

    @overload
    def submit(self, config: ScriptRunConfig, tags: Mapping[str, str] | None = None, **kwargs: Any) -> ScriptRun: ...

    def submit(
        self, config: Pipeline | ScriptRunConfig, tags: Mapping[str, str] | None = None, **kwargs: Any
    ) -> PipelineRun | ScriptRun:
        """Submit a Pipeline or a ScriptRunConfig; return the PipelineRun or ScriptRun once it is committed.

        For a Pipeline: `pipeline_parameters` (name -> value, converted to the type of the default),
        `continue_on_step_failure` (False: the first failure ends the run), `regenerate_outputs` (True:
        every step runs). `credential_passthrough` is accepted and means nothing here. Raises
        UsageError for what cannot work: cycles, unknown names, a script that is not there.
        """
        from stepwell.authoring.submit import submit_pipeline, submit_script

        if kwargs.pop("parent_run_id", None) is not None:
            raise not_yet("submit(parent_run_id=...)", "submit it as a run of its own")
        kwargs.pop("credential_passthrough", None)
        if isinstance(config, ScriptRunConfig):
            no_others("submit", kwargs)
            return submit_script(self, config, tags)
        if not isinstance(config, Pipeline):
            raise TypeError(f"an Experiment submits a Pipeline or a ScriptRunConfig, not {config!r}")
        return submit_pipeline(self, config, tags, **kwargs)

    def get_runs(
        self,
        type: str | None = None,  # noqa: A002  # the SDK's name
        tags: Mapping[str, str] | str | None = None,
        properties: Mapping[str, str] | str | None = None,
        include_children: bool = False,
    ) -> Iterator[Run]:
        """Yield the runs, newest first; with `include_children` each followed by its step runs.

        `type` is `azureml.PipelineRun`, `azureml.scriptrun` or `azureml.StepRun`. `tags` and `properties`:
        a name that must be there, or a dict of names and values.
        """
        from stepwell.authoring.runs import Run

        return Run.list(self, type, tags, properties, include_children=include_children)

    @staticmethod
    def list(
        workspace: Workspace,
        experiment_name: str | None = None,
        view_type: str = "ActiveOnly",
        tags: Mapping[str, str] | None = None,
    ) -> Experiments:
        """Return the experiments of a workspace, or the one of that name. None is archived, none has tags."""
        rows = workspace.client.get(wire.route("workspaces", workspace.id, "experiments"))["experiments"]
        names = [row["name"] for row in rows]
        return [Experiment(workspace, name) for name in names if not tags and experiment_name in (None, name)]

    def refresh(self) -> None:
        """Nothing to do: whatever is asked is read from the daemon."""

    def __repr__(self) -> str:
        return f"Experiment(name={self.name!r}, workspace={self.workspace.name!r})"


Experiments = list[Experiment]
