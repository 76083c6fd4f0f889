"""`PipelineParameter`: what a default may be, and how one is shown."""

from __future__ import annotations

from typing import Any

import pytest

from stepwell import PipelineParameter
from stepwell.core.spec import ParameterSpec


@pytest.mark.parametrize(
    ("default", "kind"), [(5, "int"), (True, "bool"), (0.5, "float"), ("adam", "str"), ("", "str")]
)
def test_the_default_decides_the_type(default: Any, kind: str) -> None:
    parameter = PipelineParameter("epochs", default_value=default)

    assert parameter.declaration == ParameterSpec("epochs", kind, default)


def test_a_number_of_a_subclass_becomes_a_plain_one() -> None:
    numpy = pytest.importorskip("numpy")

    parameter = PipelineParameter("rate", numpy.float64(0.25))

    assert type(parameter.default_value) is float


@pytest.mark.parametrize("default", [None, [1], {"a": 1}, (1,), object()])
def test_what_is_no_scalar_cannot_be_a_default(default: Any) -> None:
    with pytest.raises(
        ValueError, match="the default of PipelineParameter 'x' must be an int, float, bool or str, not "
    ):
        PipelineParameter("x", default)


def test_a_text_of_several_lines_cannot_be_a_default() -> None:
    with pytest.raises(ValueError, match="has several lines, which is not supported"):
        PipelineParameter("x", "one\ntwo")


@pytest.mark.parametrize("name", ["", None, 5])
def test_a_parameter_needs_a_name(name: Any) -> None:
    with pytest.raises(ValueError, match="a PipelineParameter needs a name, not "):
        PipelineParameter(name, 1)


def test_its_text_is_the_one_of_the_sdk() -> None:
    assert str(PipelineParameter("rate", 0.5)) == "PipelineParameter_Name:rate_Default:0.5"
