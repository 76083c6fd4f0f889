"""From a pipeline file to a run that has ended: what `run` and `demo` share."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepwell.api import wire
from stepwell.api.client import Client
from stepwell.cli import cpu, live, words
from stepwell.cli.marks import WORD_WIDTH, shown
from stepwell.cli.output import here, print_json, say, show
from stepwell.cli.progress import BROKEN, Progress, Row
from stepwell.cli.reports import exit_code, failure, plain_run, summary
from stepwell.cli.stream import follow, until_ended
from stepwell.cli.terminal import Terminal, visible
from stepwell.ids import now_us

Json = dict[str, Any]
INTERRUPTED = 130
FRAME_S = 0.25  # between two pictures when nothing happens
CPU_EVERY_S = 1.0
KEY_WIDTH = 20


def start(client: Client, submission: Mapping[str, Any]) -> Json:
    """Submit a run; return its `run`, `number` and `workspace`. It is committed when this returns."""
    return client.post("/v1/runs", submission)


def watch(client: Client, submitted: Json, title: str, *, as_json: bool) -> int:
    """Follow a run to its end on stdout; return the exit code. Ctrl-C leaves it running."""
    run_id, number = submitted["run"], submitted["number"]
    terminal = here()
    try:
        if as_json:
            until_ended(client, run_id)
        elif terminal.live:
            _LiveView(client, run_id, f"run {number}").follow()
        else:
            print(f"run {number} of {visible(title)}", flush=True)
            _plainly(client, run_id, terminal)
        run = client.get(wire.route("runs", run_id), view="brief")
    except KeyboardInterrupt:
        say(f"\nrun {number} goes on: stepwell cancel {number} ends it, stepwell logs -f {number} follows it")
        return INTERRUPTED
    report = failure(client, run, Terminal.of(sys.stderr) if as_json else terminal)
    if as_json:
        print_json(plain_run(run))
        for line in report:
            say(line)
    else:
        show([f"warning: {visible(text)}" for text in run.get("warnings") or ()])
        show([*report, summary(run)])
    return exit_code(run)


def _plainly(client: Client, run_id: str, terminal: Terminal) -> None:
    """A line for each start and each end of a step."""

    def changed(progress: Progress, row: Row) -> None:
        line = _line(row, terminal)
        if line is not None:
            print(line, flush=True)

    follow(client, run_id, changed=changed)


def _line(row: Row, terminal: Terminal) -> str | None:
    took = words.elapsed(row.started_us, row.ended_us, row.ended_us or 0)
    if row.state == "Running" or (row.state == "Queued" and row.tries):
        detail = row.reason
    elif not row.over:
        return None
    elif row.state in BROKEN:
        detail = f"{row.message or row.reason}, after {words.duration(took)}"
    elif row.reused or row.state != "Finished":
        detail = row.reason
    else:
        detail = f"in {words.duration(took)}"
    key = terminal.pad(visible(row.key), max(KEY_WIDTH, len(visible(row.key))))
    return f"{key}  {shown(row.mark, terminal, WORD_WIDTH)}  {visible(detail)}".rstrip()


class _LiveView:
    """A run on a terminal: painted when something happens, and four times a second for the clocks."""

    def __init__(self, client: Client, run_id: str, title: str) -> None:
        self._client = client
        self._run_id = run_id
        self._title = title
        self._painter = live.Painter(sys.stdout)
        self._cpu_at = 0.0

    def follow(self) -> None:
        follow(self._client, self._run_id, changed=_nothing, tick=self._tick, tick_s=FRAME_S)

    def _tick(self, progress: Progress) -> None:
        if time.monotonic() - self._cpu_at >= CPU_EVERY_S:
            self._cpu_at = time.monotonic()
            running = {row.pid: row for row in progress.rows.values() if row.pid and not row.over}
            for pid, used_s in cpu.of_sessions(set(running)).items():
                running[pid].cpu_s = used_s
        terminal = here()  # anew each time: terminals change their size
        self._painter.paint(live.picture(progress, terminal, self._title, now_us()), terminal.width)


def _nothing(progress: Progress, row: Row) -> None:
    """The picture is painted from all rows at once."""


def detached(submitted: Json, *, as_json: bool) -> int:
    """Say which run is on its way."""
    if as_json:
        print_json({"run": submitted["run"], "number": submitted["number"]})
    else:
        number = submitted["number"]
        show([f"run {number} is on its way; `stepwell logs -f {number}` follows it"])
    return 0


def quoted(path: Path) -> str:
    """Return a path as a shell takes it."""
    return shlex.quote(str(path))
