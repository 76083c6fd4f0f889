"""What is wrong with a database file, in one line, and what to do about it.

SQLite takes an empty file for a new database and finds out late about most other things, so the
file is looked at first. Nothing here changes it.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path
from urllib.parse import quote

from stepwell.errors import MachineError

APPLICATION_ID = 0x53545057  # "STPW", in the header of every database of ours
CHECKED_MAX = 64 << 20  # bytes: a larger database is checked by `stepwell doctor` only
_MAGIC = b"SQLite format 3\0"
_WRITING = {
    "SQLITE_FULL": ("disk_full", "the disk is full, so {path!r} cannot be written", "free some space"),
    "SQLITE_READONLY": ("database_read_only", "{path!r} cannot be written: {why}", "{owner}"),
    "SQLITE_CANTOPEN": ("database_read_only", "{path!r} cannot be opened for writing", "{owner}"),
    "SQLITE_PERM": ("database_read_only", "{path!r} cannot be opened for writing", "{owner}"),
    "SQLITE_BUSY": ("database_busy", "another program holds {path!r}", "close what has it open: fuser {path}"),
    "SQLITE_IOERR": ("disk_error", "the disk under {path!r} fails: {why}", "look into the kernel's log: dmesg"),
    "SQLITE_NOTADB": ("database_garbage", "{path!r} is not a database", "{restore}"),
    "SQLITE_CORRUPT": ("database_damaged", "{path!r} is damaged: {why}", "{restore}"),
}


def uri(path: Path, mode: str) -> str:
    """Return `path` as SQLite's URI; `mode`: ro, rw or rwc. Any bytes a path may hold are allowed."""
    return f"file:{quote(os.fsencode(path))}?mode={mode}"


def explain(error: sqlite3.Error, path: Path) -> MachineError | None:
    """Return the error as one that names the file and a next step; None where it is a bug of ours."""
    name = str(getattr(error, "sqlite_errorname", None) or "")
    known = next((found for prefix, found in _WRITING.items() if name.startswith(prefix)), None)
    if known is None:
        return None
    code, message, hint = known
    words = {"path": str(path), "why": str(error), "owner": _writable(path), "restore": _restore(path)}
    return MachineError(message.format(**words), hint=hint.format(**words), code=code)


def require_ours(path: Path, newest: int) -> None:
    """Raise MachineError unless the file at `path` is a whole database of ours that we can read.

    `newest` is the last schema that this Stepwell knows.
    """
    size = _require_file(path)
    try:
        connection = sqlite3.connect(uri(path, "ro"), uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise (explain(error, path) or error) from error
    try:
        _require_schema(connection, path, newest)
        log = path.with_name(path.name + "-wal")
        # Without a clean end its log is read now, and one of another database would fit no page.
        if log.exists() and log.stat().st_size and size <= CHECKED_MAX:
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if answer != "ok":
                raise _damaged(path, answer)
    except sqlite3.Error as error:
        raise (explain(error, path) or error) from error
    finally:
        connection.close()


def require_nothing_left(path: Path) -> None:
    """Raise MachineError where a log lies beside a database that is missing: making a new one would eat it."""
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size:
        raise MachineError(
            f"{str(path)!r} is missing, but its log {log.name!r} is there",
            hint=f"put the database back, or remove {str(log)!r} to start empty",
            code="database_missing",
        )


def _require_file(path: Path) -> int:
    """Return the size of a regular file that begins like a database."""
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise MachineError(
                f"{str(path)!r} is not a file", hint="move it away, or set STEPWELL_HOME", code="database_garbage"
            )
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except OSError as error:
        raise MachineError(
            f"{str(path)!r} cannot be read: {error.strerror}", hint=_writable(path), code="database_unreadable"
        ) from error
    if not head:
        raise MachineError(f"{str(path)!r} is empty", hint=_restore(path), code="database_empty")
    if head != _MAGIC:
        raise MachineError(f"{str(path)!r} is not a database", hint=_restore(path), code="database_garbage")
    return facts.st_size


def _require_schema(connection: sqlite3.Connection, path: Path, newest: int) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (schema,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise MachineError(
            f"{str(path)!r} is the database of another program",
            hint="move it away, or set STEPWELL_HOME to another folder",
            code="database_foreign",
        )
    if schema > newest:
        raise MachineError(
            f"database is from a newer Stepwell (schema {schema}, this one knows {newest})",
            hint="install the newer Stepwell again, or set STEPWELL_HOME to another folder",
            code="database_newer",
        )


def _damaged(path: Path, answer: str) -> MachineError:
    why = " ".join(answer.split())
    return MachineError(f"{str(path)!r} is damaged: {why}", hint=_restore(path), code="database_damaged")


def _restore(path: Path) -> str:
    """Return what to do about a database that is lost: the newest copy, or a new start."""
    copies = sorted((path.parent / "backups").glob("state-*.db"))
    if copies:
        return f"cp {copies[-1]} {path}"
    return f"move {path} away to start empty; stored results stay in {path.parent / 'store'}"


def _writable(path: Path) -> str:
    """Return what would make the file ours to write."""
    try:
        owner = path.stat().st_uid
    except OSError:
        owner = os.geteuid()
    if owner != os.geteuid():
        return f"it belongs to user {owner}, and you are user {os.geteuid()}: set STEPWELL_HOME to a folder of yours"
    return f"chmod u+rwx {path.parent} && chmod u+rw {path}"
