"""`stepwell daemon`: looking at a daemon, stopping one, reading its log."""

from __future__ import annotations

from stepwell.errors import ConflictError
from stepwell.paths import Home
from support.command_line import stepwell
from support.fake_daemon import Answer, Asked, FakeDaemon

PID_OF_NOBODY = 2**22 + 1  # above the largest pid a kernel gives
HELLO = {
    "version": "0.1.0",
    "wire": 1,
    "pid": PID_OF_NOBODY,
    "home": "/h",
    "uptime_s": 184.0,
    "started_us": 1,
    "runs_active": 2,
}


def _stopping(daemon: FakeDaemon) -> None:
    def stop(asked: Asked) -> dict[str, str]:
        daemon.stop_accepting()
        daemon.home.socket.unlink()
        return {}

    daemon.on("GET", "/v1/hello", HELLO)
    daemon.on("POST", "/v1/stop", stop)


def test_status_as_json_has_five_fields(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/hello", HELLO)

    assert stepwell("daemon", "status", "--json").data == {
        **{"pid": PID_OF_NOBODY, "home": "/h", "version": "0.1.0", "uptime_s": 184.0, "runs_active": 2},
    }
    assert "uptime_s     3 min 04 s\n" in stepwell("daemon", "status").out


def test_status_without_a_daemon_is_a_matter_of_the_machine(home: Home) -> None:
    said = stepwell("daemon", "status")

    assert said.code == 4
    assert said.err == f"no daemon is running for the home {str(home.root)!r}\n  try: stepwell daemon start\n"


def test_starting_one_that_runs_says_so(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/hello", HELLO)

    assert stepwell("daemon", "start").err == f"the daemon was running already: pid {PID_OF_NOBODY}, home /h\n"


def test_stopping_waits_for_its_end_and_says_what_goes_on(daemon: FakeDaemon) -> None:
    _stopping(daemon)

    said = stepwell("daemon", "stop")

    assert (said.code, said.err) == (0, "the daemon has stopped; the steps of 2 runs go on without it\n")
    assert daemon.requests[-1].body == {"wait_runs": False}


def test_stopping_can_wait_for_the_runs(daemon: FakeDaemon) -> None:
    _stopping(daemon)
    stop = daemon.routes["POST", "/v1/stop"]

    def busy(asked: Asked) -> Answer:
        daemon.on("POST", "/v1/stop", stop)
        return Answer({"error": ConflictError("2 runs are under way", code="runs_active").to_wire()}, status=409)

    daemon.on("POST", "/v1/stop", busy)

    said = stepwell("daemon", "stop", "--wait")

    assert (said.code, said.err) == (0, "the daemon has stopped\n")
    assert [request.body for request in daemon.asked("POST", "/v1/stop")] == [{"wait_runs": True}] * 2


def test_stopping_none_is_no_error(home: Home) -> None:
    said = stepwell("daemon", "stop")

    assert (said.code, said.err) == (0, "no daemon is running\n")


def test_the_end_of_its_log_is_printed_whether_it_runs_or_not(home: Home) -> None:
    home.log.write_text("".join(f"line {n}\n" for n in range(9)))

    assert stepwell("daemon", "logs", "-n", "2").out == "line 7\nline 8\n"


def test_a_log_that_is_not_there_yet_is_told(home: Home) -> None:
    said = stepwell("daemon", "logs")

    assert said.code == 4
    assert said.err == f"there is no daemon log yet: {str(home.log)!r}\n  try: stepwell daemon start\n"
