"""What this interpreter is, as JSON on stdout: run it with the interpreter in question.

    {implementation, version, platform, executable, prefix, site: [folder],
     distributions: {name: {version, record, editable: [folder] | null}}}

`record` is a digest of a distribution's RECORD, which lists every installed file with its hash.
The distribution `stepwell` is left out: the engine is not a part of the step's environment.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sys
from typing import Any


def facts() -> dict[str, Any]:
    """Return the facts; a tenth of a second for a hundred distributions."""
    folders = _site_folders()
    return {
        "implementation": platform.python_implementation(),
        "version": platform.python_version(),
        "platform": "%s-%s" % (sys.platform, platform.machine()),
        "executable": sys.executable,
        "prefix": sys.prefix,
        "site": folders,
        "distributions": _distributions(folders),
    }


def _site_folders() -> list[str]:
    folders = []
    for folder in sys.path:
        if folder and os.path.isdir(folder) and os.path.basename(folder) in ("site-packages", "dist-packages"):
            folders.append(os.path.abspath(folder))
    return folders


def _distributions(folders: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for folder in folders:  # the first on the path is the one that is imported
        for name in sorted(os.listdir(folder)):
            if not name.endswith((".dist-info", ".egg-info")):
                continue
            project, _, version = name.rsplit(".", 1)[0].partition("-")
            key = re.sub(r"[-_.]+", "-", project).lower()
            if key == "stepwell" or key in found:
                continue
            path = os.path.join(folder, name)
            record = os.path.join(path, "RECORD") if os.path.isdir(path) else path
            found[key] = {
                "version": version.partition("-")[0],
                "record": _digest(record),
                "editable": _editable(folder, path),
            }
    return found


def _digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.blake2b(file.read(), digest_size=20).hexdigest()
    except OSError:
        return "absent"


def _editable(folder: str, info: str) -> list[str] | None:
    """Return the folders an editable install adds to the path, or its project's where it adds none."""
    try:
        with open(os.path.join(info, "direct_url.json"), encoding="utf-8") as file:
            origin = json.load(file)
    except (OSError, ValueError):
        return None
    if not origin.get("dir_info", {}).get("editable"):
        return None
    added = []
    try:
        with open(os.path.join(info, "RECORD"), encoding="utf-8") as file:
            listed = [line.split(",")[0] for line in file]
    except OSError:
        listed = []
    for name in listed:
        if name.endswith(".pth") and "/" not in name:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                added += [line.strip() for line in file if line.strip() and not line.startswith("import ")]
    if added:
        return added
    from urllib.parse import unquote, urlparse

    return [unquote(urlparse(origin["url"]).path)]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(facts()))
