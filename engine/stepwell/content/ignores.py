"""What a snapshot leaves out.

Always `.git`, `__pycache__`, `.ipynb_checkpoints`, `.stepwell` and virtual environments; then the
lines of `.amlignore` where the folder has one, else of `.gitignore`, of that folder and of the
folders below, each for what is below it. A `.amlignore` wins outright: the `.gitignore` beside it
is not read. A line `!x` brings back what an earlier line, or a default, left out.
"""

from __future__ import annotations

import os

from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

DEFAULTS = frozenset({".git", "__pycache__", ".ipynb_checkpoints", ".stepwell"})
FILES = (".amlignore", ".gitignore")
_Rule = tuple[str, GitIgnoreSpecPattern]  # the folder it is for ("" or "a/b/"), and the pattern


class Ignores:
    """The rules that hold in one folder. Immutable; `within` gives those of a folder below."""

    __slots__ = ("_rules",)

    def __init__(self, rules: tuple[_Rule, ...] = ()) -> None:
        self._rules = rules

    def within(self, folder: str, names: dict[str, os.DirEntry[str]]) -> Ignores:
        """Return the rules that also hold the lines of an ignore file among `names` of `folder`."""
        for name in FILES:
            entry = names.get(name)
            if entry is not None and entry.is_file():
                with open(entry.path, encoding="utf-8", errors="surrogateescape") as file:
                    lines = file.read().splitlines()
                patterns = (GitIgnoreSpecPattern(line) for line in lines)
                own = tuple((folder, pattern) for pattern in patterns if pattern.include is not None)
                return Ignores(self._rules + own)
        return self

    def leave_out(self, path: str, name: str, is_folder: bool, full_path: str) -> bool:
        """Return whether `path` (relative, with "/") is left out. The last rule that matches decides."""
        out = name in DEFAULTS or (is_folder and os.path.exists(f"{full_path}/pyvenv.cfg"))
        for folder, pattern in self._rules:
            if not path.startswith(folder):
                continue
            below = path[len(folder) :] + ("/" if is_folder else "")
            if pattern.match_file(below) is not None:
                out = bool(pattern.include)
        return out
