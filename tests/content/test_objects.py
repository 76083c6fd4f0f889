from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from content.folders_on_disk import write
from stepwell.content.artifacts import ObjectStore
from stepwell.content.hashing import PIECE, SMALL, hash_bytes
from stepwell.content.objects import STORED_NS, Objects
from stepwell.errors import MachineError
from stepwell.paths import Home


def stored(home: Home) -> list[Path]:
    """Return every file in the store, the shared folders left away."""
    return [p for p in home.store.rglob("*") if p.is_file() and home.trees not in p.parents]


@pytest.mark.parametrize("size", [0, 1, SMALL, SMALL + 1, PIECE + 1])
def test_a_file_is_stored_under_the_digest_of_what_it_holds(store: ObjectStore, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)

    digest = store.put_file(tmp_path / "file")

    assert digest == hash_bytes(data)
    assert store.read_bytes(digest) == data
    assert store.has(digest)
    assert store.intact(digest, size)


def test_a_content_is_read_only_and_carries_one_time(store: ObjectStore) -> None:
    seen = os.stat(store.path(store.put_bytes(b"x")))

    assert (seen.st_mode & 0o777, seen.st_mtime_ns) == (0o444, STORED_NS)


def test_the_same_content_is_stored_once(store: ObjectStore, place: Home) -> None:
    first = os.stat(store.path(store.put_bytes(b"x"))).st_ino

    again = os.stat(store.path(store.put_bytes(b"x"))).st_ino

    assert again == first
    assert len(stored(place)) == 1


def test_copying_a_file_leaves_it_as_it_was(store: ObjectStore, tmp_path: Path) -> None:
    write(tmp_path, {"mine": "x" * (SMALL + 1)})
    before = (tmp_path / "mine").stat()

    digest = store.put_file(tmp_path / "mine")

    after = (tmp_path / "mine").stat()
    assert (after.st_mode, after.st_nlink, after.st_ctime_ns) == (before.st_mode, 1, before.st_ctime_ns)
    assert os.stat(store.path(digest)).st_ino != after.st_ino


def test_a_file_that_is_taken_is_linked_and_closed_to_writing(store: ObjectStore, tmp_path: Path) -> None:
    write(tmp_path, {"made": "x"})

    digest = store.put_file(tmp_path / "made", take=True)

    assert os.path.samefile(store.path(digest), tmp_path / "made")
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize("size", [1, SMALL + 1])
def test_a_file_with_another_name_is_copied_and_its_mode_is_left_alone(
    store: ObjectStore, tmp_path: Path, size: int
) -> None:
    """The other name may be the user's own: a step can link what it was given into its output."""
    write(tmp_path, {"of the user": "x" * size})
    os.link(tmp_path / "of the user", tmp_path / "made")

    digest = store.put_file(tmp_path / "made", take=True)
    (tmp_path / "of the user").write_text("changed")

    assert store.read_bytes(digest) == b"x" * size
    assert (tmp_path / "of the user").stat().st_mode & 0o222


def test_two_threads_that_store_the_same_contents_are_both_right(store: ObjectStore, place: Home) -> None:
    contents = [os.urandom(10) for _ in range(200)]
    barrier = threading.Barrier(4)
    digests: list[list[str]] = []

    def put() -> None:
        barrier.wait()
        digests.append([store.put_bytes(data) for data in contents])

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert digests == [[hash_bytes(data) for data in contents]] * 4
    assert len(stored(place)) == 200
    assert list(place.staging.iterdir()) == []


@pytest.mark.parametrize("damage", [b"", b"other", b"longer than it was"])
def test_a_content_that_was_damaged_is_put_aside_and_never_served(
    store: ObjectStore, place: Home, damage: bytes
) -> None:
    digest = store.put_bytes(b"right")
    os.chmod(store.path(digest), 0o644)
    Path(store.path(digest)).write_bytes(damage)

    assert not store.intact(digest, 5)
    assert not store.has(digest)
    assert (place.root / "quarantine" / digest).read_bytes() == damage
    assert store.put_bytes(b"right") == digest
    assert store.read_bytes(digest) == b"right"


def test_reading_a_damaged_content_puts_it_aside(store: ObjectStore) -> None:
    digest = store.put_bytes(b"right")
    os.chmod(store.path(digest), 0o644)
    Path(store.path(digest)).write_bytes(b"wrong")

    with pytest.raises(FileNotFoundError):
        store.read_bytes(digest)
    assert not store.has(digest)


def test_a_torn_content_does_not_stop_the_right_one_from_being_stored(store: ObjectStore) -> None:
    """What a power cut leaves: the name, and none of the bytes."""
    digest = hash_bytes(b"right")
    path = Path(store.path(digest))
    path.parent.mkdir()
    path.touch()

    store.put_bytes(b"right")

    assert store.read_bytes(digest) == b"right"


def test_a_home_that_was_copied_without_its_times_is_still_whole(place: Home, tmp_path: Path) -> None:
    digest = ObjectStore(place).put_bytes(b"x")
    shutil.copytree(place.root, tmp_path / "moved", copy_function=shutil.copyfile)
    moved = ObjectStore(Home.at(tmp_path / "moved"))

    assert moved.intact(digest, 1)
    assert os.stat(moved.path(digest)).st_mtime_ns == STORED_NS


def test_a_file_too_large_for_the_disk_is_refused_before_a_byte_is_written(place: Home, tmp_path: Path) -> None:
    write(tmp_path, {"huge": "it says"})

    with (tmp_path / "huge").open("rb") as file, pytest.raises(MachineError) as caught:
        Objects(place).put_handle(file.fileno(), 8 * 10**15)

    assert caught.value.message.startswith("disk full: 8,000,000,000 MB are needed and ")
    assert caught.value.message.endswith(" MB are free where the home is")
    assert caught.value.hint == "free some space where the home is, or set STEPWELL_HOME to a larger disk"
    assert list(place.staging.iterdir()) == []


def test_what_a_killed_daemon_left_half_written_is_swept_away(store: ObjectStore, place: Home) -> None:
    write(place.staging, {"1-ab-0": "torn", "1-ab-1/sub/file": "torn"})
    digest = store.put_bytes(b"x")

    store.sweep()

    assert list(place.staging.iterdir()) == []
    assert store.has(digest)
