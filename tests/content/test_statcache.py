from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3

from content.folders_on_disk import later, next_tick, write
from stepwell.content.folders import pack, racy
from stepwell.content.snapshots import freeze
from stepwell.content.statcache import StatCache
from stepwell.paths import Home


class Frozen:
    """Freezes one folder again and again, each time by the cache on the disk, and counts the bytes it read."""

    def __init__(self, home: Home, root: Path) -> None:
        self.home = home
        self.root = root
        self.read = 0

    def __call__(self, now_ns: int | None = None) -> str:
        """Return the digest; `now_ns` None is a time at which nothing is racy any more."""
        next_tick(self.home.root)
        told: list[int] = []
        cache = StatCache.open(self.home, self.root, now_ns=later() if now_ns is None else now_ns)
        digest = freeze(self.root, None, cache, keep=False, on_read=told.append).digest
        cache.save()
        self.read = sum(told)
        return digest

    def afresh(self) -> str:
        return freeze(self.root, None, None, keep=False).digest

    @property
    def file(self) -> Path:
        (found,) = self.home.stat_caches.iterdir()
        return found


@pytest.fixture
def frozen(place: Home, root: Path) -> Frozen:
    write(root, {"a.py": "aaaa", "b/c.py": "cccc"})
    return Frozen(place, root)


def test_a_file_that_did_not_change_is_not_read_again(frozen: Frozen) -> None:
    first = frozen()
    read_first = frozen.read

    second = frozen()

    assert (second, read_first, frozen.read) == (first, 8, 0)


def test_of_one_changed_file_only_that_is_read(frozen: Frozen) -> None:
    frozen()
    (frozen.root / "a.py").write_text("another text")

    assert frozen() == frozen.afresh()
    assert frozen.read == len("another text")


def rewritten(path: Path) -> None:
    path.write_text("dddd")


def replaced_with_its_times_kept(path: Path) -> None:
    seen = path.stat()
    staged = path.with_suffix(".new")
    staged.write_text("dddd")
    os.utime(staged, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    staged.replace(path)


def rewritten_with_its_time_set_back(path: Path) -> None:
    seen = path.stat()
    path.write_text("dddd")
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def put_in_the_future(path: Path) -> None:
    path.write_text("dddd")
    os.utime(path, (4e9, 4e9))


def turned_into_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("dddd")


def turned_into_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def turned_into_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def made_executable(path: Path) -> None:
    path.chmod(0o755)


@pytest.mark.parametrize(
    "change",
    [
        rewritten,
        replaced_with_its_times_kept,
        rewritten_with_its_time_set_back,
        put_in_the_future,
        turned_into_a_link,
        turned_into_a_folder,
        turned_into_a_pipe,
        made_executable,
    ],
)
def test_a_change_that_keeps_name_and_size_is_seen(frozen: Frozen, change: Callable[[Path], None]) -> None:
    before = frozen()
    change(frozen.root / "a.py")

    after = frozen()

    assert after != before
    assert after == frozen.afresh()


def test_a_touched_file_is_read_once_and_changes_nothing(frozen: Frozen) -> None:
    before = frozen()
    os.utime(frozen.root / "a.py", (1, 1))

    assert frozen() == before
    assert frozen.read == 4
    assert frozen() == before
    assert frozen.read == 0


def test_a_folder_that_becomes_a_file_is_seen_although_its_name_stays(frozen: Frozen) -> None:
    frozen()
    (frozen.root / "b" / "c.py").unlink()
    (frozen.root / "b").rmdir()
    (frozen.root / "b").write_text("")

    assert frozen() == frozen.afresh()


def test_a_left_out_folder_that_becomes_a_file_enters_the_snapshot(frozen: Frozen) -> None:
    write(frozen.root, {".amlignore": "data/", "data/x.csv": "1"})
    before = frozen()
    (frozen.root / "data" / "x.csv").unlink()
    (frozen.root / "data").rmdir()
    (frozen.root / "data").write_text("1")

    assert frozen() != before
    assert frozen() == frozen.afresh()


def test_an_edited_ignore_file_moves_files_out_and_in_without_reading_the_others(frozen: Frozen) -> None:
    frozen()
    (frozen.root / ".amlignore").write_text("b/\n")
    without = frozen()
    assert without == frozen.afresh()
    assert frozen.read == len("b/\n")

    (frozen.root / ".amlignore").write_text("")
    assert frozen() == frozen.afresh() != without


def test_an_edited_ignore_file_that_is_itself_left_out_counts_all_the_same(frozen: Frozen) -> None:
    (frozen.root / ".gitignore").write_text(".gitignore\n")
    before = frozen()
    (frozen.root / ".gitignore").write_text(".gitignore\na.py\n")

    assert frozen() == frozen.afresh() != before


def test_a_file_changed_just_before_the_walk_is_read_again_the_next_time(frozen: Frozen) -> None:
    moment = max(path.stat().st_ctime_ns for path in frozen.root.rglob("*.py"))
    frozen(moment + 10**9)
    frozen(moment + 10**9)
    assert frozen.read == 8

    frozen()
    frozen()
    assert frozen.read == 0


def test_numbers_of_a_racy_file_are_kept_so_that_they_never_match(frozen: Frozen) -> None:
    """A coarse clock gives a second save the numbers of the first, so those must prove nothing."""
    seen = (frozen.root / "a.py").stat()

    frozen(now_ns=seen.st_ctime_ns)

    ((numbers, _, _),) = StatCache.open(frozen.home, frozen.root).folders[""].known.values()
    assert numbers == racy(pack([seen])) != pack([seen])


def test_a_clock_that_was_set_back_costs_time_and_not_the_truth(frozen: Frozen) -> None:
    two_hours_ago = (frozen.root / "a.py").stat().st_ctime_ns - 2 * 3600 * 10**9
    frozen(two_hours_ago)
    (frozen.root / "a.py").write_text("dddd")

    assert frozen(two_hours_ago) == frozen.afresh()
    assert frozen.read == 8


def test_a_cache_that_is_cut_anywhere_is_an_empty_one(frozen: Frozen) -> None:
    digest = frozen()
    whole = frozen.file.read_bytes()
    assert frozen.file.stat().st_size == len(whole)

    for length in range(len(whole)):
        frozen.file.write_bytes(whole[:length])
        cache = StatCache.open(frozen.home, frozen.root)
        assert (cache.summary, cache.folders) == (None, {}), length
    assert frozen() == digest
    assert frozen.read == 8


def test_a_cache_with_a_flipped_bit_is_an_empty_one(frozen: Frozen) -> None:
    frozen()
    whole = frozen.file.read_bytes()

    for at in range(len(whole)):
        frozen.file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert StatCache.open(frozen.home, frozen.root).summary is None, at


@pytest.mark.parametrize("body", [b"", b"\x00\x00\x00\x00", b"\x02\x00\x00\x00{}", b"\x02\x00\x00\x00[]"])
def test_a_cache_of_another_shape_is_an_empty_one(frozen: Frozen, body: bytes) -> None:
    digest = frozen()
    frozen.file.write_bytes(b"stepwell stat 2\n" + blake3(body).digest() + body)

    assert frozen() == digest
    assert frozen.read == 8


def test_saving_leaves_one_file_a_root_and_nothing_half_written(frozen: Frozen, tmp_path: Path) -> None:
    other = Frozen(frozen.home, tmp_path / "other")
    write(other.root, {"x": "x"})

    for _ in range(3):
        frozen()
        other()

    names = [path.name for path in frozen.home.stat_caches.iterdir()]
    assert len(names) == 2
    assert all(len(name) == 40 for name in names)


def test_an_unchanged_cache_is_not_written_again(frozen: Frozen) -> None:
    frozen()
    frozen()
    written = frozen.file.stat().st_mtime_ns

    frozen()

    assert frozen.file.stat().st_mtime_ns == written


def test_a_cache_that_cannot_be_written_is_no_error(frozen: Frozen) -> None:
    frozen.home.stat_caches.rmdir()

    assert frozen() == frozen.afresh()


def numbers(inode: int, mtime_ns: int) -> os.stat_result:
    return os.stat_result((0o100644, inode, 0, 1, 0, 0, 5, 0, 0, 0, 0.0, 0.0, 0.0, 0, mtime_ns, mtime_ns))


def test_inodes_of_64_bits_and_times_before_1970_can_be_packed() -> None:
    huge, small = numbers(2**64 - 1, -1), numbers(2**64 - 2, -1)

    assert len(pack([huge, small])) == 64
    assert pack([huge]) != pack([small])
    assert racy(racy(pack([huge]))) == pack([huge])
