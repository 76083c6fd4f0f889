"""Frozen dataclasses as plain JSON data and back, from their type hints alone.

Fields that hold their default are left out, so what is written stays small, and stays the same
when a field with a default is added later. Reading is strict: a name that is not a field, a
value of another type or a missing one is a UsageError that says where ("pipeline.steps[3].retry
.count must be int, not 'x'"). Types: str, int, float, bool, unions of them and None, `Any`,
dataclasses, `tuple[X, ...]` and `Mapping[str, X]`. A table is made once for each class; after
that a field costs a look-up, which keeps a thousand steps near ten milliseconds each way.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from stepwell.errors import UsageError

_T = TypeVar("_T")
_Convert = Callable[[Any], Any]
_LEAVES = frozenset({str, int, float, bool, type(None)})


def to_plain(value: Any) -> Any:
    """Return `value`, a dataclass, as dicts, lists and scalars."""
    kind = type(value)
    if kind in _LEAVES:
        return value
    if kind is tuple or kind is list:
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: to_plain(item) for name, item in value.items()}
    names, values_of, defaults = _written(kind)
    plain = {}
    for name, item, default in zip(names, values_of(value), defaults, strict=True):
        if item is not default and item != default:
            plain[name] = item if type(item) in _LEAVES else to_plain(item)
    return plain


def from_plain(cls: type[_T], data: Any, where: str) -> _T:
    """Return the `cls` that `data` describes. Raises UsageError; `where` is what it calls the whole."""
    try:
        built: _T = _read(cls, data)
    except _MismatchError as error:
        raise UsageError(f"{where}{error.path} {error.problem}", code="spec_invalid") from error
    except RecursionError as error:
        raise UsageError(f"{where} is nested too deeply", code="spec_invalid") from error
    return built


class _MismatchError(Exception):
    """What is wrong, and where; the path grows from the inside out."""

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = path

    def inside(self, outer: str) -> _MismatchError:
        return _MismatchError(self.problem, outer + self.path)


@dataclasses.dataclass(frozen=True, slots=True)
class _Field:
    """Values of one of the `exact` types are taken as they are, others go through `convert`."""

    exact: frozenset[type]
    convert: _Convert


@dataclasses.dataclass(frozen=True, slots=True)
class _Reader:
    fields: dict[str, _Field]
    required: tuple[str, ...]


_WRITTEN: dict[type, tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]], tuple[Any, ...]]] = {}
_READ: dict[type, _Reader] = {}


def _written(cls: type) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]], tuple[Any, ...]]:
    table = _WRITTEN.get(cls)
    if table is None:
        fields = dataclasses.fields(cls)
        names = tuple(field.name for field in fields)
        defaults = tuple(
            field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
            for field in fields
        )
        table = _WRITTEN[cls] = (names, attrgetter(*names), defaults)
    return table


def _read(cls: type, data: Any) -> Any:
    if type(data) is not dict and not isinstance(data, Mapping):
        raise _MismatchError(f"must be an object, not {type(data).__name__}")
    reader = _READ.get(cls)
    if reader is None:
        reader = _READ[cls] = _reader(cls)
    fields = reader.fields
    values = {}
    for name, item in data.items():
        field = fields.get(name)
        if field is None:
            raise _MismatchError(f"has no field {name!r}")
        try:
            values[name] = item if type(item) in field.exact else field.convert(item)
        except _MismatchError as error:
            raise error.inside(f".{name}") from None
    for name in reader.required:
        if name not in values:
            raise _MismatchError(f"has no {name!r}, which it needs")
    return cls(**values)


def _reader(cls: type) -> _Reader:
    required = tuple(
        field.name
        for field in dataclasses.fields(cls)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    )
    return _Reader({name: _field(hint) for name, hint in get_type_hints(cls).items()}, required)


def _field(hint: Any) -> _Field:
    if hint is Any:
        return _Field(frozenset(), lambda value: value)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _Field(frozenset(), lambda value: _read(hint, value))
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple:
        return _Field(frozenset(), _list_of(_field(arguments[0])))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return _Field(frozenset(), _object_of(_field(arguments[1])))
    options = arguments if origin in (Union, types.UnionType) else (hint,)
    return _Field(frozenset(options), _scalar(hint, options))


def _list_of(inner: _Field) -> _Convert:
    def convert(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise _MismatchError(f"must be a list, not {value!r}")
        items = []
        for item in value:
            try:
                items.append(item if type(item) in inner.exact else inner.convert(item))
            except _MismatchError as error:
                raise error.inside(f"[{len(items)}]") from None
        return tuple(items)

    return convert


def _object_of(inner: _Field) -> _Convert:
    def convert(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise _MismatchError(f"must be an object, not {value!r}")
        items = {}
        for name, item in value.items():
            try:
                items[str(name)] = item if type(item) in inner.exact else inner.convert(item)
            except _MismatchError as error:
                raise error.inside(f".{name}") from None
        return items

    return convert


def _scalar(hint: Any, options: tuple[Any, ...]) -> _Convert:
    """Accept what is not exactly of the type but as good: an int for a float, a StrEnum for a str."""
    classes = tuple(option for option in options if option is not int and option is not bool)
    wanted = getattr(hint, "__name__", str(hint)) if len(options) == 1 else str(hint)

    def convert(value: Any) -> Any:
        if float in options and type(value) is int:
            return float(value)
        if isinstance(value, classes):
            return value
        raise _MismatchError(f"must be {wanted}, not {value!r}")

    return convert
