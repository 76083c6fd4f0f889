"""A real daemon in a test's own home, driven through the real client, with pipelines made of commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stepwell.api.client import Client
from stepwell.core.spec import Argument, InputSpec, OutputSpec, PipelineSpec, StepSpec
from stepwell.paths import Home
from support.waiting import wait_until

Json = dict[str, Any]


def shell(
    key: str,
    text: str,
    *,
    reads: Mapping[str, tuple[str, str]] | None = None,
    writes: Iterable[str] = (),
    **fields: Any,
) -> StepSpec:
    """Return a step that runs `text` in a shell. `$in_x` and `$out_y` are the paths of its ports."""
    inputs = tuple(InputSpec(name, step, output) for name, (step, output) in (reads or {}).items())
    outputs = tuple(OutputSpec(name) for name in writes)
    words: list[Argument] = []
    for port in inputs:
        words += [Argument(text=f"in_{port.name}="), Argument(input=port.name), Argument(text="; ")]
    for out in outputs:
        words += [Argument(text=f"out_{out.name}="), Argument(output=out.name), Argument(text="; ")]
    return replace(
        StepSpec(key=key, name=key, kind="command", settings={"shell": True}),
        arguments=(*words, Argument(text=text)),
        inputs=inputs,
        outputs=outputs,
        **fields,
    )


def python(key: str, folder: Path, script: str, *words: str, **fields: Any) -> StepSpec:
    """Return a step that runs a Python script of `folder`."""
    step = StepSpec(key=key, name=key, kind="python_script", settings={"script_name": script})
    arguments = tuple(Argument(text=word) for word in words)
    return replace(step, source_directory=str(folder), arguments=arguments, **fields)


class Live:
    """The daemon of a home. Started on first use."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.client = Client.connect(home)
        self.workspace = self.client.post("/v1/workspaces", {"name": "test", "exist_ok": True})["id"]

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def submission(self, steps: Iterable[StepSpec], **fields: Any) -> Json:
        spec = PipelineSpec(
            name=fields.pop("name", "test"), steps=tuple(steps), parameters=fields.pop("parameters", ())
        )
        variables = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {
            "workspace": self.workspace,
            "experiment": "test",
            "spec": spec.to_wire(),
            "parameters": fields.pop("values", {}),
            "client": {"python": sys.executable, "cwd": os.getcwd(), "environment": variables, "pass_env": {}},
            "options": fields,
        }

    def submit(self, *steps: StepSpec, **fields: Any) -> str:
        """Submit a run and return its id. `fields`: options, and `values`, `parameters`, `name`."""
        run: str = self.client.post("/v1/runs", self.submission(steps, **fields))["run"]
        return run

    def plan(self, *steps: StepSpec, **fields: Any) -> dict[str, Json]:
        answer = self.client.post("/v1/plan", self.submission(steps, **fields))
        return {step["key"]: step for step in answer["steps"]}

    def run(self, *steps: StepSpec, **fields: Any) -> Json:
        """Submit a run and return it once it has ended."""
        return self.ended(self.submit(*steps, **fields))

    def show(self, run: str) -> Json:
        return self.client.get(f"/v1/runs/{run}")

    def ended(self, run: str, within_s: float = 30) -> Json:
        return wait_until(lambda: self._if_ended(run), within_s=within_s)

    def _if_ended(self, run: str) -> Json | None:
        shown = self.show(run)
        return shown if shown["status"] in ("Finished", "Failed", "Canceled") else None

    def step(self, run: str, key: str) -> Json:
        """Return a step of a run; {} while the run is not planned yet."""
        found: Json = next((step for step in self.show(run)["steps"] if step["key"] == key), {})
        return found

    def in_state(self, run: str, key: str, state: str, within_s: float = 20) -> Json:
        """Wait for a step to be in `state` and return it."""
        return wait_until(
            lambda: step if (step := self.step(run, key)).get("status") == state else None, within_s=within_s
        )

    def log(self, run: str, key: str) -> str:
        step = self.step(run, key)
        return self.client.log(step["step_run"], 0, 1 << 20).data.decode(errors="replace")
