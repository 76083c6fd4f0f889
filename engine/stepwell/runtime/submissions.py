"""What comes in: a submission is checked whole, committed, and only then answered.

Everything that can be known at submit is refused here: a step that cannot work must not wait an
hour behind others before it says so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from stepwell.core.allocator import Pool
from stepwell.core.events import Event, EventKind
from stepwell.core.graph import Graph, coerce_parameters, validate
from stepwell.core.planner import plan
from stepwell.core.spec import PipelineSpec, Scalar
from stepwell.errors import UsageError, closest, unknown
from stepwell.ids import new_id, now_us
from stepwell.runtime.active import LiveRun, LiveStep
from stepwell.runtime.catalog import Catalog
from stepwell.runtime.context import Context
from stepwell.runtime.loop import Loop
from stepwell.runtime.scheduler import Scheduler
from stepwell.store.records import WorkspaceRecord

_FORCING = ("regenerate_outputs", "force", "from_step", "continue_on_step_failure")


@dataclass(frozen=True, slots=True)
class _Checked:
    spec: PipelineSpec
    graph: Graph
    parameters: Mapping[str, Scalar]
    workspace: WorkspaceRecord
    client: Mapping[str, Any]
    options: Mapping[str, Any]
    pools: Mapping[str, Pool]


class Submissions:
    """Thread-safe."""

    def __init__(self, context: Context, catalog: Catalog, scheduler: Scheduler, loop: Loop) -> None:
        self._context = context
        self._catalog = catalog
        self._scheduler = scheduler
        self._loop = loop

    def submit(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Check and commit a run; it starts after this returns. Raises UsageError for what cannot work."""
        checked = self._check(body)
        experiment = str(body.get("experiment") or checked.spec.name)
        experiment_id = self._catalog.experiment(checked.workspace.id, experiment)
        run_id = new_id()
        event = Event(
            EventKind.RUN_SUBMITTED,
            now_us(),
            {
                "number": None,
                "workspace_id": checked.workspace.id,
                "experiment_id": experiment_id,
                "name": checked.spec.name,
                "spec": body["spec"],  # as it came: it was just read back whole
                "parameters": dict(checked.parameters),
                "options": dict(checked.options),
                "client": dict(checked.client),
                "tags": {str(k): str(v) for k, v in (body.get("tags") or {}).items()},
                "file": checked.spec.file,
                "resumed_from": None,
            },
            run=run_id,
        )
        (committed,) = self._context.writer.emit(event).result()
        run = self._live(checked, run_id, committed.body["number"], experiment)
        self._loop.post(partial(self._scheduler.submitted, run))
        return {"run": run_id, "number": run.number, "workspace": checked.workspace.id}

    def plan(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Say what `submit` would do, and why. Runs nothing and stores nothing."""
        checked = self._check(body)
        run = self._live(checked, new_id(), 0, str(body.get("experiment") or ""))
        preparation = self._context.preparation
        run.prepared = preparation.prepare(run.spec, run.parameters, run.client, keep=False)
        recipes = run.prepared.recipes
        run.adopt_steps(
            LiveStep(spec, "", recipes[spec.key], forced=run.forced_reason(spec.key)) for spec in run.spec.steps
        )
        in_flight = self._loop.call(self._scheduler.in_flight)
        assert isinstance(in_flight, dict)
        verdicts = plan(run.plan_facts(in_flight, preparation.previous(run.workspace_id), now_us()))
        steps = [
            {
                "name": spec.name,
                "key": spec.key,
                "verdict": str(verdicts[spec.key].action),
                "reason": verdicts[spec.key].reason,
                "waits_on": list(verdicts[spec.key].waits_on),
                "changed": [change.to_wire() for change in verdicts[spec.key].changed],
                "upstream": sorted(spec.depends_on()),
            }
            for spec in run.spec.steps
        ]
        return {"steps": steps, "warnings": list(run.prepared.warnings)}

    def _live(self, checked: _Checked, run_id: str, number: int, experiment: str) -> LiveRun:
        return LiveRun(
            id=run_id,
            number=number,
            workspace_id=checked.workspace.id,
            workspace=checked.workspace.name,
            experiment=experiment,
            spec=checked.spec,
            graph=checked.graph,
            parameters=checked.parameters,
            client=checked.client,
            options=checked.options,
            pools=checked.pools,
        )

    def _check(self, body: Mapping[str, Any]) -> _Checked:
        spec = PipelineSpec.from_wire(body.get("spec"))
        workspace = self._catalog.find(str(body.get("workspace") or "default"))
        pools = self._catalog.pools(workspace.id)
        graph = validate(spec, pools, self._context.machine)
        parameters = coerce_parameters(spec.parameters, _mapping(body, "parameters"))
        options = _mapping(body, "options")
        for name in options:
            if name not in _FORCING:
                raise unknown("option", name, list(_FORCING))
        origin = options.get("from_step")
        if origin and origin not in graph.order:
            raise unknown("step", str(origin), list(graph.order))
        self._check_steps(spec)
        return _Checked(spec, graph, parameters, workspace, _mapping(body, "client"), options, pools)

    def _check_steps(self, spec: PipelineSpec) -> None:
        folders: set[str] = set()
        for step in spec.steps:
            folder = step.source_directory
            if folder is not None and folder not in folders:
                if not os.path.isdir(folder):
                    parent = os.path.dirname(folder)
                    siblings = [e.name for e in os.scandir(parent) if e.is_dir()] if os.path.isdir(parent) else []
                    raise UsageError(
                        f"step {step.key!r} has the source directory {folder!r}, which is not there",
                        hint=closest(os.path.basename(folder), siblings),
                        code="source_missing",
                    )
                folders.add(folder)
            if step.environment.must_be_built:
                raise UsageError(
                    f"step {step.key!r} needs an environment built for it, and there is no builder yet",
                    hint="set user_managed_dependencies=True to use the interpreter that submits the run",
                    code="environment_unbuilt",
                )
            if step.environment.docker_image is not None:
                raise UsageError(
                    f"step {step.key!r} asks for the container image {step.environment.docker_image!r},"
                    " and this machine has no compute target for containers",
                    hint="leave the image out to run the step as a process",
                    code="containers_missing",
                )
            self._context.types.get(step.kind).check(step)


def _mapping(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name) or {}
    if not isinstance(value, Mapping):
        raise UsageError(f"{name} must be an object, not {value!r}", code="bad_submission")
    return value
