"""A run as its events tell it, and the picture a terminal gets of it."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.cli.live import Painter, picture
from stepwell.cli.progress import Progress, Row
from stepwell.cli.terminal import Terminal, columns
from support.wire_samples import START_US, a_failed_step, a_run, a_step, an_event

WIDE = Terminal(100, 24, color=False, unicode=True, live=True)


def _planned(*keys: str) -> Progress:
    progress = Progress.of(a_run(status="Running"))
    for position, key in enumerate(keys):
        progress.apply(an_event(11 + position, "step.planned", key, key=key, position=position, state="NotStarted"))
    return progress


def test_a_step_is_followed_from_its_plan_to_its_end() -> None:
    progress = _planned("train")
    moved = [
        progress.apply(an_event(20, "step.resolved", "train", verdict="run", reason="train.py changed")),
        progress.apply(an_event(21, "step.changed", "train", state="Queued", reason="train.py changed")),
        progress.apply(an_event(22, "step.changed", "train", state="Preparing", reason="train.py changed")),
        progress.apply(an_event(22, "attempt.prepared", "train", number=1)),
        progress.apply(an_event(23, "attempt.started", "train", pid=7, started_us=START_US + 23_000_000)),
        progress.apply(an_event(23, "step.changed", "train", state="Running", reason="train.py changed")),
        progress.apply(an_event(25, "attempt.ended", "train", cpu_s=1.5)),
        progress.apply(an_event(25, "step.changed", "train", state="Finished", reason="train.py changed")),
    ]

    (row,) = progress.ordered()
    assert [found.state for found in moved if found] == ["Finished"] * 4  # one row, moved four times
    assert (row.started_us, row.ended_us, row.cpu_s) == (START_US + 23_000_000, START_US + 25_000_000, 1.5)
    assert progress.seq == 25


def test_a_step_that_is_tried_again_has_not_started() -> None:
    progress = _planned("train")
    progress.apply(an_event(20, "step.changed", "train", state="Running", reason="r"))

    row = progress.apply(an_event(21, "step.changed", "train", state="Queued", reason="retry 1 of 2, after 10 s"))

    assert row is not None
    assert (row.state, row.reason, row.started_us) == ("Queued", "retry 1 of 2, after 10 s", None)


def test_what_the_first_facts_already_said_changes_nothing() -> None:
    progress = Progress.of(a_run(a_step("train"), a_step("prep", "Running")))

    assert progress.apply(an_event(5, "step.planned", "train", key="train", state="NotStarted")) is None
    assert progress.apply(an_event(6, "step.changed", "train", state="Running")) is None
    assert progress.apply(an_event(7, "step.changed", "prep", state="Running")) is None
    assert [row.state for row in progress.ordered()] == ["Finished", "Running"]
    assert progress.seq == 7


def test_a_reused_step_is_planned_as_finished() -> None:
    progress = _planned()

    row = progress.apply(
        an_event(11, "step.planned", "a", key="a", state="Finished", reused_from="sr-0", reason="same as run 1")
    )

    assert row is not None
    assert (row.mark.word, row.over, row.started_us) == ("reused", True, None)


def test_a_warning_is_kept_once_and_the_end_ends_it() -> None:
    progress = _planned("a")
    progress.apply(an_event(20, "warning", text="large source"))
    progress.apply(an_event(21, "warning", text="large source"))
    progress.apply(an_event(22, "run.ended", state="Failed"))

    assert (progress.warnings, progress.over, progress.state) == (["large source"], True, "Failed")


def test_the_picture_has_a_row_a_step_with_state_time_cpu_and_reason() -> None:
    run = a_run(
        a_step("prep"),
        a_step("features", reused_run=11),
        a_step("train", "Running", reason="train.py changed"),
        a_failed_step("score", 3),
        a_step("report", "NotStarted", reason="after 'train', which is running"),
    )

    lines = picture(Progress.of(run), WIDE, "run 12", START_US + 4_000_000)

    assert lines == [
        "✓ finished    prep           1.5 s  cpu 1.2 s       no earlier result of this step",
        "↺ reused      features                              same as run 11, 3 min ago",
        "● running     train          4.0 s                  train.py changed",
        "✗ failed      score          1.5 s  cpu 1.2 s       exit code 3",
        "○ waiting     report                                after 'train', which is running",
        "run 12: 3 of 5 steps done, 1 under way",
    ]


def test_the_picture_without_unicode_has_marks_of_ascii() -> None:
    terminal = Terminal(100, 24, color=False, unicode=False, live=True)
    run = a_run(a_step("prep"), a_step("train", "Running"), a_failed_step("x"), a_step("y", "Skipped"))

    lines = picture(Progress.of(run), terminal, "run 12", START_US)

    assert [line[:10].strip() for line in lines[:-1]] == ["+ finished", "> running", "x failed", "- skipped"]
    assert "\n".join(lines).isascii()


def test_before_the_plan_the_picture_says_what_is_being_done() -> None:
    assert picture(_planned(), WIDE, "run 12", START_US) == ["run 12: reading the sources"]


def test_of_more_steps_than_lines_the_telling_ones_are_shown() -> None:
    steps = [a_step(f"old-{n}", reused_run=1) for n in range(50)]
    steps += [
        a_step("busy", "Running"),
        *(a_step(f"next-{n}", "NotStarted") for n in range(50)),
        a_failed_step("bad"),
    ]
    terminal = Terminal(100, 10, color=False, unicode=True, live=True)

    lines = picture(Progress.of(a_run(*steps)), terminal, "run 12", START_US)

    assert len(lines) == 8
    assert [line[14:22].strip() for line in lines[:3]] == ["busy", "next-0", "next-1"]
    assert "bad" in lines[5]
    assert lines[6] == "  and 96 more: 50 reused, 46 waiting"


@pytest.mark.parametrize("width", [20, 30, 43, 44, 60, 71, 72, 120, 400])
def test_no_line_of_the_picture_is_wider_than_the_terminal(width: int) -> None:
    steps = [
        a_step("名前" * 20, "Running", reason="x" * 300),
        a_failed_step("a" * 60),
        a_step("b", reused_run=3),
    ]
    terminal = Terminal(width, 24, color=False, unicode=True, live=True)

    lines = picture(Progress.of(a_run(*steps)), terminal, "run 12", START_US)

    assert max(columns(line) for line in lines) < width


_events = st.lists(
    st.tuples(
        st.sampled_from(["step.planned", "step.changed", "step.resolved", "attempt.prepared", "attempt.ended", "x"]),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["NotStarted", "Queued", "Running", "Finished", "Failed"]),
    ),
    max_size=30,
)


@given(_events)
def test_no_order_of_events_breaks_the_picture_and_an_end_is_an_end(
    events: list[tuple[str, str, str]],
) -> None:
    progress = _planned()
    for seq, (kind, key, state) in enumerate(events):
        ended = {row.key: row.state for row in progress.rows.values() if row.over}
        progress.apply(an_event(seq, kind, key, key=key, state=state, number=1, reason=state))

        assert {key: progress.rows[f"sr-{key}"].state for key in ended} == ended
        assert len(picture(progress, WIDE, "run 1", START_US)) == len(progress.rows) + 1


def test_a_picture_is_painted_over_the_last_one() -> None:
    screen = io.StringIO()
    painter = Painter(screen)

    painter.paint(["one", "two"], 80)
    painter.paint(["three"], 80)
    painter.paint(["\x1b[32mfour\x1b[0m"], 80)

    assert screen.getvalue() == "one\ntwo\n\x1b[2F\x1b[Jthree\n\x1b[1F\x1b[J\x1b[32mfour\x1b[0m\n"


def test_lines_that_a_narrowed_terminal_has_folded_are_counted() -> None:
    screen = io.StringIO()
    painter = Painter(screen)

    painter.paint(["x" * 70, "short", "\x1b[32m" + "y" * 40 + "\x1b[0m"], 80)
    painter.paint([], 40)

    assert screen.getvalue().endswith("\x1b[4F\x1b[J")


def test_rows_come_in_the_order_of_the_pipeline() -> None:
    progress = Progress(rows={"2": Row("b", "2", position=1), "1": Row("a", "1", position=0)})

    assert [row.key for row in progress.ordered()] == ["a", "b"]
