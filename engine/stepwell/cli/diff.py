"""`stepwell diff`: two runs side by side."""

from __future__ import annotations

from typing import Any

import click

from stepwell.api.client import Client
from stepwell.cli import options
from stepwell.cli.lookup import find_run
from stepwell.cli.output import here, print_json, show
from stepwell.cli.tables import table
from stepwell.cli.terminal import Terminal
from stepwell.cli.words import short_digests

SECTIONS = {  # name on the wire -> what names a row
    "parameters": ("name",),
    "sources": ("step", "path"),
    "environments": ("item",),
    "metrics": ("step", "name"),
    "outputs": ("step", "name"),
    "steps": ("step",),
}
ABSENT = "-"


@click.command()
@options.run("left")
@options.run("right")
@options.workspace
@options.as_json
def diff(left: str, right: str, workspace: str | None, as_json: bool) -> None:
    """Compare two runs: parameters, sources, environments, metrics, outputs, steps."""
    with Client.connect() as client:
        first, second = find_run(client, left, workspace), find_run(client, right, workspace)
        found = client.get("/v1/diff", left=first["run"], right=second["run"])
    if as_json:
        print_json(found)
        return
    show(_lines(found, f"run {first['number']}", f"run {second['number']}", here()))


def _lines(found: dict[str, Any], left: str, right: str, terminal: Terminal) -> list[str]:
    lines: list[str] = []
    for section, names in SECTIONS.items():
        rows = [_row(item, names) for item in found[section]]
        if rows:
            heads = [section.upper(), *([""] * (len(names) - 1)), left, right]
            lines += ["", *table(rows, terminal, heads=heads)]
    return lines[1:] or [f"{left} and {right} are the same in every respect"]


def _row(item: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    named = [str(item[part]) for part in names]
    if "only_in" in item:
        return [*named, *("there" if item["only_in"] == side else ABSENT for side in ("left", "right"))]
    return [*named, _value(item["left"]), _value(item["right"])]


def _value(value: Any) -> str:
    if value is None:
        return ABSENT
    return f"{value:.6g}" if isinstance(value, float) else short_digests(str(value))
