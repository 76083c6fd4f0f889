"""`stepwell logs`: what steps wrote, as they wrote it.

One step's log is printed byte for byte. Several are printed line by line, each line behind the
name of its step. With -f new bytes are waited for in the daemon, so they appear as they arrive,
and a daemon that is restarted in between is waited for as well.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import click

from stepwell.api.client import Client
from stepwell.cli import options
from stepwell.cli.lookup import find_run, find_step
from stepwell.cli.output import say
from stepwell.cli.progress import Progress, Row
from stepwell.cli.stream import follow as follow_run
from stepwell.cli.terminal import columns, visible
from stepwell.core.states import STEP_TERMINAL
from stepwell.errors import NotFoundError, StepwellError

Json = dict[str, Any]
WAIT_S = 20.0
CHUNK = 1 << 20


@click.command()
@options.run()
@options.step(required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on until the step or run has ended.")
@click.option("--stream", type=click.Choice(["all", "out", "err"]), default="all", help="Only what went there.")
@click.option("--attempt", metavar="N", help="An earlier attempt of a step that was tried again.")
@options.workspace
def logs(run: str, step: str | None, follow: bool, stream: str, attempt: str | None, workspace: str | None) -> None:
    """Print what the steps of a run wrote; all of them, or STEP alone.

    A reused step shows the log of the run that its result comes from.
    """
    with Client.connect() as client:
        found = find_run(client, run, workspace)
        if step is None and len(found["steps"]) == 1:
            step = found["steps"][0]["key"]
        if step is not None:
            chosen = find_step(found, step)
            if chosen["reused"]:
                say(f"step {visible(chosen['key'])!r} was reused: this is its log of run {chosen['reused_run']}")
            _copy(client, chosen, None if stream == "all" else stream, attempt, follow)
        elif attempt is not None:
            raise NotFoundError(
                "an attempt belongs to one step", hint=f"stepwell logs {run} STEP --attempt {attempt}", code="no_step"
            )
        elif follow:
            _Several(client, found, None if stream == "all" else stream).follow()
        else:
            _Several(client, found, None if stream == "all" else stream).print_all()


def _copy(client: Client, step: Json, stream: str | None, attempt: str | None, follow: bool) -> None:
    out = sys.stdout.buffer

    def write(data: bytes) -> None:
        out.write(data)
        out.flush()

    if follow and attempt is None:
        tail(client, step["step_run"], stream, write)
    else:
        _read(client, step["step_run"], stream, attempt, WAIT_S if follow else 0.0, write)


def tail(client: Client, step_run: str, stream: str | None, write: Callable[[bytes], None]) -> None:
    """Write a step's log as it grows, until the step has ended; a retry's log follows that of the try before."""
    number = 1
    while True:
        try:
            _read(client, step_run, stream, str(number), WAIT_S, write)
            number += 1
        except NotFoundError as error:
            if error.code != "unknown_attempt":
                raise
            ...
