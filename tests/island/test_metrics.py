"""Values of any kind become JSON, and points become values again."""

from __future__ import annotations

import decimal
import enum
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell_step import metrics


class Colour(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (0.25, 0.25),
        ("text", "text"),
        (Colour.RED, 1),
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.int8(7), 7),
        (np.bool_(True), True),
        (np.str_("word"), "word"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        ((1, np.int64(2)), [1, 2]),
        ({1: np.float32(1.5), "b": {"c": (1,)}}, {"1": 1.5, "b": {"c": [1]}}),
        (decimal.Decimal("1.5"), "1.5"),
        (Path("a/b"), "a/b"),
    ],
)
def test_any_value_becomes_plain_json(value: Any, expected: Any) -> None:
    plain = metrics.plain(value)

    assert plain == expected
    assert type(plain) is type(expected)
    json.dumps(plain)


@given(values=st.lists(st.floats(allow_nan=False), min_size=1, max_size=20))
def test_a_name_logged_once_is_its_value_and_logged_more_often_a_list(values: list[float]) -> None:
    points = [{"n": "loss", "k": "scalar", "v": value} for value in values]

    assert metrics.gathered(points) == {"loss": values[0] if len(values) == 1 else values}


def test_a_torn_last_line_is_not_there_yet_wherever_it_was_torn(tmp_path: Path) -> None:
    metrics.log(str(tmp_path), "a", "scalar", 1)
    metrics.log(str(tmp_path), "b", "scalar", "ünïcödé ☃")
    whole = (tmp_path / "metrics.jsonl").read_bytes()
    first = whole.index(b"\n") + 1

    for end in range(len(whole) + 1):
        (tmp_path / "metrics.jsonl").write_bytes(whole[:end])
        names = [point["n"] for point in metrics.read(str(tmp_path))]
        assert names == ["a", "b"][: (end >= first) + (end >= len(whole))]


def test_a_step_that_logged_nothing_has_no_points(tmp_path: Path) -> None:
    assert metrics.read(str(tmp_path)) == []
