"""What a step takes: ports, arguments, a target, and the engine's own keywords."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stepwell import (
    Environment,
    InputPortBinding,
    PipelineData,
    PipelineParameter,
    PipelineStep,
    PythonScriptStep,
    RetrySpec,
    RunConfiguration,
)
from stepwell.core.spec import Argument, Resources


def script(**fields: Any) -> PythonScriptStep:
    return PythonScriptStep("train.py", **fields)


def test_a_step_is_named_after_its_script() -> None:
    assert script().name == "train.py"
    assert script(name="train").name == "train"
    assert script().settings == {"script_name": "train.py"}


@pytest.mark.parametrize("given", ["", None, 5])
def test_a_step_needs_a_script(given: Any) -> None:
    with pytest.raises(ValueError, match="a PythonScriptStep needs a script_name, not "):
        PythonScriptStep(given)


def test_a_script_that_is_not_there_is_no_error_here(here: Path) -> None:
    assert PythonScriptStep("nowhere.py", source_directory=here / "nothing").source_directory == str(here / "nothing")


def test_a_plain_step_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="a PipelineStep is made as one of its kinds"):
        PipelineStep("x", None, None)


# --- arguments


def test_texts_numbers_paths_and_none_become_their_text() -> None:
    step = script(arguments=["--n", 5, 0.1, True, None, Path("a/b"), "", "two\nlines", "-"])

    assert [word.text for word in step.words] == ["--n", "5", "0.1", "True", "None", "a/b", "", "two\nlines", "-"]


def test_numbers_of_other_libraries_become_their_text() -> None:
    numpy = pytest.importorskip("numpy")

    assert [word.text for word in script(arguments=[numpy.int64(3), numpy.float32(0.5)]).words] == ["3", "0.5"]


def test_data_becomes_the_path_of_the_port_it_is() -> None:
    read, written = PipelineData("read"), PipelineData("written")

    step = script(arguments=["--in", read, "--out", written], inputs=[read], outputs=[written])

    assert step.words == (
        Argument(text="--in"),
        Argument(input="read"),
        Argument(text="--out"),
        Argument(output="written"),
    )


def test_data_that_is_listed_under_another_name_is_found_by_itself() -> None:
    data = PipelineData("clean")

    assert script(arguments=[data], inputs=[data.as_input("training")]).words == (Argument(input="training"),)
    assert script(arguments=[data.as_input()], inputs=[data]).words == (Argument(input="clean"),)
    assert script(arguments=[data.as_download("own")], inputs=[data.as_download("own")]).words == (
        Argument(input="own"),
    )


def test_of_two_bindings_of_one_data_the_argument_s_own_is_taken() -> None:
    data = PipelineData("clean")
    first, second = data.as_input("first"), data.as_download("second")

    step = script(arguments=[second, first, data], inputs=[first, second])

    assert [word.input for word in step.words] == ["second", "first", "first"]


@pytest.mark.parametrize("listed", [lambda data: data, lambda data: data.as_input("y")])
def test_data_that_is_in_neither_list_is_refused(listed: Any) -> None:
    data = PipelineData("clean")

    with pytest.raises(ValueError) as caught:
        script(arguments=[listed(data)])

    assert str(caught.value) == (
        "'clean' is used in the arguments, but is neither in the inputs nor in the outputs of the step"
    )


def test_equal_names_do_not_make_two_data_the_same() -> None:
    with pytest.raises(ValueError, match="'clean' is used in the arguments"):
        script(arguments=[PipelineData("clean")], inputs=[PipelineData("clean")])


@pytest.mark.parametrize("item", [["a"], {"a": 1}, ("a", "b"), {1}, object(), b"bytes"])
def test_a_list_or_another_thing_is_no_argument(item: Any) -> None:
    with pytest.raises(TypeError, match="an argument cannot be a "):
        script(arguments=[item])


@pytest.mark.parametrize("given", ["--n 5", {"a": 1}, 5])
def test_arguments_are_a_list(given: Any) -> None:
    with pytest.raises(TypeError, match="arguments must be a list, not "):
        script(arguments=given)


def test_a_parameter_becomes_its_value_later() -> None:
    step = script(arguments=["--n", PipelineParameter("n", 5)])

    assert step.words[1] == Argument(param="n")


def test_the_text_of_a_parameter_is_refused_for_it_would_not_be_its_value() -> None:
    with pytest.raises(ValueError) as caught:
        script(arguments=[f"--n={PipelineParameter('n', 5)}"])

    assert str(caught.value) == (
        "the argument '--n=PipelineParameter_Name:n_Default:5' holds the text of a PipelineParameter, not its value;"
        " give the parameter as an item of its own"
    )


def test_data_inside_a_text_becomes_its_path_too() -> None:
    read, written = PipelineData("read"), PipelineData("written")

    step = script(arguments=[f"--paths={read},{written}!"], inputs=[read], outputs=[written])

    assert step.words == (
        Argument(
            parts=(
                Argument(text="--paths="),
                Argument(input="read"),
                Argument(text=","),
                Argument(output="written"),
                Argument(text="!"),
            )
        ),
    )
    assert script(arguments=["${AZUREML_DATAREFERENCE_read}"], inputs=[read]).words == (Argument(input="read"),)


def test_a_reference_to_nothing_of_this_step_stays_as_it_is() -> None:
    step = script(arguments=["$AZUREML_DATAREFERENCE_other", "$HOME", "a$"])

    assert [word.text for word in step.words] == ["$AZUREML_DATAREFERENCE_other", "$HOME", "a$"]


# --- ports


def test_output_names_are_unique() -> None:
    with pytest.raises(ValueError, match="Output port names must be unique"):
        script(outputs=[PipelineData("x"), PipelineData("x")])


def test_input_names_are_unique_but_the_same_data_may_be_listed_twice() -> None:
    data = PipelineData("x")

    assert [port.name for port in script(inputs=[data, data]).inputs] == ["x"]
    with pytest.raises(ValueError, match="Input port names must be unique: 'x' is given twice"):
        script(inputs=[data, PipelineData("x")])
    with pytest.raises(ValueError, match="Input port names must be unique: 'x' is given twice"):
        script(inputs=[data, data.as_download()])


def test_an_input_with_the_name_of_an_output_is_renamed() -> None:
    above, own = PipelineData("model"), PipelineData("model")

    step = script(arguments=[above, own], inputs=[above], outputs=[own])

    assert step.words == (Argument(input="INPUT_model"), Argument(output="model"))


@pytest.mark.parametrize("item", ["text", 5, None, Path("x"), RunConfiguration()])
def test_what_is_no_data_is_no_port(item: Any) -> None:
    with pytest.raises(ValueError, match="an input must be a PipelineData or a binding of one, not "):
        script(inputs=[item])
    with pytest.raises(ValueError, match="an output must be a PipelineData, not "):
        script(outputs=[item])


def test_ports_are_lists() -> None:
    with pytest.raises(ValueError, match="inputs must be a list, not "):
        script(inputs=PipelineData("x"))
    with pytest.raises(ValueError, match="outputs must be a list, not "):
        script(outputs=PipelineData("x"))


def test_the_static_checks_of_the_base_agree_with_the_constructor() -> None:
    data = PipelineData("x")

    assert PipelineStep.resolve_input_arguments([data, 1], [data], [], None) == [
        Argument(input="x"),
        Argument(text="1"),
    ]
    PipelineStep.validate_arguments([data], None, [data])
    with pytest.raises(ValueError, match="'x' is used in the arguments"):
        PipelineStep.validate_arguments([data], None, None)


# --- params


def test_params_may_hold_values_parameters_and_data() -> None:
    data = PipelineData("x")

    step = script(params={"a": 1, "b": PipelineParameter("p", "q"), "c": data}, inputs=[data])

    assert step.params == {"a": Argument(text="1"), "b": Argument(param="p"), "c": Argument(input="x")}


@pytest.mark.parametrize("name", ["", "a=b", "a\0b", 5])
def test_a_param_that_could_be_no_variable_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="cannot be the name of an entry of params"):
        script(params={name: 1})


# --- target


@pytest.mark.parametrize(
    ("given", "name"), [("gpu", "gpu"), (("gpu", "AmlCompute"), "gpu"), (None, "local"), ("", None)]
)
def test_a_target_is_a_name_or_a_tuple_or_that_of_the_run_configuration(given: Any, name: str | None) -> None:
    assert script(compute_target=given).compute_target == name


def test_without_a_target_it_is_the_run_configuration_s() -> None:
    configuration = RunConfiguration()
    configuration.target = "pool"

    assert script(runconfig=configuration).compute_target == "pool"
    assert script(runconfig=configuration, compute_target="other").compute_target == "other"


@pytest.mark.parametrize("given", [5, PipelineParameter("where", "local"), ["gpu"]])
def test_what_is_no_target_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="a compute_target "):
        script(compute_target=given)


# --- the engine's own


def test_the_engine_s_keywords_become_fields() -> None:
    step = script(
        cpus=2, memory_mib=512, gpus=1, gpu_memory_mib=4096, timeout_s=60, retry=3, warm=False, pass_env=["TOKEN"]
    )

    assert step.resources == Resources(2.0, 512, 1, 4096)
    assert (step.timeout_s, step.retry, step.warm, step.pass_env) == (60.0, RetrySpec(count=3), False, ("TOKEN",))


def test_without_them_a_step_books_one_processor() -> None:
    step = script()

    assert (step.resources, step.timeout_s, step.retry) == (Resources(), None, RetrySpec())
    assert (step.warm, step.pass_env) == (True, ())


def test_a_retry_can_be_spelled_out() -> None:
    rule = RetrySpec(count=2, delay_s=0.5, max_delay_s=10)

    assert script(retry=rule).retry is rule


@pytest.mark.parametrize("name", ["cpus", "memory_mib", "gpus", "gpu_memory_mib", "timeout_s", "retry"])
def test_a_number_is_a_number(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} must be a number, not 'two'"):
        script(**{name: "two"})


def test_names_to_pass_on_are_a_list() -> None:
    with pytest.raises(TypeError, match="pass_env takes a list of names of variables, not 'TOKEN'"):
        script(pass_env="TOKEN")


def test_an_unknown_keyword_is_refused_as_python_does() -> None:
    with pytest.raises(TypeError, match=r"PythonScriptStep\(\) got an unexpected keyword argument 'cpu'"):
        script(cpu=2)


# --- run configuration


def test_what_a_run_configuration_says_when_the_step_is_made_counts() -> None:
    configuration = RunConfiguration()
    configuration.environment_variables = {"A": "1"}
    step = script(runconfig=configuration)

    configuration.environment_variables["A"] = "2"
    configuration.environment = Environment("other")

    assert step.environment_variables == {"A": "1"}
    assert step.environment.name is None


def test_counts_of_nodes_may_be_one() -> None:
    assert script(runconfig_pipeline_params={"NodeCount": 1}).name == "train.py"


def test_unknown_counts_and_more_than_one_node_are_refused() -> None:
    from stepwell.authoring.later import NotThereYetError

    with pytest.raises(ValueError, match="runconfig_pipeline_params knows no 'Nodes'"):
        script(runconfig_pipeline_params={"Nodes": 1})
    for value in (2, PipelineParameter("nodes", 2), True):
        with pytest.raises(NotThereYetError, match=r"runconfig_pipeline_params\['NodeCount'\] does not exist yet"):
            script(runconfig_pipeline_params={"NodeCount": value})


def test_a_step_remembers_the_line_that_made_it(here: Path) -> None:
    step = script()

    assert step.made_at is not None
    assert step.made_at.file == __file__


def test_bindings_can_be_made_by_hand() -> None:
    data = PipelineData("x")
    binding = InputPortBinding("y", bind_object=data, bind_mode="download")

    step = script(inputs=[binding], arguments=[binding])

    assert step.words == (Argument(input="y"),)
