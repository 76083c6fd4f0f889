"""A run followed on a real (pseudo) terminal: painted over in place, in any size, dumb or not."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from support.fake_daemon import Asked, FakeDaemon
from support.pseudo_terminal import PseudoTerminal
from support.wire_samples import a_failed_step, a_run, a_step, an_event, events_of

RUN = "0190aaaa-run"
WATCH = (
    "import sys; from stepwell.api.client import Client; from stepwell.paths import Home\n"
    "from stepwell.cli.main import make_streams_safe\n"
    "from stepwell.cli.submit import watch\n"
    "make_streams_safe()\n"
    f"sys.exit(watch(Client(Home.from_environment()), {{'run': {RUN!r}, 'number': 12}}, 'p.py', as_json=False))"
)


class Script:
    """A run that waits for the test between its acts."""

    def __init__(self, daemon: FakeDaemon) -> None:
        self.go_on = threading.Event()
        self._daemon = daemon
        self._acts: Iterator[list[dict[str, Any]]] = iter(())
        self._first: list[dict[str, Any]] = []

    def play(self, first: dict[str, Any], acts: list[list[dict[str, Any]]], last: dict[str, Any]) -> None:
        self._acts = iter(acts)
        self._first = events_of(first)
        self._daemon.on("GET", f"/v1/runs/{RUN}", last)
        self._daemon.on("GET", "/v1/events", self._events)

    def _events(self, asked: Asked) -> dict[str, Any]:
        if self._first:
            first, self._first = self._first, []
            return {"events": first, "seq": first[-1]["seq"]}
        if not self.go_on.wait(float(asked.query["wait_s"])):
            return {"events": [], "seq": int(asked.query["after"])}
        self.go_on.clear()
        events = next(self._acts)
        return {"events": events, "seq": events[-1]["seq"]}


@pytest.fixture
def script(daemon: FakeDaemon) -> Script:
    return Script(daemon)


def _terminal(columns: int = 80, rows: int = 24, **variables: str) -> PseudoTerminal:
    environment = {"PATH": os.environ["PATH"], "STEPWELL_HOME": os.environ["STEPWELL_HOME"]}
    environment |= {"TERM": "xterm", "LC_ALL": "C.UTF-8"} | variables
    return PseudoTerminal([sys.executable, "-c", WATCH], environment, columns, rows)


def test_a_run_is_painted_over_in_place_and_ends_with_its_summary(script: Script) -> None:
    done = a_run(a_step("prep", reused_run=11), a_step("train"))
    ending = [
        an_event(102, "step.changed", "train", state="Finished", reason="r"),
        an_event(103, "run.ended", state="Finished"),
    ]
    script.play(a_run(a_step("prep", reused_run=11), a_step("train", "Running")), [ending], done)

    with _terminal() as terminal:
        terminal.wait_for("run 12: 1 of 2 steps done, 1 under way")
        assert "● running     train" in terminal.screen()
        script.go_on.set()
        code = terminal.wait_for_end()
        lines = terminal.screen().splitlines()

    assert code == 0
    assert lines[0] == "↺ reused      prep                               same as run 11, 3 min ago"
    assert lines[1].startswith("✓ finished    train")
    assert lines[2:] == [
        "run 12 finished in 3.0 s: 1 ran, 1 reused from run 11",
    ]
    assert b"\x1b[36m" in terminal.raw  # colours
    assert b"\x1b[?" not in terminal.raw  # nothing a killed program would leave switched on


def test_ctrl_c_leaves_the_run_alone_and_the_terminal_clean(script: Script, daemon: FakeDaemon) -> None:
    script.play(a_run(a_step("train", "Running")), [], a_run())

    with _terminal() as terminal:
        terminal.wait_for("running     train")
        terminal.press("\x03")
        code = terminal.wait_for_end()

    assert code == 130
    assert "run 12 goes on: stepwell cancel 12 ends it, stepwell logs -f 12 follows it" in terminal.screen()
    assert "Traceback" not in terminal.screen()
    assert not [request for request in daemon.requests if request.method == "POST"]


@pytest.mark.parametrize(("columns", "rows"), [(20, 5), (400, 100), (1, 1)])
def test_any_size_will_do_and_a_change_of_it_as_well(script: Script, columns: int, rows: int) -> None:
    steps = [a_step(f"step-{n}", "Running" if n < 3 else "NotStarted") for n in range(30)]
    ended = [an_event(102, "run.ended", state="Finished")]
    script.play(a_run(*steps), [ended], a_run())

    with _terminal(columns, rows) as terminal:
        terminal.wait_for("run 12")
        terminal.resize(rows, columns)
        script.go_on.set()
        code = terminal.wait_for_end()

    assert code == 0
    assert "Traceback" not in terminal.screen()


def test_a_dumb_terminal_gets_plain_lines(script: Script) -> None:
    script.play(a_run(a_step("train")), [], a_run(a_step("train")))

    with _terminal(TERM="dumb") as terminal:
        code = terminal.wait_for_end()

    assert code == 0
    assert b"\x1b" not in terminal.raw
    assert terminal.screen().splitlines() == [
        "run 12 of p.py",
        "train                 ● running     no earlier result of this step",
        "train                 ✓ finished    in 1.5 s",
        "run 12 finished in 3.0 s: 1 ran, 0 reused",
    ]


def test_no_color_keeps_the_picture_and_leaves_the_colours_out(script: Script) -> None:
    script.play(a_run(a_step("train")), [], a_run(a_step("train")))

    with _terminal(NO_COLOR="1") as terminal:
        terminal.wait_for_end()

    assert b"m" not in b"".join(part[:6] for part in terminal.raw.split(b"\x1b[")[1:])
    assert "✓ finished" in terminal.screen()


def test_a_locale_without_our_marks_gets_ascii(script: Script, daemon: FakeDaemon) -> None:
    failed = a_run(a_failed_step("naïve 名", step_run="odd"))
    script.play(failed, [], failed)
    daemon.on("GET", "/v1/step_runs/odd/log", {})

    with _terminal(LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0") as terminal:
        code = terminal.wait_for_end()

    assert code == 5
    assert terminal.raw.isascii()
    assert "x failed      na\\xefve \\u540d" in terminal.screen()
