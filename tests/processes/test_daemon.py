"""The daemon as a neighbour: one per home, no other user's, quiet when idle, honest about a bad home."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stepwell.api.client import Client
from stepwell.paths import Home
from support.live import Live, shell
from support.waiting import wait_until


def start(home: Path | str) -> subprocess.CompletedProcess[str]:
    """Run a daemon that is expected to refuse, and return what it said."""
    command = [sys.executable, "-m", "stepwell.runtime.daemon", "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_second_daemon_on_one_home_is_refused_and_names_the_first(live: Live, tmp_path: Path) -> None:
    home = live.home
    pid = live.client.get("/v1/hello")["pid"]
    link = tmp_path / "link"
    link.symlink_to(home.root)

    for path in (home.root, link):
        refused = start(path)

        assert refused.returncode == 3
        assert "another daemon has the home" in refused.stderr
        assert f'"pid": {pid}' in refused.stderr


def test_the_socket_is_for_its_owner_alone(live: Live) -> None:
    home = live.home

    assert home.socket.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_gets_no_byte_back_even_where_the_mode_would_let_it(live: Live) -> None:
    home = live.home
    home.socket.chmod(0o666)
    for folder in (home.root, *home.root.parents):
        if folder.stat().st_mode & 0o001 == 0:
            folder.chmod(folder.stat().st_mode | 0o011)
    ask = (
        "import os, socket, sys\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "peer = socket.socket(socket.AF_UNIX); peer.settimeout(10)\n"
        "peer.connect(sys.argv[1])\n"
        "try:\n"
        "    peer.sendall(b'GET /v1/hello HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')\n"
        "    print(len(peer.recv(65536)))\n"
        "except ConnectionError:\n"
        "    print(0)\n"
    )

    answer = subprocess.run(
        ["/usr/bin/python3", "-c", ask, str(home.socket)], capture_output=True, text=True, timeout=60, check=True
    )

    assert answer.stdout == "0\n"


def test_two_clients_that_start_the_daemon_at_once_get_the_same_one(home: Home) -> None:
    say = (
        "from stepwell.api.client import Client; from stepwell.paths import Home; import sys\n"
        "print(Client.connect(Home.at(sys.argv[1])).get('/v1/hello')['pid'])"
    )
    command = [sys.executable, "-c", say, str(home.root)]

    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = {child.communicate(timeout=60)[0] for child in children}

    assert len(said) == 1
    assert said != {""}


def test_a_home_with_a_very_long_path_works(home: Home) -> None:
    with Live(Home.at(home.root / ("x" * 60) / ("y" * 60))) as live:
        run = live.run(shell("one", "true"))

    assert run["status"] == "Finished"


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "is empty"), (b"not a database at all" * 100, "is not a database")],
    ids=["empty", "garbage"],
)
def test_a_broken_database_is_named_and_left_alone(home: Home, content: bytes, says: str) -> None:
    home.create()
    home.database.write_bytes(content)

    refused = start(home.root)

    assert refused.returncode == 4
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr
    assert home.database.read_bytes() == content


def test_a_home_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    refused = start(tmp_path / "file" / "home")

    assert refused.returncode == 4
    assert "cannot use" in refused.stderr
    assert "try: set STEPWELL_HOME" in refused.stderr


def test_a_client_that_hangs_up_in_mid_request_harms_nobody(live: Live) -> None:
    home = live.home
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(home.socket))
        peer.sendall(b"POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{")

    assert live.client.get("/v1/hello")["home"] == str(home.root)


def test_what_is_not_json_is_refused_by_name(live: Live) -> None:
    home = live.home
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(str(home.socket))
        peer.sendall(b"POST /v1/runs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\n{x}")
        answer = b"".join(iter(lambda: peer.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"the request is not JSON" in answer
    assert live.client.get("/v1/hello")["runs_active"] == 0


def test_a_daemon_asked_to_stop_is_gone_and_starts_again_on_demand(live: Live) -> None:
    home = live.home
    first = live.client.get("/v1/hello")["pid"]

    live.client.post("/v1/stop", {})
    wait_until(lambda: not home.socket.exists(), within_s=10)

    with Client.connect(home) as client:
        assert client.get("/v1/hello")["pid"] != first
