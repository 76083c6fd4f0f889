"""The verbs that ask one thing: why, cancel, diff, status, doctor, completion."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from stepwell.errors import MachineError
from stepwell.paths import Home
from support.command_line import stepwell
from support.fake_daemon import Answer, FakeDaemon
from support.wire_samples import START_US, a_run, a_step

WHY = {
    "verdict": "run",
    "reason": "train.py changed and 1 more",
    "changed": [
        {"part": "source", "item": "train.py", "before": "file 12ab", "after": "file 34cd"},
        {"part": "parameters", "item": "epochs", "before": "5", "after": None},
    ],
    "compared_with": "sr-old",
    "compared_run": 11,
    "step": "train",
    "run": "0190aaaa-run",
    "number": 12,
}


def test_why_says_the_reason_and_everything_that_differs(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs/last", a_run(a_step("train")))
    daemon.on("GET", "/v1/step_runs/sr-train/why", WHY)

    said = stepwell("why", "last", "train")

    assert said.out.splitlines() == [
        "step 'train' of run 12 ran: train.py changed and 1 more",
        "against run 11:",
        "  PART        ITEM      BEFORE     AFTER",
        "  source      train.py  file 12ab  file 34cd",
        "  parameters  epochs    5          -",
    ]


def test_why_as_json_has_four_fields(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs/last", a_run(a_step("train")))
    daemon.on("GET", "/v1/step_runs/sr-train/why", WHY)

    assert list(stepwell("why", "last", "train", "--json").data) == [
        *("verdict", "reason", "changed", "compared_with"),
    ]


def test_why_of_a_reused_step_says_so_in_one_line(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs/last", a_run(a_step("train", reused_run=11)))
    reply: dict[str, Any] = {
        "verdict": "reuse",
        "reason": "same as run 11, 3 min ago",
        "changed": [],
        "compared_with": None,
    }
    daemon.on("GET", "/v1/step_runs/sr-train/why", reply)

    assert stepwell("why", "last", "train").out == ("step 'train' of run 12 was reused: same as run 11, 3 min ago\n")


def test_cancel_asks_once_and_says_where_to_look(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs/last", a_run(a_step("train", "Running")))
    daemon.on("POST", "/v1/runs/0190aaaa-run/cancel", {"status": "Running"})

    said = stepwell("cancel", "last")

    assert (said.code, said.out) == (0, "")
    assert said.err == "run 12 is being canceled; `stepwell show 12` shows what is left of it\n"
    assert daemon.requests[-1].body == {"reason": "canceled by you"}


def test_a_run_that_has_ended_cannot_be_canceled(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs/last", a_run(a_step("train")))

    said = stepwell("cancel", "last")

    assert (said.code, said.err) == (3, "run 12 has ended already: Finished\n  try: stepwell status\n")


def _diff(**sections: list[dict[str, Any]]) -> dict[str, Any]:
    empty: dict[str, Any] = {
        name: [] for name in ("parameters", "sources", "environments", "metrics", "outputs", "steps")
    }
    return empty | sections


def test_diff_shows_two_runs_side_by_side(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs/11", a_run(number=11, run="r11"))
    daemon.on("GET", "/v1/runs/12", a_run(number=12, run="r12"))
    found = _diff(
        parameters=[{"name": "epochs", "left": 5, "right": 6}],
        metrics=[{"step": "train", "name": "loss", "left": 0.123456789, "right": None}],
        outputs=[{"step": "train", "name": "model", "left": "ab" * 32, "right": "cd" * 32}],
        environments=[{"item": "numpy", "left": "1.0", "right": "2.0"}],
        steps=[{"step": "extra", "only_in": "right"}],
    )
    daemon.on("GET", "/v1/diff", found)

    said = stepwell("diff", "11", "12")

    assert [line.split() for line in said.out.splitlines()] == [
        ["PARAMETERS", "run", "11", "run", "12"],
        ["epochs", "5", "6"],
        [],
        ["ENVIRONMENTS", "run", "11", "run", "12"],
        ["numpy", "1.0", "2.0"],
        [],
        ["METRICS", "run", "11", "run", "12"],
        ["train", "loss", "0.123457", "-"],
        [],
        ["OUTPUTS", "run", "11", "run", "12"],
        ["train", "model", "abababababab", "cdcdcdcdcdcd"],
        [],
        ["STEPS", "run", "11", "run", "12"],
        ["extra", "-", "there"],
    ]
    assert daemon.requests[-1].query == {"left": "r11", "right": "r12"}
    assert stepwell("diff", "11", "12", "--json").data == found


def test_equal_runs_differ_in_nothing(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs/11", a_run(number=11))
    daemon.on("GET", "/v1/runs/12", a_run(number=12))
    daemon.on("GET", "/v1/diff", _diff())

    assert stepwell("diff", "11", "12").out == "run 11 and run 12 are the same in every respect\n"


HELLO = {
    "version": "0.1.0",
    "wire": 1,
    "pid": 7,
    "home": "/h",
    "uptime_s": 184.0,
    "started_us": 1,
    "runs_active": 1,
}
MACHINE = {"cpus": 2.0, "cpus_used": 1.0, "memory_mib": 8192, "memory_used_mib": 512}


def test_status_shows_daemon_machine_runs_and_what_they_wait_for(daemon: FakeDaemon) -> None:
    run = a_run(a_step("prep"), a_step("train", "Running"), a_step("report", "NotStarted"), submitted_us=START_US)
    waits = [{"step": "report", "reason": "after 'train', which is running"}]
    state = {"daemon": HELLO, "machine": MACHINE, "runs": [{**run, "waits": waits}], "seq": 9}
    daemon.on("GET", "/v1/status", state)

    said = stepwell("status")

    lines = said.out.splitlines()
    assert lines[0] == f"daemon     0.1.0, pid 7, up 3 min 04 s, home {daemon.home.root}"
    assert lines[1] == "machine    steps hold 1 of 2 cpus, 512.0 MiB of 8.0 GiB memory"
    assert lines[2] == "workspace  none here, so 'default' (`stepwell init` makes one)"
    assert lines[4].startswith("run 12 of digits, running for ")
    assert lines[4].endswith(": 1 of 3 steps done, 1 under way")
    assert lines[5] == "  report  after 'train', which is running"


def test_status_shows_the_latest_runs_where_none_is_active(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/status", {"daemon": HELLO, "machine": MACHINE, "runs": [], "seq": 9})
    daemon.on("GET", "/v1/runs", {"runs": [a_run(a_step("prep"))]})

    said = stepwell("status")

    assert "nothing runs; the latest runs:" in said.out
    assert "12   Finished" in said.out


def test_status_as_json_is_what_the_daemon_says(daemon: FakeDaemon) -> None:
    state = {"daemon": HELLO, "machine": MACHINE, "runs": [{**a_run(), "waits": []}], "seq": 9}
    daemon.on("GET", "/v1/status", state)

    assert stepwell("status", "--json").data == state


def test_status_without_a_daemon_starts_none(home: Home) -> None:
    said = stepwell("status")

    assert said.code == 0
    assert said.out.startswith(f"daemon     not running; it starts when it is needed (home {home.root})\n")
    assert stepwell("status", "--json").data == {"daemon": None, "runs": [], "machine": None}
    assert not home.socket.exists()


def test_stepwell_alone_shows_the_status_and_names_the_help(home: Home) -> None:
    said = stepwell()

    assert said.code == 0
    assert said.out.startswith("daemon     not running")
    assert said.out.endswith("\nstepwell --help lists the commands\n")


def test_doctor_puts_its_own_checks_before_the_daemons(daemon: FakeDaemon) -> None:
    daemon.home.root.chmod(0o700)
    daemon.on("GET", "/v1/hello", HELLO)
    slow = {"name": "disk", "ok": False, "detail": "3 % free", "remedy": "free some space"}
    daemon.on("GET", "/v1/doctor", {"checks": [slow]})

    said = stepwell("doctor", "--json")

    assert said.code == 0
    assert [check["name"] for check in said.data["checks"]] == [
        "python",
        "home",
        "demo",
        "command",
        "daemon",
        "disk",
    ]
    assert all(list(check) == ["name", "ok", "detail", "remedy"] for check in said.data["checks"])
    lines = stepwell("doctor").out.splitlines()
    assert lines[-2:] == ["✗ disk     3 % free", "           try: free some space"]


def test_doctor_says_that_a_home_is_open_to_others(daemon: FakeDaemon) -> None:
    daemon.home.root.chmod(0o755)
    daemon.on("GET", "/v1/hello", HELLO)
    daemon.on("GET", "/v1/doctor", {"checks": []})

    said = stepwell("doctor")

    assert said.code == 4
    assert f"try: chmod 700 {daemon.home.root}" in said.out


def test_doctor_says_why_no_daemon_answers(daemon: FakeDaemon) -> None:
    daemon.home.root.chmod(0o700)
    error = MachineError("the disk is full", hint="free some space")
    daemon.on("GET", "/v1/hello", Answer({"error": error.to_wire()}, status=503))

    said = stepwell("doctor")

    assert said.code == 4
    assert said.out.splitlines()[-2:] == ["✗ daemon   the disk is full", "           try: free some space"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script_of_a_shell(shell: str) -> None:
    said = stepwell("completion", shell)

    assert said.code == 0
    assert "_STEPWELL_COMPLETE" in said.out


def test_an_unknown_shell_names_those_there_are() -> None:
    said = stepwell("completion", "tcsh")

    assert said.code == 2
    assert said.err == (
        "invalid value for '{bash|zsh|fish}': 'tcsh' is not one of 'bash', 'zsh', 'fish'\n"
        "  try: stepwell completion --help\n"
    )


def _completed(words: str, number: int) -> list[str]:
    variables = {"_STEPWELL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(number)}
    return [line.split(",")[1] for line in stepwell(variables=variables).out.split()]


def test_verbs_complete() -> None:
    assert _completed("stepwell d", 1) == ["demo", "diff", "doctor", "daemon"]


def test_runs_and_steps_complete_from_what_there_is(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs", {"runs": [a_run(number=12), a_run(number=11)]})
    daemon.on("GET", "/v1/runs/12", a_run(a_step("train"), a_step("test")))

    assert _completed("stepwell show ", 2) == ["last", "12", "11"]
    assert _completed("stepwell why 12 tr", 3) == ["train"]


def test_completing_without_a_daemon_starts_none_and_says_nothing(home: Home) -> None:
    assert _completed("stepwell show ", 2) == ["last"]
    assert _completed("stepwell why 12 ", 3) == []
    assert not home.socket.exists()
    assert os.listdir(home.root) == []


def test_a_workspace_configuration_that_says_nothing_is_named(daemon: FakeDaemon) -> None:
    path = Path(".stepwell", "config.json")
    path.parent.mkdir()
    path.write_text("{")

    said = stepwell("runs")

    assert said.code == 2
    assert said.err.startswith(f"{path.absolute()}: cannot be read as the configuration of a workspace: ")
    assert said.err.endswith("\n  try: `stepwell init` makes a workspace of a folder\n")
