"""How a step's state looks: a mark, a word and a colour. Never told by colour alone."""

from __future__ import annotations

from typing import Any, NamedTuple

from stepwell.cli.terminal import Terminal


class Mark(NamedTuple):
    glyph: str
    ascii: str
    word: str
    color: str | None


REUSED = Mark("↺", "=", "reused", "cyan")
MARKS: dict[str, Mark] = {
    "NotStarted": Mark("○", ".", "waiting", "dim"),
    "Queued": Mark("○", ".", "queued", "dim"),
    "Preparing": Mark("◌", ">", "preparing", "blue"),
    "Running": Mark("●", ">", "running", "blue"),
    "Finalizing": Mark("●", ">", "finalizing", "blue"),
    "Finished": Mark("✓", "+", "finished", "green"),
    "Failed": Mark("✗", "x", "failed", "red"),
    "Lost": Mark("?", "?", "lost", "red"),
    "Canceled": Mark("⊘", "-", "canceled", "yellow"),
    "Skipped": Mark("⊘", "-", "skipped", "yellow"),
}
VERDICTS: dict[str, Mark] = {
    "run": Mark("●", ">", "run", "blue"),
    "reuse": Mark("↺", "=", "reuse", "cyan"),
    "wait": Mark("○", ".", "wait", "dim"),
    "skip": Mark("⊘", "-", "skip", "yellow"),
}
WORD_WIDTH = 10  # columns of the longest word


def step_mark(step: dict[str, Any]) -> Mark:
    """Return the mark of a step as the daemon describes it."""
    return REUSED if step.get("reused") else MARKS[step["status"]]


def shown(mark: Mark, terminal: Terminal, width: int = 0) -> str:
    """Return glyph and word in their colour, the word padded to `width`."""
    glyph = mark.glyph if terminal.unicode else mark.ascii
    return terminal.paint(f"{glyph} {mark.word:<{width}}", mark.color)
