"""The schema, one numbered step at a time. A released file is never edited; the next one changes it."""

from __future__ import annotations

from importlib.resources import files

NAMES = ("0001_initial.sql",)
VERSION = len(NAMES)  # `PRAGMA user_version` of a database that is up to date


def statements(number: int) -> list[str]:
    """Return the statements of migration `number` (from 1), in order."""
    text = files(__package__).joinpath(NAMES[number - 1]).read_text(encoding="utf-8")
    found: list[str] = []
    current: list[str] = []
    for line in text.splitlines():
        if line.startswith("--") or not line.strip():
            continue
        current.append(line)
        # A trigger holds statements of its own; it is over where its body is.
        whole = not current[0].startswith("CREATE TRIGGER") or line.rstrip().endswith("END;")
        if line.rstrip().endswith(";") and whole:
            found.append("\n".join(current))
            current = []
    return found
