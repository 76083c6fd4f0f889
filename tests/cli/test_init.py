"""`stepwell init`: making, keeping, moving and copying a workspace."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from stepwell.errors import NotFoundError
from support.command_line import stepwell
from support.fake_daemon import Answer, Asked, FakeDaemon


@pytest.fixture
def known(daemon: FakeDaemon) -> dict[str, dict[str, Any]]:
    """The workspaces that the daemon knows, by id."""
    rows: dict[str, dict[str, Any]] = {}

    def register(asked: Asked) -> dict[str, Any]:
        row = rows[asked.body["id"]] = {key: asked.body[key] for key in ("id", "name", "root")}
        missing = NotFoundError("no such workspace")
        daemon.routes.setdefault(
            ("GET", f"/v1/workspaces/{row['id']}"),
            lambda _: rows.get(row["id"]) or Answer({"error": missing.to_wire()}, status=404),
        )
        return row

    daemon.on("POST", "/v1/workspaces", register)
    return rows


def _config(folder: Path) -> dict[str, str]:
    config: dict[str, str] = json.loads((folder / ".stepwell" / "config.json").read_text())
    return config


def test_a_folder_becomes_a_workspace_under_its_own_name(known: dict[str, Any], tmp_path: Path) -> None:
    said = stepwell("init", "digits")

    config = _config(tmp_path / "digits")
    assert (said.code, said.out) == (0, "")
    assert said.err == f"made a workspace: digits in {tmp_path / 'digits'}\n"
    assert known[config["id"]] == {"id": config["id"], "name": "digits", "root": str(tmp_path / "digits")}


def test_made_again_it_stays_the_workspace_it_is(known: dict[str, Any], tmp_path: Path) -> None:
    stepwell("init", "digits", "--name", "mine")
    before = _config(tmp_path / "digits")

    said = stepwell("init", "digits", "--json")

    assert said.data == {"id": before["id"], "name": "mine", "root": str(tmp_path / "digits")}
    assert _config(tmp_path / "digits") == before
    assert len(known) == 1


def test_a_moved_workspace_keeps_its_id_and_gets_its_new_path(known: dict[str, Any], tmp_path: Path) -> None:
    stepwell("init", "old")
    before = _config(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")

    stepwell("init", "new")

    assert _config(tmp_path / "new") == before
    assert known[before["id"]]["root"] == str(tmp_path / "new")


def test_a_copy_of_a_workspace_becomes_one_of_its_own_and_says_so(known: dict[str, Any], tmp_path: Path) -> None:
    stepwell("init", "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")

    said = stepwell("init", "two")

    assert said.err == f"a copy of another workspace became one of its own: one in {tmp_path / 'two'}\n"
    assert _config(tmp_path / "one")["id"] != _config(tmp_path / "two")["id"]
    assert len(known) == 2


def test_a_folder_that_cannot_be_made_is_told(known: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    said = stepwell("init", "file/digits")

    assert said.code == 4
    assert said.err == f"cannot make the folder {str(tmp_path / 'file' / 'digits')!r}: Not a directory\n"
