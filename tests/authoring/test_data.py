"""`PipelineData` and its bindings: names, modes, and the variable that holds the path."""

from __future__ import annotations

from typing import Any

import pytest

from stepwell import Datastore, InputPortBinding, OutputPortBinding, PipelineData, Workspace
from stepwell.core.spec import OutputSpec
from stepwell.errors import NotFoundError


@pytest.mark.parametrize("name", ["x", "1st", "A_b9", "___"])
def test_a_name_has_letters_digits_and_underscores(name: str) -> None:
    assert PipelineData(name).name == name


@pytest.mark.parametrize("name", ["", "a b", "a-b", "ä", "x/y", None, 5])
def test_another_name_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="the name of a PipelineData may have letters, digits and underscores"):
        PipelineData(name)


def test_its_text_is_the_variable_that_holds_its_path() -> None:
    data = PipelineData("clean")

    assert data.get_env_variable_name() == "AZUREML_DATAREFERENCE_clean"
    assert str(data) == repr(data) == f"{data}" == "$AZUREML_DATAREFERENCE_clean"


def test_everything_is_keyed_on_the_name_also_with_another_output_name() -> None:
    data = PipelineData("clean", output_name="cleaned")

    assert str(data) == "$AZUREML_DATAREFERENCE_clean"
    assert data.as_input().name == "clean"
    assert data.declaration("workspaceblobstore").name == "clean"


def test_as_input_takes_a_name_or_the_data_s_own() -> None:
    data = PipelineData("clean")

    assert data.as_input("training").name == "training"
    assert data.as_input().name == "clean"
    assert data.as_input().bind_object is data
    assert str(data.as_input("training")) == "$AZUREML_DATAREFERENCE_training"


def test_mounting_and_downloading_are_modes_of_an_input() -> None:
    data = PipelineData("clean")

    mounted, copied = data.as_mount(), data.as_download("own", path_on_compute="data/in", overwrite=True)

    assert (mounted.name, mounted.bind_mode) == ("clean", "mount")
    assert (copied.name, copied.bind_mode, copied.path_on_compute, copied.overwrite) == (
        "own",
        "download",
        "data/in",
        True,
    )
    assert data.create_input_binding(mode="download").bind_mode == "download"


def test_an_input_is_named_and_renamed_by_the_same_rule() -> None:
    binding = PipelineData("clean").as_input("a")
    binding.name = "b"

    assert binding.data_reference_name == "b"
    with pytest.raises(ValueError, match="'b c' is not such a name"):
        binding.name = "b c"


@pytest.mark.parametrize("mode", ["direct", "hdfs", "upload", ""])
def test_an_input_in_an_unknown_mode_is_refused_with_those_there_are(mode: str) -> None:
    with pytest.raises(ValueError, match=rf"input 'x' has the mode '{mode}' \(there is: mount, download\)"):
        InputPortBinding("x", PipelineData("d"), mode)


def test_an_output_in_an_unknown_mode_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"PipelineData 'x' has the mode 'download' \(there is: mount, upload\)"):
        PipelineData("x", output_mode="download")


@pytest.mark.parametrize("bound", [None, "text", 5])
def test_an_input_is_bound_to_data_only(bound: Any) -> None:
    with pytest.raises(ValueError, match="it can be bound to a PipelineData"):
        InputPortBinding("x", bound)


def test_the_declaration_says_what_was_said() -> None:
    data = PipelineData(
        "model",
        datastore="workspacefilestore",
        output_mode="upload",
        output_path_on_compute="out/model",
        output_overwrite=True,
        data_type="AnyDirectory",
        is_directory=True,
        pipeline_output_name="best",
    )

    assert data.declaration("workspaceblobstore") == OutputSpec(
        name="model",
        mode="upload",
        path_on_compute="out/model",
        datastore="workspacefilestore",
        is_directory=True,
        data_type="AnyDirectory",
        overwrite=True,
        pipeline_output_name="best",
    )


def test_upload_without_a_path_is_no_error_when_the_data_is_made() -> None:
    assert PipelineData("x", output_mode="upload").declaration("workspaceblobstore").mode == "upload"


def test_an_output_port_binding_declares_the_same_as_data() -> None:
    data = PipelineData("x", is_directory=False, pipeline_output_name="y")
    port = OutputPortBinding("x", is_directory=False, pipeline_output_name="y")

    assert port.declaration("workspacefilestore") == data.declaration("workspacefilestore")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: PipelineData("x", training_output=1), "PipelineData(training_output=...)"),
        (lambda: OutputPortBinding("x", dataset_output=1), "OutputPortBinding(dataset_output=...)"),
        (lambda: InputPortBinding("x", PipelineData("d"), is_resource=True), "InputPortBinding(is_resource=True)"),
        (lambda: PipelineData("x").as_dataset(), "PipelineData.as_dataset"),
        (
            lambda: PipelineData("x", output_path_on_compute="out"),
            "an output_path_on_compute for 'x', which is mounted",
        ),
        (
            lambda: PipelineData("x").create_input_binding("y", path_on_compute="in"),
            "a path_on_compute for input 'y', which is mounted",
        ),
    ],
)
def test_what_needs_a_later_part_is_refused_by_name_with_what_to_do(make: Any, text: str) -> None:
    from stepwell.authoring.later import NotThereYetError

    with pytest.raises(NotThereYetError) as caught:
        make()

    assert caught.value.message == f"{text} does not exist yet"
    assert caught.value.hint


def test_what_does_not_exist_yet_is_not_an_attribute() -> None:
    assert not hasattr(PipelineData("x"), "as_dataset")


def test_a_datastore_is_known_by_name(workspace: Workspace) -> None:
    assert Datastore(workspace).name == Datastore.get_default(workspace).name == "workspaceblobstore"
    assert Datastore.get(workspace, "workspacefilestore").datastore_type == "AzureFile"
    assert (
        PipelineData("x", Datastore(workspace, "workspacefilestore")).declaration("d").datastore == "workspacefilestore"
    )


def test_an_unknown_datastore_is_refused_with_those_there_are(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError) as caught:
        Datastore(workspace, "workspaceblobstor")

    assert str(caught.value) == (
        "no datastore named 'workspaceblobstor' (there is: workspaceblobstore, workspacefilestore)\n"
        "  try: did you mean 'workspaceblobstore'?"
    )
    with pytest.raises(NotFoundError, match="no datastore named 'blob'"):
        PipelineData("x", datastore="blob")


def test_an_unknown_keyword_is_refused_as_python_does() -> None:
    with pytest.raises(TypeError, match=r"InputPortBinding\(\) got an unexpected keyword argument 'optional'"):
        InputPortBinding("x", PipelineData("d"), optional=True)
