"""`Environment`: the interpreter and packages a step runs with, as data.

For now a step runs in an interpreter that is there: the one that submits, or the one that
`python.interpreter_path` names. An environment that lists packages and is not
`user_managed_dependencies` would have to be built, and is refused when the run is submitted.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stepwell.authoring.conda_dependencies import CondaDependencies
from stepwell.authoring.later import Later, no_others, not_yet
from stepwell.core.spec import EnvironmentSpec
from stepwell.errors import UsageError

_PLAIN = EnvironmentSpec()
_REGISTRY = "make an Environment(name) and set its fields; registered environments do not exist yet"
_IMAGES = "Environment(name) with user_managed_dependencies=True runs in an interpreter of this machine"


class PythonSection:
    """`interpreter_path` is `python` for the submitting interpreter, or another one's path or command."""

    def __init__(self) -> None:
        self.interpreter_path: str = "python"
        self.user_managed_dependencies: bool = False
        self.conda_dependencies: CondaDependencies = CondaDependencies()
        self.conda_dependencies_file: str | None = None
        self.base_conda_environment: str | None = None


class DockerSection:
    """With `enabled` a step asks for a container, which no compute target offers yet.

    `base_image` and the rest count only then.
    """

    def __init__(self) -> None:
        self.enabled: bool = False
        self.base_image: str | None = None
        self.base_dockerfile: str | None = None
        self.build_context: object = None
        self.arguments: list[str] = []
        self.gpu_support: bool = True
        self.shared_volumes: bool = True
        self.shm_size: str | None = None


class SparkSection:
    """Accepted, and without meaning for steps that run as processes of this machine."""

    def __init__(self) -> None:
        self.repositories: list[str] = []
        self.packages: list[object] = []
        self.precache_packages: bool = True


class Environment:
    """A named environment; with no packages it is the interpreter that submits.

    `environment_variables` are set for the step and count for reuse.
    """

    get = Later(_REGISTRY)
    list = Later(_REGISTRY)
    label = Later(_REGISTRY)
    register = Later("pass the Environment to the RunConfiguration")
    build = Later(_IMAGES)
    build_local = Later(_IMAGES)
    get_image_details = Later(_IMAGES)
    add_private_pip_wheel = Later(_IMAGES)
    from_dockerfile = Later(_IMAGES)
    from_docker_build_context = Later(_IMAGES)
    load_from_directory = Later(_REGISTRY)
    save_to_directory = Later(_REGISTRY)
    from_existing_conda_environment = Later(
        "set python.interpreter_path to that environment's bin/python and user_managed_dependencies=True"
    )

    def __init__(self, name: str, **kwargs: object) -> None:
        no_others("Environment", kwargs)
        self.name: str | None = name
        self.version: str | None = None
        self.python = PythonSection()
        self.docker = DockerSection()
        self.spark = SparkSection()
        self.environment_variables: dict[str, str] = {}

    def clone(self, new_name: str) -> Environment:
        """Return a copy under another name."""
        made = copy.deepcopy(self)
        made.name = new_name
        made.version = None
        return made

    @staticmethod
    def from_conda_specification(name: str, file_path: str | Path) -> Environment:
        """Return an environment with the packages of a conda file. Raises UsageError where it cannot be read."""
        made = Environment(name)
        made.python.conda_dependencies = CondaDependencies(file_path)
        return made

    @staticmethod
    def from_pip_requirements(name: str, file_path: str | Path, pip_version: str | None = None) -> Environment:
        """Return an environment with the lines of a requirements file as pip packages."""
        try:
            text = Path(file_path).read_text(encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"cannot read the requirements {str(file_path)!r}: {error.strerror}", code="requirements"
            ) from error
        lines = (line.partition(" #")[0].strip() for line in text.splitlines())
        made = Environment(name)
        made.python.conda_dependencies.set_pip_requirements(line for line in lines if line and not line.startswith("#"))
        if pip_version is not None:
            made.python.conda_dependencies.add_conda_package(f"pip={pip_version}")
        return made

    @staticmethod
    def from_docker_image(
        name: str,
        image: str,
        container_registry: object = None,
        conda_specification: str | Path | None = None,
        pip_requirements: str | Path | None = None,
    ) -> Environment:
        """Return an environment that asks for a container image; a run with it is refused at submit for now."""
        if conda_specification is not None:
            made = Environment.from_conda_specification(name, conda_specification)
        elif pip_requirements is not None:
            made = Environment.from_pip_requirements(name, pip_requirements)
        else:
            made = Environment(name)
        made.docker.enabled = True
        made.docker.base_image = image
        return made

    @property
    def spec(self) -> EnvironmentSpec:
        """This environment as plain data. Raises UsageError for one that only refers to another."""
        if self.version is not None:
            raise UsageError(
                f"environment {self.name!r} version {self.version!r} is a reference to a registered environment,"
                " and environments cannot be registered yet",
                hint=_REGISTRY,
                code="environment_reference",
            )
        docker = self.docker
        if docker.enabled and docker.base_image is None:
            raise not_yet("a container built from a Dockerfile", _IMAGES)
        python, packages = self.python, self._packages()
        if python.base_conda_environment is not None:
            raise not_yet("PythonSection.base_conda_environment", "set interpreter_path to its bin/python")
        conda, pip = tuple(packages.conda_packages), tuple(packages.pip_packages)
        if packages.wanted_python is not None and not _is_running(packages.wanted_python):
            conda = (f"python={packages.wanted_python}", *conda)
        return EnvironmentSpec(
            name=self.name,
            interpreter=None if python.interpreter_path == "python" else python.interpreter_path,
            user_managed=bool(python.user_managed_dependencies) or not (conda or pip),
            conda_packages=conda,
            pip_packages=pip,
            python_version=packages.wanted_python,
            docker_image=docker.base_image if docker.enabled else None,
        )

    def _packages(self) -> CondaDependencies:
        file = self.python.conda_dependencies_file
        return self.python.conda_dependencies if file is None else CondaDependencies(file)

    def __repr__(self) -> str:
        return f"Environment({self.name!r})"


def plain_environment() -> EnvironmentSpec:
    """Return what a step has that says nothing: no packages, the submitting interpreter."""
    return _PLAIN


def variables(given: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> dict[str, str]:
    """Return environment variables as text. Raises TypeError for a name that is none."""
    found = {}
    for name, value in dict(given).items():
        if not isinstance(name, str):
            raise TypeError(f"an environment variable is named by a text, not by {name!r}")
        found[name] = value if isinstance(value, str) else str(value)
    return found


def _is_running(version: str) -> bool:
    """Say whether `version`, perhaps given in part, is that of this interpreter."""
    wanted = version.split(".")
    return wanted == [str(part) for part in sys.version_info[: min(len(wanted), 3)]]
