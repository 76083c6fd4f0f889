"""How much of old attempts is kept: logs for ever, folders of the newest few.

An attempt's folder holds a copy of the step's source and whatever it wrote besides its outputs.
For each step (by kind and name, in a workspace) the folders of the last 5 attempts that finished
and of the last 20 that did not are kept whole; of older ones the log, the records and what the
step said about itself stay, and `work/`, `inputs/` and `outputs/` go. Contents live in the store and
are not touched.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable

from stepwell.paths import Home
from stepwell.store import queries
from stepwell.store.database import Database

FINISHED_KEPT = 5
FAILED_KEPT = 20
AT_ONCE = 20  # older ones were emptied when they became too old
_FOLDERS = ("work", "inputs", "outputs")
log = logging.getLogger("stepwell.retention")


class Retention:
    """Trims the attempts of steps when a run that tried them has ended. Runs on a worker; repeating it is harmless."""

    def __init__(self, home: Home, database: Database) -> None:
        self._home = home
        self._database = database

    def trim(self, workspace_id: str, steps: Iterable[tuple[str, str]]) -> None:
        """Remove what is no longer kept of the attempts of `steps`, given as (kind, name)."""
        for kind, name in steps:
            for finished, kept in ((True, FINISHED_KEPT), (False, FAILED_KEPT)):
                with self._database.read() as connection:
                    old = queries.ended_attempts(
                        connection, workspace_id, kind, name, finished=finished, beyond=kept, limit=AT_ONCE
                    )
                for attempt in old:
                    self._empty(attempt)

    def _empty(self, attempt: str) -> None:
        for folder in _FOLDERS:
            path = self._home.attempt(attempt) / folder
            if path.exists():
                shutil.rmtree(path, ignore_errors=True)
                if path.exists():
                    log.warning("cannot remove %s", path)
