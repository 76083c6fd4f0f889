"""The command line in this process: what it printed where, and what it exited with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner

from stepwell.cli.main import cli


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it printed, read as the one JSON value that it must be."""
        return json.loads(self.out)


def stepwell(*words: str, variables: dict[str, str] | None = None) -> Said:
    """Run `stepwell words…` and return what it said. Its stdout is not a terminal."""
    result = CliRunner().invoke(cli, words, env=variables, prog_name="stepwell")
    return Said(result.exit_code, result.stdout, result.stderr)
