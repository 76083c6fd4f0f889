from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from content.folders_on_disk import contents, write
from stepwell.content.artifacts import ObjectStore
from stepwell.content.hashing import hash_bytes
from stepwell.content.snapshots import freeze
from stepwell.errors import MachineError
from stepwell.paths import Home


@pytest.fixture
def digest(store: ObjectStore, root: Path) -> str:
    """A tree with a bit of everything."""
    write(root, {"a": "1", "twin": "1", "b/c/d": "x" * 100_000, "e/f/": "", "zero": ""})
    (root / "run").write_text("#!")
    (root / "run").chmod(0o755)
    (root / "b" / "link").symlink_to("../a")
    return freeze(root, store, None).digest


def test_a_shared_folder_has_the_real_names_and_is_made_of_links(store: ObjectStore, root: Path, digest: str) -> None:
    folder = store.materialize(digest)

    assert contents(folder) == contents(root)
    assert os.path.samefile(folder / "a", store.path(hash_bytes(b"1")))
    assert store.tree_path(digest) == folder


def test_a_shared_folder_is_read_only(store: ObjectStore, digest: str) -> None:
    folder = store.materialize(digest)

    modes = {str(p.relative_to(folder)): p.stat().st_mode & 0o777 for p in folder.rglob("*") if p.is_file()}
    assert modes == {"a": 0o444, "twin": 0o444, "b/c/d": 0o444, "b/link": 0o444, "zero": 0o444, "run": 0o555}


def test_a_shared_folder_is_built_once(store: ObjectStore, digest: str) -> None:
    first = store.materialize(digest).stat().st_ino

    assert store.materialize(digest).stat().st_ino == first


def test_two_threads_that_want_one_shared_folder_get_the_same(store: ObjectStore, place: Home, digest: str) -> None:
    barrier = threading.Barrier(4)
    found: list[Path] = []

    def build() -> None:
        barrier.wait()
        found.append(store.materialize(digest))

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [place.trees / digest] * 4
    assert store.altered(digest) == []
    assert list(place.staging.iterdir()) == []


def test_a_copy_is_private_and_writable_as_the_users_umask_has_it(
    store: ObjectStore, digest: str, tmp_path: Path
) -> None:
    before = os.umask(0o027)
    try:
        store.copy_out(digest, tmp_path / "copy")
    finally:
        os.umask(before)

    copy = tmp_path / "copy"
    assert (copy.stat().st_mode & 0o777, (copy / "b").stat().st_mode & 0o777) == (0o750, 0o750)
    assert ((copy / "a").stat().st_mode & 0o777, (copy / "run").stat().st_mode & 0o777) == (0o640, 0o750)
    assert {path.stat().st_nlink for path in copy.rglob("*") if path.is_file()} == {1}

    (copy / "a").write_text("edited")
    assert store.missing(digest) == []


def test_a_copy_onto_something_is_refused_and_leaves_it(store: ObjectStore, digest: str, tmp_path: Path) -> None:
    write(tmp_path, {"there/mine": "1"})

    with pytest.raises(MachineError) as caught:
        store.copy_out(digest, tmp_path / "there")

    assert str(caught.value) == f"cannot copy the stored tree to {str(tmp_path / 'there')!r}: it is there already"
    assert contents(tmp_path / "there") == {"mine": (b"1", False)}


@pytest.mark.parametrize("how", ["copied", "shared"])
@pytest.mark.parametrize("damage", ["gone", "cut", "rewritten"])
def test_a_content_that_is_gone_or_damaged_is_named_and_nothing_half_made_is_left(
    store: ObjectStore, place: Home, digest: str, tmp_path: Path, how: str, damage: str
) -> None:
    path = Path(store.path(hash_bytes(b"1")))
    path.chmod(0o644)
    if damage == "gone":
        path.unlink()
    else:
        path.write_text("" if damage == "cut" else "2")

    with pytest.raises(MachineError) as caught:
        store.copy_out(digest, tmp_path / "copy") if how == "copied" else store.materialize(digest)

    assert str(caught.value) == (
        f"the stored content of 'a' is gone or damaged ({hash_bytes(b'1')[:12]})\n"
        "  try: run it again: what was made from it is made anew"
    )
    assert not (tmp_path / "copy").exists()
    assert list(place.trees.iterdir()) == []
    assert list(place.staging.iterdir()) == []
    assert store.missing(digest) == [hash_bytes(b"1")] * 2


def test_a_listing_that_is_gone_is_told(store: ObjectStore, place: Home, digest: str, tmp_path: Path) -> None:
    os.unlink(store.path(digest))
    afresh = ObjectStore(place)

    with pytest.raises(MachineError) as caught:
        afresh.copy_out(digest, tmp_path / "copy")

    assert str(caught.value) == (
        f"the stored tree {digest[:12]} is gone or damaged\n  try: run it again: what was made from it is made anew"
    )
    assert afresh.missing(digest) == [digest]
    assert afresh.tree_path(digest) == place.trees / digest


def test_a_damaged_listing_is_put_aside(store: ObjectStore, place: Home, digest: str) -> None:
    path = Path(store.path(digest))
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-10])
    afresh = ObjectStore(place)

    assert afresh.missing(digest) == [digest]
    assert (place.root / "quarantine" / digest).exists()


def rewrite(folder: Path) -> None:
    (folder / "b" / "c" / "d").chmod(0o644)
    (folder / "b" / "c" / "d").write_text("y" * 100_000)


def replace(folder: Path) -> None:
    (folder / "a").unlink()
    (folder / "a").write_text("1")


def add(folder: Path) -> None:
    (folder / "e" / "f" / "new").write_text("")


def remove(folder: Path) -> None:
    (folder / "zero").unlink()


def relink(folder: Path) -> None:
    (folder / "b" / "link").unlink()
    (folder / "b" / "link").symlink_to("elsewhere")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (rewrite, ["b/c/d"]),
        (replace, [".", "a"]),
        (add, ["e/f"]),
        (remove, [".", "zero"]),
        (relink, ["b"]),
    ],
)
def test_what_a_step_changed_in_a_shared_folder_is_found_and_never_served_again(
    store: ObjectStore, root: Path, digest: str, change: object, named: list[str]
) -> None:
    folder = store.materialize(digest)
    assert store.altered(digest) == []
    assert callable(change)
    change(folder)

    assert store.altered(digest) == named
    if change is rewrite:
        with pytest.raises(MachineError, match="the stored content of 'b/c/d' is gone or damaged"):
            store.materialize(digest)
        freeze(root, store, None)
    assert contents(store.materialize(digest)) == contents(root)
    assert store.altered(digest) == []


def test_nothing_is_altered_in_a_shared_folder_that_was_never_built(store: ObjectStore, digest: str) -> None:
    assert store.altered(digest) == []


def test_listings_are_kept_in_memory_up_to_a_bound(store: ObjectStore, root: Path) -> None:
    write(root, {f"{number}": "" for number in range(1_500)})
    digests = [freeze(root, store, None).digest]
    for number in range(30):
        write(root, {"changing": f"{number}"})
        digests.append(freeze(root, store, None).digest)

    assert [len(store.tree(digest).entries) for digest in digests] == [1_500, *[1_501] * 30]
    assert [store.missing(digest) for digest in digests] == [[]] * 31
