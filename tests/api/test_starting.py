"""Starting a daemon on demand, seen from the client: what it gets, and why it did not come up."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from stepwell.api import starting
from stepwell.errors import MachineError
from stepwell.paths import Home


def _interpreter(folder: Path, script: str) -> str:
    """Return a program that stands for the interpreter, so that the daemon is `script`."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


def test_a_daemon_that_says_why_it_cannot_start_is_quoted_with_its_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home.at(tmp_path / "home")
    script = "printf 'stepwell: the disk is full\\n  try: free some space\\n' >&2; exit 4"
    monkeypatch.setattr(sys, "executable", _interpreter(tmp_path, script))

    with pytest.raises(MachineError) as caught:
        starting.start_daemon(home)

    assert str(caught.value) == ("the daemon could not start (exit code 4): the disk is full\n  try: free some space")


def test_a_daemon_that_dies_of_a_bug_shows_the_end_of_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home.at(tmp_path / "home")
    monkeypatch.setattr(sys, "executable", _interpreter(tmp_path, "echo 'KeyError: 7' >&2; kill -9 $$"))

    with pytest.raises(MachineError) as caught:
        starting.start_daemon(home)

    assert str(caught.value) == (
        f"the daemon could not start (signal 9): KeyError: 7\n  try: the whole story is in {str(home.log)!r}"
    )


def test_what_an_earlier_daemon_said_is_not_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home.at(tmp_path / "home")
    home.create()
    home.log.write_text("stepwell: an old reason\n")
    monkeypatch.setattr(sys, "executable", _interpreter(tmp_path, "exit 1"))

    with pytest.raises(MachineError) as caught:
        starting.start_daemon(home)

    assert caught.value.message == "the daemon could not start (exit code 1)"


def test_a_daemon_gets_its_own_session_the_root_folder_and_no_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home.at(tmp_path / "home")
    session = '$(cut -d" " -f6 /proc/$$/stat)'
    script = f'read -r line; echo "cwd=$PWD sid={session} pid=$$ in=[$line] args=$*" >&2; exit 1'
    monkeypatch.setattr(sys, "executable", _interpreter(tmp_path, script))

    with pytest.raises(MachineError) as caught:
        starting.start_daemon(home)

    said = dict(word.split("=", 1) for word in caught.value.message.split(": ", 1)[1].split(" ")[:4])
    assert (said["cwd"], said["in"]) == ("/", "[]")
    assert said["sid"] == said["pid"]
    assert f"-P -m stepwell.runtime.daemon --home {home.root}" in caught.value.message


def test_the_daemon_gets_few_variables_and_none_of_a_steps() -> None:
    environment = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "SECRET": "x",
        "STEPWELL_RUN_ID": "r",
        "CUDA_VISIBLE_DEVICES": "0",
    }

    assert starting.clean_environment(environment) == {"PATH": "/bin", "LC_ALL": "C"}


def test_a_home_that_cannot_be_made_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(MachineError) as caught:
        starting.start_daemon(Home.at(tmp_path / "file" / "home"))

    assert str(caught.value) == (
        f"cannot use {os.fspath(tmp_path / 'file' / 'home')!r} as the home: Not a directory\n"
        "  try: set STEPWELL_HOME to a folder on a local disk that you can write"
    )
