"""The package itself: every name is there, nothing is loaded before it is used."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys

import pytest

import stepwell
from stepwell.api import wire


def test_every_public_name_arrives_and_is_what_it_says() -> None:
    for name in stepwell.__all__:
        value = getattr(stepwell, name)
        assert value.__name__ == name
        assert value.__doc__ or issubclass(value, stepwell.StepwellError)


def test_the_names_are_the_same_for_people_and_for_type_checkers() -> None:
    tree = ast.parse(inspect.getsource(stepwell))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {
        alias.asname or alias.name
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom) and node.module != "typing"
        for alias in node.names
    }

    assert imported == set(stepwell.__all__) == {name for names in stepwell._MODULES.values() for name in names}
    assert stepwell.__all__ == sorted(stepwell.__all__)
    assert set(stepwell.__all__) < set(dir(stepwell))


def test_what_does_not_exist_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'stepwell' has no attribute 'Dataset'"):
        stepwell.Dataset  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Schedule' from 'stepwell'"):
        exec("from stepwell import Schedule")


def test_the_version_is_the_one_on_the_wire() -> None:
    assert stepwell.__version__ == wire.VERSION


def test_importing_the_package_loads_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import stepwell; print(sorted(set(sys.modules) - before))"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert loaded == "['__future__', 'stepwell']\n"


def test_in_a_step_run_is_the_step_s_own() -> None:
    code = "import stepwell, sys; print(stepwell.Run.__module__, 'stepwell.authoring.runs' in sys.modules)"

    inside = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "STEPWELL_ATTEMPT_DIR": "/nowhere"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert inside.stdout == "stepwell_step.run False\n"
    assert stepwell.Run.__module__ == "stepwell.authoring.runs"
