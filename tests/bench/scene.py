"""A home of the benchmark's own, and the commands a user would type in it.

Processes are started with `posix_spawn` and nothing between: what is measured is the command,
not the way it was started.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STEPWELL = str(Path(sys.executable).with_name("stepwell"))


class Scene:
    """A temporary home and a folder for pipeline files. The daemon is started by the first command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        self.environment = {**kept, "STEPWELL_HOME": str(self.home)}

    def stepwell(self, *words: str) -> None:
        """Run one command to its end, unseen. Raises RuntimeError with what it said when it fails."""
        self.spawn([STEPWELL, *words])

    def asked(self, *words: str) -> dict[str, Any]:
        """Return what a command prints with --json."""
        out = self.folder / "answer.json"
        self.spawn([STEPWELL, *words, "--json"], out)
        answer: dict[str, Any] = json.loads(out.read_bytes())
        return answer

    def spawn(self, words: Sequence[str], out: Path | None = None) -> None:
        said = self.folder / "stderr.txt"
        write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(out or os.devnull), write, 0o600),
            (os.POSIX_SPAWN_OPEN, 2, str(said), write, 0o600),
        ]
        pid = os.posix_spawn(words[0], list(words), self.environment, file_actions=actions)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code != 0:
            raise RuntimeError(f"{' '.join(words)} ended with {code}: {said.read_text(errors='replace')}")

    def pipeline(self, name: str, text: str) -> str:
        """Write a pipeline file into a folder of its own and return its path."""
        file = self.folder / name / "pipeline.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return str(file)


@contextmanager
def scene() -> Iterator[Scene]:
    """Yield a scene; its daemon is stopped and its folder removed at the end."""
    made = Scene(Path(tempfile.mkdtemp(prefix="stepwell-bench-")))
    try:
        yield made
    finally:
        if made.home.exists():
            made.stepwell("daemon", "stop")
        for folder, _, _ in os.walk(made.folder):  # the store keeps its folders read-only
            Path(folder).chmod(0o700)
        shutil.rmtree(made.folder)
