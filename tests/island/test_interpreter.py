"""What an interpreter says it is, asked with the interpreter itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from island.pythons import PYTHONS, interpreter
from island.real_launcher import ISLAND

Json = dict[str, Any]


def ask(python: str, *sites: Path) -> Json:
    """Ask an interpreter that sees only the folders `sites` beside its standard library."""
    words = [python, "-S", str(ISLAND / "interpreter.py")]
    variables = {"PYTHONPATH": ":".join(map(str, sites))}
    done = subprocess.run(words, env=variables, capture_output=True, check=True, timeout=60)
    answer: Json = json.loads(done.stdout)
    return answer


def install(site: Path, name: str, version: str = "1.0", record: str = "x.py,sha256=1,1\n") -> Path:
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "RECORD").write_text(record)
    return info


@pytest.mark.parametrize("python", PYTHONS)
def test_an_interpreter_says_what_it_is(python: str, tmp_path: Path) -> None:
    path = interpreter(python)
    install(tmp_path, "Some_Thing.else", "2.5")

    answer = ask(path, tmp_path)

    code = "import sys, platform; print(platform.python_version(), sys.prefix, sys.executable, sep='|')"
    version, prefix, executable = subprocess.check_output([path, "-S", "-c", code], text=True).strip().split("|")
    assert answer["implementation"] == "CPython"
    assert (answer["version"], answer["prefix"], answer["executable"]) == (version, prefix, executable)
    assert answer["platform"].startswith("linux-")
    assert answer["site"] == [str(tmp_path)]
    assert list(answer["distributions"]) == ["some-thing-else"]
    assert answer["distributions"]["some-thing-else"]["version"] == "2.5"
    assert answer["distributions"]["some-thing-else"]["editable"] is None


def test_a_changed_record_is_another_answer(tmp_path: Path) -> None:
    info = install(tmp_path, "tool")
    before = ask(sys.executable, tmp_path)

    (info / "RECORD").write_text("x.py,sha256=2,1\n")

    after = ask(sys.executable, tmp_path)
    assert before["distributions"]["tool"]["record"] != after["distributions"]["tool"]["record"]


def test_the_engine_is_no_part_of_the_answer(tmp_path: Path) -> None:
    install(tmp_path, "stepwell")
    install(tmp_path, "stepwell_plugin")

    assert list(ask(sys.executable, tmp_path)["distributions"]) == ["stepwell-plugin"]


def test_the_first_folder_of_the_path_wins(tmp_path: Path) -> None:
    install(tmp_path / "a", "tool", "1.0")
    install(tmp_path / "b", "tool", "2.0")

    assert ask(sys.executable, tmp_path / "a", tmp_path / "b")["distributions"]["tool"]["version"] == "1.0"
    assert ask(sys.executable, tmp_path / "b", tmp_path / "a")["distributions"]["tool"]["version"] == "2.0"


def editable(site: Path, name: str, project: Path, record: str) -> None:
    info = install(site, name, record=record)
    (info / "direct_url.json").write_text(
        json.dumps({"url": f"file://{str(project).replace(' ', '%20')}", "dir_info": {"editable": True}})
    )


def test_an_editable_install_names_the_folders_its_pth_file_adds(tmp_path: Path) -> None:
    editable(tmp_path, "tool", tmp_path / "project", "_tool.pth,,\ntool-1.0.dist-info/METADATA,,\n")
    (tmp_path / "_tool.pth").write_text("import sys\n/src/one\n\n/src/two\n")

    assert ask(sys.executable, tmp_path)["distributions"]["tool"]["editable"] == ["/src/one", "/src/two"]


def test_an_editable_install_of_setuptools_names_what_its_finder_maps(tmp_path: Path) -> None:
    record = "__editable__.tool-1.0.pth,,\n__editable___tool_1_0_finder.py,,\n"
    editable(tmp_path, "tool", tmp_path / "project", record)
    (tmp_path / "__editable__.tool-1.0.pth").write_text("import __editable___tool_1_0_finder\n")
    (tmp_path / "__editable___tool_1_0_finder.py").write_text(
        "from __future__ import annotations\n"
        "MAPPING: dict[str, str] = {'tool': '/src/tool', 'extra': '/src/extra'}\n"
        "raise SystemExit('never run')\n"
    )

    assert ask(sys.executable, tmp_path)["distributions"]["tool"]["editable"] == ["/src/extra", "/src/tool"]


def test_an_editable_install_that_does_not_say_names_its_project(tmp_path: Path) -> None:
    editable(tmp_path, "tool", tmp_path / "my project", "")

    assert ask(sys.executable, tmp_path)["distributions"]["tool"]["editable"] == [str(tmp_path / "my project")]


def test_old_kinds_of_installs_count_too(tmp_path: Path) -> None:
    (tmp_path / "old-1.0-py3.8.egg-info").mkdir()
    (tmp_path / "old-1.0-py3.8.egg-info" / "PKG-INFO").write_text("Name: old\n")
    (tmp_path / "older-2.0.egg-info").write_text("Name: older\n")
    (tmp_path / "linked.egg-link").write_text("/src/linked\n.\n")

    found = ask(sys.executable, tmp_path)["distributions"]

    assert {name: item["version"] for name, item in found.items()} == {"linked": "", "old": "1.0", "older": "2.0"}
    assert all(len(item["record"]) == 40 for item in found.values())
    assert found["linked"]["editable"] == ["/src/linked"]
