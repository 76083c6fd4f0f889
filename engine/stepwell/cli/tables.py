"""Rows of text in columns that fit the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from stepwell.cli.terminal import Terminal, columns, visible

GAP = "  "
LEAST = 6  # columns a column keeps when the terminal is narrow


def table(rows: Sequence[Sequence[str]], terminal: Terminal, *, heads: Sequence[str] = ()) -> list[str]:
    """Return one line a row. The widest columns give way first where the terminal is too narrow.

    Cells are made safe here. A piped table is not cut: nobody's `grep` should miss a word.
    """
    cells = [[visible(cell) for cell in row] for row in (([list(heads)] if heads else []) + [list(r) for r in rows])]
    if not cells:
        return []
    widths = [max(columns(row[n]) for row in cells) for n in range(len(cells[0]))]
    if terminal.live:
        _narrow(widths, terminal.width - len(GAP) * (len(widths) - 1))
    lines = [GAP.join(terminal.pad(cell, widths[n]) for n, cell in enumerate(row)).rstrip() for row in cells]
    if heads:
        lines[0] = terminal.paint(lines[0], "dim")
    return lines


def _narrow(widths: list[int], room: int) -> None:
    while sum(widths) > room:
        widest = max(range(len(widths)), key=widths.__getitem__)
        if widths[widest] <= LEAST:
            return
        widths[widest] -= 1
