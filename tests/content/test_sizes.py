"""Folders far larger than a source folder should be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from content.folders_on_disk import later
from stepwell.content.snapshots import freeze
from stepwell.content.statcache import StatCache
from stepwell.paths import Home


@pytest.mark.soak
@pytest.mark.parametrize(("folders", "files"), [(1, 200_000), (3_000, 100), (2_000, 1)])
def test_a_folder_of_many_files_is_read_once(root: Path, place: Home, folders: int, files: int) -> None:
    for number in range(folders):
        folder = root / f"{number}"
        folder.mkdir()
        for name in range(files):
            (folder / f"{name}").write_bytes(b"%d" % name)
    read = []
    digests = []

    for _ in range(2):
        told: list[int] = []
        cache = StatCache.open(place, root, now_ns=later())
        digests.append(freeze(root, None, cache, keep=False, on_read=told.append).digest)
        cache.save()
        read.append(len(told))

    assert digests[0] == digests[1]
    assert read == [folders * files, 0]


def test_a_folder_as_deep_as_paths_can_be_is_walked(root: Path) -> None:
    folder = os.open(root, os.O_RDONLY)
    for _ in range(1_900):
        os.mkdir("d", dir_fd=folder)
        deeper = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = deeper
    os.close(folder)

    (entry,) = freeze(root, None, None, keep=False).tree.entries

    assert (entry.path, entry.kind) == ("/".join(["d"] * 1_900), "folder")
    _remove(root)


def _remove(root: Path) -> None:
    """Take the nest away from the outside in: the library's own removal recurses deeper than Python may."""
    place = root.parent / "unnested"
    while (root / "d").exists():
        (root / "d").rename(place)
        root.rmdir()
        place.rename(root)
