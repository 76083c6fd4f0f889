from __future__ import annotations

from pathlib import Path

from contracts import sizes


def test_no_file_function_or_name_is_over_its_ceiling() -> None:
    assert sizes.violations() == []


def test_a_file_of_451_lines_is_over_and_one_of_450_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "engine"
    folder.mkdir()
    (folder / "long.py").write_text("x = 1\n" * 451)
    (folder / "full.py").write_text("x = 1\n" * 450)

    found = sizes.violations(tmp_path)

    assert found == ["engine/long.py: 451 lines, at most 450; a file this long holds two nouns"]


def test_a_function_of_61_lines_is_named_with_its_line(tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "work.py").write_text("x = 1\n\n\ndef work():\n" + "    x = 1\n" * 60)

    found = sizes.violations(tmp_path)

    assert found == ["tests/work.py:4: work is 61 lines, at most 60"]


def test_a_file_named_after_nothing_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "plugins" / "image_utils"
    folder.mkdir(parents=True)
    (folder / "resize.py").write_text("")

    found = sizes.violations(tmp_path)

    assert found == ["plugins/image_utils/resize.py: the name 'image_utils' says nothing; name the noun"]
