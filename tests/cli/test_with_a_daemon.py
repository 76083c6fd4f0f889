"""The command line in front of a real daemon: how soon output appears, and what a kill -9 costs."""

from __future__ import annotations

import os
import shlex
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepwell.core.spec import StepSpec
from stepwell.paths import Home
from support.command_line import stepwell
from support.live import Live, python, shell
from support.pseudo_terminal import PseudoTerminal
from support.realparts import find
from support.waiting import wait_until

LINES = 8
SOON_S = 0.25
COMMAND = (sys.executable, "-c", "from stepwell.cli.main import main; main()")
PYTHON_STEP = f"""\
import time
for _ in range({LINES}):
    print(time.monotonic_ns())
    time.sleep(0.1)
"""
C_STEP = f"""\
#include <stdio.h>
#include <time.h>
#include <unistd.h>
int main(void) {{
    struct timespec now;
    for (int i = 0; i < {LINES}; i++) {{
        clock_gettime(CLOCK_MONOTONIC, &now);
        printf("%lld\\n", now.tv_sec * 1000000000LL + now.tv_nsec);
        fflush(stdout);
        usleep(100000);
    }}
    return 0;
}}
"""


@pytest.fixture
def live(home: Home) -> Iterator[Live]:
    with Live(home) as running:
        yield running


def _terminal(*words: str) -> PseudoTerminal:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "STEPWELL_HOME")}
    return PseudoTerminal([*COMMAND, *words], {**kept, "TERM": "xterm", "LC_ALL": "C.UTF-8"})


def _compiled(folder: Path) -> str:
    compiler = find("cc")
    assert compiler is not None
    (folder / "step.c").write_text(C_STEP)
    subprocess.run([compiler, "-o", str(folder / "step"), str(folder / "step.c")], check=True)
    return shlex.quote(str(folder / "step"))


@pytest.mark.alone
@pytest.mark.parametrize("language", ["python", pytest.param("c", marks=pytest.mark.real("cc"))])
def test_what_a_step_writes_appears_within_a_quarter_of_a_second(live: Live, tmp_path: Path, language: str) -> None:
    (tmp_path / "step.py").write_text(PYTHON_STEP)
    step: StepSpec = (
        python("step", tmp_path, "step.py") if language == "python" else shell("step", f"exec {_compiled(tmp_path)}")
    )
    run = live.submit(step)

    arrived: list[int] = []
    with _terminal("logs", "-f", run, "step") as terminal:
        while len(arrived) < LINES:
            whole = terminal.wait_for_lines(len(arrived) + 1, within_s=20)
            arrived += [time.monotonic_ns()] * (whole - len(arrived))
        assert terminal.wait_for_end() == 0
        written = [int(line) for line in terminal.screen().split()]

    delays_s = [(seen - said) / 1e9 for seen, said in zip(arrived, written, strict=True)]
    # The median: a buffer anywhere on the way would delay every line, a busy machine delays some.
    assert statistics.median(delays_s) < SOON_S, delays_s


def test_following_a_run_survives_a_daemon_that_is_killed(live: Live, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    run = live.submit(shell("step", f"echo before; read word < {gate}; echo after"))

    with _terminal("logs", "-f", run) as terminal:
        terminal.wait_for("step │ before")
        os.kill(int(live.client.get("/v1/hello")["pid"]), signal.SIGKILL)
        wait_until(lambda: _answers(live), within_s=20)
        gate.write_text("go\n")
        code = terminal.wait_for_end(20)
        lines = terminal.screen().splitlines()

    assert (code, lines) == (0, ["step │ before", "step │ after"])
    assert live.ended(run)["status"] == "Finished"


def _answers(live: Live) -> bool:
    return bool(live.client.get("/v1/hello"))


def test_a_run_is_canceled_shown_and_explained(live: Live) -> None:
    finished = live.run(shell("quick", "true"))
    run = live.submit(shell("quick", "true"), shell("held", "exec sleep 600"))
    live.in_state(run, "held", "Running")

    said = stepwell("cancel", "last", "-w", "test")
    live.ended(run)

    shown = stepwell("show", run, "--json").data
    assert said.code == 0
    assert (shown["status"], [step["status"] for step in shown["steps"]]) == ("Canceled", ["Finished", "Canceled"])
    why = stepwell("why", run, "quick", "--json").data
    assert why["verdict"] == "reuse"
    assert why["reason"].startswith(f"same as run {finished['number']}, ")
    assert stepwell("cancel", run).code == 3
    assert stepwell("logs", run, "quick").out == ""


def test_starting_and_stopping_say_what_they_do(home: Home) -> None:
    started = stepwell("daemon", "start")
    again = stepwell("daemon", "start")
    state = stepwell("daemon", "status", "--json").data
    stopped = stepwell("daemon", "stop")

    assert started.err == f"the daemon runs: pid {state['pid']}, home {home.root}\n"
    assert again.err == f"the daemon was running already: pid {state['pid']}, home {home.root}\n"
    assert (state["home"], state["runs_active"]) == (str(home.root), 0)
    assert stopped.err == "the daemon has stopped\n"
    assert stepwell("daemon", "status").code == 4
    assert "stopped" in stepwell("daemon", "logs", "-n", "5").out


def test_two_that_need_a_daemon_at_once_get_the_same_one(home: Home) -> None:
    words = [*COMMAND, "daemon", "start"]
    both = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(3)]

    said = [process.communicate()[1] for process in both]

    assert [process.returncode for process in both] == [0, 0, 0]
    assert len({line.partition("pid ")[2] for line in said}) == 1


def test_doctor_finds_a_working_machine(home: Home) -> None:
    said = stepwell("doctor", "--json")

    checks = {check["name"]: check for check in said.data["checks"]}
    assert said.code == 0
    assert checks["daemon"]["ok"] and checks["database"]["ok"]
    assert all(check["remedy"] for check in checks.values() if not check["ok"])
