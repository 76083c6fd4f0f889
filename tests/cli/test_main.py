"""The command itself: its help, its exit codes, what it says when something is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stepwell.api.wire import VERSION
from stepwell.cli import main
from stepwell.errors import ConflictError, MachineError, StepFailedError, UsageError
from stepwell.paths import Home
from support.command_line import stepwell
from support.fake_daemon import Answer, FakeDaemon

COMMAND = (sys.executable, "-c", "from stepwell.cli.main import main; main()")
HEAVY = "sqlmodel sqlalchemy starlette fastapi pydantic httpx textual watchdog pynvml numpy pandas torch rich"


def test_help_lists_every_verb_and_imports_none_of_their_files() -> None:
    code = (
        "import sys, stepwell.cli.main as m\n"
        "try: m.cli(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print([n for n in sys.modules if n.startswith('stepwell.cli.') and n != 'stepwell.cli.main'])"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert said.splitlines()[-1] == "[]"
    assert all(f"  {verb}" in said for verb in main.VERBS)


def test_every_verb_of_the_table_has_a_command() -> None:
    for verb in main.VERBS:
        said = stepwell(verb, "--help")

        assert said.code == 0
        assert said.out.startswith(f"Usage: stepwell {verb} ")


def test_importing_the_command_loads_nothing_heavy() -> None:
    code = f"import sys, stepwell.cli.main; print([m for m in {HEAVY.split()!r} if m in sys.modules])"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert found.strip() == "[]"


def test_an_unknown_command_names_those_there_are_and_the_nearest() -> None:
    said = stepwell("stauts")

    assert said.code == 2
    there_is = ", ".join(sorted(main.VERBS))
    assert said.err == f"no command named 'stauts' (there is: {there_is})\n  try: did you mean 'status'?\n"


def test_a_missing_argument_is_usage_and_names_the_help() -> None:
    said = stepwell("why", "last")

    assert (said.code, said.out) == (2, "")
    assert said.err == "missing argument 'STEP'\n  try: stepwell why --help\n"


def test_an_unknown_option_is_usage_and_names_the_nearest() -> None:
    said = stepwell("runs", "--jsn")

    assert said.code == 2
    assert said.err == "no such option '--jsn'. Did you mean '--json'?\n  try: stepwell runs --help\n"


def test_the_version_is_printed() -> None:
    assert stepwell("--version").out == f"stepwell {VERSION}\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [(UsageError("u"), 2), (ConflictError("c"), 3), (MachineError("m"), 4), (StepFailedError("s"), 5)],
)
def test_the_exit_code_says_who_must_act(daemon: FakeDaemon, error: UsageError, code: int) -> None:
    daemon.on("GET", "/v1/runs", Answer({"error": error.to_wire()}, status=error.http_status))

    said = stepwell("runs")

    assert (said.code, said.out, said.err) == (code, "", f"{error}\n")


def test_a_bug_is_told_and_its_traceback_kept(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs", {"not": "what was agreed"})

    said = stepwell("runs")

    log = daemon.home.root / "cli.log"
    assert said.code == 1
    assert said.err == (f"this is a bug in stepwell: KeyError: 'runs'\n  try: report it with the end of {str(log)!r}\n")
    assert "Traceback (most recent call last)" in log.read_text()


def test_a_bug_without_a_place_for_its_log_shows_the_traceback(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.on("GET", "/v1/runs", {})
    (daemon.home.root / "cli.log").mkdir()

    said = stepwell("runs")

    assert said.code == 1
    assert "Traceback (most recent call last)" in said.err


def test_a_daemon_that_cannot_start_is_a_matter_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STEPWELL_HOME", str(tmp_path / "file" / "home"))

    said = stepwell("runs")

    assert said.code == 4
    assert "as the home: Not a directory\n  try: set STEPWELL_HOME to a folder on a local disk" in said.err


def test_a_reader_that_goes_away_ends_the_command_without_a_word(daemon: FakeDaemon) -> None:
    step = {"step_run": "s", "key": "one", "reused": False, "attempts": 1}
    daemon.on("GET", "/v1/runs/1", {"number": 1, "run": "r", "steps": [step]})
    daemon.on("GET", "/v1/step_runs/s/log", Answer(b"x" * 65536))  # never done: there is always more
    words = [*COMMAND, "logs", "-f", "1", "one"]

    command = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ))
    with command:
        assert command.stdout is not None and command.stderr is not None
        command.stdout.read(10)
        command.stdout.close()
        errors = command.stderr.read()

    assert (command.returncode, errors) == (141, b"")


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_closed_stream_is_no_reason_to_fail(home: Home, closed: str) -> None:
    number = {"stdout": 1, "stderr": 2}[closed]
    words = ["/bin/sh", "-c", f'exec "$@" {number}>&-', "sh", *COMMAND, "daemon", "status"]

    done = subprocess.run(words, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("no daemon is running") is (closed == "stdout")


def test_a_group_without_a_command_shows_its_help() -> None:
    said = stepwell("daemon")

    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("Usage: stepwell daemon ")
