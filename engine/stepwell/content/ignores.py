"""What a snapshot leaves out.

Always `.git`, `__pycache__`, `.ipynb_checkpoints`, `.stepwell`, virtual environments (folders that
hold a `pyvenv.cfg`) and homes of Stepwell (folders that hold a `.stepwell-home`); then the lines of
`.amlignore` where a folder has one, else of its `.gitignore`, each for what is below that folder. A
`.amlignore` wins outright: the `.gitignore` beside it is not read; nor is any of the folders above
the source folder. The last line that
matches decides, and `!x` brings back what an earlier line left out. What is left out by default is
brought back only by a line that spells its name (`!.git`, `!tools/venv/`): a common `!*/` does not
mean it. As with git, nothing is brought back from a folder that is itself left out, and a line
that is no pattern matches nothing.
"""

from __future__ import annotations

from functools import cached_property

from blake3 import blake3
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from stepwell.paths import HOME_MARK

DEFAULTS = frozenset({".git", "__pycache__", ".ipynb_checkpoints", ".stepwell"})
FILES = (".amlignore", ".gitignore")
MARKS = ("pyvenv.cfg", HOME_MARK)  # a folder that holds one of these is left out
_ANY = (".", "(?P<ps_d>/)")  # what the library makes of "*", and of "*/"
_Rule = tuple[GitIgnoreSpecPattern, str]  # the pattern, and the last part of its text


class Ignores:
    """The rules that hold in one folder. Immutable; `within` adds those of a folder below.

    `fingerprint` (16 bytes, or none where there are no rules) is equal for equal rules, so that
    decisions can be remembered.
    """

    def __init__(self, folder: str = "", text: str = "", above: Ignores | None = None) -> None:
        self._folder = folder
        self._text = text
        self._above = above
        self.fingerprint: bytes = b"" if above is None else _fingerprint(above.fingerprint, folder, text)

    def within(self, folder: str, text: str) -> Ignores:
        """Return these rules with the lines of the ignore file of `folder` ("" or "a/b/") after them."""
        return Ignores(folder, text, self)

    def leave_out(self, path: str, *, is_folder: bool, is_venv: bool = False) -> bool:
        """Return whether `path` (relative, with "/") is left out."""
        name = path.rpartition("/")[2]
        by_default = is_venv or name in DEFAULTS
        rules: Ignores | None = self
        while rules is not None:
            below = path[len(rules._folder) :] + ("/" if is_folder else "")
            for pattern, spelled in rules._rules:
                if _matches(pattern, below) and (pattern.include or not by_default or spelled == name):
                    return bool(pattern.include)
            rules = rules._above
        return by_default

    @cached_property
    def _rules(self) -> tuple[_Rule, ...]:
        """The rules of this one file, last line first. Compiled only where a decision is not remembered."""
        lines = self._text.removeprefix("\ufeff").split("\n")
        found = (_rule(line.removesuffix("\r")) for line in reversed(lines))
        return tuple(rule for rule in found if rule is not None)


def _fingerprint(above: bytes, folder: str, text: str) -> bytes:
    parts = (above, folder.encode("utf-8", "surrogateescape"), text.encode("utf-8", "surrogateescape"))
    return blake3(b"\0".join(parts)).digest(16)


def _rule(line: str) -> _Rule | None:
    if line.endswith("/**/") and line.strip("!/") != "**":
        line += "*/"  # the folders below, not the folder itself: the library takes it for that
    try:
        pattern = GitIgnoreSpecPattern(line)
    except ValueError:  # a lone "!", a backslash at the end: git lets them match nothing
        return None
    return None if pattern.include is None else (pattern, line.strip().lstrip("!").rstrip("/").rpartition("/")[2])


def _matches(pattern: GitIgnoreSpecPattern, path: str) -> bool:
    """Return whether the pattern means `path` itself, not just a folder above it.

    The expressions also match all that is below what they mean. The walk already went into the
    folders above, so what was said of those does not count again: with the lines `*.tmp`, `!a/`,
    git leaves out `a/x.tmp`.
    """
    expression = pattern.regex
    found = None if expression is None else expression.search(path)
    if expression is None or found is None:
        return False
    if expression.pattern in _ANY:
        return expression.pattern == "." or path.endswith("/")
    if "ps_d" in expression.groupindex:  # the slash after what is meant
        return found["ps_d"] is None or found.end("ps_d") == len(path)
    return found.end() < len(path)  # "a/**": what is in it, not itself
