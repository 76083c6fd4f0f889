from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.strategies import manifests, step_specs, words
from stepwell.core.manifest import (
    KEY_VERSION,
    Manifest,
    Part,
    difference,
    fingerprint,
    recipe,
    with_inputs,
)
from stepwell.core.spec import (
    Argument,
    EnvironmentSpec,
    InputSpec,
    OutputSpec,
    Resources,
    RetrySpec,
    StepSpec,
)

A, B, C = "a" * 64, "b" * 64, "c" * 64
TRAIN = StepSpec(
    key="train",
    name="train",
    kind="python_script",
    settings={"script_name": "train.py"},
    source_directory="/home/ada/digits",
    arguments=(
        Argument(text="--epochs"),
        Argument(param="epochs"),
        Argument(text="--out"),
        Argument(output="model"),
    ),
    inputs=(InputSpec("clean", "prepare", "clean"),),
    outputs=(OutputSpec("model"),),
    params={"seed": Argument(text="7")},
    environment_variables={"LEVEL": "info"},
    pass_env=("TOKEN",),
)
FACTS: dict[str, Any] = {
    "type_version": "1",
    "parameters": {"epochs": 5, "lr": 0.1},
    "source": A,
    "hash_paths": {"data.csv": B},
    "environment": {"implementation": "cpython", "version": "3.11.7", "distributions": f"tree:{C}"},
    "variables": {"LEVEL": "info", "TOKEN": "s3cret"},
}


def made(step: StepSpec = TRAIN, **facts: Any) -> Manifest:
    return recipe(step, **{**FACTS, **facts})


def test_the_fingerprint_of_a_fixed_step_is_fixed() -> None:
    """When this changes, nothing stored is reused any more: raise KEY_VERSION, and tell users."""
    assert made().digest == "0cbe237da3de729dec20ef900b47c425a3e327df54554dc62e04855d983a346b"
    assert fingerprint(made(), {"clean": B}) == "d6ec30ef55167022b88044c580f4d98e00e6dcde457408a322c308ea95ead550"


def test_a_recipe_holds_what_counts_and_nothing_else() -> None:
    assert made().to_wire() == {
        "key": {"version": KEY_VERSION},
        "type": {"kind": "python_script", "version": "1"},
        "settings": {"script_name": '"train.py"'},
        "arguments": {"0": "--epochs", "1": "{param:epochs}", "2": "--out", "3": "{output:model}"},
        "params": {"seed": "7"},
        "parameters": {"epochs": "5"},
        "source": {"folder": f"tree:{A}"},
        "hash_paths": {"data.csv": B},
        "reads": {"clean": "mount"},
        "writes": {"model": '["mount",null,"workspaceblobstore",null,false,false]'},
        "environment": {"implementation": "cpython", "version": "3.11.7", "distributions": f"tree:{C}"},
        "variables": {
            "LEVEL": "info",
            "TOKEN": "blake3:82b79bc289738ff7fdab45bead62b77d7a6001f0c760b9a3d6ee80e2457d16f6",
        },
    }


@pytest.mark.parametrize(
    "other",
    [
        {"key": "fit", "name": "fit"},
        {"source_directory": "/elsewhere/digits"},
        {"compute_target": "gpu"},
        {"resources": Resources(cpus=8, memory_mib=4096, gpus=1)},
        {"timeout_s": 60.0},
        {"retry": RetrySpec(count=3)},
        {"run_after": ("report",)},
        {"allow_reuse": False},
        {"warm": False},
        {"environment": EnvironmentSpec(interpreter="/usr/bin/python3")},
        {"inputs": (InputSpec("clean", "prepare2", "other"),)},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_does_not_count_leaves_the_recipe_as_it_is(other: dict[str, Any]) -> None:
    assert made(replace(TRAIN, **other)).digest == made().digest


@pytest.mark.parametrize(
    ("step", "facts"),
    [
        ({"kind": "command"}, {}),
        ({}, {"type_version": "2"}),
        ({"settings": {"script_name": "fit.py"}}, {}),
        ({"version": "2"}, {}),
        ({"arguments": TRAIN.arguments[::-1]}, {}),
        ({"arguments": ()}, {}),
        ({"params": {"seed": Argument(text="8")}}, {}),
        ({"params": {"seed": Argument(param="epochs")}}, {}),
        ({}, {"parameters": {"epochs": 6}}),
        ({}, {"parameters": {"epochs": "5"}}),
        ({}, {"source": B}),
        ({}, {"source": None}),
        ({}, {"hash_paths": {"data.csv": A}}),
        ({}, {"hash_paths": {"other.csv": B}}),
        ({"inputs": (InputSpec("clean", "prepare", "clean", mode="download"),)}, {}),
        ({"inputs": (InputSpec("dirty", "prepare", "clean"),)}, {}),
        ({"outputs": (OutputSpec("model", is_directory=True),)}, {}),
        ({"outputs": (OutputSpec("model"), OutputSpec("report"))}, {}),
        ({}, {"environment": {"version": "3.12.1"}}),
        ({}, {"variables": {"LEVEL": "debug", "TOKEN": "s3cret"}}),
        ({}, {"variables": {"LEVEL": "info", "TOKEN": "other"}}),
        ({}, {"variables": {"LEVEL": "info"}}),
        ({"node_count": 2}, {}),
        ({"process_count_per_node": 2}, {}),
    ],
)
def test_whatever_counts_changes_the_recipe_and_is_named(step: dict[str, Any], facts: dict[str, Any]) -> None:
    other = made(replace(TRAIN, **step), **facts)

    assert other.digest != made().digest
    assert difference(made(), other, lambda digest: {})


def test_a_parameter_that_the_step_does_not_mention_does_not_count() -> None:
    assert made(parameters={"epochs": 5, "lr": 0.5}).digest == made().digest


def test_the_command_of_a_shell_step_is_one_text_however_it_is_cut() -> None:
    shell = StepSpec("s", "s", "command", {"shell": True}, arguments=(Argument(text="echo a"),))
    pieces = replace(shell, arguments=(Argument(text="echo "), Argument(text="a")))

    assert made(shell).digest == made(pieces).digest
    assert made(shell).items["arguments"] == {"command": "echo a"}


def test_a_value_that_is_passed_through_is_not_kept_in_clear() -> None:
    assert "s3cret" not in str(made().to_wire())


def test_the_content_of_inputs_decides_together_with_the_recipe() -> None:
    marks = {
        fingerprint(made(), {"clean": A}),
        fingerprint(made(), {"clean": B}),
        fingerprint(made(), {"dirty": A}),
        fingerprint(made(), {"clean": A, "dirty": B}),
        fingerprint(made(), {}),
        fingerprint(made(source=B), {"clean": A}),
    }

    assert len(marks) == 6


def test_two_parts_with_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^two parts with one name in \['a', 'a'\]$"):
        Manifest((Part("a", {}), Part("a", {"b": "c"})))


@given(manifests(), st.randoms(use_true_random=False))
def test_the_order_of_parts_and_items_never_matters_to_a_digest(manifest: Manifest, random: Random) -> None:
    parts = [Part(part.name, dict(random.sample(list(part.items.items()), len(part.items)))) for part in manifest.parts]
    random.shuffle(parts)

    assert Manifest(tuple(parts)).digest == manifest.digest


@given(manifests(), st.dictionaries(words, st.sampled_from((A, B)), max_size=3))
def test_a_fingerprint_is_the_digest_of_the_whole_manifest(manifest: Manifest, inputs: dict[str, str]) -> None:
    plain = Manifest(tuple(part for part in manifest.parts if part.name != "inputs"))

    assert with_inputs(plain, inputs).digest == fingerprint(plain, inputs)


@given(manifests())
def test_a_manifest_comes_back_from_the_wire_as_it_was(manifest: Manifest) -> None:
    again = Manifest.from_wire(manifest.to_wire())

    assert again == manifest
    assert again.digest == manifest.digest


LISTINGS = {"a": {"x.py": "file 1"}, "b": {"x.py": "file 2", "y.py": "file 1"}}


@given(manifests(), manifests())
def test_a_difference_is_empty_exactly_when_the_digests_are_equal(before: Manifest, after: Manifest) -> None:
    changes = difference(before, after, lambda digest: LISTINGS.get(digest, {}))

    assert (not changes) == (before.digest == after.digest)
    assert all(change.sentence().isprintable() for change in changes)


@given(step_specs(0), step_specs(0))
def test_two_steps_that_differ_in_what_counts_are_told_apart_in_words(left: StepSpec, right: StepSpec) -> None:
    facts = {**FACTS, "hash_paths": {}, "variables": {}}
    names = left.used_parameters() | right.used_parameters()
    facts["parameters"] = dict.fromkeys(names, 1)
    before, after = recipe(left, **facts), recipe(right, **facts)

    changes = difference(before, after, lambda digest: {})

    assert (not changes) == (before.digest == after.digest)
    assert all(change.sentence().isprintable() for change in changes)
