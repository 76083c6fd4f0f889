"""`stepwell why`: the reason of a verdict, in the words of the planner that took it."""

from __future__ import annotations

from typing import Any

import click

from stepwell.api import wire
from stepwell.api.client import Client
from stepwell.cli import options
from stepwell.cli.lookup import find_run, find_step
from stepwell.cli.output import here, print_json, show
from stepwell.cli.tables import table
from stepwell.cli.terminal import Terminal, visible
from stepwell.cli.words import short_digests

FIELDS = ("verdict", "reason", "changed", "compared_with")
NOTHING = "-"


@click.command()
@options.run()
@options.step(required=True)
@options.workspace
@options.as_json
def why(run: str, step: str, workspace: str | None, as_json: bool) -> None:
    """Say why STEP ran in RUN, or why an earlier result was taken, with everything that differs."""
    with Client.connect() as client:
        found = find_run(client, run, workspace)
        chosen = find_step(found, step)
        reason = client.get(wire.route("step_runs", chosen["step_run"], "why"))
    if as_json:
        print_json({name: reason[name] for name in FIELDS})
        return
    show(_lines(found, chosen, reason, here()))


def _lines(run: dict[str, Any], step: dict[str, Any], reason: dict[str, Any], terminal: Terminal) -> list[str]:
    verbs = {"run": "ran", "reuse": "was reused", "wait": "waits", "skip": "was skipped"}
    done = verbs.get(reason["verdict"], "is undecided") if reason["verdict"] else step["status"].lower()
    lines = [visible(f"step '{step['key']}' of run {run['number']} {done}: {reason['reason']}")]
    if reason["changed"]:
        compared = reason.get("compared_run")
        lines.append(f"against run {compared}:" if compared else "what differs:")
        rows = [
            [change["part"], change["item"], _value(change["before"]), _value(change["after"])]
            for change in reason["changed"]
        ]
        lines += [f"  {line}" for line in table(rows, terminal, heads=["PART", "ITEM", "BEFORE", "AFTER"])]
    return lines


def _value(value: Any) -> str:
    return NOTHING if value is None else short_digests(str(value))
