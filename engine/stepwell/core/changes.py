"""What is different between two manifests, and how to say it in a sentence. Pure.

`compare` is the second reader of a manifest's parts (the first is its digest). It looks at the
parts in the order in which people ask: what was edited, what flowed in, and only then what the
machine is. The first change becomes the reason that a user reads, so each sentence stands alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from stepwell.core.symbols import readable

Items = Mapping[str, str]
Expand = Callable[[str], Items]
_TREE = "tree:"
_ORDER = (
    "source",
    "arguments",
    "parameters",
    "params",
    "settings",
    "inputs",
    "version",
    "hash_paths",
    "variables",
    "type",
    "reads",
    "writes",
    "processes",
    "environment",
    "key",
)
_ALIGNED_MAX = 400  # longer stretches of changed arguments are counted, not aligned
_SHOWN_MAX = 40  # characters of a value in a sentence
_CONTEXT = 12  # characters shown before the first one that differs


@dataclass(frozen=True, slots=True)
class Change:
    """One difference, in the manifest's own text. What is new has no `before`, what is gone no `after`."""

    part: str
    item: str
    before: str | None
    after: str | None

    def sentence(self) -> str:
        """Return the difference in words, such as "train.py changed" or "--epochs: '5' -> '6'"."""
        say = _SENTENCES.get(self.part, _plain)
        return say(self)

    def to_wire(self) -> dict[str, str | None]:
        return {"part": self.part, "item": self.item, "before": self.before, "after": self.after}


Opened = dict[tuple[str, str, str], tuple[Change, ...]]


def compare(
    before: Mapping[str, Items], after: Mapping[str, Items], expand: Expand, opened: Opened | None = None
) -> tuple[Change, ...]:
    """Return every difference between two manifests' items by part, the most telling first.

    `opened` keeps what was found inside listings, for callers that compare many manifests
    which share them: a thousand steps of one folder open its two listings once.
    """
    known: Opened = {} if opened is None else opened
    found: list[Change] = []
    others = sorted((before.keys() | after.keys()) - set(_ORDER))
    for part in (*_ORDER, *others):
        old, new = before.get(part, {}), after.get(part, {})
        if old == new:
            if (part in before) != (part in after):
                found.append(Change(part, part, _presence(part in before), _presence(part in after)))
            continue
        found.extend(_arguments(old, new) if part == "arguments" else _items(part, old, new, expand, known))
    return tuple(found)


def _presence(there: bool) -> str | None:
    return "" if there else None


def _items(part: str, before: Items, after: Items, expand: Expand, known: Opened) -> Iterator[Change]:
    for item in sorted(before.keys() | after.keys()):
        old, new = before.get(item), after.get(item)
        if old == new:
            continue
        inside: tuple[Change, ...] = ()
        if old is not None and new is not None and old.startswith(_TREE) and new.startswith(_TREE):
            pair = (part, old, new)
            inside = known[pair] = known[pair] if pair in known else _opened(part, old, new, expand)
        yield from inside or (Change(part, item, old, new),)


def _opened(part: str, old: str, new: str, expand: Expand) -> tuple[Change, ...]:
    """Return what differs inside two listings; nothing when either cannot be opened."""
    was, now = expand(old.removeprefix(_TREE)), expand(new.removeprefix(_TREE))
    if not was or not now:
        return ()
    names = sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))
    return tuple(Change(part, name, was.get(name), now.get(name)) for name in names)


def _arguments(before: Items, after: Items) -> list[Change]:
    if ("command" in before) != ("command" in after) and before and after:
        return [Change("arguments", "arguments", _form(before), _form(after))]
    if "command" in before or "command" in after:
        return [Change("arguments", "command", before.get("command"), after.get("command"))]
    old, new = _words(before), _words(after)
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    was, now = old[start : len(old) - end], new[start : len(new) - end]
    if len(was) == len(now):
        return [
            _word_change(new, start + n, *pair)
            for n, pair in enumerate(zip(was, now, strict=True))
            if pair[0] != pair[1]
        ]
    if max(len(was), len(now)) > _ALIGNED_MAX:
        return [Change("arguments", "arguments", f"{len(old)} words", f"{len(new)} words")]
    found: list[Change] = []
    for _, i1, i2, j1, j2 in SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        for n in range(max(i2 - i1, j2 - j1)):
            word = was[i1 + n] if i1 + n < i2 else None
            instead = now[j1 + n] if j1 + n < j2 else None
            if word != instead:
                found.append(_word_change(new, start + j1 + n, word, instead))
    return found


def _word_change(words: list[str], position: int, before: str | None, after: str | None) -> Change:
    """Name a value by the option before it (`--epochs`), any other word by its place."""
    option = words[position - 1] if 0 < position <= len(words) else ""
    if before is None or after is None or not option.startswith("-") or "=" in option:
        option = f"argument {position + 1}"
    return Change("arguments", readable(option), before, after)


def _words(items: Items) -> list[str]:
    return [items[position] for position in sorted(items, key=lambda position: (len(position), position))]


def _form(items: Items) -> str:
    return "a shell command" if "command" in items else "a list of words"


# How each part says that something in it is different.


def _say_source(change: Change) -> str:
    if change.item == "folder" and (change.after or "").startswith(_TREE):
        return "the source folder changed" if change.before else "the step has a source folder now"
    if change.item == "folder" and (change.before or "").startswith(_TREE):
        return "the step has no source folder any more"
    name = _name(change.item)
    if change.before is None:
        return f"{name} is new"
    if change.after is None:
        return f"{name} is gone"
    if change.after == f"{change.before} executable":
        return f"{name} may be executed now"
    if change.before == f"{change.after} executable":
        return f"{name} may no longer be executed"
    return f"{name} changed"


def _say_argument(change: Change) -> str:
    if change.item == "command" and (change.before is None or change.after is None):
        return f"the command is {'new' if change.before is None else 'gone'}"
    if change.before is None:
        return f"argument {_value(readable(change.after or ''))} is new"
    if change.after is None:
        return f"argument {_value(readable(change.before))} is gone"
    if change.item == "arguments":
        return f"arguments: {change.before} -> {change.after}"
    before, after = _around(readable(change.before), readable(change.after))
    return f"{_name(change.item)}: {before} -> {after}"


def _say_json(what: str) -> Callable[[Change], str]:
    def say(change: Change) -> str:
        name = f"{what}{_name(change.item)}"
        if change.before is None:
            return f"{name} is new"
        if change.after is None:
            return f"{name} is gone"
        before, after = _parsed(change.before), _parsed(change.after)
        if isinstance(before, str) and isinstance(after, str):
            return "{}: {} -> {}".format(name, *_around(before, after))
        return f"{name}: {_value(before)} -> {_value(after)}"

    return say


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # a manifest of another key version: shown as it is
        return text


def _say_content(what: str) -> Callable[[Change], str]:
    def say(change: Change) -> str:
        if change.before is None:
            return f"{what} {_value(change.item)} is new"
        if change.after is None:
            return f"{what} {_value(change.item)} is gone"
        return f"{what} {_value(change.item)} has other content"

    return say


def _say_declared(what: str) -> Callable[[Change], str]:
    say_content = _say_content(what)

    def say(change: Change) -> str:
        if change.before is None or change.after is None:
            return say_content(change)
        return f"{what} {_value(change.item)} is declared differently"

    return say


def _say_text(what: str) -> Callable[[Change], str]:
    def say(change: Change) -> str:
        name = f"{what}{_name(change.item)}"
        if change.before is None:
            return f"{name} is new"
        if change.after is None:
            return f"{name} is gone"
        if change.after.startswith("blake3:"):
            return f"{name} changed"
        return "{}: {} -> {}".format(name, *_around(readable(change.before), readable(change.after)))

    return say


def _say_version(change: Change) -> str:
    before = "none" if change.before is None else _value(change.before)
    after = "none" if change.after is None else _value(change.after)
    return f"the step's version: {before} -> {after}"


def _say_type(change: Change) -> str:
    what = "step type" if change.item == "kind" else f"step type {_name(change.item)}"
    return f"{what}: {_or_none(change.before)} -> {_or_none(change.after)}"


def _say_processes(change: Change) -> str:
    return f"{_name(change.item)}: {_name(change.before or '1')} -> {_name(change.after or '1')}"


def _say_environment(change: Change) -> str:
    if change.item == "distributions":
        return "the installed packages changed"
    if not change.item.startswith("package "):
        before, after = _or_none(change.before), _or_none(change.after)
        return f"the interpreter's {_name(change.item)}: {before} -> {after}"
    name = _name(change.item)
    if change.before is None:
        return f"{name} is new ({_first_word(change.after)})"
    if change.after is None:
        return f"{name} is gone (it was {_first_word(change.before)})"
    before, after = _first_word(change.before), _first_word(change.after)
    return f"{name} has other content" if before == after else f"{name}: {before} -> {after}"


def _say_key(change: Change) -> str:
    before, after = _or_none(change.before), _or_none(change.after)
    return f"this Stepwell tells steps apart in another way: {before} -> {after}"


def _plain(change: Change) -> str:
    before, after = _or_none(change.before), _or_none(change.after)
    return f"{_name(change.part)} {_name(change.item)}: {before} -> {after}"


def _or_none(text: str | None) -> str:
    return "none" if text is None else _name(text)


def _name(text: str) -> str:
    """Return a name as it is, or quoted where it would disturb a terminal."""
    return text if text.isprintable() else repr(text)


def _value(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN_MAX + 2 else f"{shown[:_SHOWN_MAX]}…{shown[-1]}"


def _around(before: str, after: str) -> tuple[str, str]:
    """Return both texts quoted, long ones from shortly before the first place where they differ."""
    if max(len(before), len(after)) <= _SHOWN_MAX:
        return _value(before), _value(after)
    common = 0
    while common < min(len(before), len(after)) and before[common] == after[common]:
        common += 1
    if common > _CONTEXT:
        cut = common - _CONTEXT
        before, after = f"…{before[cut:]}", f"…{after[cut:]}"
    return _value(before), _value(after)


def _first_word(text: str | None) -> str:
    return _name((text or "").split(" ", 1)[0])


_SENTENCES: dict[str, Callable[[Change], str]] = {
    "source": _say_source,
    "arguments": _say_argument,
    "parameters": _say_json("parameter "),
    "params": _say_text("param "),
    "settings": _say_json(""),
    "inputs": _say_content("input"),
    "version": _say_version,
    "hash_paths": _say_content("hash path"),
    "variables": _say_text("variable "),
    "type": _say_type,
    "reads": _say_declared("input"),
    "writes": _say_declared("output"),
    "processes": _say_processes,
    "environment": _say_environment,
    "key": _say_key,
}
