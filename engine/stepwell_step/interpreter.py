"""What this interpreter is, as JSON on stdout: run it with the interpreter in question.

    {implementation, version, platform, executable, prefix, site: [folder],
     distributions: {name: {version, record, editable: [folder] | null}}}

`site` is every folder of the path, in order, but for the standard library. `record` is a digest of
a distribution's RECORD, which lists every installed file with its hash; where an old kind of
install has none, of its metadata. `editable` are the folders an editable install is imported from:
their contents count. The distribution `stepwell` is left out: the engine is not a part of the
step's environment. Metadata is read by hand: `importlib.metadata` costs several times as much.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import platform
import re
import sys
from typing import Any, Dict, List, Optional
from urllib.parse import unquote, urlparse


def facts() -> Dict[str, Any]:
    """Return the facts; a tenth of a second for a hundred distributions."""
    folders = _site_folders()
    return {
        "implementation": platform.python_implementation(),
        "version": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "executable": sys.executable,
        "prefix": sys.prefix,
        "site": folders,
        "distributions": _distributions(folders),
    }


def _site_folders() -> List[str]:
    standard = os.path.dirname(os.path.realpath(os.__file__))
    ours = os.path.dirname(os.path.realpath(__file__))
    folders: List[str] = []
    for entry in sys.path:
        folder = os.path.abspath(entry)
        if os.path.realpath(folder) in (standard, os.path.join(standard, "lib-dynload"), ours):
            continue
        if os.path.isdir(folder) and folder not in folders:
            folders.append(folder)
    return folders


def _distributions(folders: List[str]) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    for folder in folders:  # the first on the path is the one that is imported
        try:
            names = sorted(os.listdir(folder))
        except OSError:  # not ours to read, so not importable either
            continue
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix not in (".dist-info", ".egg-info", ".egg-link"):
                continue
            project, _, version = stem.partition("-")
            key = re.sub(r"[-_.]+", "-", project).lower()
            if key == "stepwell" or key in found:
                continue
            path = os.path.join(folder, name)
            found[key] = {
                "version": version.partition("-")[0],
                "record": _digest(path),
                "editable": _linked(path) if suffix == ".egg-link" else _editable(folder, path),
            }
    return found


def _digest(path: str) -> str:
    """Return a digest of the file, or of the first of the files that tell what is installed."""
    for file in ("RECORD", "installed-files.txt", "PKG-INFO", "METADATA", ""):
        data = _bytes(os.path.join(path, file) if file else path)
        if data is not None:
            return hashlib.blake2b(data, digest_size=20).hexdigest()
    return "absent"


def _editable(folder: str, info: str) -> Optional[List[str]]:
    """Return the folders an editable install is imported from, or its project's where that cannot be told."""
    try:
        origin = json.loads(_bytes(os.path.join(info, "direct_url.json")) or b"{}")
    except ValueError:
        return None
    if not origin.get("dir_info", {}).get("editable"):
        return None
    added: List[str] = []
    for line in _lines(os.path.join(info, "RECORD")):
        name = line.split(",")[0]
        if "/" in name:
            continue
        if name.endswith(".pth"):
            added += [each for each in _lines(os.path.join(folder, name)) if not each.startswith(("import ", "#"))]
        elif name.startswith("__editable__") and name.endswith(".py"):
            added += _mapped(_lines(os.path.join(folder, name)))
    return added or [unquote(urlparse(origin["url"]).path)]


def _mapped(lines: List[str]) -> List[str]:
    """Return the folders of a setuptools finder, from its line `MAPPING: dict[str, str] = {...}`."""
    for line in lines:
        if line.startswith("MAPPING"):
            try:
                return sorted(str(folder) for folder in ast.literal_eval(line.partition("=")[2].strip()).values())
            except (ValueError, SyntaxError, AttributeError):
                return []  # another release wrote it: the project's folder stands for it
    return []


def _linked(path: str) -> List[str]:
    return _lines(path)[:1]


def _lines(path: str) -> List[str]:
    text = (_bytes(path) or b"").decode("utf-8", "surrogateescape")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _bytes(path: str) -> Optional[bytes]:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:  # not there, or a folder, or not ours to read
        return None


if __name__ == "__main__":
    sys.stdout.write(json.dumps(facts()))
