"""The table of `docs/performance.md`: made from a report, pasted between its two marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.row import Row

PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
BEGIN, END = "<!-- bench -->\n", "<!-- /bench -->\n"


def table(rows: Sequence[Row], limits: Mapping[str, Any]) -> str:
    """Return the rows as a Markdown table; a row over its budget says so."""
    lines = ["| what | measured | floor | budget |", "| --- | ---: | ---: | ---: |"]
    for row in rows:
        limit = limits["rows"].get(row.name, {}).get("limit")
        budget = "" if limit is None else f"<= {number(limit)} {row.unit}"
        if limit is not None and row.value > limit:
            budget += ", **over**"
        floor = "" if row.floor is None else f"{number(row.floor)} {row.unit}"
        lines.append(f"| {row.name} | {number(row.value)} {row.unit} | {floor} | {budget} |")
    return "\n".join(lines)


def pasted(
    page: str, rows: Sequence[Row], limits: Mapping[str, Any], machine: Mapping[str, str], busy: str | None = None
) -> str:
    """Return the text of the page with another table and machine; raises ValueError where a mark is missing.

    `busy`: why the numbers are too high, said beside them.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has lost one of its marks {BEGIN!r} and {END!r}")
    described = ", ".join(f"{name} {value}" for name, value in machine.items())
    if busy:
        described += f". Other programs ran beside it ({busy}), so every number is too high"
    return f"{before}{BEGIN}On: {described}.\n\n{table(rows, limits)}\n{END}{after}"


def number(value: float) -> str:
    """Return three digits that matter: `1,234`, `22.6`, `0.0312`."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
