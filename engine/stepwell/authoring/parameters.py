"""`PipelineParameter`: a value that is given when a pipeline is submitted, with a default."""

from __future__ import annotations

from stepwell.core.spec import Argument, ParameterSpec, Scalar

_MARK = "PipelineParameter_Name:"  # how `str` begins, by which a text made of it is recognised


class PipelineParameter:
    """A named value that steps mention in their `arguments` or `params`.

    `default_value` is an int, float, bool or one-line str, and decides the type: a submitted value
    is converted to it. Raises ValueError for anything else (SDK reference, `PipelineParameter`).
    """

    def __init__(self, name: str, default_value: Scalar) -> None:
        if not isinstance(name, str) or not name:
            raise ValueError(f"a PipelineParameter needs a name, not {name!r}")
        self.name = name
        self.default_value = _default(name, default_value)
        self.argument = Argument(param=name)

    @property
    def declaration(self) -> ParameterSpec:
        """The parameter as a pipeline declares it."""
        return ParameterSpec(self.name, type(self.default_value).__name__, self.default_value)

    def __str__(self) -> str:
        return f"{_MARK}{self.name}_Default:{self.default_value}"

    __repr__ = __str__


def is_text_of_parameter(text: str) -> bool:
    """Say whether `text` holds `str(parameter)`: the value of the parameter could not be put into it."""
    return _MARK in text


def _default(name: str, value: object) -> Scalar:
    for kind in (bool, int, float, str):  # bool first: it is an int too
        if isinstance(value, kind):
            plain: Scalar = kind(value)
            if isinstance(plain, str) and len(plain.splitlines()) > 1:
                raise ValueError(f"the default of PipelineParameter {name!r} has several lines, which is not supported")
            return plain
    raise ValueError(
        f"the default of PipelineParameter {name!r} must be an int, float, bool or str, not {type(value).__name__}"
    )
