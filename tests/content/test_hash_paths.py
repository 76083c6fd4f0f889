from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from content.folders_on_disk import open_to_all, unprivileged, write
from stepwell.content.hashing import hash_bytes
from stepwell.content.snapshots import freeze, freeze_paths
from stepwell.errors import MachineError, UsageError
from stepwell.paths import Home


def test_a_file_counts_by_its_bytes_and_a_folder_by_its_tree(root: Path, tmp_path: Path) -> None:
    write(root, {"a.csv": "1", "d/b": "2", "d/__pycache__/x": ""})
    write(tmp_path, {"elsewhere": "3"})

    digests = freeze_paths(root, ["a.csv", "d", str(tmp_path / "elsewhere"), "none", "a.csv/none"])

    assert digests == {
        "a.csv": hash_bytes(b"1"),
        "d": freeze(root / "d", None, None, keep=False).digest,
        str(tmp_path / "elsewhere"): hash_bytes(b"3"),
        "none": "missing",
        "a.csv/none": "missing",
    }


def test_a_path_that_is_a_link_counts_by_what_it_leads_to(root: Path, tmp_path: Path) -> None:
    write(tmp_path, {"data/x": "1", "file": "2"})
    (root / "data").symlink_to(tmp_path / "data")
    (root / "file").symlink_to(tmp_path / "file")
    (root / "dangling").symlink_to("nowhere")

    assert freeze_paths(root, ["data", "file", "dangling"]) == {
        "data": freeze(tmp_path / "data", None, None, keep=False).digest,
        "file": hash_bytes(b"2"),
        "dangling": "missing",
    }


def write_bytes(path: Path) -> None:
    path.write_text("2")


def replace(path: Path) -> None:
    path.with_name("new").write_text("2")
    path.with_name("new").replace(path)


@pytest.mark.parametrize("change", [write_bytes, replace])
def test_with_a_home_a_changed_file_is_seen(root: Path, place: Home, change: Callable[[Path], None]) -> None:
    write(root, {"a": "1", "d/a": "1"})
    before = freeze_paths(root, ["a", "d"], place)
    change(root / "a")
    change(root / "d" / "a")

    after = freeze_paths(root, ["a", "d"], place)

    assert after == freeze_paths(root, ["a", "d"])
    assert (after["a"], after["d"]) != (before["a"], before["d"])
    assert freeze_paths(root, ["a", "d"], place) == after


def test_a_pipe_is_refused_by_name_and_not_opened(root: Path) -> None:
    os.mkfifo(root / "pipe")

    with pytest.raises(UsageError) as caught:
        freeze_paths(root, ["pipe"])

    assert str(caught.value) == "'pipe' in hash_paths is a FIFO, which has no content to compare"


def test_a_loop_of_links_is_named(root: Path) -> None:
    (root / "loop").symlink_to("loop")

    with pytest.raises(MachineError, match="cannot read 'loop': Too many levels of symbolic links"):
        freeze_paths(root, ["loop"])


def test_a_file_that_cannot_be_read_is_named() -> None:
    with open_to_all() as folder, unprivileged():
        write(folder, {"secret": "1"})
        (folder / "secret").chmod(0)

        with pytest.raises(MachineError, match="cannot read 'secret': Permission denied"):
            freeze_paths(folder, ["secret"])
