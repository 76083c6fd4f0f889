"""`stepwell daemon`: the one process a home has, started by whoever needs it first."""

from __future__ import annotations

import os
import sys
import time

import click

from stepwell import paths
from stepwell.api.client import Client
from stepwell.cli import options, words
from stepwell.cli.output import print_json, say, show
from stepwell.errors import ConflictError, MachineError
from stepwell.paths import Home

FIELDS = ("pid", "home", "version", "uptime_s", "runs_active")
STOP_TIMEOUT_S = 30.0
LOOK_S = 0.02
RUNS_LOOK_S = 0.5
FOLLOW_S = 0.2


@click.group()
def daemon() -> None:
    """Start, stop or look at the daemon. Commands that need it start it themselves."""


@daemon.command()
def start() -> None:
    """Start the daemon, unless it runs."""
    home = Home.from_environment()
    runs = _answers(home)
    with Client.connect(home) as client:
        found = client.get("/v1/hello")
    say(f"the daemon {'was running already' if runs else 'runs'}: pid {found['pid']}, home {found['home']}")


@daemon.command()
@click.option("--wait", is_flag=True, help="Let the active runs end first.")
def stop(wait: bool) -> None:
    """Stop the daemon. Running steps go on; the next command that starts it takes them up again."""
    home = Home.from_environment()
    try:
        with Client.connect(home, start=False) as client:
            found = client.get("/v1/hello")
            while not _asked_to_stop(client, wait):
                time.sleep(RUNS_LOOK_S)
    except MachineError as error:
        if error.code != "no_daemon":
            raise
        say("no daemon is running")
        return
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while _is_there(found["pid"], home):
        if time.monotonic() > deadline:
            raise MachineError(
                f"the daemon (pid {found['pid']}) has not stopped within {STOP_TIMEOUT_S:.0f} s",
                hint="stepwell daemon logs",
                code="daemon_not_stopped",
            )
        time.sleep(LOOK_S)
    active = 0 if wait else found["runs_active"]
    left = f"; the steps of {words.count(active, 'run')} go on without it" if active else ""
    say(f"the daemon has stopped{left}")


def _asked_to_stop(client: Client, wait: bool) -> bool:
    """Ask the daemon to stop; False where it has runs and we are to wait for them."""
    try:
        client.post("/v1/stop", {"wait_runs": wait})
    except ConflictError:
        return False
    return True


@daemon.command()
@options.as_json
def status(as_json: bool) -> None:
    """Show the daemon's pid, home, version, age and active runs. Exit code 4 where none runs."""
    with Client.connect(Home.from_environment(), start=False) as client:
        found = client.get("/v1/hello")
    if as_json:
        print_json({name: found[name] for name in FIELDS})
        return
    up = words.duration(found["uptime_s"])
    show([f"{name:<12} {up if name == 'uptime_s' else found[name]}" for name in FIELDS])


@daemon.command()
@click.option("--lines", "-n", default=50, show_default=True, type=click.IntRange(0), help="How many from the end.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what is written next.")
def logs(lines: int, follow: bool) -> None:
    """Print the end of the daemon's own log. Works whether or not it runs."""
    path = Home.from_environment().log
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise MachineError(
            f"there is no daemon log yet: {str(path)!r}", hint="stepwell daemon start", code="no_log"
        ) from None
    with file:
        ending = file.read().splitlines(keepends=True)[-lines:] if lines else []
        sys.stdout.buffer.write(b"".join(ending))
        file.seek(0, os.SEEK_END)
        while follow:
            sys.stdout.buffer.write(file.read())
            sys.stdout.buffer.flush()
            time.sleep(FOLLOW_S)


def _answers(home: Home) -> bool:
    try:
        paths.connect(home.socket, 1.0).close()
    except OSError:
        return False
    return True


def _is_there(pid: int, home: Home) -> bool:
    """Tell whether that daemon still runs. One that answers under another pid is its successor, not it."""
    if _answers(home):
        return True
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] != b"Z"
    except FileNotFoundError:
        return False
