"""A disk that fills up at the n-th operation, for every n: nothing of the user's is lost, and it works again after."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from content.disk import Disk
from content.folders_on_disk import contents, traits, write
from stepwell.content.artifacts import ObjectStore
from stepwell.content.hashing import SMALL
from stepwell.content.snapshots import freeze
from stepwell.errors import MachineError
from stepwell.paths import Home


def full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch.setattr, full)


def until_it_fits(disk: Disk, act: Callable[[], object]) -> Iterator[MachineError]:
    """Do `act` with room for 0, 1, 2 … operations until it goes through; yield the error of each that did not."""
    for room in range(1_000):
        disk.left = room
        try:
            act()
        except MachineError as error:
            disk.left = None
            yield error
        else:
            disk.left = None
            assert room > 3
            return
    raise AssertionError("it never went through")


def test_a_source_is_frozen_whole_or_not_at_all(disk: Disk, root: Path, store: ObjectStore, place: Home) -> None:
    write(root, {"a": "1", "b/c": "2", "large": "x" * (SMALL + 1)})
    before = traits(root)

    for error in until_it_fits(disk, lambda: freeze(root, store, None)):
        assert error.code == "disk_full"
        assert str(error) == "disk full: cannot write to the store\n  try: free some space where the home is"
        assert list(place.staging.iterdir()) == []

    assert traits(root) == before
    assert store.missing(freeze(root, None, None, keep=False).digest) == []


def test_an_output_is_stored_whole_or_not_at_all(disk: Disk, store: ObjectStore, place: Home, tmp_path: Path) -> None:
    made = tmp_path / "made"
    write(made, {"a": "1", "b/c": "2", "large": "x" * (SMALL + 1)})
    (made / "run").write_text("#!")
    (made / "run").chmod(0o755)
    before = contents(made)

    for error in until_it_fits(disk, lambda: store.store_output(made, "m")):
        assert error.code == "disk_full"
        assert list(place.staging.iterdir()) == []
        assert contents(made) == before

    assert store.missing(store.store_output(made, "m").digest) == []


@pytest.mark.parametrize("how", ["copied", "shared"])
def test_a_tree_is_laid_out_whole_or_not_at_all(
    disk: Disk, root: Path, store: ObjectStore, place: Home, tmp_path: Path, how: str
) -> None:
    write(root, {"a": "1", "b/c": "2", "large": "x" * (SMALL + 1), "e/": ""})
    (root / "link").symlink_to("a")
    (root / "run").write_text("#!")
    (root / "run").chmod(0o755)
    digest = freeze(root, store, None).digest
    copy = tmp_path / "copy"

    def lay_out() -> None:
        if how == "copied":
            store.copy_out(digest, copy)
        else:
            store.materialize(digest)

    for error in until_it_fits(disk, lay_out):
        assert error.code == "disk_full"
        assert not copy.exists()
        assert list(place.trees.iterdir()) == []
        assert list(place.staging.iterdir()) == []

    assert contents(copy if how == "copied" else store.materialize(digest)) == contents(root)
