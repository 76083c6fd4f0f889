"""Metrics as the SDK gives them, from the points that the daemon keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepwell_step.metrics import gathered

Json = dict[str, Any]


def values(series: Mapping[str, Json], name: str | None = None) -> Json:
    """Return {metric: value}; only `name` where one is given. In a step the same is returned for the same points.

    `series`: {metric: {"kind", "points": [{"step", "time_us", "value"}]}}.
    """
    return gathered(
        {"n": metric, "k": held["kind"], "v": point["value"]}
        for metric, held in series.items()
        if name in (None, metric)
        for point in held["points"]
    )
