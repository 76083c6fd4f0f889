"""`CondaDependencies`: the packages of an environment, as data. Nothing is resolved or installed here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from stepwell.authoring import conda_file
from stepwell.authoring.conda_file import CondaFile
from stepwell.authoring.later import Later

DEFAULT_PYTHON = "3.10.18"
_PYTHON = re.compile(r"python\s*=")


class CondaDependencies:
    """Conda and pip packages and a Python version; empty unless made from a file.

    A step whose environment lists packages is refused at submit until environments can be built;
    one without packages runs in the interpreter that submits.
    """

    add_cntk_package = Later("add_pip_package, with the name of the package")
    add_tensorflow_conda_package = Later("add_conda_package('tensorflow')")
    add_tensorflow_pip_package = Later("add_pip_package('tensorflow')")

    def __init__(self, conda_dependencies_file_path: str | Path | None = None) -> None:
        self._file = CondaFile()
        self._python: str | None = None
        if conda_dependencies_file_path is not None:
            self._take(conda_file.read(Path(conda_dependencies_file_path)))

    @staticmethod
    def create(
        pip_indexurl: str | None = None,
        pip_packages: Sequence[str] | None = None,
        conda_packages: Sequence[str] | None = None,
        python_version: str = DEFAULT_PYTHON,
        pin_sdk_version: bool = True,
    ) -> CondaDependencies:
        """Return dependencies of these packages. `pin_sdk_version` is accepted and means nothing here."""
        made = CondaDependencies()
        for package in conda_packages or ():
            made.add_conda_package(package)
        for package in pip_packages or ():
            made.add_pip_package(package)
        if pip_indexurl is not None:
            made.set_pip_index_url(f"--index-url {pip_indexurl}")
        if python_version != DEFAULT_PYTHON:
            made.set_python_version(python_version)
        return made

    @property
    def conda_packages(self) -> Iterable[str]:
        return iter(self._file.conda)

    @property
    def conda_channels(self) -> Iterable[str]:
        return iter(self._file.channels)

    @property
    def pip_packages(self) -> Iterable[str]:
        return (item for item in self._file.pip if not item.startswith("-"))

    @property
    def pip_options(self) -> Iterable[str]:
        return (item for item in self._file.pip if item.startswith("-"))

    @property
    def wanted_python(self) -> str | None:
        """The Python version that was asked for; None where none was."""
        return self._python

    def get_python_version(self) -> str:
        return self._python or DEFAULT_PYTHON

    def set_python_version(self, version: str) -> None:
        self._python = str(version)

    def get_default_number_of_packages(self) -> int:
        """Return how many packages an empty object has: none."""
        return 0

    def add_channel(self, channel: str) -> None:
        _add(self._file.channels, channel)

    def remove_channel(self, channel: str) -> None:
        _remove(self._file.channels, channel)

    def add_conda_package(self, conda_package: str) -> None:
        """Add a conda package; `python=3.11` sets the Python version instead."""
        if _PYTHON.match(conda_package):
            self.set_python_version(conda_package.partition("=")[2].lstrip("="))
        else:
            _add(self._file.conda, conda_package)

    def remove_conda_package(self, conda_package: str) -> None:
        _remove(self._file.conda, conda_package)

    def add_pip_package(self, pip_package: str) -> None:
        _add(self._file.pip, pip_package)

    def remove_pip_package(self, pip_package: str) -> None:
        _remove(self._file.pip, pip_package)

    def set_pip_option(self, pip_option: str) -> None:
        """Add an option line such as `--pre`; one that sets the same option is replaced."""
        self.remove_pip_option(pip_option)
        self._file.pip.insert(0, pip_option)

    def remove_pip_option(self, pip_option: str) -> None:
        word = pip_option.split(maxsplit=1)[0]
        self._file.pip[:] = [item for item in self._file.pip if item.split(maxsplit=1)[0] != word]

    def set_pip_index_url(self, index_url: str) -> None:
        self.set_pip_option(index_url if index_url.startswith("-") else f"--index-url {index_url}")

    def set_pip_requirements(self, pip_requirements: Iterable[str]) -> None:
        """Replace all pip packages and options."""
        self._file.pip[:] = list(pip_requirements)

    @staticmethod
    def merge_requirements(requirements: Iterable[str]) -> list[str]:
        """Return requirements without those that occur twice, in the order of their first occurrence."""
        return list(dict.fromkeys(requirements))

    def as_dict(self) -> dict[str, Any]:
        """Return what a conda environment file of these packages says."""
        python = [f"python={self._python}"] if self._python else []
        pip = [{"pip": list(self._file.pip)}] if self._file.pip else []
        plain: dict[str, Any] = {"name": self._file.name, "dependencies": [*python, *self._file.conda, *pip]}
        if self._file.channels:
            plain["channels"] = list(self._file.channels)
        return plain

    def serialize_to_string(self) -> str:
        """Return the text of a conda environment file."""
        python = [f"python={self._python}"] if self._python else []
        file = self._file
        return conda_file.render(CondaFile(file.name, file.channels, [*python, *file.conda], file.pip))

    def save(self, path: str | Path | None = None) -> str:
        """Write a conda environment file (`conda_dependencies.yml` of the current folder) and return its path."""
        target = Path(path) if path is not None else Path("conda_dependencies.yml")
        target.write_text(self.serialize_to_string(), encoding="utf-8")
        return str(target)

    def save_to_file(self, base_directory: str | Path, conda_file_path: str | Path | None = None) -> str:
        """Write a conda environment file below `base_directory` and return its path relative to that."""
        relative = Path(conda_file_path or "conda_dependencies.yml")
        (Path(base_directory) / relative).parent.mkdir(parents=True, exist_ok=True)
        self.save(Path(base_directory) / relative)
        return str(relative)

    def _take(self, file: CondaFile) -> None:
        self._file = CondaFile(file.name, file.channels, [], file.pip)
        for package in file.conda:
            self.add_conda_package(package)


def _add(items: list[str], item: str) -> None:
    if not isinstance(item, str) or not item.strip():
        raise ValueError(f"a package is named by a text, not by {item!r}")
    if item not in items:
        items.append(item)


def _remove(items: list[str], item: str) -> None:
    """Take `item` out where it is; it may be given without its version."""
    items[:] = [found for found in items if found != item and re.split(r"[=<>!~\[; ]", found)[0] != item]
