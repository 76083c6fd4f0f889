"""Pipeline parameters: submitted value, else default; always of the type that the default has. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from stepwell.core.spec import ParameterSpec, Scalar
from stepwell.errors import UsageError, unknown

_EXAMPLES = {"int": "5", "float": "0.1", "bool": "true or false", "str": "adam"}


def coerce_parameters(declared: Iterable[ParameterSpec], submitted: Mapping[str, Any]) -> dict[str, Scalar]:
    """Return a value for every declared parameter, in the declared order.

    A value may be text, as from a command line: `"5"` for an int, `"true"` for a bool. Raises
    UsageError for a value that cannot be of its type, NotFoundError for a name nobody declared.
    """
    by_name = {parameter.name: parameter for parameter in declared}
    for name in submitted:
        if name not in by_name:
            raise unknown("parameter", name, set(by_name))
    return {
        name: _coerced(parameter, submitted[name]) if name in submitted else parameter.default
        for name, parameter in by_name.items()
    }


def check_declarations(declared: Iterable[ParameterSpec]) -> None:
    """Raise UsageError for a parameter declared twice, of an unknown type, or whose default has another."""
    seen: set[str] = set()
    for parameter in declared:
        if parameter.name in seen:
            raise UsageError(f"parameter {parameter.name!r} is declared twice", code="duplicate_parameter")
        seen.add(parameter.name)
        if parameter.type not in _READERS:
            raise UsageError(
                f"parameter {parameter.name!r} has the type {parameter.type!r} "
                f"(there is: {', '.join(sorted(_READERS))})",
                code="parameter_type",
            )
        if type(parameter.default).__name__ != parameter.type:
            raise UsageError(
                f"parameter {parameter.name!r} is of type {parameter.type}, but its default is {parameter.default!r}",
                code="parameter_type",
            )


def _coerced(parameter: ParameterSpec, value: Any) -> Scalar:
    try:
        return _READERS[parameter.type](value)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"parameter {parameter.name!r} must be {parameter.type}, not {value!r}",
            hint=f"{parameter.name}={_EXAMPLES[parameter.type]}",
            code="parameter_type",
        ) from error


def _int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(value)
    return int(value)


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(value)
    return float(value)


def _bool(value: Any) -> bool:
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _str(value: Any) -> str:
    if isinstance(value, (bool, int, float)):
        return repr(value)
    if not isinstance(value, str):
        raise ValueError(value)
    return value


_READERS: dict[str, Callable[[Any], Scalar]] = {"int": _int, "float": _float, "bool": _bool, "str": _str}
