"""The launcher: one a home, one attempt a folder, needed by no shim."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from island.pythons import PYTHONS, interpreter
from island.real_launcher import ISLAND, Caller, RealLauncher, alive, ended, shell, started
from stepwell.paths import Home
from stepwell_step import attempt
from support.waiting import wait_until

HOLD = "echo ready; read line < go; echo over"


def held(launcher: RealLauncher) -> Path:
    """Start a step that waits until somebody writes to its FIFO."""
    folder = launcher.attempt(shell(HOLD))
    os.mkfifo(folder / "work" / "go")
    assert launcher.launch(folder)["ok"]
    wait_until(lambda: (folder / "step.log").read_bytes() == b"ready\n", within_s=10)
    return folder


def let_go(folder: Path) -> None:
    (folder / "work" / "go").write_text("on\n")


# --- one attempt, one process


def test_two_launches_of_one_folder_at_once_run_it_once(launcher: RealLauncher, home: Home) -> None:
    second = home.root / "second"
    second.mkdir()
    other = RealLauncher(second)
    try:
        for _ in range(20):
            folder = launcher.attempt(shell("echo ran >> ../witness; sleep 0.02"))
            gate = threading.Barrier(2)

            def launch(one: RealLauncher, folder: Path = folder, gate: threading.Barrier = gate) -> dict[str, object]:
                gate.wait()
                return one.launch(folder)

            with ThreadPoolExecutor(2) as pool:
                answers = list(pool.map(launch, [launcher, other]))

            assert ended(folder)["outcome"] == "Finished"
            assert (folder / "witness").read_text() == "ran\n"
            assert sorted(bool(answer["ok"]) for answer in answers) == [False, True]
    finally:
        other.close()


def test_a_folder_that_runs_is_not_launched_again(launcher: RealLauncher) -> None:
    folder = held(launcher)

    answer = launcher.launch(folder)

    assert answer == {"ok": False, "error": "it is already running"}
    let_go(folder)
    assert ended(folder)["log"] == b"ready\nover\n"


def test_a_folder_that_has_ended_is_not_launched_again(launcher: RealLauncher) -> None:
    folder = launcher.run(["true"])["folder"]

    assert launcher.launch(folder) == {"ok": False, "error": "it has already ended"}


def test_many_launches_may_be_under_way_at_once(launcher: RealLauncher) -> None:
    folders = [launcher.attempt(shell(f"echo {number}")) for number in range(20)]

    asked = [launcher.caller.send(op="launch", folder=str(folder)) for folder in folders]
    answers = {answer["id"]: answer["ok"] for answer in (launcher.caller.reply() for _ in folders)}

    assert answers == dict.fromkeys(asked, True)
    assert [ended(folder)["log"] for folder in folders] == [b"%d\n" % number for number in range(20)]


# --- what dies, and what does not


def test_a_killed_shim_takes_its_step_along_and_writes_no_end(launcher: RealLauncher) -> None:
    folder = held(launcher)
    record = started(folder)

    os.kill(record["shim_pid"], signal.SIGKILL)

    wait_until(lambda: not alive(record["pid"]), within_s=10)
    wait_until(lambda: not attempt.is_locked(str(folder)), within_s=10)
    assert attempt.exit_record(str(folder)) is None
    assert launcher.launch(folder) == {
        "ok": False,
        "error": "it was started before, and nobody saw how it ended",
    }


@pytest.mark.parametrize("hide", ["", "env -i "])
def test_a_killed_shim_takes_all_below_it_along(launcher: RealLauncher, hide: str) -> None:
    session = "" if hide else "setsid "
    folder = launcher.start(shell(f"{hide}{session}sleep 1000 & echo $!; exec sleep 1000"))
    below = int(wait_until(lambda: (folder / "step.log").read_bytes().strip(), within_s=10))
    wait_until(lambda: Path(f"/proc/{below}/comm").read_text() == "sleep\n", within_s=10)

    os.kill(started(folder)["shim_pid"], signal.SIGKILL)

    wait_until(lambda: not alive(below) and not alive(started(folder)["pid"]), within_s=10)


def test_a_killed_shim_takes_nothing_of_another_attempt_along(launcher: RealLauncher) -> None:
    first, second = held(launcher), held(launcher)

    os.kill(started(first)["shim_pid"], signal.SIGKILL)

    wait_until(lambda: not alive(started(first)["pid"]), within_s=10)
    let_go(second)
    assert ended(second)["log"] == b"ready\nover\n"


def test_a_killed_launcher_costs_its_steps_nothing(launcher: RealLauncher, home: Home) -> None:
    folder = held(launcher)
    pid = started(folder)["pid"]

    launcher.kill()
    next_one = RealLauncher(home.root)
    try:
        assert alive(pid)
        assert next_one.launch(folder) == {"ok": False, "error": "it is already running"}
        let_go(folder)
        record = ended(folder)
    finally:
        next_one.close()

    assert (record["outcome"], record["log"]) == ("Finished", b"ready\nover\n")
    assert started(folder)["pid"] == pid


def test_a_shim_that_waits_goes_when_its_launcher_is_killed(launcher: RealLauncher) -> None:
    below = wait_until(lambda: children(launcher.process.pid), within_s=10)
    step_to_be = wait_until(lambda: children(below[0]), within_s=10)

    launcher.kill()

    wait_until(lambda: not any(alive(pid) for pid in [*below, *step_to_be]), within_s=10)


def test_the_next_attempt_does_not_notice_that_the_shim_in_wait_was_killed(launcher: RealLauncher) -> None:
    wait_until(lambda: children(launcher.process.pid), within_s=10)
    for _ in range(20):
        for shim in children(launcher.process.pid):
            os.kill(shim, signal.SIGKILL)
        assert launcher.run(["true"])["outcome"] == "Finished"


def test_the_next_attempt_does_not_notice_that_the_process_of_its_step_was_killed(launcher: RealLauncher) -> None:
    [shim, *_] = wait_until(lambda: children(launcher.process.pid), within_s=10)
    [step_to_be] = wait_until(lambda: children(shim), within_s=10)

    os.kill(step_to_be, signal.SIGKILL)
    wait_until(lambda: not alive(shim), within_s=10)

    assert launcher.run(["true"])["outcome"] == "Finished"


def children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def test_a_launcher_that_ends_sees_the_shims_in_wait_go_first(launcher: RealLauncher) -> None:
    below = wait_until(lambda: children(launcher.process.pid), within_s=10)

    launcher.close()

    assert not any(alive(pid) for pid in below)


def test_a_shim_loads_nothing_that_its_launcher_has_not(launcher: RealLauncher) -> None:
    """An import after the fork is paid by every step again: os.wait4 hides one."""
    folder = launcher.attempt(shell("(true &) ; sleep 0.05; echo ready; read line < go"))
    os.mkfifo(folder / "work" / "go")
    launcher.launch(folder)
    wait_until(lambda: (folder / "step.log").read_bytes() == b"ready\n", within_s=10)

    def libraries(pid: int) -> set[str]:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
        return {line.split()[-1] for line in lines if ".so" in line}

    assert libraries(started(folder)["shim_pid"]) == libraries(launcher.process.pid)
    let_go(folder)
    ended(folder)


@pytest.mark.parametrize("name", PYTHONS)
def test_launcher_and_shim_run_in_every_python(home: Home, name: str) -> None:
    launcher = RealLauncher(home.root, python=interpreter(name))
    try:
        done = launcher.run(shell("echo out; echo err >&2; exit 3"))
        late = launcher.run(["sleep", "1000"], timeout_s=0.1, grace_s=0)
        left = launcher.run(shell("setsid sleep 1000 & :"))
        nowhere = launcher.run(["nope"])
        killed = launcher.start(["sleep", "1000"])
        os.kill(started(killed)["shim_pid"], signal.SIGKILL)
        wait_until(lambda: not alive(started(killed)["pid"]), within_s=10)
    finally:
        launcher.close()

    assert (done["outcome"], done["exit_code"], sorted(done["log"].split())) == ("Failed", 3, [b"err", b"out"])
    assert late["outcome"] == "TimedOut"
    assert [process["name"] for process in left["left_behind"]] == ["sleep"]
    assert nowhere["exit_code"] == 127


# --- its socket and its life


def test_the_socket_is_for_its_owner_alone(launcher: RealLauncher) -> None:
    assert stat.S_IMODE((launcher.home / "launcher.sock").stat().st_mode) == 0o600


def test_a_home_with_a_very_long_path_works(home: Home) -> None:
    deep = home.root / ("d" * 90) / ("e" * 90)
    deep.mkdir(parents=True)
    launcher = RealLauncher(deep)
    try:
        record = launcher.run(["echo", "far down"])
    finally:
        launcher.close()

    assert record["log"] == b"far down\n"


def test_a_second_launcher_of_a_home_leaves_at_once(launcher: RealLauncher) -> None:
    words = [sys.executable, "-I", "-S", str(ISLAND / "launcher.py"), str(launcher.home)]

    second = subprocess.run(words, timeout=30, check=False)

    assert second.returncode == 3
    assert launcher.caller.ask(op="ping")["ok"]


def test_a_socket_that_a_killed_launcher_left_is_in_nobodys_way(launcher: RealLauncher, home: Home) -> None:
    launcher.kill()
    assert (home.root / "launcher.sock").exists()

    next_one = RealLauncher(home.root)

    assert next_one.caller.ask(op="ping")["pid"] == next_one.process.pid
    next_one.close()


@pytest.mark.parametrize("line", [b"{", b"[]", b'"x"', b"\xff\xfe", b"{}", b'{"op": "launch"}', b'{"op": "fly"}'])
def test_what_is_no_request_is_refused_and_the_launcher_goes_on(launcher: RealLauncher, line: bytes) -> None:
    caller = Caller(launcher.home)
    caller.peer.sendall(line + b"\n")

    answer = caller.reply()
    caller.close()

    assert answer["ok"] is False
    assert launcher.run(["true"])["outcome"] == "Finished"


def test_a_line_without_an_end_costs_the_connection_and_nothing_else(launcher: RealLauncher) -> None:
    caller = Caller(launcher.home)

    def dropped() -> bool:
        try:
            caller.peer.sendall(b"x" * 65536)
        except OSError:
            return True
        return False

    wait_until(dropped, within_s=10)
    caller.close()
    assert launcher.caller.ask(op="ping")["ok"]


def test_it_waits_for_the_last_step_and_then_goes(launcher: RealLauncher) -> None:
    folder = held(launcher)
    launcher.caller.ask(op="bye")
    launcher.caller.close()

    still = Caller(launcher.home)
    assert still.ask(op="ping")["shims"] == 1
    still.ask(op="bye")
    still.close()
    let_go(folder)

    assert launcher.process.wait(20) == 0
    assert ended(folder)["outcome"] == "Finished"


def test_the_end_of_a_connection_without_work_is_the_end_of_the_launcher(launcher: RealLauncher) -> None:
    launcher.caller.ask(op="work", active=False, restart=["/bin/false"])
    launcher.caller.close()

    assert launcher.process.wait(20) == 0


def test_replies_are_json_lines_that_carry_the_request(launcher: RealLauncher) -> None:
    launcher.caller.peer.sendall(b'{"id": "mine", "op": "ping"}\n')

    line = launcher.caller._lines.readline()

    assert json.loads(line) == {"id": "mine", "ok": True, "pid": launcher.process.pid, "shims": 0}
