"""The launcher brings a daemon back that dies with work in hand, and no other."""

from __future__ import annotations

import os

import pytest

from island.real_launcher import Caller, RealLauncher, python
from stepwell_step import revival
from support.waiting import wait_until

DAEMON = """
import json, os, socket, sys, time
home, deaths = sys.argv[1], int(sys.argv[2])
with open(home + "/starts", "a") as file:
    file.write(f"{os.getpid()} {os.getsid(0)} {time.monotonic()}\\n")
if len(open(home + "/starts").readlines()) <= deaths:
    sys.exit("not yet")
peer = socket.socket(socket.AF_UNIX)
peer.connect(home + "/launcher.sock")
lines = peer.makefile("rb")
peer.sendall(json.dumps({"id": 1, "op": "work", "active": True, "restart": []}).encode() + b"\\n")
lines.readline()
open(home + "/back", "w").close()
while not os.path.exists(home + "/leave"):
    time.sleep(0.01)
peer.sendall(b'{"id": 2, "op": "bye"}\\n')
lines.readline()
"""


def argv(launcher: RealLauncher, deaths: int) -> list[str]:
    return [*python(DAEMON), str(launcher.home), str(deaths)]


def starts(launcher: RealLauncher) -> list[list[float]]:
    try:
        text = (launcher.home / "starts").read_text()
    except FileNotFoundError:
        return []
    return [[float(word) for word in line.split()] for line in text.splitlines()]


def test_a_daemon_that_dies_with_work_in_hand_is_brought_back(launcher: RealLauncher) -> None:
    launcher.caller.ask(op="work", active=True, restart=argv(launcher, 0))

    launcher.caller.close()

    wait_until((launcher.home / "back").exists, within_s=20)
    [[pid, session, _]] = starts(launcher)
    assert pid == session
    (launcher.home / "leave").touch()
    assert launcher.process.wait(20) == 0


def test_a_daemon_that_dies_again_is_waited_for_longer_each_time(launcher: RealLauncher) -> None:
    launcher.caller.ask(op="work", active=True, restart=argv(launcher, 2))

    launcher.caller.close()

    wait_until((launcher.home / "back").exists, within_s=20)
    first, second, third = (moment for _, _, moment in starts(launcher))
    assert second - first >= 0.4
    assert third - second >= 0.8
    assert (launcher.home / "daemon.log").read_text() == "not yet\n" * 2
    (launcher.home / "leave").touch()
    assert launcher.process.wait(20) == 0


def test_a_daemon_that_says_good_bye_is_not_brought_back(launcher: RealLauncher) -> None:
    launcher.caller.ask(op="work", active=True, restart=argv(launcher, 0))

    launcher.caller.ask(op="bye")
    launcher.caller.close()

    assert launcher.process.wait(20) == 0
    assert starts(launcher) == []


def test_a_daemon_that_came_back_by_itself_is_not_started_once_more(launcher: RealLauncher) -> None:
    launcher.caller.ask(op="work", active=True, restart=argv(launcher, 0))
    other = Caller(launcher.home)
    launcher.caller.close()

    other.ask(op="work", active=True, restart=argv(launcher, 0))
    other.ask(op="bye")
    other.close()

    assert launcher.process.wait(20) == 0
    assert starts(launcher) == []


def test_a_daemon_that_cannot_be_started_is_said_in_the_log(launcher: RealLauncher) -> None:
    launcher.caller.ask(op="work", active=True, restart=["/nowhere/daemon"])
    launcher.caller.close()

    log = launcher.home / "daemon.log"
    said = wait_until(lambda: log.read_text() if log.exists() else "", within_s=20)
    assert said.startswith("stepwell launcher: cannot start the daemon: [Errno 2] No such file or directory")
    caller = Caller(launcher.home)
    caller.ask(op="work", active=False, restart=[])
    caller.ask(op="bye")
    caller.close()
    assert launcher.process.wait(20) == 0


def test_after_five_deaths_in_ten_minutes_the_daemon_stays_down(capsys: pytest.CaptureFixture[str]) -> None:
    book = revival.Revival("/dev/null")
    book.work(True, ["/bin/true"])
    now, delays = 1000.0, []
    for _ in range(revival.MOST):
        book.lost(now)
        assert book.due is not None
        delays.append(book.due - now)
        now = book.due
        book.start(now)
        assert book.pid is not None
        os.waitpid(book.pid, 0)

    book.lost(now)

    assert delays == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2])
    assert (book.due, book.active) == (None, False)
    assert capsys.readouterr().out == "stepwell launcher: the daemon died 5 times in 10 minutes; it stays down\n"


def test_deaths_that_are_long_past_do_not_count() -> None:
    book = revival.Revival("/dev/null")
    book.work(True, ["/bin/true"])
    for number in range(20):
        now = 1000.0 + number * (revival.WINDOW_S + 1)
        book.lost(now)
        assert book.due == pytest.approx(now + revival.FIRST_S)
        book.start(now)
        assert book.pid is not None
        os.waitpid(book.pid, 0)
