"""`stepwell logs`: what steps wrote, as they wrote it.

One step's log is printed byte for byte. Several are printed line by line, each line behind the
name of its step. With -f the daemon holds the question until there are new bytes, so they appear
as they arrive; a daemon that is restarted in between is waited for.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import click

from stepwell.api import wire
from stepwell.api.client import Client
from stepwell.cli import options, words
from stepwell.cli.lookup import find_run, find_step
from stepwell.cli.output import here, say
from stepwell.cli.progress import STARTED, Progress, Row
from stepwell.cli.stream import follow as follow_run
from stepwell.cli.stream import until_planned
from stepwell.cli.terminal import columns, visible
from stepwell.core.states import RUN_TERMINAL, STEP_TERMINAL
from stepwell.errors import StepwellError, UsageError

Json = dict[str, Any]
Write = Callable[[bytes], None]
WAIT_S = 20.0  # one question for more bytes lasts so long
RETRY_LOOK_S = 0.1  # how often we look whether a step is tried again
CHUNK = 1 << 20


@click.command()
@options.run()
@options.step(required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on until the step or the run has ended.")
@click.option("--stream", type=click.Choice(["all", "out", "err"]), default="all", help="Only what went there.")
@click.option("--attempt", type=click.IntRange(1), metavar="N", help="One attempt of a step that was tried again.")
@options.workspace
def logs(run: str, step: str | None, follow: bool, stream: str, attempt: int | None, workspace: str | None) -> None:
    """Print what the steps of a run wrote: of STEP alone, or of all that ran.

    A reused STEP shows the log of the run that its result comes from.
    """
    with Client.connect() as client:
        found = find_run(client, run, workspace)
        if follow:
            found = until_planned(client, found)
        if step is None and attempt is not None:
            raise UsageError(
                "an attempt belongs to one step",
                hint=f"stepwell logs {run} STEP --attempt {attempt}",
                code="no_step",
            )
        if step is None:
            _several(client, found, stream, follow)
            return
        chosen = find_step(found, step)
        if chosen["reused"]:
            say(f"step '{visible(chosen['key'])}' was reused; this is its log of run {chosen['reused_run']}")
        if attempt is None and follow and not chosen["reused"]:
            tail(client, chosen["step_run"], stream, _raw)
        else:
            copy(client, chosen["step_run"], stream, attempt, WAIT_S if follow else 0.0, _raw)


def _raw(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def copy(client: Client, step_run: str, stream: str, attempt: int | None, wait_s: float, write: Write) -> None:
    """Write one attempt's log (the last one's for None); with `wait_s`, go on until no more will come."""
    offset = 0
    number = None if attempt is None else str(attempt)
    while True:
        chunk = client.log(step_run, offset, CHUNK, wait_s, stream=stream, attempt=number)
        if chunk.data:
            write(chunk.data)
        if chunk.done or (wait_s == 0 and chunk.next_offset == offset):
            return
        offset = chunk.next_offset


def tail(client: Client, step_run: str, stream: str, write: Write) -> None:
    """Write a step's log as it grows until the step has ended: every attempt's, one after the other."""
    number = 1
    while True:
        copy(client, step_run, stream, number, WAIT_S, write)
        while True:
            step = client.get(wire.route("step_runs", step_run))
            if step["attempts"] > number:
                break
            if step["status"] in STEP_TERMINAL:
                return
            time.sleep(RETRY_LOOK_S)
        number += 1
        say(f"step '{visible(step['key'])}' is tried again, attempt {number}")


class _Prefixed:
    """Writes whole lines behind the name of their step. Thread-safe together with the other steps'."""

    def __init__(self, key: str, width: int, lock: threading.Lock, *, safe: bool) -> None:
        bar = "│" if here().unicode else "|"
        name = visible(key)
        self._prefix = _encoded(f"{name}{' ' * (width - columns(name))} {bar} ")
        self._lock = lock
        self._safe = safe
        self._rest = b""

    def write(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._put(lines)

    def close(self) -> None:
        if self._rest:
            self._put([self._rest])
            self._rest = b""

    def _put(self, lines: list[bytes]) -> None:
        if not lines:
            return
        if self._safe:  # a terminal is not for several steps' escape sequences
            lines = [_encoded(visible(line.decode("utf-8", "replace"))) for line in lines]
        text = b"".join(self._prefix + line + b"\n" for line in lines)
        with self._lock:
            _raw(text)


def _encoded(text: str) -> bytes:
    return text.encode(sys.stdout.encoding or "utf-8", "backslashreplace")


def _several(client: Client, run: Json, stream: str, follow: bool) -> None:
    reused = sum(step["reused"] for step in run["steps"])
    if reused:
        say(f"{words.count(reused, 'step')} of run {run['number']} reused an earlier result and wrote nothing")
    logs_of_run = _Logs(client, run, stream)
    if follow:
        logs_of_run.follow()
    else:
        logs_of_run.print_all()


class _Logs:
    """The logs of a run's steps that ran in it, on one stdout."""

    def __init__(self, client: Client, run: Json, stream: str) -> None:
        self._client = client
        self._run = run
        self._stream = stream
        self._lock = threading.Lock()
        self._safe = sys.stdout.isatty()
        self._width = max((columns(visible(step["key"])) for step in run["steps"]), default=0)
        self._threads: dict[str, threading.Thread] = {}
        self._ended: set[str] = set()  # steps that had ended before we came; printed in order
        self._errors: list[StepwellError | OSError] = []

    def print_all(self) -> None:
        for step in self._run["steps"]:
            self._print(step)

    def _print(self, step: Json) -> None:
        if step["attempts"]:
            lines = self._lines(step["key"])
            copy(self._client, step["step_run"], self._stream, None, 0.0, lines.write)
            lines.close()

    def follow(self) -> None:
        for step in self._run["steps"]:
            if step["status"] in STEP_TERMINAL:
                self._ended.add(step["step_run"])
                self._print(step)
        if self._run["status"] in RUN_TERMINAL:
            return
        try:
            follow_run(self._client, self._run["run"], changed=self._changed)
            for thread in self._threads.values():
                thread.join()
        except KeyboardInterrupt:
            self._lock.acquire()  # for good: nobody may hold stdout while the interpreter goes down
            raise
        if self._errors:
            raise self._errors[0]

    def _changed(self, progress: Progress, row: Row) -> None:
        if row.state in STARTED and row.step_run not in self._threads and row.step_run not in self._ended:
            thread = threading.Thread(target=self._tail, args=(row.key, row.step_run), daemon=True)
            self._threads[row.step_run] = thread
            thread.start()

    def _tail(self, key: str, step_run: str) -> None:
        lines = self._lines(key)
        try:
            tail(self._client, step_run, self._stream, lines.write)
        except (StepwellError, OSError) as error:
            self._errors.append(error)
        lines.close()

    def _lines(self, key: str) -> _Prefixed:
        return _Prefixed(key, self._width, self._lock, safe=self._safe)
