"""What a step's interpreter is, as it counts for reuse: implementation, version, platform, distributions.

Asking an interpreter costs a process (a tenth of a second or more), so the answer is kept, in
memory and on disk, under the stat of the interpreter and of every RECORD file of its site
folders. Editable installs count by the content of their folders, looked at each time.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import stepwell_step
from stepwell.content import hashing, snapshots
from stepwell.content.artifacts import ObjectStore
from stepwell.content.statcache import StatCache
from stepwell.errors import MachineError, UsageError
from stepwell.paths import Home

_PROGRAM = Path(stepwell_step.__file__).with_name("interpreter.py")
_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Interpreter:
    """`items` go into the manifest; `listing` is what the item `distributions` refers to by digest."""

    items: Mapping[str, str]
    listing: Mapping[str, str]
    listing_digest: str


class Interpreters:
    """Facts about interpreters, asked once and kept while their files stay as they are. Thread-safe."""

    def __init__(self, home: Home, store: ObjectStore) -> None:
        self._home = home
        self._store = store
        self._known: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[str, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def facts(self, interpreter: str, variables: Mapping[str, str]) -> Interpreter:
        """Return the facts of `interpreter` as a step with these variables would find it.

        Raises UsageError where it is no interpreter, MachineError where it does not answer.
        """
        path = os.path.abspath(interpreter)
        relevant = tuple(sorted((k, v) for k, v in variables.items() if k.startswith("PYTHON") or k == "HOME"))
        with self._lock:
            answer = self._answer(path, relevant, variables)
        listing = {
            f"package {name}": f"{item['version']} {item['record'][:16]}{self._editable(item['editable'])}"
            for name, item in answer["distributions"].items()
        }
        body = json.dumps(listing, sort_keys=True).encode()
        digest = hashing.hash_bytes(body)
        if not self._store.has(digest):
            self._store.put_bytes(body)
        items = {name: str(answer[name]) for name in ("implementation", "version", "platform")}
        return Interpreter({**items, "distributions": f"tree:{digest}"}, listing, digest)

    def _answer(self, path: str, relevant: tuple[tuple[str, str], ...], variables: Mapping[str, str]) -> dict[str, Any]:
        key = (path, relevant)
        kept = self._home.stat_caches / f"python-{hashing.hash_bytes(repr(key).encode())[:32]}.json"
        known = self._known.get(key) or _read(kept)
        if known is not None and known[0] == _stamp(path, known[1]["site"]):
            self._known[key] = known
            return known[1]
        answer = _ask(path, variables)
        known = self._known[key] = (_stamp(path, answer["site"]), answer)
        staged = kept.with_suffix(f".{threading.get_ident()}")
        staged.write_text(json.dumps(known))
        staged.replace(kept)
        return answer

    def _editable(self, folders: list[str] | None) -> str:
        if not folders:
            return ""
        digests = []
        for folder in folders:
            root = Path(folder)
            if root.is_dir():
                cache = StatCache.open(self._home, root)
                digests.append(snapshots.freeze(root, self._store, cache, keep=False).digest[:16])
                cache.save()
        return " editable " + " ".join(digests)


def _ask(path: str, variables: Mapping[str, str]) -> dict[str, Any]:
    try:
        done = subprocess.run(
            [path, str(_PROGRAM)],
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            timeout=_TIMEOUT_S,
            check=True,
        )
        answer = json.loads(done.stdout)
    except FileNotFoundError as error:
        raise UsageError(f"no interpreter at {path!r}", code="interpreter_missing") from error
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        said = getattr(error, "stderr", b"") or b""
        raise MachineError(
            f"the interpreter {path!r} does not say what it is: {error}",
            hint=said.decode(errors="replace")[-500:] or None,
        ) from error
    assert isinstance(answer, dict)
    return answer


def _stamp(path: str, site: list[str]) -> str:
    """Return text that differs when the interpreter or a distribution's RECORD was touched."""
    seen: list[object] = [_stat(path)]
    for folder in site:
        try:
            entries = sorted(
                entry.name
                for entry in os.scandir(folder)
                if entry.name.endswith((".dist-info", ".egg-info", ".egg-link", ".pth"))
            )
        except OSError:
            entries = []
        for name in entries:
            record = os.path.join(folder, name, "RECORD") if name.endswith(".dist-info") else os.path.join(folder, name)
            seen.append((name, _stat(record)))
    return hashing.hash_bytes(repr(seen).encode("utf-8", "surrogateescape"))


def _stat(path: str) -> tuple[int, int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _read(path: Path) -> tuple[str, dict[str, Any]] | None:
    try:
        stamp, answer = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None  # not there, or torn: it is asked again
    return stamp, answer
