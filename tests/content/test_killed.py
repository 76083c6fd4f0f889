"""Killed before the n-th operation that writes, for every n: what is there is whole, and doing it again works."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from content.disk import Disk
from content.folders_on_disk import contents, traits, write
from stepwell.content.artifacts import ObjectStore
from stepwell.content.hashing import SMALL, hash_file
from stepwell.content.snapshots import freeze
from stepwell.paths import Home


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGKILL))


def killed_at_each(disk: Disk, act: Callable[[], object]) -> Iterator[int]:
    """Do `act` in a child that is killed after 0, 1, 2 … operations until it goes through; yield after each."""
    for count in range(1_000):
        child = os.fork()
        if child == 0:
            disk.left = count
            try:
                act()
                os._exit(0)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL)
        yield count
        if status == 0:
            assert count > 3
            return
    raise AssertionError("it never went through")


def assert_whole(home: Home) -> None:
    """Every content holds what its name says, and every shared folder what was listed."""
    for path in home.store.glob("[0-9a-f][0-9a-f]/*"):
        assert hash_file(path) == path.parent.name + path.name
    for folder in home.trees.iterdir():
        assert ObjectStore(home).altered(folder.name) == []


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    write(folder, {"a": "1", "b/c": "2", "large": "x" * (SMALL + 1), "e/": ""})
    (folder / "run").write_text("#!")
    (folder / "run").chmod(0o755)
    (folder / "link").symlink_to("a")
    return folder


def test_a_source_that_was_half_frozen_is_frozen_the_next_time(disk: Disk, place: Home, made: Path) -> None:
    before = traits(made)

    for _ in killed_at_each(disk, lambda: freeze(made, ObjectStore(place), None)):
        assert_whole(place)
        assert traits(made) == before

    digest = freeze(made, ObjectStore(place), None).digest
    assert ObjectStore(place).missing(digest) == []


def test_an_output_that_was_half_stored_is_stored_the_next_time(disk: Disk, place: Home, made: Path) -> None:
    digest = freeze(made, None, None, keep=False).digest

    for _ in killed_at_each(disk, lambda: ObjectStore(place).store_output(made, "m")):
        assert_whole(place)

    assert ObjectStore(place).store_output(made, "m").digest == digest
    assert ObjectStore(place).missing(digest) == []


def test_a_shared_folder_appears_whole_or_not_at_all(disk: Disk, place: Home, made: Path) -> None:
    digest = freeze(made, ObjectStore(place), None).digest

    for _ in killed_at_each(disk, lambda: ObjectStore(place).materialize(digest)):
        assert_whole(place)
        assert [folder.name for folder in place.trees.iterdir()] in ([], [digest])

    ObjectStore(place).sweep()
    assert contents(ObjectStore(place).materialize(digest)) == contents(made)
    assert list(place.staging.iterdir()) == []
