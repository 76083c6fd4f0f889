"""What happens to each step next, and why: RUN, REUSE, WAIT or SKIP. Pure.

Called once when a run begins and again after every completion, so that a step whose inputs
turn out unchanged is reused although the one above it ran (early cut-off). A verdict depends
on the facts alone: asking for a few keys gives the same verdicts as asking for all.

    RUN    everything above has ended and no earlier result is the same
    REUSE  an earlier result is the same; its outputs are known to the steps below at once
    WAIT   steps above have not ended, or the same work is under way elsewhere
    SKIP   a step above did not finish, or nothing new may start

A forced step (`forced`, or not `allow_reuse`) runs whatever is known, and takes no part in
waiting for equal work: it neither waits for it nor is waited for. It does wait for its data.
The reasons made here are the ones users read; nobody else makes one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from stepwell.core.changes import Change, Opened
from stepwell.core.graph import Graph
from stepwell.core.manifest import Manifest, difference, fingerprint, with_inputs
from stepwell.core.states import StepState

_UNSTARTED = frozenset({StepState.NOT_STARTED, StepState.QUEUED})
_LIVE = frozenset({StepState.PREPARING, StepState.RUNNING, StepState.FINALIZING})
_HOW_IT_ENDED = {
    StepState.FAILED: "failed",
    StepState.LOST: "was lost",
    StepState.CANCELED: "was canceled",
    StepState.SKIPPED: "was skipped",
}
_CULPRITS = frozenset({StepState.FAILED, StepState.LOST, StepState.CANCELED})
_NAMED_MAX = 3  # steps named in one reason


class Action(StrEnum):
    RUN = "run"
    REUSE = "reuse"
    WAIT = "wait"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Entry:
    """A result that may be reused. `outputs`: digest by name; `missing`: outputs whose content is gone."""

    fingerprint: str
    step_run: str
    run: str
    run_number: int
    created_us: int
    outputs: Mapping[str, str]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepFacts:
    """One step of the run. `inputs` are (input name, step above, its output)."""

    key: str
    upstream: frozenset[str]
    inputs: tuple[tuple[str, str, str], ...]
    recipe: Manifest
    state: StepState = StepState.NOT_STARTED
    outputs: Mapping[str, str] | None = None  # digest by output name, once Finished
    allow_reuse: bool = True
    forced: str | None = None  # why it must run, such as "forced by --force"

    @property
    def must_run(self) -> str | None:
        """Return why the step runs whatever is known, or None."""
        return self.forced or (None if self.allow_reuse else "allow_reuse is False")


@dataclass(frozen=True, slots=True)
class Previous:
    """The newest finished run of the same step, to compare with."""

    manifest: Manifest
    run_number: int
    step_run: str


def _no_previous(key: str) -> None:
    return None


def _no_listing(digest: str) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """All that a plan depends on.

    `entries`: the newest valid result by fingerprint. `in_flight`: fingerprint -> "run 7 step
    'train'", work under way that is not of the steps asked about. `previous` and `expand` are
    asked only about steps that will run. `stop`: why nothing new may start ("'prep' failed",
    "canceled by you"); without it and unless `continue_on_failure`, the first failed step is
    the reason. `twins`: what `twins_of` says, kept by a caller that plans often.
    """

    graph: Graph
    steps: Mapping[str, StepFacts]
    entries: Mapping[str, Entry] = field(default_factory=dict)
    in_flight: Mapping[str, str] = field(default_factory=dict)
    now_us: int = 0
    previous: Callable[[str], Previous | None] = _no_previous
    expand: Callable[[str], Mapping[str, str]] = _no_listing
    continue_on_failure: bool = False
    stop: str | None = None
    twins: Mapping[str, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens to a step next. `fingerprint` is None while its inputs are not known.

    `waits_on`: steps of this run, by key. `changed` is what differs from the step run `compared_with`.
    """

    action: Action
    reason: str
    fingerprint: str | None = None
    entry: Entry | None = None
    waits_on: tuple[str, ...] = ()
    changed: tuple[Change, ...] = ()
    compared_with: str | None = None


def plan(facts: PlanFacts, keys: Iterable[str] | None = None) -> dict[str, Verdict]:
    """Return verdicts by key for every step that has not started, or only for those of `keys`.

    They are in graph order, so a step that waits for equal work comes after the one that does it.
    2,000 steps, most of them reused, take some 15 ms; `keys` cost what they, and the unstarted
    steps above them, cost.
    """
    planning = _Planning(facts)
    if keys is None:
        return planning.whole()
    asked = {key for key in keys if facts.steps[key].state in _UNSTARTED}
    ordered = sorted(asked, key=facts.graph.position.__getitem__)
    return {key: planning.verdict(key) for key in ordered}


def twins_of(graph: Graph, steps: Mapping[str, StepFacts]) -> dict[str, tuple[str, ...]]:
    """Return the steps that share a recipe, by its digest, where more than one does; constant in a run."""
    sharing: dict[str, list[str]] = {}
    for key in graph.order:
        sharing.setdefault(steps[key].recipe.digest, []).append(key)
    return {digest: tuple(keys) for digest, keys in sharing.items() if len(keys) > 1}


class _Planning:
    """One call of `plan`: the verdicts so far, and what they make known."""

    def __init__(self, facts: PlanFacts) -> None:
        self._facts = facts
        self._steps = facts.steps
        self._twins = twins_of(facts.graph, facts.steps) if facts.twins is None else facts.twins
        self._verdicts: dict[str, Verdict] = {}
        self._equals: dict[str, _Equals] = {}  # by digest of the recipe that several steps share
        self._opened: Opened = {}
        self._stop = facts.stop
        if self._stop is None and not facts.continue_on_failure:
            self._stop = _first_failure(facts)

    def whole(self) -> dict[str, Verdict]:
        """Decide every step in topological order, so that all a decision needs has been decided."""
        for key in self._facts.graph.order:
            if self._steps[key].state in _UNSTARTED:
                self._verdicts[key] = self._decide(key)
        return self._verdicts

    def verdict(self, key: str) -> Verdict:
        """Decide what `key` needs, then `key`. A stack, as a chain may be longer than Python's."""
        pending = [key]
        while pending:
            needed = pending[-1]
            if needed in self._verdicts:
                pending.pop()
                continue
            first = self._undecided(needed)
            pending.extend(first)
            if not first:
                self._verdicts[needed] = self._decide(needed)
        return self._verdicts[key]

    def _undecided(self, key: str) -> list[str]:
        """Return what has to be decided before `key`: unstarted steps above, and the equal step before it."""
        step = self._steps[key]
        found = [
            above for above in step.upstream if above not in self._verdicts and self._steps[above].state in _UNSTARTED
        ]
        equals = self._equals_of(step)
        before = None if equals is None else equals.before.get(key)
        if before is not None and before not in self._verdicts:
            found.append(before)
        return found

    def _decide(self, key: str) -> Verdict:
        if self._stop is not None:
            return Verdict(Action.SKIP, self._stop)
        step = self._steps[key]
        blockers: list[str] = []
        for above in step.upstream:
            state = self._steps[above].state
            if state is StepState.FINISHED:
                continue
            if state in _UNSTARTED and self._verdicts[above].action is Action.REUSE:
                continue
            blockers.append(above)
        if blockers:
            return self._blocked(step, blockers)
        mark = fingerprint(step.recipe, self._contents(step))
        if step.must_run is not None:
            return Verdict(Action.RUN, step.must_run, mark)
        entry = self._facts.entries.get(mark)
        if entry is not None and not entry.missing:
            reason = f"same as run {entry.run_number}, {ago(self._facts.now_us - entry.created_us)}"
            return Verdict(Action.REUSE, reason, mark, entry)
        under_way = self._facts.in_flight.get(mark)
        if under_way is not None:
            return Verdict(Action.WAIT, f"the same work is under way: {under_way}", mark)
        equals = self._equals_of(step)
        owner = key if equals is None else equals.owner(key, mark)
        if owner != key:
            reason = f"step {owner!r} does the same work; reused when that has finished"
            return Verdict(Action.WAIT, reason, mark, waits_on=(owner,))
        return self._run(step, mark, entry)

    def _run(self, step: StepFacts, mark: str, entry: Entry | None) -> Verdict:
        if entry is not None:
            return Verdict(Action.RUN, _gone(entry), mark, compared_with=entry.step_run)
        previous = self._facts.previous(step.key)
        if previous is None:
            return Verdict(Action.RUN, "no earlier result of this step", mark)
        whole = with_inputs(step.recipe, self._contents(step))
        changed = difference(previous.manifest, whole, self._facts.expand, self._opened)
        reason = _changed(changed) or f"run {previous.run_number} did the same, but its result is no longer kept"
        return Verdict(Action.RUN, reason, mark, changed=changed, compared_with=previous.step_run)

    def _blocked(self, step: StepFacts, blockers: list[str]) -> Verdict:
        blockers.sort(key=self._facts.graph.position.__getitem__)
        running, unstarted = 0, 0
        for above in blockers:
            state = self._steps[above].state
            if state in _HOW_IT_ENDED:
                return Verdict(Action.SKIP, self._why_ended(above))
            verdict = self._verdicts.get(above)
            if verdict is not None and verdict.action is Action.SKIP:
                return Verdict(Action.SKIP, verdict.reason)
            running += state in _LIVE
            unstarted += verdict is not None and verdict.action is Action.RUN
        many = len(blockers) > 1
        reason = f"after {_names(blockers)}"
        if running == len(blockers):
            reason += f", which {'are' if many else 'is'} running"
        elif unstarted == len(blockers):
            reason += ", which will run"
        elif not running and not unstarted:
            reason += f", which {'wait' if many else 'waits'} too"
        if step.must_run is not None:
            reason += f"; runs then: {step.must_run}"
        elif not running and not {above for _, above, _ in step.inputs}.isdisjoint(blockers):
            reason += f"; reused if {'their outputs are' if many else 'its output is'} unchanged"
        return Verdict(Action.WAIT, reason, waits_on=tuple(blockers))

    def _why_ended(self, key: str) -> str:
        """Name the step that failed, rather than one that was skipped for it."""
        state = self._steps[key].state
        if state is StepState.SKIPPED:
            above = self._facts.graph.closure([key])
            culprits = [name for name in above if self._steps[name].state in _CULPRITS]
            if culprits:
                key = min(culprits, key=self._facts.graph.position.__getitem__)
                state = self._steps[key].state
        return f"{key!r} {_HOW_IT_ENDED[state]}"

    def _contents(self, step: StepFacts) -> dict[str, str]:
        """Return the digest of every input by its name. Everything above has finished, or is reused.

        An optional output that its step did not write has none.
        """
        contents = {}
        for name, above, output in step.inputs:
            verdict = self._verdicts.get(above)
            if verdict is not None and verdict.entry is not None:
                outputs = verdict.entry.outputs
            else:
                outputs = self._steps[above].outputs or {}
            if output in outputs:
                contents[name] = outputs[output]
        return contents

    def _equals_of(self, step: StepFacts) -> _Equals | None:
        """Return the steps that may do the same work as `step`, or None when there is no other."""
        if step.must_run is not None:
            return None
        digest = step.recipe.digest
        keys = self._twins.get(digest)
        if keys is None:
            return None
        equals = self._equals.get(digest)
        if equals is None:
            equals = self._equals[digest] = self._group(keys)
        return equals

    def _group(self, keys: Sequence[str]) -> _Equals:
        """Sort steps of one recipe into those that have begun and those that have not."""
        queued: dict[str, str] = {}
        live: dict[str, str] = {}
        before: dict[str, str] = {}
        last: str | None = None
        for key in keys:
            step = self._steps[key]
            if step.must_run is not None:
                continue
            if step.state in _LIVE:
                live.setdefault(fingerprint(step.recipe, self._contents(step)), key)
            elif step.state is StepState.QUEUED and self._all_above_finished(step):
                queued.setdefault(fingerprint(step.recipe, self._contents(step)), key)
            elif step.state in _UNSTARTED:
                if last is not None:
                    before[key] = last
                last = key
        return _Equals({**queued, **live}, before)

    def _all_above_finished(self, step: StepFacts) -> bool:
        return all(self._steps[above].state is StepState.FINISHED for above in step.upstream)


class _Equals:
    """Steps of one run with one recipe: of those with one fingerprint, one does the work.

    The one that has begun does; else the first that was queued, else the first in graph order.
    `before`: the unstarted step before each, which has to be decided first.
    """

    def __init__(self, begun: dict[str, str], before: dict[str, str]) -> None:
        self._begun = begun
        self._first: dict[str, str] = {}
        self.before = before

    def owner(self, key: str, mark: str) -> str:
        return self._begun.get(mark) or self._first.setdefault(mark, key)


def ago(age_us: int) -> str:
    """Return an age in words: "just now", "12 s ago", "3 min ago", "5 h ago", "2 days ago"."""
    seconds = age_us // 1_000_000
    if seconds < 2:
        return "just now"
    if seconds < 120:
        return f"{seconds} s ago"
    if seconds < 2 * 3600:
        return f"{seconds // 60} min ago"
    if seconds < 2 * 86400:
        return f"{seconds // 3600} h ago"
    return f"{seconds // 86400} days ago"


def _first_failure(facts: PlanFacts) -> str | None:
    for key in facts.graph.order:
        state = facts.steps[key].state
        if state in _CULPRITS:
            return f"{key!r} {_HOW_IT_ENDED[state]}"
    return None


def _changed(changed: Sequence[Change]) -> str | None:
    if not changed:
        return None
    more = len(changed) - 1
    return changed[0].sentence() + (f" and {more} more" if more else "")


def _gone(entry: Entry) -> str:
    if len(entry.missing) == 1:
        return f"the stored output {entry.missing[0]!r} of run {entry.run_number} is gone"
    return f"the stored outputs {_names(entry.missing)} of run {entry.run_number} are gone"


def _names(names: Sequence[str]) -> str:
    """Return "'a'", "'a' and 'b'", or "'a', 'b' and 7 more"."""
    quoted = [repr(name) for name in names]
    if len(quoted) > _NAMED_MAX:
        quoted = [*quoted[: _NAMED_MAX - 1], f"{len(quoted) - _NAMED_MAX + 1} more"]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
