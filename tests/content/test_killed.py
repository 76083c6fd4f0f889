"""Killed before the n-th operation that writes, for every n: what is there is whole, and doing it again works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from content.folders_on_disk import contents, traits, write
from stepwell.content.artifacts import ObjectStore
from stepwell.content.hashing import SMALL, hash_file
from stepwell.content.snapshots import freeze
from stepwell.paths import Home


def killed_at_each(home: Home, what: str, folder: Path) -> Iterator[int]:
    """Do it in a process that is killed after 0, 1, 2 … operations until it goes through; yield after each."""
    words = [sys.executable, "-m", "content.disk", str(home.root), what, str(folder)]
    variables = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(words, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdin is not None
        assert driver.stdout is not None
        for count in range(1_000):
            driver.stdin.write(f"{count}\n")
            driver.stdin.flush()
            ended = int(driver.stdout.readline())
            assert ended in (0, -signal.SIGKILL)
            yield count
            if ended == 0:
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


def test_a_source_that_was_half_frozen_is_frozen_the_next_time(place: Home, made: Path) -> None:
    before = traits(made)

    for _ in killed_at_each(place, "freeze", made):
        assert_whole(place)
        assert traits(made) == before

    digest = freeze(made, ObjectStore(place), None).digest
    assert ObjectStore(place).missing(digest) == []


def test_an_output_that_was_half_stored_is_stored_the_next_time(place: Home, made: Path) -> None:
    digest = freeze(made, None, None, keep=False).digest

    for _ in killed_at_each(place, "store", made):
        assert_whole(place)

    assert ObjectStore(place).store_output(made, "m").digest == digest
    assert ObjectStore(place).missing(digest) == []


def test_a_shared_folder_appears_whole_or_not_at_all(place: Home, made: Path) -> None:
    digest = freeze(made, ObjectStore(place), None).digest

    for _ in killed_at_each(place, "share", made):
        assert_whole(place)
        assert [folder.name for folder in place.trees.iterdir()] in ([], [digest])

    ObjectStore(place).sweep()
    assert contents(ObjectStore(place).materialize(digest)) == contents(made)
    assert list(place.staging.iterdir()) == []
