"""What a step left at the path of an output, as a tree whose contents are in the store.

The output must be a file or a folder itself: a link in its place could lead to anything on the
machine, and is refused by name. Links inside a folder are kept as the text they are, and never
followed. Nothing is left out: there are no ignore rules for results.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from stepwell.content.hashing import hash_bytes
from stepwell.content.objects import Objects
from stepwell.core.trees import Entry, Tree
from stepwell.errors import StepFailedError

_TRIES = 3


def collect(objects: Objects, path: str, name: str) -> Tree:
    """Return the tree of an output. Raises StepFailedError (the step's author must act), MachineError."""
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISREG(mode):
            return Tree((_file(objects, path, name, name),), single=True)
        if stat.S_ISDIR(mode):
            return Tree(tuple(_entries(objects, path, name)))
        if stat.S_ISLNK(mode):
            target = os.readlink(path)
            raise StepFailedError(
                f"the output {name!r} is a link to {target!r}; an output must be a file or a folder itself",
                hint="write or copy the result to the path of the output",
                code="output_is_link",
            )
    except OSError as error:
        raise _unreadable(error, path, name) from error
    raise StepFailedError(f"the output {name!r} is neither a file nor a folder", code="output_special")


def _entries(objects: Objects, root: str, name: str) -> Iterator[Entry]:
    pending = [(root, "")]
    while pending:
        folder, prefix = pending.pop()
        with os.scandir(folder) as scan:
            children = list(scan)
        if not children and prefix:
            yield Entry(prefix[:-1], "folder")
        for child in children:
            relative = prefix + child.name
            mode = child.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                pending.append((child.path, f"{relative}/"))
            elif stat.S_ISREG(mode):
                yield _file(objects, child.path, relative, name)
            elif stat.S_ISLNK(mode):
                target = os.readlink(child.path)
                text = os.fsencode(target)
                yield Entry(relative, "link", hash_bytes(text), len(text), target=target)
            else:
                raise StepFailedError(
                    f"the output {name!r} holds {relative!r}, which is neither a file nor a folder",
                    code="output_special",
                )


def _file(objects: Objects, path: str, relative: str, name: str) -> Entry:
    for _ in range(_TRIES):
        try:
            digest, seen = objects.take(path)
        except BlockingIOError:
            continue
        return Entry(relative, "file", digest, seen.st_size, executable=bool(seen.st_mode & stat.S_IXUSR))
    raise StepFailedError(
        f"the output {name!r} keeps changing: {relative!r} is still being written",
        hint="let the step wait for what it starts",
        code="output_changing",
    )


def _unreadable(error: OSError, path: str, name: str) -> StepFailedError:
    at = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else path
    relative = os.path.relpath(at, path)
    inside = "" if relative == "." else f": {relative!r}"
    return StepFailedError(f"cannot read the output {name!r}{inside}: {error.strerror}", code="output_unreadable")
