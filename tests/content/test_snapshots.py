from __future__ import annotations

import os
import socket
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest

from content.folders_on_disk import contents, later, next_tick, open_to_all, traits, unprivileged, write
from stepwell.content.artifacts import ObjectStore
from stepwell.content.folders import pack
from stepwell.content.hashing import hash_bytes
from stepwell.content.snapshots import Snapshot, freeze
from stepwell.content.statcache import StatCache, Summary
from stepwell.core.trees import Tree
from stepwell.errors import MachineError, NotFoundError, UsageError
from stepwell.paths import Home

NAMES = (
    b"with spaces",
    b"quotes'\"",
    b"new\nline",
    b"-leading",
    "😀".encode(),
    unicodedata.normalize("NFC", "é").encode(),
    unicodedata.normalize("NFD", "é").encode(),
    b"\xff\xfe invalid",
    b"n" * 255,
    b"back\\slash",
    b"*",
    b"~",
)


def paths(snapshot: Snapshot) -> list[str]:
    return [entry.path for entry in snapshot.tree.entries]


def test_a_folder_comes_back_out_of_the_store_as_it_was(root: Path, store: ObjectStore, tmp_path: Path) -> None:
    write(root, {"a.py": "a", "deep/er/b.bin": b"\x00\xff", "empty/": "", "zero": ""})
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("deep/er")

    snapshot = freeze(root, store, None)
    store.copy_out(snapshot.digest, tmp_path / "copy")

    assert contents(tmp_path / "copy") == contents(root)


def test_every_name_a_file_can_have_survives(root: Path, store: ObjectStore, tmp_path: Path) -> None:
    for name in NAMES:
        (root / os.fsdecode(name)).write_bytes(name)

    store.copy_out(freeze(root, store, None).digest, tmp_path / "copy")

    found = {os.fsencode(path.name): path.read_bytes() for path in (tmp_path / "copy").iterdir()}
    assert found == {name: name for name in NAMES}


def test_a_path_as_long_as_the_system_allows_below_a_long_home_is_kept(store: ObjectStore, tmp_path: Path) -> None:
    parts = ["p" * 250] * 16
    folder = os.open(tmp_path, os.O_RDONLY)
    for part in parts:
        os.mkdir(part, dir_fd=folder)
        deeper = os.open(part, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = deeper
    os.close(os.open("leaf", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.close(folder)

    snapshot = freeze(tmp_path / parts[0], store, None)
    (tmp_path / ("long" * 40)).mkdir()
    store.copy_out(snapshot.digest, tmp_path / ("long" * 40) / ("long" * 40))

    assert [entry.path for entry in snapshot.tree.entries] == ["/".join([*parts[1:], "leaf"])]


def test_times_order_and_place_never_matter(root: Path, tmp_path: Path) -> None:
    write(root, {"a": "1", "b/c": "2", "d": "3"})
    twin = tmp_path / "elsewhere"
    write(twin, {"d": "3", "b/c": "2", "a": "1"})
    os.utime(twin / "a", (0, 0))
    (twin / "d").chmod(0o600)

    assert freeze(twin, None, None, keep=False).digest == freeze(root, None, None, keep=False).digest


def test_the_execute_bit_the_text_of_a_link_and_an_empty_folder_count(root: Path) -> None:
    digests = set()
    for change in (
        lambda: None,
        lambda: (root / "a").write_text("1"),
        lambda: (root / "a").chmod(0o755),
        lambda: (root / "l").symlink_to("a"),
        (root / "e").mkdir,
        lambda: (root / "e").rename(root / "f"),
    ):
        change()
        digests.add(freeze(root, None, None, keep=False).digest)

    assert len(digests) == 6


def test_a_cache_of_bytecode_that_appears_in_an_empty_folder_changes_nothing(root: Path) -> None:
    write(root, {"package/": ""})
    before = freeze(root, None, None, keep=False)
    write(root, {"package/__pycache__/x.pyc": "x"})

    assert freeze(root, None, None, keep=False).digest == before.digest
    assert paths(before) == ["package"]


def test_a_folder_with_nothing_but_a_virtual_environment_is_listed_as_empty(root: Path) -> None:
    write(root, {"tools/venv/pyvenv.cfg": "", "tools/venv/lib/x.py": ""})

    assert [(e.path, e.kind) for e in freeze(root, None, None, keep=False).tree.entries] == [("tools", "folder")]


def test_links_are_text_and_are_never_followed(root: Path) -> None:
    write(root, {"a/x": "1"})
    (root / "a" / "loop").symlink_to("..")
    (root / "dangling").symlink_to("nowhere")
    (root / "self").symlink_to("self")

    snapshot = freeze(root, None, None, keep=False)

    links = {e.path: (e.target, e.digest) for e in snapshot.tree.entries if e.kind == "link"}
    assert links == {
        "a/loop": ("..", hash_bytes(b"..")),
        "dangling": ("nowhere", hash_bytes(b"nowhere")),
        "self": ("self", hash_bytes(b"self")),
    }
    assert snapshot.warnings == ()


@pytest.mark.parametrize("target", ["/etc/passwd", "../beside", "sub/../../beside", "/"])
def test_a_link_that_leads_out_is_told_and_what_is_there_is_not_read(root: Path, target: str) -> None:
    (root / "way out").symlink_to(target)

    (warning,) = freeze(root, None, None, keep=False).warnings

    assert warning == (f"'way out' is a link that leads out of the folder, to {target!r}: what is there does not count")


def test_an_absolute_link_back_into_a_folder_that_is_reached_through_a_link_stays_inside(root: Path) -> None:
    write(root, {"x": ""})
    (root.parent / "alias").symlink_to("source")
    (root / "one").symlink_to(root / "x")
    (root / "two").symlink_to(root.parent / "alias" / "x")

    assert freeze(root.parent / "alias", None, None, keep=False).warnings == ()


def test_pipes_sockets_and_devices_are_named_and_never_opened(root: Path) -> None:
    write(root, {"a": "1"})
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "sock"))
        snapshot = freeze(root, None, None, keep=False)

    assert paths(snapshot) == ["a"]
    assert snapshot.warnings == ("'pipe' is a FIFO and is left out", "'sock' is a socket and is left out")


@pytest.mark.skipif(os.geteuid() != 0, reason="making a device needs root")
def test_a_device_is_named_and_left_out(root: Path) -> None:
    os.mknod(root / "null", 0o020666, os.makedev(1, 3))

    assert freeze(root, None, None, keep=False).warnings == ("'null' is a device and is left out",)


def test_warnings_are_given_again_for_a_folder_that_did_not_change(root: Path, place: Home) -> None:
    os.mkfifo(root / os.fsdecode(b"pipe\xff"))
    said = []
    for _ in range(3):
        cache = StatCache.open(place, root, now_ns=later())
        said.append(freeze(root, None, cache, keep=False).warnings)
        cache.save()

    assert said == [("'pipe\\udcff' is a FIFO and is left out",)] * 3


def test_a_file_that_cannot_be_read_is_named_and_nothing_is_frozen() -> None:
    with open_to_all() as folder, unprivileged():
        write(folder, {"ok": "1", "secret.key": "2"})
        (folder / "secret.key").chmod(0)

        with pytest.raises(MachineError) as caught:
            freeze(folder, None, None, keep=False)

    assert str(caught.value) == (
        "cannot read 'secret.key': Permission denied\n  try: name it in .amlignore if no step needs it"
    )


def test_a_file_that_cannot_be_read_but_is_left_out_does_no_harm() -> None:
    with open_to_all() as folder, unprivileged():
        write(folder, {"ok": "1", "secret.key": "2", ".amlignore": "*.key"})
        (folder / "secret.key").chmod(0)

        assert paths(freeze(folder, None, None, keep=False)) == [".amlignore", "ok"]


def test_a_folder_that_cannot_be_read_is_named() -> None:
    with open_to_all() as folder, unprivileged():
        write(folder, {"locked/x": "1"})
        (folder / "locked").chmod(0)
        try:
            with pytest.raises(MachineError, match="cannot read 'locked/': Permission denied"):
                freeze(folder, None, None, keep=False)
        finally:
            (folder / "locked").chmod(0o700)


def test_a_source_folder_that_is_not_there_or_no_folder_is_told(root: Path) -> None:
    with pytest.raises(NotFoundError) as missing:
        freeze(root / "none", None, None)
    assert str(missing.value) == f"no source folder {str(root / 'none')!r}"

    write(root, {"file": ""})
    with pytest.raises(UsageError) as wrong:
        freeze(root / "file", None, None)
    assert str(wrong.value) == f"the source folder {str(root / 'file')!r} is not a folder"


@pytest.mark.parametrize("keep", [True, False])
def test_a_file_that_is_written_while_it_is_read_is_read_again(root: Path, store: ObjectStore, keep: bool) -> None:
    path = root / "busy"
    path.write_text("first")
    reads: list[int] = []

    def write_once(count: int) -> None:
        reads.append(count)
        if len(reads) == 1:
            next_tick(root.parent)
            path.write_text("second!")

    snapshot = freeze(root, store, None, keep=keep, on_read=write_once)

    assert [entry.digest for entry in snapshot.tree.entries] == [hash_bytes(b"second!")]


@pytest.mark.parametrize("keep", [True, False])
def test_a_file_that_never_holds_still_is_named_after_three_tries(root: Path, store: ObjectStore, keep: bool) -> None:
    path = root / "train.log"
    path.write_text("0")
    reads: list[int] = []

    def write_more(count: int) -> None:
        reads.append(count)
        path.write_text("x" * (len(reads) + 1))

    with pytest.raises(MachineError) as caught:
        freeze(root, store, None, keep=keep, on_read=write_more)

    assert len(reads) == 3
    assert str(caught.value) == (
        "'train.log' keeps changing while it is read\n  try: wait until it is written, or name it in .amlignore"
    )


def test_a_file_that_goes_while_the_folder_is_walked_is_not_in_the_snapshot(root: Path) -> None:
    write(root, {"a": "1", "b": "2", "c": "3"})
    gone: list[str] = []

    def take_another_away(count: int) -> None:
        if not gone:
            gone.append(sorted(set(os.listdir(root)) - {"a"})[0])
            (root / gone[0]).unlink()

    snapshot = freeze(root, None, None, keep=False, on_read=take_another_away)

    assert paths(snapshot) == sorted({"a", "b", "c"} - set(gone))


def test_a_folder_that_goes_while_the_folder_is_walked_is_not_in_the_snapshot(root: Path) -> None:
    write(root, {"a": "1", "b/c": "2"})

    def take_it_away(count: int) -> None:
        if (root / "b").exists():
            (root / "b" / "c").unlink()
            (root / "b").rmdir()

    assert paths(freeze(root, None, None, keep=False, on_read=take_it_away)) == ["a"]


def test_looking_changes_nothing_about_the_files_of_the_user(root: Path, store: ObjectStore) -> None:
    write(root, {"a": "1", "b/c": "x" * 300_000, "e/": ""})
    (root / "b" / "c").chmod(0o600)
    before = traits(root)

    freeze(root, store, None)

    assert traits(root) == before


def test_looking_without_keeping_stores_nothing(root: Path, store: ObjectStore, place: Home) -> None:
    write(root, {"a": "1"})

    freeze(root, store, None, keep=False)

    assert [path for path in place.store.rglob("*") if path.is_file()] == []


def test_what_was_only_looked_at_is_stored_when_it_is_kept(root: Path, store: ObjectStore, place: Home) -> None:
    write(root, {"a": "1", "b/c": "2"})
    cache = StatCache.open(place, root, now_ns=later())
    freeze(root, store, cache, keep=False)

    kept = freeze(root, store, cache)

    assert store.missing(kept.digest) == []
    assert Tree.decode(store.read_bytes(kept.digest)) == kept.tree


@pytest.mark.parametrize("which", ["a content", "the listing"])
def test_what_went_from_the_store_is_put_there_again(root: Path, store: ObjectStore, place: Home, which: str) -> None:
    write(root, {"a": "1", "b": "2"})
    cache = StatCache.open(place, root, now_ns=later())
    digest = freeze(root, store, cache).digest
    os.unlink(store.path(hash_bytes(b"1") if which == "a content" else digest))

    freeze(root, store, cache)

    assert store.missing(digest) == []


def test_a_cache_that_is_wrong_about_a_file_is_found_out_when_the_file_is_kept(
    root: Path, store: ObjectStore, place: Home
) -> None:
    """Numbers can lie (a file system that loses times): what goes into the store is what is read."""
    write(root, {"a": "1"})
    cache = StatCache.open(place, root, now_ns=later())
    summary = Summary(freeze(root, None, cache, keep=False).digest, 1, ())
    (root / "a").write_text("2")
    lying = replace(cache.folders[""], stats=pack([(root / "a").stat()]))
    cache.replace(summary, {"": lying})

    snapshot = freeze(root, store, cache)

    assert [entry.digest for entry in snapshot.tree.entries] == [hash_bytes(b"2")]
    assert store.missing(snapshot.digest) == []


def test_a_large_file_that_was_only_touched_is_read_once_and_not_copied(
    root: Path, store: ObjectStore, place: Home
) -> None:
    (root / "large").write_bytes(b"x" * 20_000_000)
    cache = StatCache.open(place, root, now_ns=later())
    freeze(root, store, cache)
    next_tick(root.parent)
    os.utime(root / "large")
    stored = os.stat(store.path(cache.folders[""].known["large"][2].hex())).st_ino
    told: list[int] = []

    digest = freeze(root, store, cache, on_read=told.append).digest

    assert sum(told) == 20_000_000
    assert os.stat(store.path(cache.folders[""].known["large"][2].hex())).st_ino == stored
    assert store.missing(digest) == []


class EndedError(Exception):
    pass


def test_a_snapshot_can_be_ended_while_a_huge_file_is_read(root: Path, store: ObjectStore, place: Home) -> None:
    (root / "sparse").touch()
    os.truncate(root / "sparse", 10**9)

    def stop(count: int) -> None:
        raise EndedError

    with pytest.raises(EndedError):
        freeze(root, store, None, on_read=stop)
    assert list(place.staging.iterdir()) == []
