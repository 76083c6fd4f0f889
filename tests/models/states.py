"""The state of a run, as the glossary says it: one sentence, one line."""

from __future__ import annotations

ENDED = ("Finished", "Failed", "Lost", "Canceled", "Skipped")


def run_word(steps: list[str], cancel_asked: bool) -> str:
    if not steps:
        return "Canceled" if cancel_asked else "NotStarted"
    if all(step == "NotStarted" for step in steps):
        return "NotStarted"
    if any(step not in ENDED for step in steps):
        return "Running"
    if cancel_asked and "Canceled" in steps:
        return "Canceled"
    if "Failed" in steps or "Lost" in steps:
        return "Failed"
    if all(step == "Finished" for step in steps):
        return "Finished"
    return "Canceled"
