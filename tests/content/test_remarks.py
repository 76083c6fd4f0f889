from __future__ import annotations

from pathlib import Path

import pytest

from content.folders_on_disk import write
from stepwell.content import remarks
from stepwell.content.snapshots import freeze


def warnings(root: Path) -> tuple[str, ...]:
    return freeze(root, None, None, keep=False).warnings


def test_a_folder_of_ordinary_size_is_not_remarked_on(root: Path) -> None:
    write(root, {f"{number}.py": "" for number in range(remarks.BIG_FILES)})

    assert warnings(root) == ()


def test_a_folder_with_many_files_names_the_largest_and_what_to_leave_out(root: Path) -> None:
    write(root, {f"images/{number}.png": "" for number in range(remarks.BIG_FILES)})
    write(root, {"data/table.csv": b"x" * 3_000_000, "weights.bin": b"x" * 1_500_000, "train.py": "x"})

    (said,) = warnings(root)

    lines = said.splitlines()
    assert lines[:3] == [
        "the source folder is large: 2,003 files, 4.5 MB; the largest:",
        "           3.0 MB  data/table.csv",
        "           1.5 MB  weights.bin",
    ]
    assert len(lines) == 1 + 10 + 1
    assert lines[-1] == "  to leave some out, put lines like these into .amlignore: data/  *.bin  images/"


def test_a_folder_with_many_bytes_is_remarked_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remarks, "BIG_BYTES", 10)
    write(root, {"odd\nname.bin": "x" * 11})

    (said,) = warnings(root)

    assert said.splitlines() == [
        "the source folder is large: 1 file, 0.0 MB; the largest:",
        "           0.0 MB  'odd\\nname.bin'",
        "  to leave some out, put lines like these into .amlignore: *.bin",
    ]


def test_what_is_left_out_does_not_make_a_folder_large(root: Path) -> None:
    write(root, {f"images/{number}.png": "" for number in range(remarks.BIG_FILES + 1)})
    write(root, {".amlignore": "images/"})

    assert warnings(root) == ()
