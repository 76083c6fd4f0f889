"""`docs/reference.md` and the code agree: what one can use is there, and what is there can be used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

import click
import pytest

from contracts.sizes import REPOSITORY
from stepwell.api.engine import Engine
from stepwell.api.routes import application
from stepwell.cli.main import VERBS, cli
from stepwell.core.events import EventKind
from stepwell.core.states import AttemptState, RunState, StepState

REFERENCE = (REPOSITORY / "docs" / "reference.md").read_text(encoding="utf-8")
COMMANDS = REFERENCE.partition("## Commands")[2].partition("## Exit codes")[0]
SHARED = COMMANDS.partition("### ")[0]
INTERNAL = {
    "STEPWELL_COMPLETE",  # click's own, set by the completion scripts
    "STEPWELL_DAEMON_",  # a prefix that is handed on to the daemon
    "STEPWELL_FAULT",  # arms the fault points of the crash tests
    "STEPWELL_CI",
    "STEPWELL_SOAK",
}


def section(title: str) -> str:
    """Return the text of a second-level section."""
    found = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", REFERENCE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/reference.md has no section {title!r}"
    return found[1]


def verb_text(verb: str) -> str:
    found = re.search(rf"^### `stepwell {verb}\b(.*?)(?=^### |\Z)", COMMANDS, re.MULTILINE | re.DOTALL)
    assert found, f"docs/reference.md says nothing about `stepwell {verb}`"
    return found[0]


def options(command: click.Command) -> Iterator[str]:
    """Yield every option of a command and of the commands below it, as it is typed."""
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield from parameter.opts
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from options(below)


def daemon_routes() -> set[str]:
    """Return "GET /v1/hello" for each route that is served."""
    served = set()
    for route in application(cast(Engine, object())).routes:
        path = re.sub(r":\w+}", "}", route.path)  # type: ignore[attr-defined]
        served |= {f"{verb} {path}" for verb in route.methods - {"HEAD"}}  # type: ignore[attr-defined]
    return served


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_and_each_of_its_options_can_be_looked_up(verb: str) -> None:
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    text = verb_text(verb)

    missing = [
        option
        for option in options(command)
        if f"`{option}" not in text and not (f"`{option}" in SHARED and _has_twin(option, text, command))
    ]

    assert missing == []


def _has_twin(option: str, text: str, command: click.Command) -> bool:
    """Say whether the text names a shared option by its other spelling: `-w` by `--workspace`."""
    for parameter in command.params:
        if isinstance(parameter, click.Option) and option in parameter.opts:
            return any(f"`{spelling}" in text for spelling in parameter.opts)
    return False


def test_no_verb_is_described_that_is_not_there() -> None:
    described = set(re.findall(r"^### `stepwell (\w+)", COMMANDS, re.MULTILINE))

    assert described == set(VERBS)


def test_the_commands_of_a_group_are_each_described() -> None:
    daemon = cli.get_command(click.Context(cli), "daemon")
    assert isinstance(daemon, click.Group)

    for name in daemon.list_commands(click.Context(daemon)):
        assert f"| `stepwell daemon {name}` |" in verb_text("daemon")


def test_each_variable_the_code_reads_or_sets_can_be_looked_up() -> None:
    named = re.compile(r"""["']((?:STEPWELL|AZUREML)_[A-Z_]+|NO_COLOR|COLUMNS|TERM)["']""")
    texts = [path.read_text(encoding="utf-8") for path in (REPOSITORY / "engine").rglob("*.py")]
    used = {name for text in texts for name in named.findall(text)} - INTERNAL

    assert {name for name in used if f"`{name}" not in REFERENCE} == set()


def test_each_event_is_in_the_table_and_nothing_else_is() -> None:
    described = set(re.findall(r"^\| `([a-z_.]+)` \|", section("Events"), re.MULTILINE))

    assert described == {str(kind) for kind in EventKind}


def test_each_state_is_in_its_table() -> None:
    steps, attempts = section("States").split("An attempt, one process")

    assert set(re.findall(r"^\| `(\w+)` \|", steps, re.MULTILINE)) == {str(state) for state in StepState}
    assert set(re.findall(r"^\| `(\w+)` \|", attempts, re.MULTILINE)) == {str(state) for state in AttemptState}
    assert {state for state in RunState if f"`{state}`" not in steps} == set()


def test_each_route_is_in_the_table_and_nothing_else_is() -> None:
    described = set(re.findall(r"^\| `([A-Z]+ /v1/[^`]*)` \|", section("Routes"), re.MULTILINE))

    assert described == daemon_routes()


def test_the_table_of_verbs_names_only_what_there_is() -> None:
    rows = re.findall(
        r"^\| ([a-z ]+) \| `stepwell (\w+)` \| `([^`]+)` \| (?:`([a-z_.]+)` )?\|$",
        section("Verbs, commands, routes, events"),
        re.MULTILINE,
    )

    assert len(rows) >= len(VERBS) - 2  # `demo` and `completion` are made of the others
    assert {command for _, command, _, _ in rows} <= set(VERBS)
    assert {route for _, _, route, _ in rows} <= daemon_routes()
    assert {event for *_, event in rows if event} <= {str(kind) for kind in EventKind}
