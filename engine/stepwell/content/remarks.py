"""What the user should know about a frozen folder: links that lead out, special files, sizes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from stepwell.content.folders import LINK, SPECIAL, Folder
from stepwell.core.trees import Tree

BIG_BYTES = 100 * 1000 * 1000
BIG_FILES = 2_000
_LARGEST = 10


def remarks(root: str, folders: Mapping[str, Folder], tree: Tree) -> Iterator[str]:
    """Yield one text for each thing to know, sorted by path, the one about the size last."""
    yield from sorted(_special(folders))
    yield from sorted(_leading_out(root, folders))
    yield from _large(tree)


def _special(folders: Mapping[str, Folder]) -> Iterator[str]:
    for prefix, folder in folders.items():
        if any(kind in SPECIAL for kind in folder.kinds):
            for name, nature in folder.specials():
                yield f"{prefix + name!r} is {nature} and is left out"


def _leading_out(root: str, folders: Mapping[str, Folder]) -> Iterator[str]:
    roots = {root, os.path.realpath(root)}
    for prefix, folder in folders.items():
        if LINK not in folder.kinds:
            continue
        for name, _, target in folder.links():
            lands = {os.path.normpath(os.path.join(place, prefix, target)) for place in roots}
            if not any(f"{end}/".startswith(f"{place.rstrip('/')}/") for end in lands for place in roots):
                yield (
                    f"{prefix + name!r} is a link that leads out of the folder, to {target!r}: "
                    "what is there does not count"
                )


def _large(tree: Tree) -> Iterator[str]:
    files = [entry for entry in tree.entries if entry.kind == "file"]
    size = sum(entry.size for entry in files)
    if size <= BIG_BYTES and len(files) <= BIG_FILES:
        return
    largest = sorted(files, key=lambda entry: -entry.size)[:_LARGEST]
    lines = [
        f"the source folder is large: {len(files):,} file{'s' * (len(files) != 1)}, {size / 1e6:,.1f} MB; the largest:"
    ]
    lines += [f"    {entry.size / 1e6:10,.1f} MB  {_shown(entry.path)}" for entry in largest]
    lines.append(
        f"  to leave some out, put lines like these into .amlignore: {'  '.join(map(_shown, _suggested(tree)))}"
    )
    yield "\n".join(lines)


def _shown(path: str) -> str:
    return path if path.isprintable() else repr(path)


def _suggested(tree: Tree) -> list[str]:
    """Return ignore lines for the folders (else the kinds of files) that hold most of the bytes, then most files."""
    weights: dict[str, tuple[int, int]] = {}
    for entry in tree.entries:
        if entry.kind == "file":
            top, slash, _ = entry.path.partition("/")
            line = f"{top}/" if slash else f"*{os.path.splitext(top)[1]}"
            size, count = weights.get(line, (0, 0))
            weights[line] = (size + entry.size, count + 1)
    by_size = sorted(weights, key=lambda line: weights[line][0], reverse=True)
    by_count = sorted(weights, key=lambda line: weights[line][1], reverse=True)
    return list(dict.fromkeys([*by_size[:2], by_count[0]]))
