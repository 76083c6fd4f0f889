"""Environments and their packages, as data."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell import CondaDependencies, Environment, RunConfiguration, UsageError
from stepwell.authoring import conda_file
from stepwell.authoring.conda_file import CondaFile
from stepwell.authoring.later import NotThereYetError
from stepwell.core.spec import EnvironmentSpec

FILE = """\
# what the project needs
name: project
channels:
  - conda-forge
  - "defaults"
dependencies:
  - python=3.9
  - numpy>=1.20   # for arrays
  - pip:
    - --pre
    - azureml-free==1.0
  - scikit-learn
"""


def test_a_run_configuration_starts_with_the_submitting_interpreter() -> None:
    assert RunConfiguration().environment.spec == EnvironmentSpec()
    assert not RunConfiguration().environment.spec.must_be_built


def test_an_environment_without_packages_is_the_submitting_interpreter() -> None:
    spec = Environment("plain").spec

    assert (spec.name, spec.interpreter, spec.must_be_built) == ("plain", None, False)


def test_packages_would_have_to_be_built_unless_the_user_manages_them() -> None:
    environment = Environment("packages")
    environment.python.conda_dependencies = CondaDependencies.create(
        pip_packages=["requests"], conda_packages=["numpy"], pin_sdk_version=False
    )

    assert environment.spec.must_be_built
    assert (environment.spec.conda_packages, environment.spec.pip_packages) == (("numpy",), ("requests",))
    environment.python.user_managed_dependencies = True
    assert not environment.spec.must_be_built


def test_another_python_would_have_to_be_built_and_this_one_would_not() -> None:
    environment = Environment("python")
    environment.python.conda_dependencies.set_python_version("3.2")
    assert environment.spec.must_be_built

    environment.python.conda_dependencies.set_python_version(".".join(map(str, sys.version_info[:2])))
    assert not environment.spec.must_be_built


def test_the_python_of_the_sdk_s_default_is_no_wish() -> None:
    assert CondaDependencies.create().wanted_python is None
    assert CondaDependencies.create().get_python_version() == "3.10.18"
    assert CondaDependencies.create(python_version="3.12").wanted_python == "3.12"


def test_a_container_image_is_passed_on_when_it_is_asked_for() -> None:
    environment = Environment.from_docker_image("boxed", "example/image:1")
    assert environment.spec.docker_image == "example/image:1"

    environment.docker.enabled = False
    assert environment.spec.docker_image is None


def test_a_reference_to_a_registered_environment_is_refused() -> None:
    environment = RunConfiguration().environment
    environment.name, environment.version = "Shared", "3"

    with pytest.raises(UsageError) as caught:
        _ = environment.spec

    assert caught.value.message == (
        "environment 'Shared' version '3' is a reference to a registered environment,"
        " and environments cannot be registered yet"
    )


def test_the_registry_does_not_exist_yet() -> None:
    with pytest.raises(NotThereYetError) as caught:
        Environment.get(None, "Shared")

    assert str(caught.value) == (
        "Environment.get does not exist yet\n"
        "  try: make an Environment(name) and set its fields; registered environments do not exist yet"
    )


def test_a_clone_is_a_copy_under_another_name() -> None:
    environment = Environment("one")
    environment.environment_variables["A"] = "1"
    copied = environment.clone("two")
    copied.environment_variables["A"] = "2"

    assert (environment.name, copied.name) == ("one", "two")
    assert environment.environment_variables == {"A": "1"}


# --- conda dependencies


def test_packages_are_added_once_and_removed_with_or_without_their_version() -> None:
    made = CondaDependencies()
    for package in ("numpy", "numpy", "scipy>=1.0"):
        made.add_conda_package(package)
    made.remove_conda_package("scipy")

    assert list(made.conda_packages) == ["numpy"]


def test_a_python_among_the_packages_is_the_version() -> None:
    made = CondaDependencies.create(conda_packages=["python==3.9.1", "numpy"])

    assert made.get_python_version() == "3.9.1"
    assert list(made.conda_packages) == ["numpy"]


def test_options_of_pip_are_no_packages() -> None:
    made = CondaDependencies.create(pip_packages=["a"], pip_indexurl="https://packages.example/simple")
    made.set_pip_option("--pre")
    made.set_pip_index_url("https://other.example/simple")

    assert list(made.pip_packages) == ["a"]
    assert set(made.pip_options) == {"--pre", "--index-url https://other.example/simple"}


def test_a_file_is_read_and_written_again(tmp_path: Path) -> None:
    path = tmp_path / "env.yml"
    path.write_text(FILE)
    made = CondaDependencies(path)

    assert list(made.conda_channels) == ["conda-forge", "defaults"]
    assert made.get_python_version() == "3.9"
    assert list(made.conda_packages) == ["numpy>=1.20", "scikit-learn"]
    assert list(made.pip_packages) == ["azureml-free==1.0"]
    again = CondaDependencies(tmp_path / made.save_to_file(tmp_path, "below/again.yml"))
    assert again.as_dict() == made.as_dict()
    assert again.as_dict()["dependencies"] == [
        *("python=3.9", "numpy>=1.20", "scikit-learn"),
        {"pip": ["--pre", "azureml-free==1.0"]},
    ]


def test_environments_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "env.yml").write_text(FILE)
    (tmp_path / "requirements.txt").write_text("# ours\nnumpy==2.0\n\n--pre\nrequests # http\n")

    conda = Environment.from_conda_specification("c", tmp_path / "env.yml")
    pip = Environment.from_pip_requirements("p", tmp_path / "requirements.txt")

    assert conda.spec.must_be_built
    assert pip.spec.pip_packages == ("numpy==2.0", "requests")


@pytest.mark.parametrize(
    ("text", "line", "shown"),
    [
        ("name: a\ndependencies: [numpy]\n", 2, "dependencies: [numpy]"),
        ("dependencies:\n- numpy: 1\n- &x a\n", 3, "&x a"),
        ("- numpy\n", 1, "- numpy"),
        ("stages:\n", 1, "stages:"),
        ("dependencies:\n  - pip:\n    - 'open\n", 3, "'open"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, line: int, shown: str) -> None:
    with pytest.raises(UsageError) as caught:
        conda_file.parse(text, "env.yml")

    assert caught.value.message == f"env.yml:{line}: cannot read {shown!r} in a conda file"


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the conda file .*: No such file or directory"):
        CondaDependencies(tmp_path / "none.yml")


packages = st.lists(
    st.from_regex(r"[a-z][a-z0-9_.-]{0,10}((==|>=|<)[0-9][0-9.]{0,5})?", fullmatch=True), max_size=4, unique=True
)


@given(packages, packages, packages)
def test_what_is_written_is_read_back(channels: list[str], conda: list[str], pip: list[str]) -> None:
    file = CondaFile("project", channels, conda, ["--pre", "-r 'a b'.txt", *pip])

    assert conda_file.parse(conda_file.render(file)) == file
