from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from content.folders_on_disk import write
from stepwell.content.snapshots import freeze


def kept(root: Path) -> list[str]:
    """Return the files of a snapshot of `root`, but for the ignore files."""
    tree = freeze(root, None, None, keep=False).tree
    return [entry.path for entry in tree.entries if entry.kind == "file" and not entry.path.endswith("ignore")]


def test_what_is_never_source_is_left_out_without_any_ignore_file(root: Path) -> None:
    write(
        root,
        {
            "train.py": "",
            ".git/HEAD": "",
            "a/.git": "gitdir: elsewhere",
            "a/__pycache__/x.pyc": "",
            ".ipynb_checkpoints/n.ipynb": "",
            ".stepwell/config.json": "",
            "my env/pyvenv.cfg": "",
            "my env/lib/site.py": "",
        },
    )

    assert kept(root) == ["train.py"]


def test_a_virtual_environment_is_known_by_its_mark_and_not_by_its_name(root: Path) -> None:
    write(root, {"venv/notes.txt": "", "tools/pyvenv.cfg": "", "tools/lib.py": ""})

    assert kept(root) == ["venv/notes.txt"]


def test_a_home_of_ours_inside_the_source_folder_is_left_out(root: Path) -> None:
    write(root, {"train.py": "", "demo/home/.stepwell-home": "", "demo/home/state.db": "1"})

    assert kept(root) == ["train.py"]


def test_a_folder_that_becomes_a_virtual_environment_leaves_the_snapshot(root: Path) -> None:
    write(root, {"tools/lib.py": "", "main.py": ""})
    before = kept(root)
    write(root, {"tools/pyvenv.cfg": ""})

    assert before == ["main.py", "tools/lib.py"]
    assert kept(root) == ["main.py"]


def test_a_source_folder_that_is_a_virtual_environment_itself_is_not_left_out(root: Path) -> None:
    write(root, {"pyvenv.cfg": "", "train.py": ""})

    assert kept(root) == ["pyvenv.cfg", "train.py"]


@pytest.mark.parametrize("line", ["!.git", "!/.git/", "!venv/", "!tools/venv"])
def test_a_line_that_spells_a_default_brings_it_back(root: Path, line: str) -> None:
    write(root, {".amlignore": line, ".git/HEAD": "", "tools/venv/pyvenv.cfg": "", "tools/x": ""})
    wanted = ".git/HEAD" if "git" in line else "tools/venv/pyvenv.cfg"

    assert set(kept(root)) == {wanted, "tools/x"}


@pytest.mark.parametrize("line", ["!*", "!*/", "!**", "!.g*"])
def test_a_pattern_that_happens_to_match_a_default_does_not_bring_it_back(root: Path, line: str) -> None:
    write(root, {".amlignore": line, ".git/HEAD": "", "train.py": ""})

    assert kept(root) == ["train.py"]


def test_of_a_list_of_what_to_keep_only_that_is_kept(root: Path) -> None:
    write(root, {".gitignore": "*\n!*/\n!*.py\n", "a/b/x.py": "", "a/b/x.csv": "", "y.py": "", ".git/h.py": ""})

    assert kept(root) == ["a/b/x.py", "y.py"]


def test_an_amlignore_wins_outright_over_the_gitignore_beside_it(root: Path) -> None:
    write(root, {".gitignore": "*.csv", ".amlignore": "*.txt", "a.csv": "", "a.txt": ""})

    assert kept(root) == ["a.csv"]


def test_an_empty_amlignore_switches_the_gitignore_off(root: Path) -> None:
    write(root, {".gitignore": "*.csv", ".amlignore": "", "a.csv": ""})

    assert kept(root) == ["a.csv"]


def test_rules_hold_for_their_folder_and_below_and_the_deeper_one_has_the_last_word(root: Path) -> None:
    write(root, {".gitignore": "*.csv", "keep/.gitignore": "!*.csv", "a.csv": "", "keep/b.csv": "", "other/c.csv": ""})

    assert kept(root) == ["keep/b.csv"]


def test_an_ignore_file_above_the_source_folder_does_not_count(root: Path) -> None:
    write(root.parent, {".gitignore": "*", ".amlignore": "*"})
    write(root, {"train.py": ""})

    assert kept(root) == ["train.py"]


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ("*.csv\n!b.csv", ["b.csv", "c.txt", "d/b.csv"]),
        ("!b.csv\n*.csv", ["c.txt"]),
        ("/d/\n!/d/b.csv", ["a.csv", "b.csv", "c.txt"]),
        ("d/**\n!d/b.csv", ["a.csv", "b.csv", "c.txt", "d/b.csv"]),
        ("# *.txt\n\n   \n\\#x", ["a.csv", "b.csv", "c.txt", "d/b.csv"]),
        ("*.csv\r\n!b.csv\r\n", ["b.csv", "c.txt", "d/b.csv"]),
        ("\ufeff*.csv", ["c.txt"]),
        ("!\n*.csv\\\n[\nc.txt", ["a.csv", "b.csv", "d/b.csv"]),
    ],
)
def test_lines_mean_what_they_mean_to_git(root: Path, lines: str, left: list[str]) -> None:
    write(root, {"a.csv": "", "b.csv": "", "c.txt": "", "d/b.csv": ""})
    (root / ".gitignore").write_bytes(lines.encode())

    assert kept(root) == left


def test_an_ignore_file_that_is_a_folder_or_leads_nowhere_has_no_rules(root: Path) -> None:
    write(root, {"a/.gitignore/x": "", "b/y": ""})
    (root / "b" / ".amlignore").symlink_to("nowhere")

    assert [e.path for e in freeze(root, None, None, keep=False).tree.entries] == [
        "a/.gitignore/x",
        "b/.amlignore",
        "b/y",
    ]


def test_names_that_are_no_utf8_can_be_matched(root: Path) -> None:
    (root / os.fsdecode(b"\xff.csv")).write_text("")
    (root / os.fsdecode(b"\xfe.csv")).write_text("")
    (root / ".gitignore").write_bytes(b"\xff*\n")

    assert kept(root) == [os.fsdecode(b"\xfe.csv")]


ATOMS = ("a", "b", "ab", "*", "**", "?", "a*", "*b", "[ab]", "c.x", "*.x", "[!a]", "\\a")


def line(chance: random.Random) -> str:
    text = "/".join(chance.choice(ATOMS) for _ in range(chance.choice((1, 1, 2, 3))))
    if chance.random() < 0.3:
        text = f"/{text}"
    if chance.random() < 0.3:
        text += "/"
    return f"!{text}" if chance.random() < 0.3 else text


def grow(chance: random.Random, folder: Path, depth: int) -> None:
    for name in ("a", "b", "ab", "c.x"):
        drawn = chance.random()
        if drawn < 0.35 and depth < 3:
            (folder / name).mkdir()
            grow(chance, folder / name, depth + 1)
        elif drawn < 0.75:
            (folder / name).write_text("")
    if chance.random() < (0.9 if depth == 0 else 0.25):
        lines = [line(chance) for _ in range(chance.randint(1, 4))]
        (folder / ".gitignore").write_text("\n".join(lines) + "\n")


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git to compare with")
@pytest.mark.parametrize("seed", range(40))
def test_git_itself_leaves_out_the_same_files(root: Path, seed: int) -> None:
    grow(random.Random(seed), root, 0)
    variables = {"PATH": os.environ["PATH"], "HOME": str(root), "GIT_CONFIG_NOSYSTEM": "1"}
    ours = {e.path for e in freeze(root, None, None, keep=False).tree.entries if e.kind == "file"}

    subprocess.run(["git", "init", "--quiet", str(root)], env=variables, check=True)
    listed = ["git", "-C", str(root), "ls-files", "--others", "--exclude-standard", "-z"]
    theirs = subprocess.run(listed, env=variables, check=True, capture_output=True, text=True).stdout

    assert ours == set(filter(None, theirs.split("\0")))
