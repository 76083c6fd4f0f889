"""A real launcher in a home of its own, spoken to as the daemon does, and attempts made by hand."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import stepwell_step
from stepwell.paths import connect
from stepwell_step import attempt
from support.waiting import wait_until

Json = dict[str, Any]
ISLAND = Path(stepwell_step.__file__).parent


class Caller:
    """One connection to a launcher. `ask` sends a request and returns its reply."""

    def __init__(self, home: Path) -> None:
        self.peer = connect(home / "launcher.sock", timeout_s=30)
        self._lines = self.peer.makefile("rb")
        self._numbers = itertools.count(1)

    def send(self, **message: Any) -> int:
        number = next(self._numbers)
        self.peer.sendall(json.dumps({"id": number, **message}).encode() + b"\n")
        return number

    def reply(self) -> Json:
        answer: Json = json.loads(self._lines.readline())
        return answer

    def ask(self, **message: Any) -> Json:
        number = self.send(**message)
        answer = self.reply()
        assert answer.pop("id") == number
        return answer

    def close(self) -> None:
        self._lines.close()
        self.peer.close()


class RealLauncher:
    """Starts the launcher of `home` and makes, launches and awaits attempts. Leaves nothing behind."""

    def __init__(self, home: Path, python: str = sys.executable) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [python, "-I", "-S", str(ISLAND / "launcher.py"), str(home)],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self.caller = wait_until(self._connected, within_s=20)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def _connected(self) -> Caller | None:
        """Connect to our own launcher: a dying shim of a killed one may hold the old socket for a moment."""
        try:
            caller = Caller(self.home)
        except OSError:
            return None
        try:
            if caller.ask(op="ping")["pid"] == self.process.pid:
                return caller
        except (OSError, ValueError):
            pass
        caller.close()
        return None

    def attempt(self, argv: Sequence[str], **launch: Any) -> Path:
        """Make the folder of an attempt to run `argv` in its work/, and return it."""
        name = f"attempt-{len(list(self.home.glob('attempts/*')))}"
        folder = self.home / "attempts" / name
        (folder / "work").mkdir(parents=True)
        record = {
            "v": 1,
            "attempt": name,
            "argv": list(argv),
            "cwd": str(folder / "work"),
            "env": {"PATH": os.environ["PATH"], "STEPWELL_ATTEMPT_DIR": str(folder)},
            "timeout_s": None,
            "grace_s": 10,
            "log_cap_bytes": None,
        }
        attempt.write_json_atomic(str(folder / "launch.json"), record | launch)
        return folder

    def launch(self, folder: Path) -> Json:
        return self.caller.ask(op="launch", folder=str(folder))

    def start(self, argv: Sequence[str], **launch: Any) -> Path:
        """Make an attempt, launch it and return its folder."""
        folder = self.attempt(argv, **launch)
        answer = self.launch(folder)
        assert answer["ok"], answer
        return folder

    def run(self, argv: Sequence[str], **launch: Any) -> Json:
        """Run an attempt to its end and return its exit record; "log" and "folder" are put in."""
        return ended(self.start(argv, **launch))

    def kill(self) -> None:
        """Kill the launcher by -9."""
        self.process.kill()
        self.process.wait()
        self.caller.close()

    def close(self) -> None:
        """Say good-bye, and see the launcher end by itself."""
        if self.process.poll() is None:
            self.caller.ask(op="bye")
            self.caller.close()
            assert self.process.wait(20) == 0
        assert not (self.home / "launcher.sock").exists() or self.process.returncode == -signal.SIGKILL


def ended(folder: Path, within_s: float = 30) -> Json:
    """Wait until the attempt is over, and return its exit record; "log" and "folder" are put in."""
    wait_until(lambda: not attempt.is_locked(str(folder)), within_s=within_s)
    record = attempt.exit_record(str(folder))
    assert record is not None, "no exit record"
    return {**record, "log": (folder / "step.log").read_bytes(), "folder": folder}


def started(folder: Path) -> Json:
    record = attempt.started_record(str(folder))
    assert record is not None
    return record


def cancel(folder: Path, reason: str, grace_s: float) -> None:
    """Cancel as the daemon does: say why, then signal the shim."""
    attempt.write_json_atomic(str(folder / "cancel.json"), {"v": 1, "reason": reason, "grace_s": grace_s})
    os.kill(started(folder)["shim_pid"], signal.SIGTERM)


def alive(pid: int) -> bool:
    """Say whether process `pid` is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def shell(text: str) -> list[str]:
    return ["/bin/sh", "-c", text]


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]
