"""Durations, sizes and counts as people read them."""

from __future__ import annotations

import pytest

from stepwell.cli import words


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"),
        (-0.5, "0.00 s"),
        (0.254, "0.25 s"),
        (12.34, "12.3 s"),
        (184, "3 min 04 s"),
        (7500, "2 h 05 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_a_duration_has_the_units_of_its_size(seconds: float | None, shown: str) -> None:
    assert words.duration(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(None, "-"), (512, "512 B"), (1229, "1.2 KiB"), (3 << 30, "3.0 GiB"), (5 << 40, "5.0 TiB")],
)
def test_a_size_has_the_unit_of_its_size(count: int | None, shown: str) -> None:
    assert words.size(count) == shown


def test_a_count_agrees_with_its_noun() -> None:
    assert [words.count(n, "step") for n in (0, 1, 2)] == ["0 steps", "1 step", "2 steps"]


def test_elapsed_is_up_to_now_where_nothing_ended_and_never_negative() -> None:
    assert words.elapsed(1_000_000, None, 3_500_000) == 2.5
    assert words.elapsed(1_000_000, 2_000_000, 9_000_000) == 1.0
    assert words.elapsed(5_000_000, None, 4_000_000) == 0.0
    assert words.elapsed(None, None, 4_000_000) is None
