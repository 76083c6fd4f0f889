"""From a submission to what the planner needs: frozen sources, interpreter facts, recipes, earlier results.

Runs on a worker. What was frozen is recorded with the run, so that a daemon that comes back
plans the same run from the same bytes, whatever has happened to the folders since.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepwell.content import snapshots
from stepwell.content.artifacts import ObjectStore
from stepwell.content.statcache import StatCache
from stepwell.core.manifest import Manifest, recipe
from stepwell.core.planner import Entry, Previous
from stepwell.core.spec import PipelineSpec, Scalar, StepSpec
from stepwell.core.trees import Tree
from stepwell.extend.registry import StepTypes
from stepwell.paths import Home
from stepwell.runtime.interpreters import Interpreters
from stepwell.runtime.variables import counted
from stepwell.store import queries
from stepwell.store.database import Database
from stepwell.store.records import EntryRecord


@dataclass(frozen=True, slots=True)
class Frozen:
    """The digests a run was planned from. All of it is plain data, stored with the run.

    `sources`: folder -> tree digest. `hash_paths`: folder -> {path -> digest}.
    `interpreters`: path -> manifest items.
    """

    sources: Mapping[str, str] = field(default_factory=dict)
    hash_paths: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    interpreters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def to_wire(self) -> dict[str, Any]:
        return {"sources": self.sources, "hash_paths": self.hash_paths, "interpreters": self.interpreters}

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> Frozen:
        return cls(data["sources"], data["hash_paths"], data["interpreters"])


@dataclass(frozen=True, slots=True)
class Prepared:
    """What planning a run starts from. `expand` opens the listings that manifests refer to."""

    frozen: Frozen
    recipes: Mapping[str, Manifest]
    entries: EntryBook
    expand: Callable[[str], Mapping[str, str]]
    warnings: tuple[str, ...] = ()


class EntryBook(Mapping[str, Entry]):
    """Earlier results by fingerprint, the newest of each. Whether outputs still exist is asked late."""

    def __init__(self, records: list[EntryRecord], store: ObjectStore) -> None:
        self._store = store
        self._entries: dict[str, Entry] = {}
        self._checked: set[str] = set()
        for record in records:  # newest last: it wins
            self._entries[record.fingerprint] = Entry(
                fingerprint=record.fingerprint,
                step_run=record.step_run,
                run=record.run,
                run_number=record.run_number,
                created_us=record.created_us,
                outputs=record.outputs,
            )

    def add(self, entry: Entry) -> None:
        self._entries[entry.fingerprint] = entry
        self._checked.add(entry.fingerprint)

    def __getitem__(self, fingerprint: str) -> Entry:
        entry = self._entries[fingerprint]
        if fingerprint not in self._checked:
            missing = tuple(name for name, digest in entry.outputs.items() if self._store.missing(digest))
            if missing:
                entry = self._entries[fingerprint] = Entry(
                    entry.fingerprint,
                    entry.step_run,
                    entry.run,
                    entry.run_number,
                    entry.created_us,
                    entry.outputs,
                    missing,
                )
            self._checked.add(fingerprint)
        return entry

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class Preparation:
    """Prepares runs. One per daemon; thread-safe."""

    def __init__(self, home: Home, database: Database, store: ObjectStore, types: StepTypes) -> None:
        self._home = home
        self._database = database
        self._store = store
        self._types = types
        self._interpreters = Interpreters(home, store)
        self._roots: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def prepare(
        self,
        spec: PipelineSpec,
        parameters: Mapping[str, Scalar],
        client: Mapping[str, Any],
        *,
        keep: bool,
        frozen: Frozen | None = None,
    ) -> Prepared:
        """Freeze the sources (unless `frozen` already says how they were), and build every recipe.

        `keep=False` only looks: nothing is stored, which is what `plan` wants.
        """
        warnings: list[str] = []
        trees: dict[str, snapshots.Snapshot] = {}
        if frozen is None:
            frozen = self._freeze(spec, client, keep, warnings, trees)
        recipes = {step.key: self._recipe(step, parameters, client, frozen) for step in spec.steps}
        with self._database.read() as connection:
            records = queries.entries(connection, sorted({manifest.digest for manifest in recipes.values()}))
        return Prepared(frozen, recipes, EntryBook(records, self._store), self._expander(trees), tuple(warnings))

    def previous(self, workspace_id: str) -> Callable[[StepSpec], Previous | None]:
        """Return a look-up of the newest finished run of the same step, for comparison."""

        def look(step: StepSpec) -> Previous | None:
            with self._database.read() as connection:
                found = queries.previous(connection, workspace_id, step.kind, step.name)
            if found is None:
                return None
            return Previous(Manifest.from_wire(found.manifest), found.run_number, found.step_run)

        return look

    def _freeze(
        self,
        spec: PipelineSpec,
        client: Mapping[str, Any],
        keep: bool,
        warnings: list[str],
        trees: dict[str, snapshots.Snapshot],
    ) -> Frozen:
        sources: dict[str, str] = {}
        hashed: dict[str, dict[str, str]] = {}
        interpreters: dict[str, Mapping[str, str]] = {}
        for step in spec.steps:
            folder = step.source_directory
            if folder is not None and folder not in sources:
                snapshot = self._snapshot(Path(folder), keep)
                sources[folder] = snapshot.digest
                trees[snapshot.digest] = snapshot
                warnings.extend(snapshot.warnings)
            if step.hash_paths:
                known = hashed.setdefault(folder or "", {})
                wanted = [path for path in step.hash_paths if path not in known]
                known |= snapshots.freeze_paths(Path(folder or "/"), wanted, self._home)
            python = interpreter_of(step, client)
            if python not in interpreters:
                interpreters[python] = self._interpreters.facts(python, _captured(client)).items
        return Frozen(sources, hashed, interpreters)

    def _snapshot(self, root: Path, keep: bool) -> snapshots.Snapshot:
        with self._lock:
            guard = self._roots.setdefault(str(root), threading.Lock())
        with guard:
            cache = StatCache.open(self._home, root)
            snapshot = snapshots.freeze(root, self._store, cache, keep=keep)
            cache.save()
        return snapshot

    def _recipe(
        self, step: StepSpec, parameters: Mapping[str, Scalar], client: Mapping[str, Any], frozen: Frozen
    ) -> Manifest:
        used = step.used_parameters()
        hashed = frozen.hash_paths.get(step.source_directory or "", {})
        return recipe(
            step,
            type_version=self._types.get(step.kind).version,
            parameters={name: parameters[name] for name in sorted(used)},
            source=frozen.sources.get(step.source_directory or ""),
            hash_paths={path: hashed[path] for path in step.hash_paths},
            environment=frozen.interpreters[interpreter_of(step, client)],
            variables=counted(step, client),
        )

    def _expander(self, trees: Mapping[str, snapshots.Snapshot]) -> Callable[[str], Mapping[str, str]]:
        def expand(digest: str) -> Mapping[str, str]:
            snapshot = trees.get(digest)
            if snapshot is not None:
                return snapshot.tree.as_mapping()
            try:
                body = self._store.read_bytes(digest)
            except FileNotFoundError:
                return {}
            if body.startswith(b"{"):
                listing: dict[str, str] = json.loads(body)
                return listing
            return Tree.decode(body).as_mapping()

        return expand


def interpreter_of(step: StepSpec, client: Mapping[str, Any]) -> str:
    """Return the interpreter a step runs in: the one it names, else the one that submitted the run."""
    named = step.environment.interpreter
    if named is None or named == "python":  # "python" is the SDK's default: whichever is current
        return str(client.get("python") or sys.executable)
    return os.path.expanduser(named)


def _captured(client: Mapping[str, Any]) -> dict[str, str]:
    captured = client.get("environment") or {}
    return {str(name): str(value) for name, value in captured.items()}
