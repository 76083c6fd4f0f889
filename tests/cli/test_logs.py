"""`stepwell logs`: one step's bytes, several steps' lines, following, retries, restarts."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from stepwell.api.client import Client
from stepwell.cli import logs
from stepwell.errors import NotFoundError
from support.command_line import stepwell
from support.fake_daemon import Answer, Asked, FakeDaemon
from support.wire_samples import a_failed_step, a_run, a_step, an_event, events_of


def serve_log(daemon: FakeDaemon, step_run: str, *parts: bytes, done: bool = True) -> list[bytes]:
    """Serve a log that grows by a part with each question for more. Returns what is left to come."""
    left = list(parts[1:])
    log = bytearray(parts[0] if parts else b"")

    def read(asked: Asked) -> Answer:
        offset = int(asked.query["offset"])
        if offset >= len(log) and left and float(asked.query["wait_s"]) > 0:
            log.extend(left.pop(0))
        part = bytes(log[offset : offset + int(asked.query["limit"])])
        headers = {"X-Log-Size": str(len(log)), "X-Log-Offset": str(offset + len(part))}
        if done and not left and offset + len(part) == len(log):
            headers["X-Log-Done"] = "1"
        return Answer(part, headers=headers)

    daemon.on("GET", f"/v1/step_runs/{step_run}/log", read)
    return left


def test_one_steps_log_is_printed_byte_for_byte(daemon: FakeDaemon, capfdbinary: Any) -> None:
    raw = b"\x1b[31mred\x1b[0m\r\n\x00\xff no newline"
    daemon.on("GET", "/v1/runs/last", a_run(a_step("train"), a_step("other")))
    serve_log(daemon, "sr-train", raw)

    said = stepwell_to_files("logs", "last", "train")

    assert said == (0, b"")
    assert capfdbinary.readouterr().out == raw


def stepwell_to_files(*words: str) -> tuple[int, bytes]:
    """Run a command on the real stdout: it writes bytes, which a text stream would spoil."""
    from stepwell.cli.main import cli

    with pytest.raises(SystemExit) as ended:
        cli(words)
    assert isinstance(ended.value.code, int)
    return ended.value.code, b""


def test_the_log_of_a_reused_step_is_its_originals_and_is_said_to_be(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs/last", a_run(a_step("train", reused_run=11)))
    serve_log(daemon, "sr-train", b"old words\n")

    said = stepwell("logs", "last", "train", "-f")

    assert (said.code, said.out) == (0, "old words\n")
    assert said.err == "step 'train' was reused; this is its log of run 11\n"


def test_several_steps_are_printed_line_by_line_behind_their_names(daemon: FakeDaemon) -> None:
    run = a_run(a_step("prep", reused_run=11), a_step("a"), a_failed_step("longer"), a_step("s", "Skipped"))
    daemon.on("GET", "/v1/runs/last", run)
    serve_log(daemon, "sr-a", b"one\ntwo")
    serve_log(daemon, "sr-longer", b"three\n")

    said = stepwell("logs", "last")

    assert said.out == "a      │ one\na      │ two\nlonger │ three\n"
    assert said.err == "1 step of run 12 reused an earlier result and wrote nothing\n"


def test_following_one_step_goes_on_until_it_has_ended(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs/last", a_run(a_step("train", "Running")))
    daemon.on("GET", "/v1/step_runs/sr-train", a_step("train"))
    serve_log(daemon, "sr-train", b"", b"one\n", b"two\n", b"three\n")

    said = stepwell("logs", "last", "train", "-f")

    assert (said.code, said.out) == (0, "one\ntwo\nthree\n")


def test_following_a_step_that_is_tried_again_prints_every_attempt(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs/last", a_run(a_step("train", "Running")))
    states = iter([a_step("train", "Queued"), a_step("train", "Running", attempts=2), a_step("train", attempts=2)])
    daemon.on("GET", "/v1/step_runs/sr-train", lambda asked: next(states))
    texts = {"1": b"first\n", "2": b"second\n"}

    def read(asked: Asked) -> Answer:
        text = texts[asked.query["attempt"]][int(asked.query["offset"]) :]
        return Answer(text, headers={"X-Log-Offset": "9", "X-Log-Size": "9", "X-Log-Done": "1"})

    daemon.on("GET", "/v1/step_runs/sr-train/log", read)

    said = stepwell("logs", "last", "train", "-f")

    assert said.out == "first\nsecond\n"
    assert said.err == "step 'train' is tried again, attempt 2\n"


def test_following_a_run_prints_each_step_from_its_start(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs/last", a_run(a_step("prep"), a_step("train", "NotStarted")))
    daemon.on("GET", "/v1/step_runs/sr-train", a_step("train"))
    serve_log(daemon, "sr-prep", b"prepared\n")
    serve_log(daemon, "sr-train", b"", b"epoch 1\nepo", b"ch 2\n")
    running = a_run(a_step("prep"), a_step("train", "NotStarted"))
    events = [
        *events_of(running),
        an_event(101, "step.changed", "train", state="Running", reason="r"),
        an_event(102, "run.ended", state="Finished"),
    ]
    daemon.on("GET", "/v1/events", {"events": events, "seq": 102})

    said = stepwell("logs", "last", "-f")

    assert (said.code, said.out) == (0, "prep  │ prepared\ntrain │ epoch 1\ntrain │ epoch 2\n")


def test_an_error_in_a_followed_step_is_not_swallowed(daemon: FakeDaemon) -> None:
    running = a_run(a_step("prep", "Running"), a_step("train", "Running"))
    daemon.on("GET", "/v1/runs/last", running)
    events = [*events_of(running), an_event(101, "run.ended", state="Finished")]
    daemon.on("GET", "/v1/events", {"events": events, "seq": 101})
    gone = NotFoundError("no step run 'sr-prep'", code="unknown_step_run")
    for key in ("prep", "train"):
        daemon.on("GET", f"/v1/step_runs/sr-{key}/log", Answer({"error": gone.to_wire()}, status=404))

    said = stepwell("logs", "last", "-f")

    assert (said.code, said.err) == (2, "no step run 'sr-prep'\n")


def test_following_survives_a_daemon_that_is_killed_in_between(daemon: FakeDaemon) -> None:
    left = serve_log(daemon, "sr-train", b"", b"before\n", b"after\n")
    read = daemon.routes["GET", "/v1/step_runs/sr-train/log"]
    back = threading.Timer(0.3, daemon.listen)

    def dying(asked: Asked) -> Any:
        if asked.query["offset"] == "7" and not back.is_alive() and len(left) == 1:
            daemon.on("GET", "/v1/step_runs/sr-train/log", read)
            daemon.stop_listening()
            back.start()
        return read(asked)

    daemon.on("GET", "/v1/step_runs/sr-train/log", dying)
    daemon.on("GET", "/v1/step_runs/sr-train", a_step("train"))
    written: list[bytes] = []
    with Client.connect(daemon.home, start=False) as client:
        logs.tail(client, "sr-train", "all", written.append)
    back.join()

    assert b"".join(written) == b"before\nafter\n"


def test_an_attempt_belongs_to_a_step(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs/last", a_run(a_step("a"), a_step("b")))

    said = stepwell("logs", "last", "--attempt", "2")

    assert (said.code, said.err) == (
        2,
        "an attempt belongs to one step\n  try: stepwell logs last STEP --attempt 2\n",
    )


def test_one_attempt_and_one_stream_are_asked_for(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs/last", a_run(a_failed_step("a", attempts=2)))
    serve_log(daemon, "sr-a", b"x\n")

    stepwell("logs", "last", "a", "--attempt", "1", "--stream", "err")

    query = daemon.requests[-1].query
    assert (query["attempt"], query["stream"]) == ("1", "err")
