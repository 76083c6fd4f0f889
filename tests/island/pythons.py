"""The interpreters a step may have: the oldest and the newest of ours, and the one that runs the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from island.real_launcher import ISLAND
from support import realparts

PYTHONS = [
    pytest.param("this", id="this"),
    pytest.param("python3.8", marks=pytest.mark.real("python3.8"), id="3.8"),
    pytest.param("python3.13", marks=pytest.mark.real("python3.13"), id="3.13"),
]


def interpreter(name: str) -> str:
    return sys.executable if name == "this" else realparts.find(name) or name


def bare(name: str) -> list[str]:
    """Return the words of an interpreter that sees no installed distribution, so that nothing hides the island."""
    return [interpreter(name), "-S"]


def bootstrapped(words: list[str], script: str, *arguments: str) -> list[str]:
    return [*words, str(ISLAND / "bootstrap.py"), script, *arguments]


def run(words: list[str], folder: Path, variables: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run in `folder` with next to no environment; no byte-code is written beside the island."""
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **(variables or {})}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
