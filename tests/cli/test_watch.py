"""Following a run to its end: plain lines, JSON, the report of a failure, Ctrl-C."""

from __future__ import annotations

from typing import Any

import pytest

from stepwell.api.client import Client
from stepwell.cli.reports import exit_code, how, summary
from stepwell.cli.submit import watch
from stepwell.errors import ConflictError, MachineError
from support.fake_daemon import Answer, Asked, FakeDaemon
from support.wire_samples import a_failed_step, a_run, a_step, an_event, events_of

Json = dict[str, Any]
RUN = "0190aaaa-run"
SUBMITTED = {"run": RUN, "number": 12, "workspace": "ws-1"}


def _play(daemon: FakeDaemon, first: Json, pages: list[list[Json]], last: Json) -> None:
    """Answer as a daemon whose run was `first`, then had these events, and is `last` now."""
    left = iter([events_of(first), *pages])

    def events(asked: Asked) -> dict[str, Any]:
        page = next(left)
        return {"events": page, "seq": page[-1]["seq"] if page else int(asked.query["after"])}

    daemon.on("GET", f"/v1/runs/{RUN}", last)
    daemon.on("GET", "/v1/events", events)


def _watch(daemon: FakeDaemon, *, as_json: bool = False) -> int:
    with Client.connect(daemon.home, start=False) as client:
        return watch(client, SUBMITTED, "pipeline.py", as_json=as_json)


def test_piped_it_prints_a_line_for_each_start_and_end(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    reused = {"reused_from": "sr-0", "reason": "same as run 11, 3 min ago"}
    pages = [
        [
            an_event(101, "step.planned", "prep", key="prep", position=0, state="Finished", **reused),
            an_event(102, "step.planned", "train", key="train", position=1, state="NotStarted", reason="r"),
            an_event(103, "step.changed", "train", state="Queued", reason="train.py changed"),
            an_event(104, "step.changed", "train", state="Preparing", reason="train.py changed"),
        ],
        [],
        [
            an_event(105, "step.changed", "train", state="Running", reason="train.py changed"),
            an_event(106, "step.changed", "train", state="Finalizing", reason="train.py changed"),
            an_event(107, "step.changed", "train", state="Finished", reason="train.py changed"),
            an_event(108, "run.ended", state="Finished"),
        ],
    ]
    last = a_run(a_step("prep", reused_run=11), a_step("train"))
    _play(daemon, a_run(status="NotStarted"), pages, last)

    code = _watch(daemon)

    said = capsys.readouterr()
    assert (code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "run 12 of pipeline.py",
        "prep                  ↺ reused      same as run 11, 3 min ago",
        "train                 ● running     train.py changed",
        "train                 ✓ finished    in 3.0 s",
        "run 12 finished in 3.0 s: 1 ran, 1 reused from run 11",
    ]


def test_a_retry_is_told(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    first = a_run(a_step("train", "Running"))
    pages = [
        [
            an_event(101, "step.changed", "train", state="Queued", reason="retry 1 of 2, after 1 s: exit code 1"),
            an_event(102, "step.changed", "train", state="Running", reason="no earlier result of this step"),
            an_event(103, "run.ended", state="Finished"),
        ]
    ]
    _play(daemon, first, pages, a_run(a_step("train")))

    _watch(daemon)

    assert "train                 ○ queued      retry 1 of 2, after 1 s: exit code 1" in capsys.readouterr().out


def _failed(daemon: FakeDaemon, log: bytes) -> None:
    failed = a_failed_step("train", 3)
    later = a_failed_step("score", 1, ended_us=failed["ended_us"] + 1)
    skipped = a_step("report", "Skipped", reason="'train' failed")
    _play(daemon, a_run(later, failed, skipped), [], a_run(later, failed, skipped))
    sizes = {"X-Log-Size": str(len(log)), "X-Log-Done": "1"}

    def read(asked: Asked) -> Answer:
        start, limit = int(asked.query["offset"]), int(asked.query["limit"])
        part = log[start : start + limit]
        return Answer(part, headers={**sizes, "X-Log-Offset": str(start + len(part))})

    daemon.on("GET", "/v1/step_runs/sr-train/log", read)


def test_a_failed_run_names_the_first_failed_step_its_exit_code_its_last_lines_and_where_to_read_on(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    _failed(daemon, b"".join(b"line %d\n" % n for n in range(30)))

    code = _watch(daemon)

    lines = capsys.readouterr().out.splitlines()
    assert code == 5
    begin = lines.index("step 'train' failed: exit code 3")
    assert lines[begin + 1 : begin + 21] == [f"  │ line {n}" for n in range(10, 30)]
    assert lines[begin + 21 :] == [
        "  all of it: stepwell logs 12 train",
        "step 'score' failed too: exit code 1",
        "run 12 failed after 3.0 s: 2 ran, 0 reused, 2 failed, 1 skipped",
    ]


def test_the_last_lines_of_a_long_log_are_read_from_its_end_and_made_harmless(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    log = b"x" * 200_000 + b"\n 1%\r 99%\r100%\n\x1b[31mboom\x1b[0m \x07\n\n"
    _failed(daemon, log)

    _watch(daemon)

    lines = capsys.readouterr().out.splitlines()
    assert lines[lines.index("step 'train' failed: exit code 3") + 1 :][:3] == [
        "  │ 100%",
        "  │ boom \\x07",
        "  all of it: stepwell logs 12 train",
    ]
    assert {request.query["offset"] for request in daemon.requests if "log" in request.path} == {
        "0",
        str(len(log) - (1 << 16)),
    }


def test_a_step_that_wrote_nothing_says_so(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    _failed(daemon, b"")

    _watch(daemon)

    assert "step 'train' failed: exit code 3\n  it wrote nothing\n" in capsys.readouterr().out


def test_json_is_one_object_on_stdout_and_the_failure_is_told_on_stderr(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    _failed(daemon, b"boom\n")
    daemon.on("GET", "/v1/events", {"events": [an_event(101, "run.ended", state="Failed")], "seq": 101})

    code = _watch(daemon, as_json=True)

    said = capsys.readouterr()
    assert code == 5
    assert json.loads(said.out)["status"] == "Failed"
    assert "step 'train' failed: exit code 3\n  │ boom\n" in said.err


def test_json_asks_for_the_end_and_once_for_the_run(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/events", {"events": [an_event(101, "run.ended", state="Finished")], "seq": 101})
    daemon.on("GET", f"/v1/runs/{RUN}", a_run(a_step("prep", reused_run=11)))

    _watch(daemon, as_json=True)

    assert [request.path for request in daemon.requests] == ["/v1/events", f"/v1/runs/{RUN}"]
    assert daemon.requests[0].query["kind"] == "run.ended"


def test_a_run_that_never_got_to_a_step_says_why(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    error = MachineError("cannot read '/src/secret.txt': Permission denied", hint="chmod +r /src/secret.txt")
    run = a_run(status="Failed", error=error.to_wire())
    _play(daemon, run, [], run)

    code = _watch(daemon)

    assert code == 4
    assert str(error) in capsys.readouterr().out


def test_a_canceled_run_is_no_success(daemon: FakeDaemon) -> None:
    run = a_run(a_step("train", "Canceled"))
    _play(daemon, run, [], run)

    assert _watch(daemon) == 5


def test_when_events_are_no_longer_kept_the_run_is_read_anew(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = [
        an_event(102, "step.changed", "train", state="Finished", reason="r"),
        an_event(103, "run.ended", state="Finished"),
    ]
    gone = ConflictError("events up to 99 are no longer kept", code="events_gone")
    pages = iter([Answer({"error": gone.to_wire()}, status=410), Answer({"events": ended, "seq": 103})])
    daemon.on("GET", "/v1/events", lambda asked: next(pages))
    daemon.on("GET", "/v1/status", {"seq": 101})
    shown = iter([a_run(a_step("train", "Running"))])
    daemon.on("GET", f"/v1/runs/{RUN}", lambda asked: next(shown, a_run(a_step("train"))))

    assert _watch(daemon) == 0
    assert "run 12 finished in 3.0 s: 1 ran, 0 reused" in capsys.readouterr().out


def test_ctrl_c_leaves_the_run_running_and_says_how_to_end_it(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    _play(daemon, a_run(a_step("train", "Running")), [], a_run())
    monkeypatch.setattr(Client, "events", interrupt)

    code = _watch(daemon)

    assert code == 130
    assert capsys.readouterr().err == ("\nrun 12 goes on: stepwell cancel 12 ends it, stepwell logs -f 12 follows it\n")
    assert [request.method for request in daemon.requests if "cancel" in request.path] == []


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (a_failed_step("a", 127), "exit code 127"),
        (a_step("a", "Failed", signal=9, error={"message": "killed by SIGKILL"}), "killed by SIGKILL"),
        (a_step("a", "Failed", signal=77), "killed by signal 77"),
        (
            a_step("a", "Failed", exit_code=0, error={"message": "output_missing(m): …"}),
            "output_missing(m): …",
        ),
        (
            a_step("a", "Failed", signal=9, error={"message": "out of memory at 512 MiB"}),
            "killed by SIGKILL; out of memory at 512 MiB",
        ),
        (a_step("a", "Lost", error=None), "nobody saw how"),
        (a_failed_step("a", 2, attempts=3), "exit code 2, after 3 attempts"),
    ],
)
def test_how_a_step_ended_is_its_signal_or_exit_code_and_what_else_is_known(step: dict[str, Any], words: str) -> None:
    assert how(step) == words


def test_the_summary_always_says_how_many_ran_and_were_reused_from_where() -> None:
    several = a_run(a_step("a", reused_run=9), a_step("b", reused_run=11))

    assert summary(a_run()) == "run 12 finished in 3.0 s: 0 ran, 0 reused"
    assert summary(several) == "run 12 finished in 3.0 s: 0 ran, 2 reused from 2 runs, the newest of them 11"
    assert summary(a_run(a_step("a", "Running"))) == "run 12 running: 1 ran, 0 reused"


def test_the_exit_code_of_a_run_follows_from_how_it_ended() -> None:
    assert exit_code(a_run(a_step("a"))) == 0
    assert exit_code(a_run(a_failed_step("a"))) == 5
    assert exit_code(a_run(status="Failed", error={"kind": "usage", "message": "m"})) == 2
