"""How a step is ended: in time, on request, and whatever it leaves running."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from pathlib import Path

import pytest

from island.real_launcher import RealLauncher, alive, cancel, ended, python, shell, started
from stepwell_step import attempt
from support.waiting import wait_until

# Forks twice, leads a session of its own, and waits for ever: what a daemon does to get away.
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open("daemon.pid", "w").write(str(os.getpid()) + "\\n")
        time.sleep(1000)
    os._exit(0)
os.wait()
while not os.path.exists("daemon.pid") or not open("daemon.pid").read().endswith("\\n"):
    time.sleep(0.001)
"""
SAVING = """
import os, signal, sys, time
def save(*_):
    time.sleep(float(sys.argv[1]))
    os.write(1, b"saved\\n")
    sys.exit(7)
signal.signal(signal.SIGTERM, save)
os.write(1, b"ready\\n")
while True:
    time.sleep(1000)
"""
DEAF = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: os.write(1, b"no\\n"))
os.write(1, b"ready\\n")
while True:
    time.sleep(1000)
"""


def said(folder: Path, text: bytes) -> bool:
    return text in (folder / "step.log").read_bytes()


def test_a_step_that_outlasts_its_time_is_ended_and_says_so(launcher: RealLauncher) -> None:
    record = launcher.run(["sleep", "1000"], timeout_s=0.2)

    assert record["outcome"] == "TimedOut"
    assert record["signal"] == signal.SIGTERM
    assert record["message"] == "timed out after 0.2 s"
    assert record["duration_s"] >= 0.2


def test_a_step_that_ends_in_time_is_not_timed_out(launcher: RealLauncher) -> None:
    assert launcher.run(["true"], timeout_s=60)["outcome"] == "Finished"


def test_a_canceled_step_is_told_by_sigterm_and_may_end_in_its_own_way(launcher: RealLauncher) -> None:
    folder = launcher.start([*python(SAVING), "0"])
    wait_until(lambda: said(folder, b"ready"), within_s=10)

    cancel(folder, "canceled by you", grace_s=30)

    record = ended(folder)
    assert (record["outcome"], record["exit_code"]) == ("Canceled", 7)
    assert record["message"] == "canceled by you"
    assert record["log"] == b"ready\nsaved\n"


def test_a_canceled_step_that_ignores_sigterm_is_killed_after_the_grace(launcher: RealLauncher) -> None:
    folder = launcher.start(python(DEAF))
    wait_until(lambda: said(folder, b"ready"), within_s=10)

    cancel(folder, "enough", grace_s=0.2)

    record = ended(folder)
    assert (record["outcome"], record["signal"]) == ("Canceled", signal.SIGKILL)
    assert record["log"] == b"ready\nno\n"


def test_a_second_wish_to_cancel_can_only_shorten_the_grace(launcher: RealLauncher) -> None:
    folder = launcher.start(python(DEAF))
    wait_until(lambda: said(folder, b"ready"), within_s=10)
    cancel(folder, "enough", grace_s=1000)
    wait_until(lambda: said(folder, b"no"), within_s=10)

    cancel(folder, "now", grace_s=0)

    record = ended(folder)
    assert (record["outcome"], record["message"]) == ("Canceled", "enough")


def test_a_stopped_step_can_be_canceled(launcher: RealLauncher) -> None:
    folder = launcher.start(shell("kill -STOP $$; echo woken"))
    pid = started(folder)["pid"]
    wait_until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", within_s=10)

    cancel(folder, "canceled by you", grace_s=30)

    assert ended(folder)["outcome"] == "Canceled"


def test_a_cancel_reaches_every_descendant_and_waits_for_those_that_save(launcher: RealLauncher) -> None:
    words = " ".join(shlex.quote(word) for word in [*python(SAVING), "0.7"])
    folder = launcher.start(shell(f"setsid {words} & exec sleep 1000"))
    wait_until(lambda: said(folder, b"ready"), within_s=10)

    cancel(folder, "canceled by you", grace_s=30)

    record = ended(folder)
    assert (record["outcome"], record["signal"]) == ("Canceled", signal.SIGTERM)
    assert record["log"] == b"ready\nsaved\n"
    assert record["left_behind"] == []


def test_a_cancel_that_was_asked_for_before_the_start_means_that_nothing_runs(launcher: RealLauncher) -> None:
    folder = launcher.attempt(["touch", "it-ran"])
    attempt.write_json_atomic(str(folder / "cancel.json"), {"v": 1, "reason": "too late", "grace_s": None})

    answer = launcher.launch(folder)

    record = ended(folder)
    assert answer["ok"]
    assert (record["outcome"], record["exit_code"], record["message"]) == ("Canceled", None, "too late")
    assert not (folder / "work" / "it-ran").exists()


def test_a_sigterm_without_a_word_cancels_too(launcher: RealLauncher) -> None:
    folder = launcher.start(["sleep", "1000"])

    os.kill(started(folder)["shim_pid"], signal.SIGTERM)

    record = ended(folder)
    assert (record["outcome"], record["message"]) == ("Canceled", "canceled")


def test_a_daemon_that_a_step_leaves_behind_is_found_killed_and_named(launcher: RealLauncher) -> None:
    record = launcher.run(python(DAEMON))

    pid = int((record["folder"] / "work" / "daemon.pid").read_text())
    assert record["outcome"] == "Finished"
    assert record["left_behind"] == [{"pid": pid, "name": Path(sys.executable).name}]
    assert not alive(pid)


def test_a_grandchild_that_holds_the_pipe_does_not_hold_the_step(launcher: RealLauncher) -> None:
    before = time.monotonic()

    record = launcher.run(shell("sleep 1000 & echo over; exit 3"))

    assert (record["outcome"], record["exit_code"], record["log"]) == ("Failed", 3, b"over\n")
    assert [process["name"] for process in record["left_behind"]] == ["sleep"]
    assert record["duration_s"] < 20
    assert time.monotonic() - before < 20


def test_a_tail_of_the_output_is_waited_for_and_is_nobody_left_behind(launcher: RealLauncher) -> None:
    record = launcher.run(shell("(sleep 0.1; echo late) & echo early"))

    assert record["log"] == b"early\nlate\n"
    assert record["left_behind"] == []


def test_orphans_are_collected_while_the_step_runs(launcher: RealLauncher) -> None:
    """A double-forked child that has ended would stay a zombie for as long as the step runs."""
    text = """
import os, sys, time
if os.fork() == 0:
    if os.fork() == 0:
        print(os.getpid(), flush=True)
    os._exit(0)
os.wait()
while not os.path.exists("go"):
    time.sleep(0.01)
"""
    folder = launcher.start(python(text))
    orphan = int(wait_until(lambda: (folder / "step.log").read_bytes().strip(), within_s=10))

    wait_until(lambda: not Path(f"/proc/{orphan}").exists(), within_s=10)

    (folder / "work" / "go").touch()
    assert ended(folder)["outcome"] == "Finished"


@pytest.mark.parametrize("how", ["exit 0", "kill -9 $$"])
def test_nothing_of_a_crowd_survives(launcher: RealLauncher, how: str) -> None:
    crowd = "for i in 1 2 3 4 5 6 7 8; do setsid sleep 1000 & echo $!; done"

    record = launcher.run(shell(f"{crowd}; {how}"))

    pids = [int(line) for line in record["log"].split()]
    assert len(pids) == 8
    assert not any(alive(pid) for pid in pids)
