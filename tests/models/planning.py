"""What a plan must say, written as the rules read: slowly, over plain data, in repeated passes.

A content is any text; the mark of a step is its recipe and the contents of its inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Mark = tuple[str, frozenset[tuple[str, str]]]
UNSTARTED = ("NotStarted", "Queued")
LIVE = ("Preparing", "Running", "Finalizing")


@dataclass(frozen=True)
class ModelStep:
    """`inputs`: (name, step above, output). `after`: more steps that must have ended first."""

    recipe: str
    state: str
    inputs: tuple[tuple[str, str, str], ...] = ()
    after: frozenset[str] = frozenset()
    outputs: Mapping[str, str] | None = None
    must_run: bool = False

    @property
    def above(self) -> frozenset[str]:
        return self.after | {source for _, source, _ in self.inputs}


@dataclass(frozen=True)
class ModelFacts:
    """`steps` in an order in which every step comes after those above it."""

    steps: Mapping[str, ModelStep]
    entries: Mapping[Mark, Mapping[str, str]]
    in_flight: frozenset[Mark] = frozenset()
    stopped: bool = False
    continue_on_failure: bool = True


def expected(facts: ModelFacts) -> dict[str, str]:
    """Return run, reuse, wait or skip for every step that has not started."""
    steps = facts.steps
    unstarted = [key for key, step in steps.items() if step.state in UNSTARTED]
    failed = any(step.state in ("Failed", "Lost", "Canceled") for step in steps.values())
    if facts.stopped or (failed and not facts.continue_on_failure):
        return dict.fromkeys(unstarted, "skip")
    said: dict[str, str] = {}
    contents: dict[str, Mapping[str, str]] = {
        key: step.outputs or {} for key, step in steps.items() if step.state == "Finished"
    }
    for key in unstarted:
        step = steps[key]
        over = {above: said.get(above, steps[above].state) for above in step.above}
        if any(word in ("skip", "Failed", "Lost", "Canceled", "Skipped") for word in over.values()):
            said[key] = "skip"
        elif any(word not in ("Finished", "reuse") for word in over.values()):
            said[key] = "wait"
        else:
            mark = _mark(step, contents)
            if step.must_run:
                said[key] = "run"
            elif mark in facts.entries:
                said[key] = "reuse"
                contents[key] = facts.entries[mark]
            else:
                said[key] = "wait" if mark in facts.in_flight else "ready"
    return _one_of_each(steps, contents, said)


def _one_of_each(
    steps: Mapping[str, ModelStep], contents: Mapping[str, Mapping[str, str]], said: dict[str, str]
) -> dict[str, str]:
    """Of the ready steps that would do the same work, let one run: none while such work is being done."""
    busy = {_mark(step, contents) for step in steps.values() if step.state in LIVE and not step.must_run}
    places = list(steps)
    for key, word in list(said.items()):
        if word != "ready":
            continue
        mark = _mark(steps[key], contents)
        rivals = [
            other
            for other, other_word in said.items()
            if other_word in ("ready", "leads", "follows") and _mark(steps[other], contents) == mark
        ]
        queued = [other for other in rivals if _queued_and_free(steps, other)]
        leader = min(queued or rivals, key=places.index)
        said[key] = "leads" if key == leader and mark not in busy else "follows"
    return {key: {"leads": "run", "follows": "wait"}.get(word, word) for key, word in said.items()}


def _queued_and_free(steps: Mapping[str, ModelStep], key: str) -> bool:
    step = steps[key]
    return step.state == "Queued" and all(steps[above].state == "Finished" for above in step.above)


def _mark(step: ModelStep, contents: Mapping[str, Mapping[str, str]]) -> Mark:
    found = {(name, contents.get(above, {}).get(output, "absent")) for name, above, output in step.inputs}
    return step.recipe, frozenset(found)
