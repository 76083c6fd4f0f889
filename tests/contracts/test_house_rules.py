"""The rules `conftest.py` holds every test to, themselves tested."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.sizes import REPOSITORY
from stepwell.paths import Home
from support import left_behind, network, realparts
from support.waiting import wait_until


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that belongs to `tmp_path` by its STEPWELL_HOME alone."""
    environment = {**os.environ, "STEPWELL_HOME": str(tmp_path)}
    with subprocess.Popen(["/bin/sleep", "60"], env=environment, cwd="/") as process:
        yield process
        process.kill()


def test_a_connection_to_another_machine_raises_in_the_test() -> None:
    with socket.socket() as peer, pytest.raises(network.NetworkForbidden, match=r"192\.0\.2\.1"):
        peer.connect(("192.0.2.1", 80))


def test_a_name_of_another_machine_is_not_even_looked_up() -> None:
    with pytest.raises(network.NetworkForbidden, match=r"example\.org"):
        socket.create_connection(("example.org", 80))


def test_loopback_and_unix_sockets_stay_open(tmp_path: Path) -> None:
    for family, address in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_UNIX, str(tmp_path / "s"))):
        with socket.socket(family) as server, socket.socket(family) as peer:
            server.bind(address)
            server.listen()
            peer.connect(server.getsockname())


def test_no_test_sees_the_home_of_the_user() -> None:
    assert Home.from_environment().root != Home.at("~/.stepwell").root


def test_a_process_of_a_home_is_found_by_its_variables(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    found = wait_until(lambda: left_behind.survivors(tmp_path), within_s=5)

    assert [(one.pid, one.words) for one in found] == [(sleeper.pid, ("/bin/sleep", "60"))]
    assert left_behind.survivors(tmp_path / "other") == []


def test_what_a_test_leaves_behind_is_killed_and_named(
    tmp_path: Path, sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(left_behind, "GRACE_S", 0.2)
    wait_until(lambda: left_behind.survivors(tmp_path), within_s=5)

    killed = left_behind.end_all(tmp_path)

    assert [str(one) for one in killed] == [f"{sleeper.pid} /bin/sleep 60"]
    assert sleeper.wait(5) == -9


def test_an_unknown_real_part_is_a_mistake_in_the_test() -> None:
    with pytest.raises(LookupError, match="no real part named 'python2'"):
        realparts.find("python2")


@pytest.mark.parametrize(("ci", "outcome"), [("0", "1 skipped"), ("1", "1 error")])
def test_a_missing_real_part_skips_a_test_and_fails_it_in_ci(tmp_path: Path, ci: str, outcome: str) -> None:
    (tmp_path / "conftest.py").write_text((REPOSITORY / "tests" / "conftest.py").read_text())
    (tmp_path / "test_part.py").write_text(
        "import pytest\nfrom support import realparts\n"
        "realparts.find = lambda name: None\n"
        "@pytest.mark.real('tmux')\ndef test_it(): pass\n"
    )
    words = ["-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", str(tmp_path), str(tmp_path)]
    environment = {**os.environ, "STEPWELL_CI": ci, "PYTHONPATH": str(REPOSITORY / "tests")}
    environment.pop("PYTEST_ADDOPTS", None)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], env=environment, capture_output=True, text=True, check=False
    )

    assert outcome in done.stdout
    assert "not on this machine: tmux" in done.stdout
    assert "--hypothesis-seed=" in done.stdout
