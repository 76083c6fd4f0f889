"""What happens to a run, from its daemon, as it happens: through restarts and dropped connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stepwell.api import wire
from stepwell.api.client import Client
from stepwell.cli.progress import Progress, Row
from stepwell.core.states import RUN_TERMINAL
from stepwell.errors import StepwellError

Json = dict[str, Any]

PAGE = 5000  # events asked for at once
QUIET_S = 20.0  # one question lasts so long where nobody watches the clock


def follow(
    client: Client,
    run: str,
    *,
    changed: Callable[[Progress, Row], None],
    tick: Callable[[Progress], None] = lambda progress: None,
    tick_s: float = QUIET_S,
) -> Progress:
    """Follow a run from its first event until it ends.

    `changed` gets each row that moved, also when that was before we came; `tick` each look at the
    run. Where the first events are no longer kept, we begin with the run as it is now. Raises
    MachineError when the daemon is gone and cannot be brought back.
    """
    progress = Progress()
    tick(progress)
    while not progress.over:
        try:
            page = client.events(progress.seq, run=run, wait_s=tick_s, limit=PAGE)
        except StepwellError as error:
            if error.code != "events_gone":
                raise
            progress = _anew(client, run)
            for row in progress.ordered():
                changed(progress, row)
            continue
        for event in page.events:
            moved = progress.apply(event)
            if moved is not None:
                changed(progress, moved)
        tick(progress)
    return progress


def _anew(client: Client, run: str) -> Progress:
    """Return the run as it is now, to be continued after a number that was taken before we looked."""
    seq = client.get("/v1/status")["seq"]
    progress = Progress.of(client.get(wire.route("runs", run)))
    progress.seq = seq
    return progress


def until_ended(client: Client, run: str) -> None:
    """Wait for the end of a run and nothing else."""
    seq = 0
    while True:
        events = client.events(seq, run, QUIET_S, limit=PAGE, kind="run.ended").events
        if any(event["kind"] == "run.ended" for event in events):
            return
        seq = events[-1]["seq"] if events else seq


def until_planned(client: Client, run: Json) -> Json:
    """Return the run once its steps are known, or once it has ended without any."""
    seq = 0
    while not run["steps"] and run["status"] not in RUN_TERMINAL:
        page = client.events(seq, run["run"], QUIET_S, limit=PAGE)
        seq = page.events[-1]["seq"] if page.events else seq
        run = client.get(wire.route("runs", run["run"]))
    return run
