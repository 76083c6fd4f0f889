"""The files a run keeps: what its script wrote to `./outputs` and `./logs` of its working folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stepwell.errors import unknown

Json = dict[str, Any]
KEPT = {"./outputs": "outputs", "./logs": "logs"}  # the stored folder -> how the names of its files begin


def files(rows: Iterable[Json]) -> dict[str, Path]:
    """Return the kept files by name, such as `outputs/model.pkl`. `rows`: the outputs of a step as the daemon says."""
    found: dict[str, Path] = {}
    for row in rows:
        if row["name"] in KEPT:
            root = Path(row["path"])
            for folder, _, names in os.walk(root):
                for path in (Path(folder, name) for name in names):
                    found[f"{KEPT[row['name']]}/{path.relative_to(root).as_posix()}"] = path
    return dict(sorted(found.items()))


def copy_one(found: dict[str, Path], name: str, target: str | os.PathLike[str] | None) -> None:
    """Copy one file to a path, into a folder, or without either into the current folder. Raises NotFoundError."""
    if name not in found:
        raise unknown("file", name, set(found))
    path = Path(target or os.curdir)
    if path.is_dir() or str(target).endswith(os.sep):
        path = path / Path(name).name
    _copy(found[name], path)


def copy_many(
    found: dict[str, Path],
    prefix: str,
    folder: str | os.PathLike[str] | None,
    paths: list[str] | None,
    keep_prefix: bool,
) -> None:
    """Copy the files whose names begin with `prefix` into a folder. Raises ValueError for too few or many `paths`."""
    chosen = {name: path for name, path in found.items() if name.startswith(prefix)}
    if paths is None:
        paths = [name if keep_prefix else name.removeprefix(prefix).lstrip("/") for name in chosen]
    if len(paths) != len(chosen):
        raise ValueError(f"{len(paths)} output_paths for {len(chosen)} files")
    for source, relative in zip(chosen.values(), paths, strict=True):
        _copy(source, Path(folder or os.curdir, relative))


def _copy(source: Path, target: Path) -> None:
    import shutil

    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
