"""Which rows are over their budget, or have fallen back from the numbers kept in the repository."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.row import Row

HERE = Path(__file__).resolve().parent
BUDGETS = HERE / "budgets.json"
BASELINE = HERE / "baseline.json"


def budgets() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(BUDGETS.read_text(encoding="utf-8"))
    return found


def baseline() -> dict[str, Any]:
    """Return the kept report, `{"machine": …, "rows": […]}`; empty where none is kept yet."""
    if not BASELINE.exists():
        return {"machine": {}, "rows": []}
    found: dict[str, Any] = json.loads(BASELINE.read_text(encoding="utf-8"))
    return found


def failures(rows: Sequence[Row], limits: dict[str, Any], kept: dict[str, Any], machine: dict[str, str]) -> list[str]:
    """Return one line for each row over its limit, without one, or worse than kept on an equal machine.

    Worse is more than `fall_back` (a share) and more than the row's `noise`. Numbers of another
    machine say nothing about this one, so there only the limits count.
    """
    before = {row["name"]: float(row["value"]) for row in kept["rows"]} if kept["machine"] == machine else {}
    found = []
    for row in rows:
        known = limits["rows"].get(row.name)
        if known is None:
            found.append(f"{row.name}: has no entry in budgets.json")
            continue
        if known["limit"] is not None and row.value > known["limit"]:
            found.append(f"{row.name}: {row.value:.4g} {row.unit}, at most {known['limit']:g}")
        old = before.get(row.name)
        if old is not None and row.value > old + max(abs(old) * limits["fall_back"], known["noise"]):
            found.append(f"{row.name}: {row.value:.4g} {row.unit}, was {old:.4g}")
    return found
