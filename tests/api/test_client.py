"""The client of the daemon: replies, errors, lost connections, skew of versions."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.api import wire
from stepwell.api.client import Client
from stepwell.errors import ConflictError, MachineError, NotFoundError, UsageError, unknown
from stepwell.paths import Home
from support.fake_daemon import Answer, Asked, FakeDaemon, fake_daemon


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    with fake_daemon(tmp_path) as running:
        yield running


@pytest.fixture
def client(daemon: FakeDaemon) -> Iterator[Client]:
    with Client.connect(daemon.home, start=False) as connected:
        yield connected


def test_a_read_returns_the_json_of_the_reply(daemon: FakeDaemon, client: Client) -> None:
    daemon.on("GET", "/v1/hello", {"pid": 7})

    assert client.get("/v1/hello") == {"pid": 7}


def test_a_chunked_reply_is_put_together(daemon: FakeDaemon, client: Client) -> None:
    daemon.on("GET", "/v1/hello", Answer({"pid": 7, "home": "x" * 5000}, chunked=True))

    assert client.get("/v1/hello") == {"pid": 7, "home": "x" * 5000}
    assert client.get("/v1/hello")["pid"] == 7


def test_query_values_that_are_none_are_left_out(daemon: FakeDaemon, client: Client) -> None:
    daemon.on("GET", "/v1/runs", {"runs": []})

    client.get("/v1/runs", workspace="a & b/ü", experiment=None, limit=5)

    assert daemon.requests[-1].query == {"workspace": "a & b/ü", "limit": "5"}


def test_odd_names_travel_in_paths_queries_and_bodies(daemon: FakeDaemon, client: Client) -> None:
    odd = "a/../b?\n\udcff ü%"
    daemon.on("POST", f"/v1/runs/{odd}/cancel", lambda asked: {"got": asked.body["reason"]})
    daemon.on("GET", "/v1/runs", lambda asked: {"got": asked.query["experiment"]})

    assert client.post(wire.route("runs", odd, "cancel"), {"reason": odd}) == {"got": odd}
    assert client.get("/v1/runs", experiment=odd) == {"got": odd}


def test_one_connection_serves_many_requests(daemon: FakeDaemon, client: Client) -> None:
    daemon.on("GET", "/v1/hello", {})

    for _ in range(5):
        client.get("/v1/hello")

    assert len(daemon._connections) == 1


def test_threads_may_share_a_client(daemon: FakeDaemon, client: Client) -> None:
    gate = threading.Barrier(4, timeout=10)

    def answer(asked: Asked) -> dict[str, str]:
        gate.wait()  # all four are being served at the same moment
        return {"got": asked.query["n"]}

    daemon.on("GET", "/v1/hello", answer)
    got: list[str] = []
    threads = [threading.Thread(target=lambda n=n: got.append(client.get("/v1/hello", n=n)["got"])) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)

    assert sorted(got) == ["0", "1", "2", "3"]


def test_the_daemons_error_is_raised_as_itself_with_its_hint(daemon: FakeDaemon, client: Client) -> None:
    error = unknown("run", "lsat", ["last"])
    daemon.on("GET", "/v1/runs/lsat", Answer({"error": error.to_wire()}, status=error.http_status))

    with pytest.raises(NotFoundError) as caught:
        client.get(wire.route("runs", "lsat"))

    assert str(caught.value) == "no run named 'lsat' (there is: last)\n  try: did you mean 'last'?"
    assert caught.value.code == "unknown_run"


def test_an_error_without_a_reason_says_what_came_instead(daemon: FakeDaemon, client: Client) -> None:
    daemon.on("GET", "/v1/hello", Answer(b"Internal Server Error", status=500))

    with pytest.raises(MachineError) as caught:
        client.get("/v1/hello")

    assert str(caught.value) == (
        "the daemon answered 500 and no reason: 'Internal Server Error'\n  try: `stepwell daemon logs` shows more"
    )


def test_events_that_are_no_longer_kept_are_a_conflict_with_a_code(daemon: FakeDaemon, client: Client) -> None:
    gone = ConflictError("events up to 9 are no longer kept", code="events_gone")
    daemon.on("GET", "/v1/events", Answer({"error": gone.to_wire()}, status=410))

    with pytest.raises(ConflictError) as caught:
        client.events(3)

    assert caught.value.code == "events_gone"


def test_events_come_with_the_number_to_continue_after(daemon: FakeDaemon, client: Client) -> None:
    daemon.on("GET", "/v1/events", {"events": [{"seq": 5}], "seq": 9})

    page = client.events(4, "r1", 0.5, kind="run.ended")

    assert page == ([{"seq": 5}], 9)
    assert daemon.requests[-1].query == {"after": "4", "run": "r1", "wait_s": "0.5", "kind": "run.ended"}


def test_a_log_chunk_says_where_to_go_on_and_whether_it_is_over(daemon: FakeDaemon, client: Client) -> None:
    headers = {"X-Log-Size": "100", "X-Log-Offset": "14", "X-Log-Done": "1"}
    daemon.on("GET", "/v1/step_runs/s1/log", Answer(b"\x00\xffab", headers=headers))

    chunk = client.log("s1", offset=10, limit=4)

    assert chunk == (b"\x00\xffab", 14, 100, True)


def test_a_read_is_asked_again_when_the_daemon_hung_up(daemon: FakeDaemon, client: Client) -> None:
    daemon.on("GET", "/v1/hello", {"pid": 7})
    daemon.hang_up_before_answering = 1

    assert client.get("/v1/hello") == {"pid": 7}
    assert len(daemon.asked("GET", "/v1/hello")) == 2


def test_a_write_is_never_sent_twice(daemon: FakeDaemon, client: Client) -> None:
    daemon.on("POST", "/v1/runs", {"run": "r"})
    daemon.hang_up_before_answering = 1

    with pytest.raises(MachineError) as caught:
        client.post("/v1/runs", {})

    assert str(caught.value) == (
        "the daemon went away before it answered; whether it did `POST /v1/runs` is not known\n"
        "  try: `stepwell status` and `stepwell runs` show what is there"
    )
    assert len(daemon.asked("POST", "/v1/runs")) == 1


def test_a_write_on_a_connection_that_the_daemon_closed_opens_a_new_one(daemon: FakeDaemon, client: Client) -> None:
    daemon.on("POST", "/v1/runs", {"run": "r"})
    client.post("/v1/runs", {})
    daemon.drop_connections()

    assert client.post("/v1/runs", {}) == {"run": "r"}


def test_a_read_waits_for_a_daemon_that_is_being_restarted(daemon: FakeDaemon, client: Client) -> None:
    back = threading.Timer(0.3, daemon.listen)

    def die(asked: Asked) -> None:
        daemon.on("GET", "/v1/hello", {"pid": 8})
        daemon.stop_listening()
        back.start()

    daemon.on("GET", "/v1/hello", die)
    answer = client.get("/v1/hello")
    back.join()

    assert answer == {"pid": 8}


def test_without_a_daemon_and_without_leave_to_start_one_it_says_so(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "home")

    with pytest.raises(MachineError) as caught:
        Client.connect(home, start=False)

    assert str(caught.value) == (f"no daemon is running for the home {str(home.root)!r}\n  try: stepwell daemon start")
    assert not home.root.exists()


def test_a_newer_daemon_is_refused_by_name(daemon: FakeDaemon, client: Client) -> None:
    daemon.wire_headers = {"X-Stepwell-Wire": "7", "X-Stepwell-Version": "9.1"}
    daemon.on("GET", "/v1/hello", {})

    with pytest.raises(MachineError) as caught:
        client.get("/v1/hello")

    assert str(caught.value) == (
        f"the daemon is Stepwell 9.1 and speaks wire 7; this is Stepwell {wire.VERSION} and speaks wire 1\n"
        "  try: use the stepwell command of version 9.1"
    )


def test_an_older_daemon_is_refused_by_name(daemon: FakeDaemon, client: Client) -> None:
    daemon.wire_headers = {"X-Stepwell-Wire": "0", "X-Stepwell-Version": "0.0.1"}
    daemon.on("GET", "/v1/hello", {})

    with pytest.raises(MachineError) as caught:
        client.get("/v1/hello")

    assert str(caught.value) == (
        f"the daemon is Stepwell 0.0.1 and speaks wire 0; this is Stepwell {wire.VERSION} and speaks wire 1\n"
        "  try: stop the daemon with the version that started it; running steps go on"
    )


def test_something_else_on_the_socket_is_not_taken_for_a_daemon(daemon: FakeDaemon, client: Client) -> None:
    daemon.wire_headers = {}
    daemon.on("GET", "/v1/hello", {})

    with pytest.raises(MachineError, match="what answers on the daemon's socket is not Stepwell"):
        client.get("/v1/hello")


def test_a_socket_whose_path_is_too_long_for_the_kernel_is_reached(tmp_path: Path) -> None:
    with fake_daemon(tmp_path / ("long" * 20) / ("longer" * 20)) as daemon:
        daemon.on("GET", "/v1/hello", {"pid": 1})

        with Client.connect(daemon.home, start=False) as client:
            assert client.get("/v1/hello") == {"pid": 1}


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_no_segment_can_leave_its_place_in_a_route(name: str) -> None:
    quoted = wire.route("runs", name).removeprefix("/v1/runs/")

    assert not set(quoted) & set("/?#\r\n \\")
    assert quoted not in (".", "..")


def test_times_are_rfc_3339_in_utc_with_microseconds() -> None:
    assert wire.rfc3339(1_780_000_000_250_001) == "2026-05-28T20:26:40.250001Z"
    assert wire.rfc3339(None) is None


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert version("stepwell") == wire.VERSION


def test_importing_the_client_loads_nothing_heavy() -> None:
    heavy = "http.client email asyncio rich importlib.metadata pydantic sqlmodel starlette click subprocess"
    code = f"import sys, stepwell.api.client; print([m for m in {heavy.split()!r} if m in sys.modules])"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert found.strip() == "[]"


def test_a_usage_error_keeps_its_kind_over_the_wire(daemon: FakeDaemon, client: Client) -> None:
    error = UsageError("the pipeline has a cycle: a -> b -> a", code="cycle")
    daemon.on("POST", "/v1/plan", Answer({"error": error.to_wire()}, status=400))

    with pytest.raises(UsageError) as caught:
        client.post("/v1/plan", {})

    assert (type(caught.value), caught.value.code) == (UsageError, "cycle")
