"""Arguments and options that several verbs share, with what a shell may complete them to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from stepwell.errors import StepwellError, UsageError

F = TypeVar("F", bound=Callable[..., Any])

as_json = click.option("--json", "as_json", is_flag=True, help="Print data as JSON, to stdout alone.")
workspace = click.option("--workspace", "-w", metavar="NAME", help="Another workspace than the one of this folder.")
experiment = click.option("--experiment", "-e", metavar="NAME", help="The experiment the run belongs to.")


def file(function: F) -> F:
    """FILE: a Python file that defines a pipeline."""
    return click.argument("file", type=click.Path(path_type=Path, dir_okay=True))(function)


def parameters(function: F) -> F:
    """-p NAME=VALUE, any number of times."""
    return click.option(
        "-p",
        "--param",
        "parameters",
        multiple=True,
        metavar="NAME=VALUE",
        help="Give a pipeline parameter a value; may be repeated.",
    )(function)


def run(name: str = "run") -> Callable[[F], F]:
    """RUN: a number, `last`, an id or the beginning of one."""
    return click.argument(name, metavar="RUN", shell_complete=_runs)


def step(*, required: bool) -> Callable[[F], F]:
    """STEP: its name, or name#2 where names repeat."""
    return click.argument("step", metavar="STEP", required=required, shell_complete=_steps)


def split_parameters(given: Iterable[str]) -> dict[str, str]:
    """Return the values by name of `NAME=VALUE` words. The last of several for one name wins."""
    values = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise UsageError(
                f"{word!r} does not say which parameter gets which value",
                hint=f"-p {name or 'name'}={value or 'value'}",
                code="bad_parameter",
            )
        values[name] = value
    return values


def _runs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from stepwell.api.client import Client
    from stepwell.cli.lookup import chosen
    from stepwell.paths import Home

    try:
        with Client.connect(Home.from_environment(), start=False) as client:
            found = client.get("/v1/runs", workspace=chosen(context.params.get("workspace")), limit=20)["runs"]
    except (StepwellError, OSError):  # a shell that completes must not be told about daemons
        found = []
    items = [CompletionItem("last", help="the newest run")]
    items += [CompletionItem(str(run["number"]), help=f"{run['name']}, {run['status']}") for run in found]
    return [item for item in items if item.value.startswith(incomplete)]


def _steps(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from stepwell.api.client import Client
    from stepwell.cli.lookup import find_run
    from stepwell.paths import Home

    try:
        with Client.connect(Home.from_environment(), start=False) as client:
            found = find_run(client, str(context.params.get("run") or "last"), context.params.get("workspace"))
    except (StepwellError, OSError):  # as above
        return []
    keys = [step["key"] for step in found["steps"]]
    return [CompletionItem(key) for key in keys if key.startswith(incomplete)]
