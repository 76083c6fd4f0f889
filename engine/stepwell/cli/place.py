"""Which workspace a command is about: the one that is named, or the nearest folder above that is one.

A folder is a workspace when it holds `.stepwell/config.json`. The files `config.json` and
`.azureml/config.json`, as the cloud's portal hands them out, name one too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from stepwell.errors import WorkspaceException

OWN = ".stepwell/config.json"
CONFIGS = (OWN, "config.json", ".azureml/config.json")


class Place(NamedTuple):
    """A workspace's folder, and what its configuration says. `id` is None in a portal's file."""

    root: Path
    name: str
    id: str | None

    @property
    def key(self) -> str:
        return self.id or self.name


def nearest(start: Path) -> Place | None:
    """Return the workspace of `start` or of the nearest folder above it."""
    for folder in (start, *start.parents):
        found = at(folder)
        if found is not None:
            return found
    return None


def at(folder: Path) -> Place | None:
    """Return the workspace that `folder` itself is. Raises WorkspaceException for an unreadable file."""
    for name in CONFIGS:
        path = folder / name
        try:
            data: Any = json.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        except (OSError, ValueError) as error:
            if name != OWN:
                continue  # a `config.json` may be anybody's
            raise _unreadable(path, str(error)) from error
        if not isinstance(data, dict):
            data = {}
        if name == OWN:
            if not isinstance(data.get("id"), str):
                raise _unreadable(path, "it has no id")
            return Place(folder, str(data.get("name") or folder.name), data["id"])
        if isinstance(data.get("workspace_name"), str):
            return Place(folder, data["workspace_name"], None)
    return None


def chosen(named: str | None, start: Path | None = None) -> str | None:
    """Return the id or name of the workspace to ask about; None where nothing names one."""
    if named:
        return named
    place = nearest(start or Path.cwd())
    return place.key if place else None


def _unreadable(path: Path, why: str) -> WorkspaceException:
    return WorkspaceException(
        f"{path}: cannot be read as the configuration of a workspace: {why}",
        hint=f"remove it and run `stepwell init {path.parent.parent}`",
        code="workspace_config",
    )
