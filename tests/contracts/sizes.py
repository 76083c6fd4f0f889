"""Ceilings on files and functions, and names that say nothing: run by `make check` and by a test.

    python -m contracts.sizes          with tests/ on the path; prints what is over, exits with 1

Measured in lines as they stand in the file, docstrings and comments included: what is counted is
what a reader has to hold. A function's decorators do not count.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("engine", "tui", "plugins", "tests", "sample_projects")
FILE_LINES = 450
FUNCTION_LINES = 60
EMPTY_NAMES = frozenset(
    {"utils", "util", "helpers", "helper", "common", "base", "misc"}
    | {"manager", "handler", "service", "processor", "info"}
)


def violations(root: Path = REPOSITORY) -> list[str]:
    """Return one line for each thing that is over a ceiling or badly named below `root`."""
    return [line for path in python_files(root) for line in of_file(path, root)]


def python_files(root: Path) -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            if "fixtures" not in path.parts:
                yield path


def of_file(path: Path, root: Path) -> Iterator[str]:
    name = path.relative_to(root)
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    if lines > FILE_LINES:
        yield f"{name}: {lines} lines, at most {FILE_LINES}; a file this long holds two nouns"
    for part in (path.stem, path.parent.name):
        if EMPTY_NAMES & set(part.split("_")):
            yield f"{name}: the name {part!r} says nothing; name the noun"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                yield f"{name}:{node.lineno}: {node.name} is {length} lines, at most {FUNCTION_LINES}"


def main() -> int:
    found = violations()
    for line in found:
        print(line)
    count = sum(1 for _ in python_files(REPOSITORY))
    print(f"sizes and names: {count} files, {len(found)} over" if found else f"sizes and names: {count} files, ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
