"""Plausible journals: what a daemon would have said about runs of random pipelines.

Every event of a story shows in the rows at the moment it is told: nothing is said twice, every
tag, digest and position is new. Odd names are in it on purpose. The same `seed` tells the same story.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count
from typing import Any

from stepwell.core.events import Event, EventKind
from stepwell.core.states import StepState, run_state

NAMES = ("train", "prep", "évaluer", "two words", "new\nline", "quote'\"", "raw\udcff bytes", "🚀", "%s{}")
Told = Iterator[Event]


class Story:
    """Tells events. Ids and digests are readable and unique; time moves by 1,000 us an event."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._numbers = count(1)
        self._clock = count(1_700_000_000_000_000, 1000)
        self.finished: list[tuple[str, str, str]] = []  # step run, fingerprint, recipe
        self.states: dict[str, dict[str, StepState]] = {}

    def new(self, what: str) -> str:
        return f"{what}-{next(self._numbers):06d}"

    def event(self, kind: EventKind, run: str | None = None, step: str | None = None, /, **body: Any) -> Event:
        return Event(kind, next(self._clock), body, run=run, step_run=step)

    def tell(self, runs: int, steps: int) -> list[Event]:
        """Return the journal of a home with two workspaces and `runs` runs of up to `steps` steps."""
        events: list[Event] = []
        places = [self.new("workspace") for _ in range(2)]
        experiments = {place: self.new("experiment") for place in places}
        for place in places:
            root = self.random.choice([None, "/home/ada/wörk", "/raw\udcfe"])
            events.append(self.event(EventKind.WORKSPACE_REGISTERED, id=place, name=self.name(), root=root))
            body = {"id": experiments[place], "workspace_id": place, "name": self.name()}
            events.append(self.event(EventKind.EXPERIMENT_CREATED, **body))
        pool = {"id": self.new("compute"), "workspace_id": places[0], "name": self.name(), "kind": "aml_compute"}
        events.append(self.event(EventKind.COMPUTE_REGISTERED, **pool, config={"max_nodes": 2}))
        told = []
        for _ in range(runs):
            place = self.random.choice(places)
            told.append(self.run(place, experiments[place], self.random.randint(1, steps)))
        events += self.interleaved(told)
        moved = {"id": places[1], "name": self.name(), "root": "/moved"}
        return [*events, self.event(EventKind.WORKSPACE_REGISTERED, **moved)]

    def interleaved(self, stories: list[Told]) -> Told:
        """Tell several stories at the same time, each in its own order."""
        left = list(stories)
        while left:
            story = self.random.choice(left)
            try:
                yield next(story)
            except StopIteration:
                left.remove(story)

    def name(self) -> str:
        return f"{self.random.choice(NAMES)} {next(self._numbers)}"

    def run(self, place: str, experiment: str, steps: int) -> Told:
        run = self.new("run")
        body: dict[str, Any] = {
            "number": None,
            "workspace_id": place,
            "experiment_id": experiment,
            "name": self.name(),
            "spec": {"v": 1, "name": "n\udcff", "steps": []},
            "parameters": {"epochs": 5},
            "options": {},
            "client": {"cwd": "/raw\udcfd"},
            "file": self.random.choice([None, "/raw\udcff.py", "/p.py"]),
            "resumed_from": None,
            "tags": {"by": "ada"},
        }
        yield self.event(EventKind.RUN_SUBMITTED, run, **body)
        if self.random.random() < 0.1:
            error = {"kind": "machine", "message": "cannot read '/raw\udcff'"}
            yield self.event(EventKind.RUN_ENDED, run, state="Failed", error=error)
            return
        snapshots = {"sources": {"/src": self.new("tree"), "/raw\udcff": self.new("tree")}, "interpreters": {}}
        yield self.event(EventKind.RUN_PLANNED, run, snapshots=snapshots)
        states = self.states[run] = {}
        told = [self.step(run, position, states) for position in range(steps)]
        for story in told:
            yield next(story)
        canceled = self.random.random() < 0.3
        if canceled:
            yield self.event(EventKind.RUN_CANCEL_ASKED, run, reason="by you\udcff")
        yield self.event(EventKind.RUN_TAGGED, run, tags={self.new("tag"): "1"}, properties={"p": 1})
        yield from self.interleaved(told)
        parents = [self.point("best"), self.point("sum")]
        yield self.event(EventKind.METRIC_LOGGED, run, points=parents, cursor=None)
        state = run_state(states.values(), cancel_asked=canceled)
        yield self.event(EventKind.RUN_ENDED, run, state=str(state), error=None)

    def step(self, run: str, position: int, states: dict[str, StepState]) -> Told:
        """Tell a step from its plan to its end. The first event is its plan."""
        step = self.new("step")
        name = self.name()
        body = {
            "key": name,
            "name": name,
            "kind": "python_script",
            "position": position,
            "compute_target": "local",
            "upstream": [] if position == 0 else ["raw\udcff"],
            "recipe": self.new("recipe"),
        }
        if self.finished and self.random.random() < 0.3:
            origin, fingerprint, recipe = self.random.choice(self.finished)
            reused = {"verdict": "reuse", "fingerprint": fingerprint, "reused_from": origin, "recipe": recipe}
            states[step] = StepState.FINISHED
            yield self.event(EventKind.STEP_PLANNED, run, step, **{**body, **reused}, state="Finished", reason="same")
            return
        states[step] = StepState.NOT_STARTED
        yield self.event(EventKind.STEP_PLANNED, run, step, **body, state="NotStarted", reason="after 'prep'")
        if self.random.random() < 0.2:
            yield from self.moved(run, step, StepState.SKIPPED, states, reason="'raw\udcff' failed")
            return
        yield from self.ran(run, step, states)

    def ran(self, run: str, step: str, states: dict[str, StepState]) -> Told:
        fingerprint, recipe = self.new("fingerprint"), self.new("recipe")
        yield self.event(
            EventKind.STEP_RESOLVED,
            run,
            step,
            verdict="run",
            reason="train\udcff.py changed",
            fingerprint=fingerprint,
            recipe=recipe,
            manifest={"source": {"folder": f"tree:{fingerprint}"}},
            changed=[{"part": "source", "item": "train\udcff.py", "before": "1", "after": "2"}],
            compared_with=self.new("step"),
            reused_from=None,
        )
        for number in range(1, self.random.randint(1, 3) + 1):
            last = self.random.choice(["Finished", "Failed", "Lost", "Canceled", "TimedOut"])
            yield from self.attempt(run, step, number, last, states)
            if last in ("Finished", "Canceled"):
                break
        if last == "Finished":
            yield from self.made(run, step, fingerprint, recipe)
        elif last == "TimedOut":
            last = "Failed"
        error = None if last == "Finished" else {"message": "no\udcff", "exit_code": 3}
        yield from self.moved(run, step, StepState(last), states, reason=last, error=error)

    def attempt(self, run: str, step: str, number: int, end: str, states: dict[str, StepState]) -> Told:
        attempt = self.new("attempt")
        yield from self.moved(run, step, StepState.QUEUED, states, reason=f"try {number}")
        yield from self.moved(run, step, StepState.PREPARING, states)
        place = {"pool": "local", "cpus": 1.5, "memory_mib": 512, "gpus": ["GPU-1"]}
        body = {"id": attempt, "number": number, "folder": f"attempts/{attempt}", "placement": place}
        yield self.event(EventKind.ATTEMPT_PREPARED, run, step, **body)
        yield self.event(EventKind.ATTEMPT_STARTED, run, step, id=attempt, pid=number + 100, started_us=number)
        yield from self.moved(run, step, StepState.RUNNING, states)
        for position in range(self.random.randint(0, 2)):
            cursor = {"file": f"{attempt}/metrics.jsonl", "position": 10 * (position + 1)}
            yield self.event(EventKind.METRIC_LOGGED, run, step, points=[self.point("loss")], cursor=cursor)
        yield self.event(EventKind.STEP_TAGGED, run, step, tags={self.new("tag"): "1"}, properties={"n": number})
        cursor = {"file": f"{attempt}/notes.jsonl", "position": 7}
        yield self.event(EventKind.METRIC_LOGGED, run, step, points=[], cursor=cursor)
        code = {"exit_code": 0 if end == "Finished" else 3, "signal": None, "message": f"{end}\udcff"}
        used = {"cpu_s": 1.5, "max_rss_mib": 90.25, "duration_s": 2.5}
        yield self.event(EventKind.ATTEMPT_ENDED, run, step, id=attempt, state=end, **code, **used)
        yield from self.moved(run, step, StepState.FINALIZING, states)

    def made(self, run: str, step: str, fingerprint: str, recipe: str) -> Told:
        for name in self.random.sample(["model", "raw\udcff", "./outputs"], self.random.randint(1, 3)):
            digest = self.new("digest")
            common = {"digest": digest, "kind": self.random.choice(["file", "directory"]), "files": 1, "bytes": 3}
            yield self.event(EventKind.ARTIFACT_STORED, run, step, **common, objects=[[self.new("object"), 3]])
            place = f"azureml/{step}/{name}"
            yield self.event(EventKind.OUTPUT_PUBLISHED, run, step, **common, name=name, datastore_path=place)
        yield self.event(EventKind.CACHE_STORED, run, step, fingerprint=fingerprint, recipe=recipe)
        if self.random.random() < 0.2:
            yield self.event(EventKind.CACHE_EVICTED, None, None, fingerprint=fingerprint, reason="'raw\udcff' is gone")
        else:
            self.finished.append((step, fingerprint, recipe))

    def moved(self, run: str, step: str, target: StepState, states: dict[str, StepState], **body: Any) -> Told:
        states[step] = target
        yield self.event(EventKind.STEP_CHANGED, run, step, state=str(target), **body)

    def point(self, name: str) -> dict[str, Any]:
        value = self.random.choice([0.25, 3, [1, 2], {"x": "raw\udcff"}, None, "text"])
        return {"name": f"{name}\udcff", "kind": "scalar", "step": None, "time_us": 5, "value": value}
