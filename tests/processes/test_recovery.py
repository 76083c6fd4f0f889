"""Killing what can be killed while a step runs: the step goes on, and the run ends by itself."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from stepwell.errors import MachineError
from support.live import Live, shell
from support.waiting import wait_until


@pytest.fixture
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A FIFO that holds a step until the test opens it."""
    path = tmp_path_factory.mktemp("gate") / "gate"
    os.mkfifo(path)
    return path


def daemon_pid(live: Live) -> int:
    return int(live.client.get("/v1/hello")["pid"])


def another_daemon(live: Live, old: int) -> int:
    """Wait for a daemon that is not the old one; nobody but the launcher starts it."""

    def look() -> int | None:
        try:
            pid = daemon_pid(live)
        except (MachineError, OSError):
            return None
        return pid if pid != old else None

    return wait_until(look, within_s=20)


def open_gate(gate: Path) -> None:
    with gate.open("w") as file:
        file.write("go\n")


def test_a_daemon_killed_in_mid_run_costs_nothing(live: Live, gate: Path) -> None:
    run = live.submit(
        shell("held", f"echo $$ > $out_pid; read word < {gate}; echo $$ >> $out_pid", writes=["pid"]),
        shell("after", "cat $in_pid", reads={"pid": ("held", "pid")}),
    )
    live.in_state(run, "held", "Running")
    old = daemon_pid(live)

    os.kill(old, signal.SIGKILL)
    another_daemon(live, old)
    open_gate(gate)

    ended = live.ended(run)
    assert ended["status"] == "Finished"
    first, second = live.log(run, "after").split()
    assert first == second
    assert ended["steps"][0]["attempts"] == 1


def test_a_step_that_ends_while_no_daemon_is_there_is_finished_as_it_says(live: Live, gate: Path) -> None:
    run = live.submit(shell("held", f"read word < {gate}; exit 7"))
    live.in_state(run, "held", "Running")
    old = daemon_pid(live)
    os.kill(old, signal.SIGKILL)

    open_gate(gate)

    ended = live.ended(run)
    assert another_daemon(live, old) != old
    assert ended["steps"][0]["exit_code"] == 7
    assert ended["steps"][0]["attempts"] == 1


def test_a_step_whose_shim_was_killed_is_lost_and_tried_again(live: Live, gate: Path) -> None:
    run = live.submit(shell("held", f"read word < {gate}"))
    step = live.in_state(run, "held", "Running")
    started = live.home.attempt(step["attempt"]) / "started.json"
    import json

    os.kill(json.loads(started.read_text())["shim_pid"], signal.SIGKILL)

    again = wait_until(
        lambda: s if (s := live.step(run, "held"))["attempts"] == 2 and s["status"] == "Running" else None, within_s=20
    )
    assert again["attempt"] != step["attempt"]
    open_gate(gate)
    assert live.ended(run)["status"] == "Finished"


def test_a_launcher_that_is_killed_is_replaced_and_no_step_notices(live: Live, gate: Path) -> None:
    run = live.submit(shell("held", f"read word < {gate}"), shell("after", "true", run_after=("held",)))
    live.in_state(run, "held", "Running")
    lines = Path("/proc").glob("[0-9]*/cmdline")
    needle = str(live.home.root).encode()
    launchers = [
        int(path.parent.name)
        for path in lines
        if b"launcher.py" in (words := path.read_bytes()) and words.rstrip(b"\0").endswith(needle)
    ]
    pid = next(p for p in launchers if os.getpgid(p) == p)

    os.kill(pid, signal.SIGKILL)
    open_gate(gate)

    assert live.ended(run)["status"] == "Finished"


def test_a_run_that_is_committed_but_not_planned_is_planned_by_the_next_daemon(live: Live) -> None:
    run = live.submit(shell("one", "true"), shell("two", "sleep 0.1"))
    os.kill(daemon_pid(live), signal.SIGKILL)

    ended = live.ended(run)

    assert ended["status"] == "Finished"
    assert all(step["attempts"] <= 2 for step in ended["steps"])


def test_a_stopped_daemon_leaves_its_steps_running_and_takes_them_up_again(live: Live, gate: Path) -> None:
    run = live.submit(shell("held", f"read word < {gate}"))
    live.in_state(run, "held", "Running")
    live.client.post("/v1/stop", {})
    wait_until(lambda: not live.home.socket.exists(), within_s=10)

    with Live(live.home) as again:
        open_gate(gate)

        assert again.ended(run)["status"] == "Finished"
        assert again.step(run, "held")["attempts"] == 1
