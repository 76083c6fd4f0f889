from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.strategies import names, scalars
from stepwell.core.parameters import check_declarations, coerce_parameters
from stepwell.core.spec import ParameterSpec, Scalar
from stepwell.errors import NotFoundError, UsageError

DECLARED = (
    ParameterSpec("epochs", "int", 5),
    ParameterSpec("rate", "float", 0.1),
    ParameterSpec("fast", "bool", False),
    ParameterSpec("loss", "str", "l2"),
)


def test_without_values_every_parameter_has_its_default() -> None:
    assert coerce_parameters(DECLARED, {}) == {"epochs": 5, "rate": 0.1, "fast": False, "loss": "l2"}


@pytest.mark.parametrize(
    ("name", "given_", "value"),
    [
        ("epochs", 7, 7),
        ("epochs", "7", 7),
        ("epochs", " -7 ", -7),
        ("rate", 1, 1.0),
        ("rate", "1e-3", 0.001),
        ("fast", True, True),
        ("fast", "true", True),
        ("fast", "False", False),
        ("loss", "", ""),
        ("loss", 3, "3"),
        ("loss", True, "True"),
    ],
)
def test_a_value_takes_the_type_of_its_default(name: str, given_: Any, value: Scalar) -> None:
    coerced = coerce_parameters(DECLARED, {name: given_})[name]

    assert coerced == value
    assert type(coerced) is type(value)


@pytest.mark.parametrize(
    ("name", "given_", "says"),
    [
        ("epochs", "five", "parameter 'epochs' must be int, not 'five'\n  try: epochs=5"),
        ("epochs", 5.5, "parameter 'epochs' must be int, not 5.5\n  try: epochs=5"),
        ("epochs", "5.5", "parameter 'epochs' must be int, not '5.5'\n  try: epochs=5"),
        ("epochs", True, "parameter 'epochs' must be int, not True\n  try: epochs=5"),
        ("epochs", None, "parameter 'epochs' must be int, not None\n  try: epochs=5"),
        ("rate", "fast", "parameter 'rate' must be float, not 'fast'\n  try: rate=0.1"),
        ("rate", False, "parameter 'rate' must be float, not False\n  try: rate=0.1"),
        ("rate", 10**400, f"parameter 'rate' must be float, not {10**400}\n  try: rate=0.1"),
        ("fast", "yes", "parameter 'fast' must be bool, not 'yes'\n  try: fast=true or false"),
        ("fast", 1, "parameter 'fast' must be bool, not 1\n  try: fast=true or false"),
        ("loss", ["l1"], "parameter 'loss' must be str, not ['l1']\n  try: loss=adam"),
    ],
)
def test_a_value_of_another_type_is_refused_with_an_example(name: str, given_: Any, says: str) -> None:
    with pytest.raises(UsageError) as error:
        coerce_parameters(DECLARED, {name: given_})

    assert str(error.value) == says


def test_an_unknown_parameter_is_answered_with_those_there_are() -> None:
    with pytest.raises(NotFoundError) as error:
        coerce_parameters(DECLARED, {"epoch": 5})

    assert str(error.value) == (
        "no parameter named 'epoch' (there is: epochs, fast, loss, rate)\n  try: did you mean 'epochs'?"
    )


@given(st.dictionaries(names, scalars, max_size=4))
def test_what_is_written_as_text_reads_back_as_the_value(values: dict[str, Scalar]) -> None:
    declared = [ParameterSpec(name, type(value).__name__, value) for name, value in values.items()]
    as_text = {name: value if isinstance(value, str) else repr(value) for name, value in values.items()}

    check_declarations(declared)

    assert coerce_parameters(declared, as_text) == values
    assert coerce_parameters(declared, values) == values


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ([DECLARED[0], DECLARED[0]], "parameter 'epochs' is declared twice"),
        ([ParameterSpec("x", "list", "")], "parameter 'x' has the type 'list' (there is: bool, float, int, str)"),
        ([ParameterSpec("x", "int", "5")], "parameter 'x' is of type int, but its default is '5'"),
        ([ParameterSpec("x", "int", True)], "parameter 'x' is of type int, but its default is True"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(declared: list[ParameterSpec], says: str) -> None:
    with pytest.raises(UsageError) as error:
        check_declarations(declared)

    assert str(error.value) == says
