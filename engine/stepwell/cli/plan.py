"""`stepwell plan`: what a run would do, and why. The same planner that decides in a run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from stepwell.api.client import Client
from stepwell.cli import options
from stepwell.cli.loading import submission
from stepwell.cli.marks import VERDICTS, shown
from stepwell.cli.output import here, print_json, say, show
from stepwell.cli.tables import table
from stepwell.cli.terminal import Terminal, visible

FIELDS = ("name", "key", "verdict", "reason", "waits_on", "changed")
Json = dict[str, Any]


@click.command()
@options.file
@options.parameters
@click.option("--force", is_flag=True, help="As if every step had to run.")
@click.option("--from", "from_step", metavar="STEP", help="As if STEP and all below it had to run.")
@options.workspace
@options.as_json
def plan(
    file: Path,
    parameters: tuple[str, ...],
    force: bool,
    from_step: str | None,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Say for every step of FILE whether it would run or be reused, and why. Runs nothing."""
    asked = submission(file, parameters, workspace=workspace, force=force, from_step=from_step)
    with Client.connect() as client:
        found = client.post("/v1/plan", asked)
    for text in found.get("warnings") or ():
        say(f"warning: {visible(text)}")
    if as_json:
        print_json({"steps": [{name: step[name] for name in FIELDS} for step in found["steps"]]})
        return
    show(_lines(found["steps"], here()))


def _lines(steps: list[Json], terminal: Terminal) -> list[str]:
    plain = Terminal(terminal.width, terminal.height, False, terminal.unicode, terminal.live)
    rows = [[shown(VERDICTS[step["verdict"]], plain), step["key"], step["reason"]] for step in steps]
    lines = table(rows, terminal)
    for number, step in enumerate(steps):
        word = rows[number][0]
        lines[number] = terminal.paint(word, VERDICTS[step["verdict"]].color) + lines[number][len(word) :]
    counts = Counter(step["verdict"] for step in steps)
    words = {
        "run": "would run",
        "reuse": "would be reused",
        "wait": "not known yet",
        "skip": "would be skipped",
    }
    told = [f"{counts[verdict]} {word}" for verdict, word in words.items() if counts[verdict]]
    return [*lines, "", ", ".join(told) or "no steps"]
