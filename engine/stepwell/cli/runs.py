"""`stepwell runs` and `stepwell show`: what has run."""

from __future__ import annotations

from typing import Any

import click

from stepwell.api import wire
from stepwell.api.client import Client
from stepwell.cli import options, words
from stepwell.cli.lookup import chosen, find_run
from stepwell.cli.marks import shown, step_mark
from stepwell.cli.output import here, print_json
from stepwell.cli.output import show as print_lines
from stepwell.cli.reports import plain_run, summary
from stepwell.cli.tables import table
from stepwell.cli.terminal import Terminal, visible
from stepwell.errors import from_wire
from stepwell.ids import now_us

Json = dict[str, Any]
LIST_SHOWN = 5  # items of a metric that is a list
_COLORS = {"Finished": "green", "Failed": "red", "Canceled": "yellow", "Running": "blue"}


@click.command()
@click.option("--experiment", "-e", metavar="NAME", help="Only the runs of this experiment.")
@click.option("--limit", "-n", default=20, show_default=True, type=click.IntRange(1), help="How many.")
@options.workspace
@options.as_json
def runs(experiment: str | None, limit: int, workspace: str | None, as_json: bool) -> None:
    """List runs, the newest first.

    Those of this folder's workspace; those of all workspaces where the folder belongs to none.
    """
    with Client.connect() as client:
        found = client.get("/v1/runs", workspace=chosen(workspace), experiment=experiment, limit=limit)["runs"]
    if as_json:
        print_json({"runs": found})
    elif found:
        print_lines(run_rows(found, here()))
    else:
        print_lines(["no runs yet"])


def run_rows(found: list[Json], terminal: Terminal) -> list[str]:
    """Return a line a run, under a line of headings."""
    rows = [
        [
            str(run["number"]),
            run["status"],
            words.clock(run["submitted_us"]),
            words.duration(words.elapsed(run["submitted_us"], run["ended_us"], now_us())),
            f"{run['ran']} ran, {run['reused']} reused"
            + "".join(f", {run[word]} {word}" for word in ("failed", "skipped") if run[word]),
            run["experiment"],
            run["workspace_name"],
        ]
        for run in found
    ]
    heads = ["RUN", "STATUS", "SUBMITTED", "TOOK", "STEPS", "EXPERIMENT", "WORKSPACE"]
    lines = table(rows, terminal, heads=heads)
    for number, run in enumerate(found, start=1):
        word = run["status"]
        lines[number] = lines[number].replace(word, terminal.paint(word, _COLORS.get(word)), 1)
    return lines


@click.command()
@options.run()
@options.workspace
@options.as_json
def show(run: str, workspace: str | None, as_json: bool) -> None:
    """Show one run: its parameters, steps, outputs, metrics and warnings.

    RUN is a number, `last`, an id or the beginning of one.
    """
    with Client.connect() as client:
        found = find_run(client, run, workspace)
        if as_json:
            print_json(plain_run(found))
            return
        metrics = {
            step["key"]: client.get(wire.route("step_runs", step["step_run"], "metrics"))["metrics"]
            for step in found["steps"]
            if step["attempts"] or step["reused"]
        }
        metrics[""] = client.get(wire.route("runs", found["run"], "metrics"))["metrics"]
    print_lines(_details(found, metrics, here()))


def _details(run: Json, metrics: dict[str, Json], terminal: Terminal) -> list[str]:
    lines = [
        f"{summary(run)}",
        f"id          {run['run']}",
        f"workspace   {visible(run['workspace_name'])}",
        f"experiment  {visible(run['experiment'])}",
        f"file        {visible(run['file'] or '-')}",
        f"submitted   {words.clock(run['submitted_us'])}",
    ]
    if run["parameters"]:
        lines.append("parameters  " + ", ".join(visible(f"{n}={v}") for n, v in run["parameters"].items()))
    if run["tags"]:
        lines.append("tags        " + ", ".join(visible(f"{n}={v}") for n, v in run["tags"].items()))
    lines += [f"warning     {visible(text)}" for text in run.get("warnings") or ()]
    if run["error"]:
        lines += ["", *str(from_wire(run["error"])).splitlines()]
    if run["steps"]:
        lines += ["", *_steps(run, terminal)]
    for title, rows in (("outputs", _outputs(run)), ("metrics", _metrics(metrics))):
        if rows:
            lines += ["", terminal.paint(title.upper(), "dim"), *table(rows, terminal)]
    return lines


def _steps(run: Json, terminal: Terminal) -> list[str]:
    rows = [
        [
            shown(step_mark(step), _colorless(terminal)),
            step["key"],
            words.duration(step["duration_s"]),
            words.duration((step.get("resources") or {}).get("cpu_s")),
            _why(step),
        ]
        for step in run["steps"]
    ]
    lines = table(rows, terminal, heads=["STATE", "STEP", "TOOK", "CPU", "WHY"])
    for number, step in enumerate(run["steps"], start=1):
        state = rows[number - 1][0]
        lines[number] = terminal.paint(state, step_mark(step).color) + lines[number][len(state) :]
    return lines


def _colorless(terminal: Terminal) -> Terminal:
    return Terminal(terminal.width, terminal.height, False, terminal.unicode, terminal.live)


def _why(step: Json) -> str:
    message = (step.get("error") or {}).get("message")
    return str(message or step["reason"] or "")


def _outputs(run: Json) -> list[list[str]]:
    return [
        [step["key"], output["name"], words.size(output["bytes"]), output["path"]]
        for step in run["steps"]
        for output in step["outputs"]
    ]


def _metrics(metrics: dict[str, Json]) -> list[list[str]]:
    """Return the last value of each metric; one with several points says how many."""
    rows = []
    for key, found in metrics.items():
        for name, metric in sorted(found.items()):
            points = metric["points"]
            if points:
                note = "" if len(points) == 1 else f"the last of {len(points)}"
                rows.append([key, name, _short(points[-1]["value"]), note])
    return rows


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ", ".join(f"{name}={_short(item)}" for name, item in value.items())
    if isinstance(value, list):
        shown = ", ".join(_short(item) for item in value[:LIST_SHOWN])
        return f"[{shown}]" if len(value) <= LIST_SHOWN else f"[{shown}, ... {len(value)} in all]"
    return str(value)
