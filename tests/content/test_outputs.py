from __future__ import annotations

import os
from pathlib import Path

import pytest

from content.folders_on_disk import contents, open_to_all, traits, unprivileged, write
from stepwell.content.artifacts import ObjectStore
from stepwell.content.hashing import SMALL, hash_bytes
from stepwell.content.snapshots import freeze
from stepwell.core.trees import Entry, Tree
from stepwell.errors import StepFailedError
from stepwell.paths import Home


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs"
    folder.mkdir()
    return folder


def test_a_file_becomes_a_tree_with_one_entry_named_as_the_output(store: ObjectStore, made: Path) -> None:
    (made / "x").write_text("weights")

    artifact = store.store_output(made / "x", "model")

    tree = Tree((Entry("model", "file", hash_bytes(b"weights"), 7),), single=True)
    assert store.tree(artifact.digest) == tree
    assert (artifact.kind, artifact.digest, artifact.files, artifact.bytes) == ("file", tree.digest, 1, 7)
    assert artifact.objects == ((hash_bytes(b"weights"), 7), (tree.digest, len(tree.encode())))
    assert store.file_name(artifact.digest) == "model"


def test_a_folder_becomes_its_tree_with_links_programs_and_empty_folders(store: ObjectStore, made: Path) -> None:
    write(made / "d", {"a": "1", "b/c": "1", "e/": "", ".hidden": "2", "__pycache__/x": "3"})
    (made / "d" / "run").write_text("#!")
    (made / "d" / "run").chmod(0o755)
    (made / "d" / "latest").symlink_to("b/c")
    before = contents(made / "d")

    artifact = store.store_output(made / "d", "checkpoints")

    copy = made / "copy"
    store.copy_out(artifact.digest, copy)
    assert contents(copy) == before
    assert (artifact.kind, artifact.files, artifact.bytes) == ("directory", 6, 6)
    assert store.file_name(artifact.digest) is None
    assert [digest for digest, _ in artifact.objects].count(hash_bytes(b"1")) == 1


def test_an_empty_folder_is_an_output(store: ObjectStore, made: Path) -> None:
    (made / "d").mkdir()

    artifact = store.store_output(made / "d", "nothing")

    assert (artifact.kind, artifact.files, artifact.bytes) == ("directory", 0, 0)
    assert store.materialize(artifact.digest).is_dir()


def test_an_output_and_a_snapshot_of_the_same_folder_have_one_digest(store: ObjectStore, made: Path) -> None:
    write(made / "d", {"a": "1", "b/c": "2", "e/": ""})
    frozen = freeze(made / "d", None, None, keep=False).digest

    assert store.store_output(made / "d", "x").digest == frozen


def test_storing_an_output_again_gives_the_same_answer(store: ObjectStore, made: Path) -> None:
    """The daemon may die between storing and committing."""
    write(made / "d", {"a": "1", "twin": "1", "large": "x" * (SMALL + 1)})
    (made / "d" / "run").write_text("#!")
    (made / "d" / "run").chmod(0o755)
    (made / "f").write_text("f")

    first = [store.store_output(made / "d", "d"), store.store_output(made / "f", "f")]
    again = [store.store_output(made / "d", "d"), store.store_output(made / "f", "f")]

    assert again == first


def test_a_program_keeps_its_mode_where_the_step_made_it(store: ObjectStore, made: Path) -> None:
    (made / "run").write_text("#!" + "x" * SMALL)
    (made / "run").chmod(0o755)

    store.store_output(made / "run", "tool")

    assert (made / "run").stat().st_mode & 0o777 == 0o755


def test_an_output_that_is_a_link_is_refused_and_what_it_leads_to_is_untouched(
    store: ObjectStore, made: Path, tmp_path: Path
) -> None:
    write(tmp_path / "elsewhere", {"precious": "1"})
    (made / "model").symlink_to("../elsewhere")
    before = traits(tmp_path / "elsewhere")

    with pytest.raises(StepFailedError) as caught:
        store.store_output(made / "model", "model")

    assert str(caught.value) == (
        "the output 'model' is a link to '../elsewhere'; an output must be a file or a folder itself\n"
        "  try: write or copy the result to the path of the output"
    )
    assert traits(tmp_path / "elsewhere") == before


def test_a_file_of_the_user_that_was_linked_into_an_output_stays_the_users(
    store: ObjectStore, made: Path, tmp_path: Path
) -> None:
    write(tmp_path / "data", {"big.csv": "1,2" * SMALL})
    (made / "d").mkdir()
    os.link(tmp_path / "data" / "big.csv", made / "d" / "big.csv")
    before = traits(tmp_path / "data")

    artifact = store.store_output(made / "d", "d")
    (tmp_path / "data" / "big.csv").write_text("edited")

    assert before[str(tmp_path / "data" / "big.csv")][1] == (tmp_path / "data" / "big.csv").stat().st_mode
    assert store.missing(artifact.digest) == []


def test_a_pipe_as_an_output_or_in_it_is_refused_by_name(store: ObjectStore, made: Path) -> None:
    os.mkfifo(made / "pipe")
    (made / "d").mkdir()
    os.mkfifo(made / "d" / "pipe")

    with pytest.raises(StepFailedError) as itself:
        store.store_output(made / "pipe", "model")
    with pytest.raises(StepFailedError) as inside:
        store.store_output(made / "d", "model")

    assert str(itself.value) == "the output 'model' is neither a file nor a folder"
    assert str(inside.value) == "the output 'model' holds 'pipe', which is neither a file nor a folder"


def test_an_output_that_cannot_be_read_is_the_steps_failure_and_names_the_file() -> None:
    with open_to_all() as folder, unprivileged():
        home = Home.at(folder / "home")
        home.create()
        write(folder / "d", {"sub/weights": "1"})
        (folder / "d" / "sub" / "weights").chmod(0)

        with pytest.raises(StepFailedError) as caught:
            ObjectStore(home).store_output(folder / "d", "model")

    assert str(caught.value) == "cannot read the output 'model': 'sub/weights': Permission denied"


def test_an_output_that_went_is_the_steps_failure(store: ObjectStore, made: Path) -> None:
    with pytest.raises(StepFailedError) as caught:
        store.store_output(made / "none", "model")

    assert str(caught.value) == "cannot read the output 'model': No such file or directory"


@pytest.mark.parametrize("names", [1, 2])
def test_an_output_that_is_still_being_written_is_the_steps_failure(
    store: ObjectStore, made: Path, monkeypatch: pytest.MonkeyPatch, names: int
) -> None:
    (made / "log").write_text("x")
    if names == 2:
        os.link(made / "log", made / "log too")
    look = os.fstat

    def look_and_write(handle: int) -> os.stat_result:
        with (made / "log").open("a") as file:
            file.write("more")
        return look(handle)

    monkeypatch.setattr(os, "fstat", look_and_write)
    with pytest.raises(StepFailedError) as caught:
        store.store_output(made / "log", "log")

    assert str(caught.value) == (
        "the output 'log' keeps changing: 'log' is still being written\n  try: let the step wait for what it starts"
    )
