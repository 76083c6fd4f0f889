"""A snapshot by the cache is the snapshot without it, whatever was done to the folder before."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from content.folders_on_disk import contents, later, next_tick
from stepwell.content.artifacts import ObjectStore
from stepwell.content.snapshots import freeze
from stepwell.content.statcache import StatCache
from stepwell.paths import Home

FOLDERS = ("", "a", "a/b", "c")
NAMES = ("x.py", "y.csv", "a", "b", "c", os.fsdecode(b"\xff"))
TEXTS = ("one", "two", "six", "")
LINES = ("*.csv", "a/", "!a/b/", "/c", "", "x.py", "*", "!*.py")

edits = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(FOLDERS), st.sampled_from(NAMES), st.sampled_from(TEXTS)),
    st.tuples(st.just("replace"), st.sampled_from(FOLDERS), st.sampled_from(NAMES), st.sampled_from(TEXTS)),
    st.tuples(st.just("remove"), st.sampled_from(FOLDERS), st.sampled_from(NAMES), st.just("")),
    st.tuples(st.just("link"), st.sampled_from(FOLDERS), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("chmod"), st.sampled_from(FOLDERS), st.sampled_from(NAMES), st.sampled_from(("7", "6"))),
    st.tuples(st.just("folder"), st.sampled_from(FOLDERS), st.sampled_from(NAMES), st.just("")),
    st.tuples(st.just("venv"), st.sampled_from(FOLDERS), st.sampled_from(NAMES), st.just("")),
    st.tuples(
        st.just("ignore"),
        st.sampled_from(FOLDERS),
        st.sampled_from((".amlignore", ".gitignore")),
        st.sampled_from(LINES),
    ),
    st.tuples(st.just("move"), st.sampled_from(FOLDERS), st.sampled_from(NAMES), st.sampled_from(NAMES)),
)


def edit(root: Path, what: str, folder: str, name: str, text: str) -> None:
    """Do one thing to the folder, as far as it can be done; what cannot be done is no edit."""
    path = root / folder / name
    try:
        if what in ("write", "ignore"):
            path.write_text(text)
        elif what == "replace":
            staged = root / folder / "staged"
            staged.write_text(text)
            staged.replace(path)
        elif what == "remove":
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        elif what == "link":
            path.symlink_to(text)
        elif what == "chmod":
            path.chmod(int(f"{text}{text}{text}", 8), follow_symlinks=True)
        elif what == "folder":
            path.mkdir()
        elif what == "venv":
            (path / "pyvenv.cfg").write_text("")
        elif what == "move":
            path.rename(root / folder / text)
    except OSError:
        (root / folder / "staged").unlink(missing_ok=True) if (root / folder).is_dir() else None


@settings(max_examples=120)
@given(st.lists(st.lists(edits, min_size=1, max_size=4), min_size=1, max_size=6), st.booleans())
def test_by_the_cache_or_afresh_a_folder_has_one_digest(
    rounds: list[list[tuple[str, str, str, str]]], late: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:
        home, root = Home.at(Path(name, "home")), Path(name, "source")
        home.create()
        for folder in FOLDERS:
            (root / folder).mkdir(parents=True, exist_ok=True)
        for edited in rounds:
            for one in edited:
                edit(root, *one)
            next_tick(home.root)
            cache = StatCache.open(home, root, now_ns=later() if late else None)

            remembered = freeze(root, None, cache, keep=False)
            cache.save()

            assert remembered.digest == freeze(root, None, None, keep=False).digest
            assert remembered.tree == freeze(root, None, None, keep=False).tree


@settings(max_examples=60)
@given(st.lists(edits, max_size=20))
def test_what_is_kept_comes_out_of_the_store_as_what_was_listed(edited: list[tuple[str, str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        home, root, copy = Home.at(Path(name, "home")), Path(name, "source"), Path(name, "copy")
        home.create()
        store = ObjectStore(home)
        for folder in FOLDERS:
            (root / folder).mkdir(parents=True, exist_ok=True)
        for one in edited:
            edit(root, *one)

        snapshot = freeze(root, store, None)
        store.copy_out(snapshot.digest, copy)

        assert store.missing(snapshot.digest) == []
        assert set(contents(copy)) == {entry.path for entry in snapshot.tree.entries}
        assert freeze(copy, None, None, keep=False).tree.bytes <= snapshot.tree.bytes
