"""Source folders of every shape: frozen whole, never followed out, never waited for."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from stepwell.paths import Home
from support.live import Live, python
from support.waiting import wait_until

PRINT = """
import os
for root, folders, files in os.walk("."):
    for name in sorted(files):
        print(os.path.join(root, name).encode("utf-8", "surrogateescape"))
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "list.py").write_text(PRINT)
    return folder


def test_a_step_gets_a_private_writable_copy(live: Live, source: Path) -> None:
    (source / "data.txt").write_text("mine")
    (source / "edit.py").write_text("open('data.txt', 'w').write('changed'); open('new', 'w').write('x')")

    run = live.run(python("edit", source, "edit.py"))

    assert run["status"] == "Finished"
    assert (source / "data.txt").read_text() == "mine"
    assert not (source / "new").exists()


def test_an_edit_of_any_file_runs_the_step_again_and_names_the_file(live: Live, source: Path) -> None:
    (source / "extra.txt").write_text("one")
    live.run(python("list", source, "list.py"))
    (source / "extra.txt").write_text("two")

    run = live.run(python("list", source, "list.py"))

    assert run["ran"] == 1
    assert "extra.txt" in run["steps"][0]["reason"]


def test_touching_and_ignored_files_change_nothing(live: Live, source: Path) -> None:
    (source / ".gitignore").write_text("*.log\n")
    live.run(python("list", source, "list.py"))
    os.utime(source / "list.py", (1, 1))
    (source / "list.py").chmod(0o600)
    (source / "noise.log").write_text("x")
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "x.pyc").write_text("x")

    run = live.run(python("list", source, "list.py"))

    assert run["reused"] == 1


def test_loops_pipes_and_sockets_neither_hang_nor_fail_it(live: Live, source: Path) -> None:
    (source / "loop").symlink_to(".")
    (source / "dangling").symlink_to("nowhere")
    os.mkfifo(source / "pipe")
    with socket.socket(socket.AF_UNIX) as peer:
        peer.bind(str(source / "sock"))

        run = live.run(python("list", source, "list.py"))

    assert run["status"] == "Finished"
    assert any("'pipe' is a FIFO" in text for text in run["warnings"])
    assert any("'sock' is a socket" in text for text in run["warnings"])


def test_names_that_are_no_utf8_arrive_as_they_are(live: Live, source: Path) -> None:
    names = [b"caf\xe9", b"new\nline", "nfc-é".encode(), "nfd-é".encode(), b" space ", b"-dash", b"x" * 255]
    for name in names:
        Path(os.fsdecode(os.path.join(os.fsencode(source), name))).write_text("x")

    run = live.run(python("list", source, "list.py"))

    assert run["status"] == "Finished", run
    log = live.log(run["run"], "list")
    assert all(repr(b"./" + name) in log for name in names)


def test_a_copy_elsewhere_is_the_same_source(live: Live, source: Path, tmp_path: Path) -> None:
    import shutil

    live.run(python("list", source, "list.py"))
    shutil.copytree(source, tmp_path / "copy")

    run = live.run(python("list", tmp_path / "copy", "list.py"))

    assert run["reused"] == 1


def test_a_home_inside_the_source_folder_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "list.py").write_text(PRINT)
    with Live(Home.at(tmp_path / "state")) as live:
        first = live.run(python("list", tmp_path, "list.py"))
        second = live.run(python("list", tmp_path, "list.py"))
        live.client.post("/v1/stop", {})
        wait_until(lambda: not live.home.socket.exists(), within_s=10)

    assert (first["status"], first["warnings"]) == ("Finished", [])
    assert second["reused"] == 1
