"""What counts for reuse, as named parts: one walk over a step, two readers.

The digest decides whether a result may be reused; the text says what is different when it may
not. Both read the same parts, so an explanation can neither miss nor invent a difference.

    key          how manifests are made: another number here, and nothing older is reused
    type         kind of the step, and the version of its step type
    settings     what the step type needs to know, as JSON ({"script_name": "\\"train.py\\""})
    version      the step's own `version=`
    arguments    the command, symbolically (see `symbols`): by position, or one shell text
    params       variables AML_PARAMETER_*, symbolically
    parameters   values of the pipeline parameters the step mentions, as JSON
    source       {"folder": "tree:<digest>"}: "tree:" names a listing that can be opened
    hash_paths   path -> digest
    reads        input name -> mode;       writes   output name -> declaration, as JSON
    environment  what the interpreter is;  variables   name -> value, a digest for those of pass_env
    processes    node and process counts, where they are not 1
    inputs       input name -> digest of its content; absent in a recipe

A recipe is a manifest without `inputs`: all that is known before the steps above have run.
Not in it: the step's name, compute target, resources, timeout, retries, labels, absolute paths.
A part that would be empty is left out, so that a new one does not make old results worthless.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from blake3 import blake3

from stepwell.core.changes import Change, Opened, compare
from stepwell.core.spec import InputSpec, OutputSpec, Scalar, StepSpec
from stepwell.core.symbols import symbol

__all__ = ["KEY_VERSION", "Change", "Manifest", "Part", "difference", "fingerprint", "recipe", "with_inputs"]

KEY_VERSION = "1"
_INPUTS = "inputs"
_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode


@dataclass(frozen=True, slots=True)
class Part:
    """One named part; `items` are text by name."""

    name: str
    items: Mapping[str, str]


@dataclass(frozen=True)
class Manifest:
    """What a step is, as far as it counts. The order of parts, and of items in them, never does."""

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        if len(self.items) < len(self.parts):
            raise ValueError(f"two parts with one name in {[part.name for part in self.parts]}")

    @cached_property
    def items(self) -> Mapping[str, Mapping[str, str]]:
        """The items of every part, by its name."""
        return {part.name: part.items for part in self.parts}

    @cached_property
    def digest(self) -> str:
        """Of the parts as canonical JSON; then of that digest and the inputs, where they are known."""
        parts = {name: dict(items) for name, items in self.items.items() if name != _INPUTS}
        recipe_digest = blake3(_json(parts).encode("ascii")).hexdigest()
        inputs = self.items.get(_INPUTS)
        return recipe_digest if inputs is None else _with_content(recipe_digest, inputs)

    def to_wire(self) -> dict[str, dict[str, str]]:
        """Return plain data: items by part. `from_wire` is its inverse, but for the order of parts."""
        return {name: dict(items) for name, items in self.items.items()}

    @classmethod
    def from_wire(cls, data: Mapping[str, Mapping[str, str]]) -> Manifest:
        return cls(tuple(Part(name, dict(items)) for name, items in data.items()))


def recipe(
    step: StepSpec,
    *,
    type_version: str,
    parameters: Mapping[str, Scalar],
    source: str | None,
    hash_paths: Mapping[str, str],
    environment: Mapping[str, str],
    variables: Mapping[str, str],
) -> Manifest:
    """Return the manifest of `step` before its inputs are known.

    `source` is the digest of its frozen folder; of `parameters` (name -> value) only those the
    step mentions count. Raises KeyError when a mentioned one is missing. O(size of the step).
    """
    parts = {
        "key": {"version": KEY_VERSION},
        "type": {"kind": step.kind, "version": type_version},
        "settings": {name: _json(value) for name, value in step.settings.items()},
        "version": {} if step.version is None else {"version": step.version},
        "arguments": _command(step),
        "params": {name: symbol(argument) for name, argument in step.params.items()},
        "parameters": {name: _json(parameters[name]) for name in step.used_parameters()},
        "source": {} if source is None else {"folder": f"tree:{source}"},
        "hash_paths": dict(hash_paths),
        "reads": {port.name: _reading(port) for port in step.inputs},
        "writes": {port.name: _writing(port) for port in step.outputs},
        "environment": dict(environment),
        "variables": _variables(step, variables),
        "processes": _processes(step),
    }
    return Manifest(tuple(Part(name, items) for name, items in parts.items() if items))


def with_inputs(step_recipe: Manifest, inputs: Mapping[str, str]) -> Manifest:
    """Return the whole manifest: `inputs` are digests of content by input name."""
    return Manifest((*step_recipe.parts, Part(_INPUTS, dict(inputs))))


def fingerprint(step_recipe: Manifest, inputs: Mapping[str, str]) -> str:
    """Return `with_inputs(step_recipe, inputs).digest` without making that manifest (some 4 us)."""
    return _with_content(step_recipe.digest, inputs)


def difference(
    before: Manifest,
    after: Manifest,
    expand: Callable[[str], Mapping[str, str]],
    opened: Opened | None = None,
) -> tuple[Change, ...]:
    """Return what differs, most telling first; empty exactly when the digests are equal.

    `expand` opens the listing with a digest (path -> what is there); where it answers with an
    empty one, the listing is no longer there and is named as a whole. `opened`: see `compare`.
    """
    return compare(before.items, after.items, expand, opened)


def _with_content(recipe_digest: str, inputs: Mapping[str, str]) -> str:
    return blake3(_json([recipe_digest, sorted(inputs.items())]).encode("ascii")).hexdigest()


def _command(step: StepSpec) -> dict[str, str]:
    if step.settings.get("shell"):
        return {"command": "".join(map(symbol, step.arguments))}
    return {str(position): symbol(argument) for position, argument in enumerate(step.arguments)}


def _reading(port: InputSpec) -> str:
    if port.path_on_compute is None:
        return port.mode
    return f"{port.mode} {_json([port.path_on_compute, port.overwrite])}"


def _writing(port: OutputSpec) -> str:
    return _json([port.mode, port.path_on_compute, port.datastore, port.is_directory, port.overwrite, port.optional])


def _variables(step: StepSpec, variables: Mapping[str, str]) -> dict[str, str]:
    """A value that is passed through from the submitter may be a secret: only its digest is kept."""
    plain = step.environment_variables
    return {
        name: value if name in plain else f"blake3:{blake3(value.encode('utf-8', 'surrogateescape')).hexdigest()}"
        for name, value in variables.items()
    }


def _processes(step: StepSpec) -> dict[str, str]:
    counts = {"node_count": step.node_count, "process_count_per_node": step.process_count_per_node}
    return {name: str(count) for name, count in counts.items() if count != 1}
