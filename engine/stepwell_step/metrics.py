"""The points a step logs: written to the attempt's `metrics.jsonl`, and gathered again into values.

    one line a point   {"t": microseconds UTC, "n": name, "k": kind, "s": step or null, "v": value, "parent": bool}
    kinds              scalar, list, row {column: value}, table {column: [values]}, image (a path below the
                       step's folder), confusion_matrix, accuracy_table, residuals, predictions
    parent             true: the point belongs to the whole run, not to this step

Each point is one append of one line, at once: safe with threads, forks and processes that share the
file, and nothing is lost when the step is killed. It costs some ten microseconds.
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Iterable, List, Optional

from stepwell_step.attempt import METRICS, now_us


def append(path: str, line: Dict[str, Any]) -> None:
    """Append one JSON line to `path`. Raises OSError, such as for a full disk."""
    data = json.dumps(line).encode("ascii") + b"\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        while data:
            data = data[os.write(handle, data) :]
    finally:
        os.close(handle)


def log(folder: str, name: str, kind: str, value: Any, step: Optional[int] = None, parent: bool = False) -> None:
    """Append one point to the attempt in `folder`. `value`: anything `plain` understands."""
    point = {"t": now_us(), "n": str(name), "k": kind, "s": step, "v": plain(value), "parent": parent}
    append(os.path.join(folder, METRICS), point)


def plain(value: Any) -> Any:
    """Return `value` as JSON data. Arrays become lists, numpy scalars numbers, what is left its text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return _own(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    for convert in ("tolist", "item"):  # numpy, torch, pandas: an array, or a scalar of theirs
        method = getattr(value, convert, None)
        if callable(method):
            return plain(method())
    return str(value)


def _own(value: Any) -> Any:
    """Return a number or text of a subclass (numpy.float64 is a float) as the plain type."""
    for kind in (bool, int, float, str):
        if type(value) is kind:
            return value
        if kind is not bool and isinstance(value, kind):
            return kind(value)
    return value


def read(folder: str) -> List[Dict[str, Any]]:
    """Return the points of the attempt in `folder` so far; a torn last line is not there yet."""
    try:
        with open(os.path.join(folder, METRICS), "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


def gathered(points: Iterable[Dict[str, Any]]) -> Dict[str, Any]:
    """Return {name: value} as `get_metrics` gives it, from points as they are written.

    A name logged once is its value, logged more often a list. Lists are joined. Rows and tables
    become {column: value or list}. Of images and matrices the last one counts.
    """
    found: Dict[str, Any] = {}
    seen: Dict[str, int] = {}
    for point in points:
        name, kind, value = point["n"], point["k"], point["v"]
        seen[name] = seen.get(name, 0) + 1
        if kind == "list":
            found.setdefault(name, []).extend(value)
        elif kind in ("row", "table"):
            columns = found.setdefault(name, {})
            for column, item in value.items():
                _add(columns, column, item, column not in columns)
        elif kind == "scalar":
            _add(found, name, value, seen[name] == 1)
        else:
            found[name] = value
    return found


def _add(into: Dict[str, Any], name: str, value: Any, first: bool) -> None:
    if first:
        into[name] = value
        return
    before = into[name] if isinstance(into[name], list) else [into[name]]
    into[name] = [*before, *(value if isinstance(value, list) else [value])]
