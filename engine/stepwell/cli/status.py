"""`stepwell status`: the daemon, the machine, what runs and what it waits for, in one screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stepwell.api.client import Client
from stepwell.authoring.place import nearest
from stepwell.cli import options, words
from stepwell.cli.output import here, print_json, show
from stepwell.cli.progress import STARTED
from stepwell.cli.tables import table
from stepwell.cli.terminal import Terminal, visible
from stepwell.core.states import STEP_TERMINAL
from stepwell.errors import MachineError
from stepwell.ids import now_us
from stepwell.paths import Home

WAITS_SHOWN = 8
LATEST_SHOWN = 5


@click.command()
@options.as_json
def status(as_json: bool) -> None:
    """Show the daemon, what runs, and what it waits for. Starts nothing."""
    state = _ask()
    if as_json:
        print_json(state or {"daemon": None, "runs": [], "machine": None})
        return
    show(_screen(state, here()))


def overview() -> None:
    """What `stepwell` alone shows: the status, and where to read on."""
    show([*_screen(_ask(), here()), "", "stepwell --help lists the commands"])


def _ask() -> dict[str, Any] | None:
    """Return the daemon's state with the latest runs, or None where no daemon runs."""
    try:
        with Client.connect(Home.from_environment(), start=False) as client:
            state = client.get("/v1/status")
            if not state["runs"]:
                state["latest"] = client.get("/v1/runs", limit=LATEST_SHOWN)["runs"]
    except MachineError as error:
        if error.code != "no_daemon":
            raise
        return None
    return state


def _screen(state: dict[str, Any] | None, terminal: Terminal) -> list[str]:
    home = str(Home.from_environment().root)
    place = nearest(Path.cwd())
    here_is = f"{place.name} in {place.root}" if place else "none here, so 'default' (`stepwell init` makes one)"
    if state is None:
        return [
            f"daemon     not running; it starts when it is needed (home {home})",
            f"workspace  {visible(here_is)}",
        ]
    daemon, machine = state["daemon"], state["machine"]
    up = words.duration(daemon["uptime_s"])
    taken, memory = (words.size(machine[name] << 20) for name in ("memory_used_mib", "memory_mib"))
    lines = [
        f"daemon     {daemon['version']}, pid {daemon['pid']}, up {up}, home {home}",
        f"machine    steps hold {machine['cpus_used']:g} of {machine['cpus']:g} cpus, {taken} of {memory} memory",
        f"workspace  {visible(here_is)}",
        "",
    ]
    if state["runs"]:
        for run in state["runs"]:
            lines += _active(run, terminal)
    else:
        lines += _latest(state.get("latest") or [], terminal)
    return lines


def _active(run: dict[str, Any], terminal: Terminal) -> list[str]:
    passed = words.duration(words.elapsed(run["submitted_us"], None, now_us()))
    under_way = sum(step["status"] in STARTED for step in run["steps"])
    ended = sum(step["status"] in STEP_TERMINAL for step in run["steps"])
    done = f"{ended} of {words.count(len(run['steps']), 'step')} done, {under_way} under way"
    lines = [visible(f"run {run['number']} of {run['name']}, {run['status'].lower()} for {passed}: {done}")]
    waits = run.get("waits") or []
    lines += [f"  {row}" for row in table([[w["step"], w["reason"]] for w in waits[:WAITS_SHOWN]], terminal)]
    if len(waits) > WAITS_SHOWN:
        lines.append(f"  and {len(waits) - WAITS_SHOWN} more wait")
    return lines


def _latest(runs: list[dict[str, Any]], terminal: Terminal) -> list[str]:
    if not runs:
        return ["nothing runs, and nothing has run yet: `stepwell demo` shows how it looks"]
    from stepwell.cli.runs import run_rows

    return ["nothing runs; the latest runs:", *run_rows(runs, terminal)]
