"""`stepwell cancel`: the end of a run, asked for."""

from __future__ import annotations

import click

from stepwell.api import wire
from stepwell.api.client import Client
from stepwell.cli import options
from stepwell.cli.lookup import find_run
from stepwell.cli.output import print_json, say
from stepwell.core.states import RUN_TERMINAL
from stepwell.errors import ConflictError


@click.command()
@options.run()
@click.option("--reason", default="canceled by you", show_default=True, help="What the run will say.")
@options.workspace
@options.as_json
def cancel(run: str, reason: str, workspace: str | None, as_json: bool) -> None:
    """End a run: its steps get TERM and, ten seconds later, KILL. What has finished stays reusable."""
    with Client.connect() as client:
        found = find_run(client, run, workspace)
        if found["status"] in RUN_TERMINAL:
            raise ConflictError(
                f"run {found['number']} has ended already: {found['status']}",
                hint="stepwell status",
                code="run_ended",
            )
        reply = client.post(wire.route("runs", found["run"], "cancel"), {"reason": reason})
    if as_json:
        print_json({"run": found["run"], "number": found["number"], "status": reply["status"]})
    else:
        number = found["number"]
        say(f"run {number} is being canceled; `stepwell show {number}` shows what is left of it")
