"""Getting stored contents to the disk, without an fsync for each step.

Contents are recorded `synced=0` in the transaction that names them. A few seconds later one call
syncs the whole file system, then they are marked, then the write-ahead log is checkpointed, in
that order. A killed process loses nothing; after a power cut (the boot id is another) what was not
marked is hashed again before it is trusted, so a half-written content is never served.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sqlite3
import threading
from functools import partial
from pathlib import Path

from stepwell.content.artifacts import ObjectStore
from stepwell.core.events import Event
from stepwell.paths import Home
from stepwell.store import journal, queries
from stepwell.store.database import Database
from stepwell.store.writer import Writer
from stepwell_step import attempt as protocol

AFTER_S = 5.0  # what a power cut may cost
BATCH = 10_000
log = logging.getLogger("stepwell.durability")
_libc = ctypes.CDLL(None, use_errno=True)


class Durability:
    """A thread that sleeps until something was committed. `committed` is called by the writer's thread."""

    def __init__(self, home: Home, database: Database, writer: Writer, store: ObjectStore) -> None:
        self._home = home
        self._database = database
        self._writer = writer
        self._store = store
        self._stored = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="durability", daemon=True)

    def start(self) -> None:
        """Check what an unclean end of the machine may have left, then watch."""
        here = protocol.boot_id()
        mark = self._home.root / "boot_id"
        if mark.exists() and mark.read_text() != here:
            self._check()
        mark.write_text(here)
        self._stored.set()  # of an earlier daemon there may be some
        self._thread.start()

    def committed(self, events: list[Event]) -> None:
        self._stored.set()

    def close(self) -> None:
        self._over.set()
        self._stored.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._stored.wait()
            if self._over.wait(AFTER_S):
                return
            self._stored.clear()
            try:
                self._sync()
            except (OSError, sqlite3.Error):  # the disk says no: they stay unsynced, and are tried again
                log.exception("contents could not be synced")

    def _sync(self) -> None:
        digests = self._unsynced()
        if digests:
            _syncfs(self._home.store)
        for start in range(0, len(digests), BATCH):
            part = digests[start : start + BATCH]
            self._writer.decide(partial(journal.mark_synced, digests=part)).result()
        connection = self._database.connect()
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        finally:
            connection.close()

    def _unsynced(self) -> list[str]:
        with self._database.read() as connection:
            return queries.unsynced_objects(connection, 1_000_000)

    def _check(self) -> None:
        """Hash what was not synced when the machine went down; put aside what is not what it says."""
        digests = self._unsynced()
        log.info("the machine was restarted: checking %d contents", len(digests))
        for digest in digests:
            if not self._store.verify(digest):
                log.warning("content %s did not reach the disk", digest)


def _syncfs(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _libc.syncfs(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(handle)
