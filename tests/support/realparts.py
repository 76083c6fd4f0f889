"""The real programs that some tests need and a machine may lack: found, counted, never faked.

    @pytest.mark.real("python3.8")
    def test_the_island_runs_on_its_oldest_python() -> None:
        interpreter = realparts.find("python3.8")

A test that names a part is skipped where the part is missing, and fails there instead when
STEPWELL_CI=1. The summary at the end says which parts really ran.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

PYTHONS = tuple(f"python3.{minor}" for minor in range(8, 15))
PROGRAMS = ("cc", "setpriv", "tmux", "unshare")
NAMES = frozenset({*PYTHONS, *PROGRAMS})


def must_be_here() -> bool:
    """Say whether a missing part is a failure (`STEPWELL_CI=1`) rather than a skipped test."""
    return os.environ.get("STEPWELL_CI") == "1"


@functools.cache
def find(name: str) -> str | None:
    """Return the path of a real part that was seen to work, or None where there is none."""
    if name not in NAMES:
        raise LookupError(f"no real part named {name!r} (there is: {', '.join(sorted(NAMES))})")
    if name not in PYTHONS:
        return shutil.which(name)
    return next((found for path in _pythons(name) if (found := _executable(path, name))), None)


def _pythons(name: str) -> list[str]:
    """Return where an interpreter may be: on the path, in pyenv's folder, among those of `uv`."""
    version = name.removeprefix("python")
    candidates = [path for path in (shutil.which(name),) if path]
    versions = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser() / "versions"
    candidates += sorted(map(str, versions.glob(f"{version}.*/bin/{name}")))
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    if Path(uv).exists():
        words = [uv, "python", "find", "--no-python-downloads", "--no-project", version]
        answer = subprocess.run(words, capture_output=True, text=True, check=False)
        candidates += answer.stdout.split() if answer.returncode == 0 else []
    return candidates


def _executable(path: str, name: str) -> str | None:
    """Return what `path` really runs: a shim on the path may be there and know no such version."""
    code = "import sys; print('python%d.%d' % sys.version_info[:2]); print(sys.executable)"
    answer = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
    said = answer.stdout.splitlines()
    return said[1] if answer.returncode == 0 and said[:1] == [name] else None
