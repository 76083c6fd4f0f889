"""How the benchmark judges; that it measures right is seen by running it, not by a timed test."""

from __future__ import annotations

from typing import Any

import pytest

from bench import judgement, page
from bench.row import Row, exponent, interleaved
from bench.rows import planning
from stepwell.core.planner import Action, plan

MACHINE = {"processor": "abacus"}
LIMITS: dict[str, Any] = {"fall_back": 0.2, "rows": {"a": {"limit": 10.0, "noise": 0.5}}}


def row(value: float, name: str = "a") -> Row:
    return Row(name, "", "ms", value)


def kept(value: float, machine: dict[str, str] = MACHINE) -> dict[str, Any]:
    return {"machine": machine, "rows": [row(value).to_json()]}


@pytest.mark.parametrize(
    ("value", "before", "said"),
    [
        (9.0, 8.9, []),
        (10.1, 10.0, ["a: 10.1 ms, at most 10"]),
        (9.7, 8.0, ["a: 9.7 ms, was 8"]),
        (1.4, 1.0, []),  # 40 % more, but within the noise
    ],
)
def test_a_row_fails_over_its_limit_or_a_fifth_behind_what_was_kept(
    value: float, before: float, said: list[str]
) -> None:
    assert judgement.failures([row(value)], LIMITS, kept(before), MACHINE) == said


def test_numbers_of_another_machine_are_not_compared() -> None:
    other = kept(1.0, {"processor": "fingers"})

    assert judgement.failures([row(9.0)], LIMITS, other, MACHINE) == []


def test_a_row_that_nobody_budgeted_fails() -> None:
    assert judgement.failures([row(1.0, "b")], LIMITS, kept(1.0), MACHINE) == ["b: has no entry in budgets.json"]


def test_growth_is_the_exponent_of_the_sizes() -> None:
    assert exponent([10, 100, 1000], [0.02, 0.2, 2.0]) == pytest.approx(1)
    assert exponent([10, 100], [1, 100]) == pytest.approx(2)


def test_floor_and_ours_take_turns() -> None:
    order: list[str] = []

    seconds = interleaved(3, lambda: order.append("floor"), lambda: order.append("ours"))

    assert order == ["floor", "ours"] * 3
    assert [len(values) for values in seconds] == [3, 3]


@pytest.mark.parametrize("chained", [True, False])
def test_the_planning_row_plans_steps_that_are_all_reused(chained: bool) -> None:
    verdicts = plan(planning.facts(chained=chained))

    assert len(verdicts) == planning.STEPS
    assert {verdict.action for verdict in verdicts.values()} == {Action.REUSE}


def test_the_table_replaces_the_one_between_the_marks_and_says_what_is_over() -> None:
    old = f"# Title\n\n{page.BEGIN}On: nothing.\n{page.END}\nThe end.\n"

    new = page.pasted(old, [row(9.0), row(11.0)], LIMITS, MACHINE)

    assert new == (
        f"# Title\n\n{page.BEGIN}On: processor abacus.\n\n"
        "| what | measured | floor | budget |\n| --- | ---: | ---: | ---: |\n"
        "| a | 9 ms |  | <= 10 ms |\n| a | 11 ms |  | <= 10 ms, **over** |\n"
        f"{page.END}\nThe end.\n"
    )


def test_numbers_of_a_busy_machine_say_so() -> None:
    old = f"{page.BEGIN}{page.END}"

    new = page.pasted(old, [], LIMITS, MACHINE, "the load is 3.0 on 2 processors")

    assert "On: processor abacus. Other programs ran beside it (the load is 3.0 on 2 processors)," in new


def test_a_page_without_marks_is_not_written_over() -> None:
    with pytest.raises(ValueError, match="has lost one of its marks"):
        page.pasted("# Title\n", [row(9.0)], LIMITS, MACHINE)
