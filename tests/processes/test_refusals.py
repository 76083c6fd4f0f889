"""What cannot work is refused at submit, in words that say what there is; nothing is left behind."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from stepwell.core.spec import Argument, EnvironmentSpec, InputSpec, ParameterSpec, Resources, StepSpec
from stepwell.errors import NotFoundError, UsageError
from support.live import Live, python, shell


def words(key: str, *texts: str) -> StepSpec:
    """Return a step that runs words as they are."""
    return replace(shell(key, ""), settings={"shell": False}, arguments=tuple(Argument(text=text) for text in texts))


def refused(live: Live, *steps: StepSpec, **fields: object) -> str:
    """Submit, expect a refusal, and return what it says; no run may have been made."""
    with pytest.raises(UsageError) as caught:
        live.submit(*steps, **fields)
    assert live.client.get("/v1/runs")["runs"] == []
    return str(caught.value)


def test_a_cycle_is_printed_as_one(live: Live) -> None:
    said = refused(live, shell("a", "true", run_after=("b",)), shell("b", "true", run_after=("a",)))

    assert "a -> b -> a" in said


def test_an_unknown_step_is_told_with_those_there_are(live: Live) -> None:
    said = refused(live, shell("prepare", "true"), shell("train", "true", run_after=("prepar",)))

    assert "'prepar'" in said
    assert "prepare" in said.split("there is:")[1]


def test_an_unknown_output_is_told_with_those_there_are(live: Live) -> None:
    reads = (InputSpec("x", "make", "modle"),)
    said = refused(live, shell("make", "true", writes=["model"]), replace(shell("use", "true"), inputs=reads))

    assert "'modle'" in said
    assert "model" in said


def test_an_unknown_compute_target_is_told_with_those_there_are(live: Live) -> None:
    said = refused(live, shell("train", "true", compute_target="loacl"))

    assert "no compute target named 'loacl' (there is: local)" in said
    assert "try: did you mean 'local'?" in said


def test_more_than_the_machine_has_is_refused_and_says_what_it_has(live: Live) -> None:
    said = refused(live, shell("huge", "true", resources=Resources(cpus=100_000)))

    assert "100000" in said.replace(",", "").replace("_", "")
    assert "huge" in said


def test_an_unknown_parameter_is_told_with_those_there_are(live: Live) -> None:
    declared = (ParameterSpec("epochs", "int", 5),)
    said = refused(live, shell("a", "true"), parameters=declared, values={"epoch": 6})

    assert "'epoch'" in said
    assert "epochs" in said


def test_a_parameter_of_the_wrong_type_is_refused(live: Live) -> None:
    said = refused(live, shell("a", "true"), parameters=(ParameterSpec("epochs", "int", 5),), values={"epochs": "many"})

    assert "'many'" in said
    assert "int" in said


def test_a_script_that_is_not_there_is_told_with_those_there_are(live: Live, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("")

    said = refused(live, python("train", tmp_path, "trian.py"))

    assert f"step 'train' runs 'trian.py', which is not in {str(tmp_path)!r} (there is: train.py)" in said
    assert "try: did you mean 'train.py'?" in said


def test_a_source_directory_that_is_not_there_is_told(live: Live, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()

    said = refused(live, python("train", tmp_path / "sourec", "train.py"))

    assert "which is not there" in said
    assert "did you mean 'source'?" in said


def test_an_environment_that_must_be_built_is_refused(live: Live) -> None:
    built = EnvironmentSpec(name="sk", user_managed=False, pip_packages=("scikit-learn",))

    said = refused(live, shell("train", "true", environment=built))

    assert "needs an environment built for it" in said
    assert "user_managed_dependencies=True" in said


def test_an_unknown_step_type_is_told_with_those_there_are(live: Live) -> None:
    said = refused(live, replace(shell("a", "true"), kind="pyhton_script"))

    assert "no step type named 'pyhton_script' (there is: command, python_script)" in said


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 5000])
def test_a_name_that_cannot_be_one_is_refused(live: Live, name: str) -> None:
    assert refused(live, replace(shell("a", "true"), key=name, name=name))


def test_a_run_that_is_not_there_is_told(live: Live) -> None:
    with pytest.raises(NotFoundError, match="no run '999'"):
        live.show("999")


@pytest.mark.parametrize(
    "name",
    [
        "with space",
        'it\'s "quoted"',
        "new\nline",
        "émoji 🐍",
        "-leading-dash",
        "../../escape",
        "/absolute",
        "con",
        "a" * 255,
    ],
)
def test_odd_names_are_only_names(live: Live, name: str) -> None:
    step = replace(shell("x", "echo made > $out_o", writes=["o"]), key=name, name=name)

    run = live.run(step, shell("reads", "cat $in_i", reads={"i": (name, "o")}))

    assert run["status"] == "Finished", run
    assert live.log(run["run"], "reads") == "made\n"
    assert not (live.home.root.parent / "escape").exists()


@pytest.mark.parametrize("word", ["", "two words", "new\nline", "🐍", "'\"$HOME`id`\\", "-x", "x" * 131_000])
def test_a_word_reaches_the_program_exactly(live: Live, word: str) -> None:
    say = "import sys; sys.stdout.write(repr(sys.argv[1:]))"

    run = live.run(words("says", sys.executable, "-I", "-S", "-c", say, word))

    assert live.log(run["run"], "says") == repr([word])


def test_a_word_beyond_the_kernels_limit_is_a_failure_that_says_so(live: Live) -> None:
    run = live.run(words("says", "/bin/echo", "x" * 200_000))

    assert run["status"] == "Failed"
    message = run["steps"][0]["error"]["message"]
    assert "argument 1 is 200000 bytes long (the kernel takes 131071)" in message
    assert "try: write them to a file and pass its path" in message


def test_a_program_that_is_not_there_is_named(live: Live) -> None:
    run = live.run(words("runs", "no-such-program"))

    assert run["steps"][0]["exit_code"] == 127
    assert "no-such-program" in run["steps"][0]["error"]["message"]
