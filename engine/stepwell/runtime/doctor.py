"""What works in this daemon and on this machine, what does not, why, and what would add it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from typing import Any

from stepwell.runtime.context import Context

LOW_FREE = 0.10
_LOCAL = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "f2fs"}
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs", "lustre"}


def checks(context: Context) -> list[dict[str, Any]]:
    """Return a row a check: name, ok, detail, remedy."""
    return [
        _database(context),
        _disk(context),
        _file_system(context),
        _links(context),
        _step_types(context),
    ]


def _row(name: str, ok: bool, detail: str, remedy: str | None = None) -> dict[str, Any]:
    return {"name": name, "ok": ok, "detail": detail, "remedy": None if ok else remedy}


def _database(context: Context) -> dict[str, Any]:
    with context.database.read() as connection:
        answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    detail = f"SQLite {sqlite3.sqlite_version}, quick check: {answer}"
    return _row("database", answer == "ok", detail, f"restore a copy from {str(context.home.backups)!r}")


def _disk(context: Context) -> dict[str, Any]:
    usage = shutil.disk_usage(context.home.root)
    free = usage.free / usage.total
    detail = f"{usage.free / 2**30:.1f} GiB free ({free:.0%}) where the home is"
    return _row("disk", free >= LOW_FREE, detail, "free some space, or set STEPWELL_HOME to a larger disk")


def file_system(path: str) -> str:
    """Return the type of the file system that holds `path`, from the kernel's mount table; '' if unknown."""
    best, kind = "", ""
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
        for line in mounts:
            _, point, fs, *_ = line.split(" ")
            point = point.encode("utf-8", "surrogateescape").decode("unicode_escape", "replace")
            if (path + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(best):
                best, kind = point, fs
    return kind


def is_network(path: str) -> bool:
    """Return whether `path` lies on a file system that other machines write to."""
    return file_system(path) in _NETWORK


def _file_system(context: Context) -> dict[str, Any]:
    kind = file_system(str(context.home.root))
    return _row(
        "file system",
        kind in _LOCAL,
        f"the home lies on {kind or 'an unknown file system'}",
        "set STEPWELL_HOME to a folder on a local disk",
    )


def _links(context: Context) -> dict[str, Any]:
    probe = context.home.staging / f"doctor-{os.getpid()}"
    other = probe.with_suffix(".link")
    try:
        probe.write_bytes(b"")
        os.link(probe, other)
        return _row("hard links", True, "outputs enter the store without a copy")
    except OSError as error:
        return _row(
            "hard links",
            False,
            f"outputs are copied into the store: {error.strerror}",
            "use a file system with hard links",
        )
    finally:
        probe.unlink(missing_ok=True)
        other.unlink(missing_ok=True)


def _step_types(context: Context) -> dict[str, Any]:
    kinds = context.types.kinds()
    return _row("step types", bool(kinds), ", ".join(kinds) or "none", "install stepwell again")
