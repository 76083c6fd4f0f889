from __future__ import annotations

import pytest

from stepwell.core.changes import Change, compare

BEFORE = {"train.py": "file 1", "run.sh": "file 2", "old.py": "file 3", "data": "empty folder"}
AFTER = {"train.py": "file 9", "run.sh": "file 2 executable", "new.py": "file 3", "data": "empty folder"}
LISTINGS = {"before": BEFORE, "after": AFTER}


def sentences(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> list[str]:
    return [change.sentence() for change in compare(before, after, lambda digest: LISTINGS.get(digest, {}))]


def words(*args: str) -> dict[str, dict[str, str]]:
    return {"arguments": {str(position): word for position, word in enumerate(args)}}


def test_files_of_a_source_folder_are_named_one_by_one() -> None:
    said = sentences({"source": {"folder": "tree:before"}}, {"source": {"folder": "tree:after"}})

    assert said == ["new.py is new", "old.py is gone", "run.sh may be executed now", "train.py changed"]


def test_a_listing_that_is_gone_is_named_as_a_whole() -> None:
    said = sentences({"source": {"folder": "tree:unknown"}}, {"source": {"folder": "tree:after"}})

    assert said == ["the source folder changed"]


def test_a_listing_that_many_steps_share_is_opened_once() -> None:
    opened: list[str] = []

    def expand(digest: str) -> dict[str, str]:
        opened.append(digest)
        return LISTINGS[digest]

    known: dict[tuple[str, str, str], tuple[Change, ...]] = {}
    for _ in range(3):
        changes = compare({"source": {"folder": "tree:before"}}, {"source": {"folder": "tree:after"}}, expand, known)

    assert len(changes) == 4
    assert opened == ["before", "after"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (words("--epochs", "5"), words("--epochs", "6"), ["--epochs: '5' -> '6'"]),
        (words("--epochs", "5"), words("--epochs", "{param:epochs}"), ["--epochs: '5' -> '{param:epochs}'"]),
        (words("a", "b"), words("a", "c"), ["argument 2: 'b' -> 'c'"]),
        (words("--epochs=5"), words("--epochs=6"), ["argument 1: '--epochs=5' -> '--epochs=6'"]),
        (words("--out", "x"), words("--fast", "--out", "x"), ["argument '--fast' is new"]),
        (words("--fast", "--out", "x"), words("--out", "x"), ["argument '--fast' is gone"]),
        (words("a", "b"), words("b", "a"), ["argument 1: 'a' -> 'b'", "argument 2: 'b' -> 'a'"]),
        (words("\\{x\\}"), words("y"), ["argument 1: '{x}' -> 'y'"]),
        (words(), words("--fast"), ["argument '--fast' is new"]),
        (
            {"arguments": {"command": "echo a"}},
            {"arguments": {"command": "echo b"}},
            ["command: 'echo a' -> 'echo b'"],
        ),
        (
            words("echo", "a"),
            {"arguments": {"command": "echo a"}},
            ["arguments: a list of words -> a shell command"],
        ),
        ({"arguments": {"command": "echo a"}}, {}, ["the command is gone"]),
        (
            words(*map(str, range(500))),
            words(*map(str, range(1000, 1501))),
            ["arguments: 500 words -> 501 words"],
        ),
    ],
)
def test_a_changed_command_line_is_told_by_option_or_by_place(
    before: dict[str, dict[str, str]], after: dict[str, dict[str, str]], said: list[str]
) -> None:
    assert sentences(before, after) == said


@pytest.mark.parametrize(
    ("part", "item", "before", "after", "said"),
    [
        ("source", "a\nb.py", "file 1", "file 2", r"'a\nb.py' changed"),
        ("source", "b\udcff.py", "file 1", "file 2", r"'b\udcff.py' changed"),
        ("source", "run.sh", "file 2 executable", "file 2", "run.sh may no longer be executed"),
        ("source", "run.sh", "file 2 executable", "file 3", "run.sh changed"),
        ("source", "folder", None, "tree:1", "the step has a source folder now"),
        ("source", "folder", "tree:1", None, "the step has no source folder any more"),
        ("parameters", "epochs", "5", "6", "parameter epochs: 5 -> 6"),
        ("parameters", "loss", '"l1"', '"l2"', "parameter loss: 'l1' -> 'l2'"),
        ("parameters", "fast", "false", "true", "parameter fast: False -> True"),
        ("parameters", "fast", None, "true", "parameter fast is new"),
        ("parameters", "fast", "true", None, "parameter fast is gone"),
        ("parameters", "odd", "{", "}", "parameter odd: '{' -> '}'"),
        ("params", "seed", "7", "{param:seed}", "param seed: '7' -> '{param:seed}'"),
        ("settings", "script_name", '"train.py"', '"fit.py"', "script_name: 'train.py' -> 'fit.py'"),
        ("inputs", "clean", "1", "2", "input 'clean' has other content"),
        ("inputs", "clean", None, "2", "input 'clean' is new"),
        ("inputs", "clean", "1", None, "input 'clean' is gone"),
        ("version", "version", None, "2", "the step's version: none -> '2'"),
        ("version", "version", "1", "2", "the step's version: '1' -> '2'"),
        ("hash_paths", "data.csv", "1", "2", "hash path 'data.csv' has other content"),
        ("variables", "LEVEL", "info", "debug", "variable LEVEL: 'info' -> 'debug'"),
        ("variables", "TOKEN", "blake3:1", "blake3:2", "variable TOKEN changed"),
        ("variables", "TOKEN", None, "blake3:2", "variable TOKEN is new"),
        ("type", "kind", "command", "mpi", "step type: command -> mpi"),
        ("type", "version", "1", "2", "step type version: 1 -> 2"),
        ("reads", "clean", "mount", "download", "input 'clean' is declared differently"),
        ("writes", "model", "1", "2", "output 'model' is declared differently"),
        ("writes", "model", None, "2", "output 'model' is new"),
        ("processes", "node_count", None, "4", "node_count: 1 -> 4"),
        ("environment", "version", "3.11.7", "3.12.1", "the interpreter's version: 3.11.7 -> 3.12.1"),
        ("environment", "package numpy", "1.0 aa", "2.0 bb", "package numpy: 1.0 -> 2.0"),
        ("environment", "package numpy", "1.0 aa", "1.0 bb", "package numpy has other content"),
        ("environment", "package numpy", None, "1.0 aa", "package numpy is new (1.0)"),
        ("environment", "package numpy", "1.0 aa", None, "package numpy is gone (it was 1.0)"),
        ("environment", "distributions", "tree:1", "tree:2", "the installed packages changed"),
        ("key", "version", "1", "2", "this Stepwell tells steps apart in another way: 1 -> 2"),
        ("later", "thing", None, "2", "later thing: none -> 2"),
        (
            "variables",
            "WORDS",
            "the same beginning, which is long, and then " + "x" * 50,
            "the same beginning, which is long, and then y",
            "variable WORDS: '…g, and then xxxxxxxxxxxxxxxxxxxxxxxxxx…' -> '…g, and then y'",
        ),
    ],
)
def test_a_change_is_told_in_words(part: str, item: str, before: str | None, after: str | None, said: str) -> None:
    assert Change(part, item, before, after).sentence() == said


def test_what_was_edited_comes_before_what_the_machine_is() -> None:
    before = {
        "environment": {"version": "3.11"},
        "parameters": {"epochs": "5"},
        "source": {"folder": "tree:before"},
    }
    after = {
        "environment": {"version": "3.12"},
        "parameters": {"epochs": "6"},
        "source": {"folder": "tree:after"},
    }

    parts = [change.part for change in compare(before, after, LISTINGS.__getitem__)]

    assert parts == ["source"] * 4 + ["parameters", "environment"]


def test_a_change_on_the_wire_says_where_and_what() -> None:
    change = Change("parameters", "epochs", "5", None)

    assert change.to_wire() == {"part": "parameters", "item": "epochs", "before": "5", "after": None}
