"""Folders far larger than a source folder should be."""

from __future__ import annotations

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


@pytest.mark.soak
def test_a_folder_as_deep_as_paths_can_be_is_walked(root: Path) -> None:
    deepest = root / "/".join(["d"] * 1_900)
    deepest.mkdir(parents=True)

    assert freeze(root, None, None, keep=False).tree.files == 0
