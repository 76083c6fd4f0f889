from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pytest

from stepwell.core.plain import from_plain, to_plain
from stepwell.errors import UsageError


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Leaf:
    name: str
    size: int = 0
    weight: float = 1.0
    ripe: bool | None = None


@dataclass(frozen=True, slots=True)
class Plant:
    leaf: Leaf
    leaves: tuple[Leaf, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    by_name: Mapping[str, Leaf] = field(default_factory=dict)
    anything: Any = None
    value: str | int | float | bool = ""
    inner: tuple[Plant, ...] = ()


FULL = Plant(
    leaf=Leaf("a", 2, 2.5, True),
    leaves=(Leaf("b"), Leaf("c", 1)),
    words={"x": "y"},
    by_name={"d": Leaf("d")},
    anything={"deep": [1, None]},
    value=True,
    inner=(Plant(Leaf("e")),),
)


def test_fields_that_hold_their_default_are_left_out() -> None:
    assert to_plain(Plant(Leaf("a", 0, 1.0, None))) == {"leaf": {"name": "a"}}


def test_everything_comes_back_as_it_was() -> None:
    assert from_plain(Plant, to_plain(FULL), "plant") == FULL


def test_what_is_written_is_plain() -> None:
    assert to_plain(FULL) == {
        "leaf": {"name": "a", "size": 2, "weight": 2.5, "ripe": True},
        "leaves": [{"name": "b"}, {"name": "c", "size": 1}],
        "words": {"x": "y"},
        "by_name": {"d": {"name": "d"}},
        "anything": {"deep": [1, None]},
        "value": True,
        "inner": [{"leaf": {"name": "e"}}],
    }


def test_a_whole_number_does_for_a_float_and_becomes_one() -> None:
    read = from_plain(Leaf, {"name": "a", "weight": 3}, "leaf")

    assert type(read.weight) is float


def test_a_text_of_a_subclass_does_for_a_text() -> None:
    assert from_plain(Leaf, {"name": Colour.RED}, "leaf") == Leaf("red")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([], "plant must be an object, not list"),
        (None, "plant must be an object, not NoneType"),
        ({}, "plant has no 'leaf', which it needs"),
        ({"leaf": {}}, "plant.leaf has no 'name', which it needs"),
        ({"leaf": {"name": "a"}, "root": 1}, "plant has no field 'root'"),
        ({"leaf": {"name": 5}}, "plant.leaf.name must be str, not 5"),
        ({"leaf": {"name": "a", "size": True}}, "plant.leaf.size must be int, not True"),
        ({"leaf": {"name": "a", "size": 1.0}}, "plant.leaf.size must be int, not 1.0"),
        ({"leaf": {"name": "a", "weight": "1"}}, "plant.leaf.weight must be float, not '1'"),
        ({"leaf": {"name": "a", "weight": False}}, "plant.leaf.weight must be float, not False"),
        ({"leaf": {"name": "a", "ripe": 1}}, "plant.leaf.ripe must be bool | None, not 1"),
        ({"leaf": {"name": "a"}, "leaves": "bc"}, "plant.leaves must be a list, not 'bc'"),
        (
            {"leaf": {"name": "a"}, "leaves": [{"name": "b"}, {}]},
            "plant.leaves[1] has no 'name', which it needs",
        ),
        ({"leaf": {"name": "a"}, "leaves": [5]}, "plant.leaves[0] must be an object, not int"),
        ({"leaf": {"name": "a"}, "words": ["x"]}, "plant.words must be an object, not ['x']"),
        ({"leaf": {"name": "a"}, "words": {"x": 1}}, "plant.words.x must be str, not 1"),
        ({"leaf": {"name": "a"}, "by_name": {"d": {}}}, "plant.by_name.d has no 'name', which it needs"),
        ({"leaf": {"name": "a"}, "value": None}, "plant.value must be str | int | float | bool, not None"),
        (
            {"leaf": {"name": "a"}, "inner": [{"leaf": {"name": "b", "size": "x"}}]},
            "plant.inner[0].leaf.size must be int, not 'x'",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_its_place(data: Any, says: str) -> None:
    with pytest.raises(UsageError) as error:
        from_plain(Plant, data, "plant")

    assert str(error.value) == says
    assert error.value.code == "spec_invalid"


def test_data_nested_without_end_is_refused() -> None:
    data: dict[str, Any] = {"leaf": {"name": "a"}}
    for _ in range(5000):
        data = {"leaf": {"name": "a"}, "inner": [data]}

    with pytest.raises(UsageError, match=r"^plant is nested too deeply$"):
        from_plain(Plant, data, "plant")
