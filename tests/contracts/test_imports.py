"""Who imports whom, asked of the real interpreter and of import-linter."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.sizes import REPOSITORY

HEAVY = {
    "sqlmodel", "sqlalchemy", "starlette", "fastapi", "pydantic", "httpx", "textual", "watchdog", "pynvml",
    "numpy", "pandas", "torch", "uvicorn", "asyncio", "psutil", "rich", "importlib.metadata", "email",
}  # fmt: skip
LIGHT_DOORS = ("stepwell", "stepwell.cli.main", "stepwell.api.client")


def modules_loaded_by(statement: str) -> set[str]:
    """Return the names in `sys.modules` of a fresh interpreter after `statement`."""
    code = f"{statement}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("door", LIGHT_DOORS)
def test_a_door_that_every_command_opens_loads_nothing_heavy(door: str) -> None:
    loaded = modules_loaded_by(f"import {door}")

    assert loaded & HEAVY == set()


def test_the_public_names_are_lazy_and_all_of_them_arrive() -> None:
    loaded = modules_loaded_by("import stepwell")
    every_name = modules_loaded_by("from stepwell import *")

    assert not any(name.startswith("stepwell.authoring.") for name in loaded)
    assert any(name.startswith("stepwell.authoring.") for name in every_name)
    assert every_name & (HEAVY - {"importlib.metadata", "email"}) == set()


def test_help_imports_no_verb() -> None:
    loaded = modules_loaded_by(
        "import sys; sys.argv = ['stepwell', '--help']; sys.stdout = open('/dev/null', 'w')\n"
        "from stepwell.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    sys.stdout = sys.__stdout__"
    )

    assert {name for name in loaded if name.startswith("stepwell.cli.")} == {"stepwell.cli.main"}
    assert loaded & HEAVY == set()


def test_the_island_is_imported_by_itself() -> None:
    loaded = modules_loaded_by("import stepwell_step.run, stepwell_step.metrics, stepwell_step.attempt")

    assert not any(name == "stepwell" or name.startswith("stepwell.") for name in loaded)
    assert loaded & HEAVY == set()


def test_the_import_contracts_hold() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_the_models_of_the_laws_share_no_code_with_what_they_judge() -> None:
    judged = ("stepwell.core", "stepwell.content")
    models = sorted((REPOSITORY / "tests" / "models").rglob("*.py"))

    guilty = [
        f"{path.relative_to(REPOSITORY)} imports {name}"
        for path in models
        for name in _imports(path)
        if name.startswith(judged)
    ]

    assert models
    assert guilty == []


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("engine/stepwell/core", ("blake3", "stepwell.core", "stepwell.errors")),
        ("engine/stepwell_step", ("stepwell_step",)),
    ],
)
def test_pure_code_and_the_island_import_the_standard_library_and_little_else(
    folder: str, allowed: tuple[str, ...]
) -> None:
    foreign = [
        f"{path.relative_to(REPOSITORY)} imports {name}"
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
        if "importable" not in path.parts  # the thin `stepwell` that steps see, which is ours by name
        for name in _imports(path)
        if name.partition(".")[0] not in sys.stdlib_module_names
        and not any(name == known or name.startswith(f"{known}.") for known in allowed)
    ]

    assert foreign == []


def test_the_engine_names_neither_the_studio_nor_a_plugin() -> None:
    named = {
        name.partition(".")[0]
        for path in (REPOSITORY / "engine").rglob("*.py")
        for name in _imports(path)
        if name.startswith("stepwell_")
    }

    assert named == {"stepwell_step"}


def _imports(path: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names
