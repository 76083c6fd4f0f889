"""The rows are what the journal says, and nothing else."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell.core.events import Event, EventKind
from stepwell.core.fold import Key, Row, fold
from stepwell.core.states import IllegalMove
from stepwell.store import journal, queries
from stepwell.store.encoding import from_json
from store.ledger import dump, in_memory, replayed
from store.story import Story

stories = st.builds(
    lambda seed, runs, steps: Story(seed).tell(runs, steps),
    st.integers(0, 2**32),
    st.integers(1, 4),
    st.integers(1, 4),
)
KEYS = {
    "compute_target": ("workspace_id", "name"),
    "output": ("step_run_id", "name"),
    "cache_entry": ("fingerprint", "step_run_id"),
    "artifact": ("digest",),
    "object": ("digest",),
    "manifest": ("fingerprint",),
    "lease": ("attempt_id",),
    "snapshot": ("run_id", "folder"),
    "cursor": ("file",),
}
# States that leave no trace once the step has gone on, so that only the next moment tells.
PASSING = {"Preparing", "Finalizing"}


def key_of(table: str, row: Row) -> Key:
    values = tuple(row[name] for name in KEYS.get(table, ("id",)))
    return values[0] if len(values) == 1 else values


def opened(stored: Any, wanted: Any) -> Any:
    """Return a column as the model holds it: JSON opened."""
    return from_json(stored) if isinstance(stored, str) and not isinstance(wanted, str) else stored


@settings(max_examples=40)
@given(stories)
def test_the_rows_are_those_of_the_pure_model(events: list[Event]) -> None:
    with in_memory() as connection:
        told = journal.append(connection, events)
        rows = dump(connection)

    model = fold(told)

    for table, expected in model.items():
        found = {key_of(table, row): row for row in rows[table]}
        assert found.keys() == expected.keys(), table
        for key, wanted in expected.items():
            shown = {name: opened(found[key][name], value) for name, value in wanted.items() if name != "value"}
            assert shown == {name: value for name, value in wanted.items() if name != "value"}, (table, key)
            if "value" in wanted:
                assert from_json(found[key]["value"]) == wanted["value"]


@settings(max_examples=40)
@given(stories, st.data())
def test_a_journal_replayed_in_an_empty_database_gives_the_same_rows(events: list[Event], data: st.DataObject) -> None:
    with in_memory() as connection:
        rest = events
        while rest:
            size = data.draw(st.integers(1, len(rest)))
            journal.append(connection, rest[:size])
            rest = rest[size:]
        rows = dump(connection)
        kept = queries.events(connection, 0, 100_000, None)

    assert replayed(kept) == rows
    assert [event.seq for event in kept] == list(range(1, len(events) + 1))


@settings(max_examples=25)
@given(stories)
def test_every_event_shows_in_the_rows_the_moment_it_is_told(events: list[Event]) -> None:
    with in_memory() as connection:
        before = dump(connection)
        for event in events:
            journal.append(connection, [event])
            after = dump(connection)

            assert after != before, event
            before = after


@pytest.mark.parametrize("seed", range(4))
def test_taking_out_any_one_event_makes_the_replay_fail_or_differ(seed: int) -> None:
    with in_memory() as connection:
        events = journal.append(connection, Story(seed).tell(2, 3))
        rows = dump(connection)

    for position, event in enumerate(events):
        if event.body.get("state") in PASSING:
            continue
        try:
            others = replayed([*events[:position], *events[position + 1 :]])
        except (IllegalMove, LookupError, sqlite3.IntegrityError):
            continue
        for run in others["run"]:
            run["seq"] += int(run["seq"] > position)  # not for a mere shift of the numbers
        assert others != rows, event


def test_a_story_tells_every_kind_of_event_that_changes_a_row() -> None:
    told = {event.kind for seed in range(10) for event in Story(seed).tell(4, 4)}

    assert set(EventKind) - told == {EventKind.COMPUTE_REMOVED, EventKind.WARNING}
