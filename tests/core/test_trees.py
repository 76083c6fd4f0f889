from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.trees import BadListingError, Entry, Kind, Tree

A = "a" * 64
B = "b" * 64
parts = st.text(st.sampled_from("ab \n'é\udcff😀"), min_size=1, max_size=3)
paths = st.lists(parts, min_size=1, max_size=3).map("/".join)


@st.composite
def entries(draw: st.DrawFn, path: str) -> Entry:
    kind: Kind = draw(st.sampled_from(("file", "link", "folder")))
    if kind == "folder":
        return Entry(path, "folder")
    digest, size = draw(st.sampled_from((A, B))), draw(st.integers(0, 2**40))
    if kind == "link":
        return Entry(path, "link", digest, size, target=draw(paths))
    return Entry(path, "file", digest, size, executable=draw(st.booleans()))


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    chosen = draw(st.lists(paths, unique=True, max_size=6))
    return Tree.of([draw(entries(path)) for path in chosen])


@given(trees(), st.randoms(use_true_random=False))
def test_the_order_in_which_entries_are_given_never_matters(tree: Tree, random: Random) -> None:
    shuffled = list(tree.entries)
    random.shuffle(shuffled)

    again = Tree.of(shuffled)

    assert again == tree
    assert again.digest == tree.digest


@given(trees())
def test_a_listing_reads_back_as_the_tree_it_was_made_from(tree: Tree) -> None:
    assert Tree.decode(tree.encode()) == tree


@given(trees(), trees())
def test_two_trees_have_one_digest_exactly_when_they_hold_the_same(left: Tree, right: Tree) -> None:
    assert (left.digest == right.digest) == (left.entries == right.entries)


@given(trees(), trees())
def test_trees_of_one_mapping_differ_in_sizes_at_most(left: Tree, right: Tree) -> None:
    """The mapping explains differences, so whatever else differs must show in it."""

    def without_sizes(tree: Tree) -> list[tuple[object, ...]]:
        return [
            (entry.path, entry.kind, entry.target)
            if entry.kind == "link"
            else (entry.path, entry.kind, entry.digest, entry.executable)
            for entry in tree.entries
        ]

    assert (left.as_mapping() == right.as_mapping()) == (without_sizes(left) == without_sizes(right))


@given(trees(), st.data())
def test_a_torn_listing_is_never_taken_for_a_whole_one(tree: Tree, data: st.DataObject) -> None:
    listing = tree.encode()
    length = data.draw(st.integers(0, len(listing) - 1))

    try:
        shorter = Tree.decode(listing[:length])
    except BadListingError:
        return

    assert len(shorter.entries) < len(tree.entries)


def test_a_listing_has_this_very_form() -> None:
    tree = Tree.of(
        [
            Entry("run.sh", "file", A, 3, executable=True),
            Entry("data", "folder"),
            Entry("b\udcff", "file", B, 10),
            Entry("latest", "link", A, 5, target="run.sh"),
        ]
    )

    assert tree.encode() == (
        b"stepwell tree 1\n"
        b"f " + b"b" * 64 + b" 10\0b\xff\0"
        b"d\0data\0"
        b"l " + b"a" * 64 + b" 5\0latest\0run.sh\0"
        b"x " + b"a" * 64 + b" 3\0run.sh\0"
    )


def test_the_digest_of_a_fixed_tree_is_fixed() -> None:
    tree = Tree.of([Entry("train.py", "file", A, 3), Entry("run.sh", "file", B, 7, executable=True)])

    assert tree.digest == "9fa08ba2b24e8e9269851b20d39216745513542452697eb84ee5aa0df864318f"


def test_entries_are_ordered_by_the_bytes_of_their_paths() -> None:
    """In text, a lone surrogate sorts before an emoji; the byte it stands for does not."""
    tree = Tree.of([Entry("\udcff", "folder"), Entry("😀", "folder")])

    assert [entry.path for entry in tree.entries] == ["😀", "\udcff"]


def test_sizes_and_counts_are_of_files() -> None:
    tree = Tree.of(
        [Entry("a", "file", A, 3), Entry("b", "link", A, 5, target="a"), Entry("c", "folder")],
    )

    assert (tree.bytes, tree.files) == (3, 2)


def test_a_mapping_says_what_each_path_is() -> None:
    tree = Tree.of(
        [
            Entry("a.py", "file", A, 3),
            Entry("b.sh", "file", B, 3, executable=True),
            Entry("c", "link", A, 5, target="a.py"),
            Entry("d", "folder"),
        ]
    )

    assert tree.as_mapping() == {
        "a.py": f"file {A}",
        "b.sh": f"file {B} executable",
        "c": "link to a.py",
        "d": "empty folder",
    }


def test_one_path_cannot_occur_twice() -> None:
    with pytest.raises(ValueError, match=r"^two entries with the path 'a'$"):
        Tree.of([Entry("a", "folder"), Entry("a", "file", A)])


@pytest.mark.parametrize(
    ("listing", "says"),
    [
        (b"", "not a tree listing: it starts with b''"),
        (b"stepwell tree 2\nd\0a\0", "not a tree listing: it starts with b'stepwell tree 2\\nd\\x00a\\x00'"),
        (b"stepwell tree 1\nd\0a", "the tree listing is torn: it does not end with a NUL"),
        (b"stepwell tree 1\nd\0b\0d\0a\0", "the tree listing is not in its canonical form"),
        (b"stepwell tree 1\nd\0a\0d\0a\0", "the tree listing is damaged: two entries with the path 'a'"),
        (
            b"stepwell tree 1\np aa 1\0a\0",
            "the tree listing has an entry of kind 'p', which this version does not know",
        ),
        (
            b"stepwell tree 1\nf aa x\0a\0",
            "the tree listing is damaged: invalid literal for int() with base 10: 'x'",
        ),
        (b"stepwell tree 1\nf aa 01\0a\0", "the tree listing is not in its canonical form"),
        (b"stepwell tree 1\nd\0../a\0", "the tree listing has the path '../a', which leads out of the tree"),
        (b"stepwell tree 1\nd\0/etc\0", "the tree listing has the path '/etc', which leads out of the tree"),
        (
            b"stepwell tree 1\nd\0a/./b\0",
            "the tree listing has the path 'a/./b', which leads out of the tree",
        ),
        (b"stepwell tree 1\nd\0\0", "the tree listing has the path '', which leads out of the tree"),
        (b"stepwell tree 1\nd\0", "the tree listing has the path '', which leads out of the tree"),
    ],
)
def test_a_damaged_listing_is_refused_and_says_why(listing: bytes, says: str) -> None:
    with pytest.raises(BadListingError) as refused:
        Tree.decode(listing)

    assert str(refused.value) == says
