"""Which machine the numbers are from: two sets of numbers compare only where this is equal."""

from __future__ import annotations

import os
import platform
import re
import tempfile
from pathlib import Path

import psutil


def describe() -> dict[str, str]:
    """Return processor, memory, kernel, Python and the file system that homes lie on."""
    return {
        "processor": _processor(),
        "cpus": str(len(os.sched_getaffinity(0))),
        "memory": f"{psutil.virtual_memory().total / (1 << 30):.0f} GiB",
        "kernel": f"{platform.system()} {re.split('[^0-9.]', platform.release())[0]}",
        "python": platform.python_version(),
        "home on": _file_system(os.path.realpath(tempfile.gettempdir())),
    }


def busy() -> str | None:
    """Return why numbers measured now would be too high, or None on a machine that is ours alone."""
    load, cpus = os.getloadavg()[0], len(os.sched_getaffinity(0))
    return f"the load is {load:.1f} on {cpus} processors" if load > cpus / 2 else None


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith(("model name", "Model", "cpu model")):
            return " ".join(line.partition(":")[2].split())
    return platform.machine()


def _file_system(path: str) -> str:
    mounts = psutil.disk_partitions(all=True)
    holding = [mount for mount in mounts if (path + "/").startswith(mount.mountpoint.rstrip("/") + "/")]
    return max(holding, key=lambda mount: len(mount.mountpoint)).fstype if holding else "unknown"
