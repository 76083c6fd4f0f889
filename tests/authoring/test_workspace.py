"""`Workspace`: which one a folder means, and what it says of itself."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from stepwell import Experiment, MachineError, Workspace, WorkspaceException
from stepwell.authoring import place
from stepwell.authoring.later import NotThereYetError
from stepwell.authoring.place import Place
from support.fake_daemon import Answer, FakeDaemon

ID = str(uuid.UUID(int=7))


def configure(folder: Path, file: str, /, **data: Any) -> None:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))


def row(**fields: Any) -> dict[str, Any]:
    return {"id": ID, "name": "digits", "root": None, "created_us": 1_780_000_000_000_000, **fields}


def missing(name: str) -> Answer:
    error = {"kind": "not_found", "code": "unknown_workspace", "message": f"no workspace named {name!r}", "hint": None}
    return Answer({"error": error}, status=404)


# --- which one


def test_a_folder_that_is_nothing_belongs_to_the_default_workspace(here: Path) -> None:
    assert Workspace.from_config().name == "default"


@pytest.mark.parametrize("name", ["config.json", ".azureml/config.json"])
def test_a_file_of_the_portal_names_a_workspace(here: Path, name: str) -> None:
    configure(here.parent, name, subscription_id="s", resource_group="g", workspace_name="cloud")

    assert Workspace.from_config().name == "cloud"


def test_the_nearest_folder_upwards_wins_and_our_own_file_within_it(here: Path) -> None:
    configure(here.parent, ".stepwell/config.json", id=ID, name="far")
    configure(here, "config.json", workspace_name="portal")
    assert Workspace.from_config().name == "portal"

    configure(here, ".stepwell/config.json", id=ID, name="near")
    assert Workspace.from_config().name == "near"
    assert Workspace.from_config(path=here.parent).name == "far"
    assert Workspace.from_config(here / "config.json").name == "portal"


@pytest.mark.parametrize("text", ["[]", "{}", "not json", '{"workspace_name": 5}'])
def test_a_config_json_of_somebody_else_is_passed_over(here: Path, text: str) -> None:
    (here / "config.json").write_text(text)

    assert Workspace.from_config().name == "default"


@pytest.mark.parametrize(
    ("text", "why"),
    [("[]", "it names no workspace"), ("{", "Expecting property name"), ('{"name": "x"}', "it names no")],
)
def test_a_broken_file_of_our_own_is_told(here: Path, text: str, why: str) -> None:
    path = here / ".stepwell" / "config.json"
    path.parent.mkdir()
    path.write_text(text)

    with pytest.raises(WorkspaceException) as caught:
        Workspace.from_config()

    assert caught.value.message.startswith(f"{path}: cannot be read as the configuration of a workspace: {why}")


def test_a_path_that_leads_to_nothing_is_an_error(here: Path) -> None:
    with pytest.raises(WorkspaceException, match="cannot be read as the configuration of a workspace: No such file"):
        Workspace.from_config("nowhere.json")
    with pytest.raises(WorkspaceException, match=rf"neither '{here}' nor a folder above it is a workspace"):
        Workspace.from_config(here)


def test_in_a_step_it_is_the_workspace_of_the_run(
    daemon: FakeDaemon, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(here, "config.json", workspace_name="portal")
    monkeypatch.setenv("STEPWELL_WORKSPACE_ID", ID)
    monkeypatch.setenv("STEPWELL_WORKSPACE", "digits")
    daemon.on("GET", f"/v1/workspaces/{ID}", row())
    daemon.on("POST", "/v1/workspaces", row())

    found = Workspace.from_config()

    assert (found.name, found.id) == ("digits", ID)


# --- asking the daemon


def test_nothing_is_asked_before_it_is_needed(daemon: FakeDaemon, here: Path) -> None:
    daemon.on("POST", "/v1/workspaces", row(name="default"))
    workspace = Workspace.from_config()
    assert daemon.requests == []

    assert workspace.id == ID
    assert workspace.id == ID
    assert [asked.body for asked in daemon.requests] == [
        {"id": None, "name": "default", "root": None, "exist_ok": True}
    ]


def test_a_folder_the_daemon_has_not_seen_is_made_known(daemon: FakeDaemon, here: Path) -> None:
    configure(here, ".stepwell/config.json", id=ID, name="digits")
    daemon.on("GET", f"/v1/workspaces/{ID}", missing(ID))
    daemon.on("POST", "/v1/workspaces", row(root=str(here)))

    assert Workspace.from_config().id == ID
    assert daemon.requests[-1].body == {"id": ID, "name": "digits", "root": str(here), "exist_ok": True}


def test_a_folder_that_has_moved_takes_its_workspace_along(daemon: FakeDaemon, here: Path) -> None:
    configure(here, ".stepwell/config.json", id=ID, name="digits")
    daemon.on("GET", f"/v1/workspaces/{ID}", row(root=str(here.parent / "before")))
    daemon.on("POST", "/v1/workspaces", row(root=str(here)))

    assert Workspace.from_config().id == ID
    assert daemon.requests[-1].body["root"] == str(here)


def test_a_copy_of_a_folder_that_is_still_there_becomes_a_workspace_of_its_own(daemon: FakeDaemon, here: Path) -> None:
    original = here.parent / "original"
    for folder in (original, here):
        configure(folder, ".stepwell/config.json", id=ID, name="digits")
    daemon.on("GET", f"/v1/workspaces/{ID}", row(root=str(original)))
    daemon.on("POST", "/v1/workspaces", lambda asked: row(id=asked.body["id"], root=asked.body["root"]))

    with pytest.warns(UserWarning, match=f"'{here}' is a copy of the workspace in '{original}', and is one of its own"):
        copied = Workspace.from_config().id

    assert copied != ID
    assert place.read(here / place.OWN).id == copied
    assert place.read(original / place.OWN).id == ID


def test_an_unknown_name_is_a_workspace_exception(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/workspaces/digts", missing("digts"))

    with pytest.raises(WorkspaceException, match="no workspace named 'digts'"):
        Workspace.get("digts")
    with pytest.raises(WorkspaceException, match="no workspace named 'digts'"):
        Workspace("subscription", "group", "digts")


def test_a_known_one_keeps_what_the_program_called_its_cloud(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/workspaces/digits", row())

    found = Workspace.get(name="digits", subscription_id="s", resource_group="g")

    assert (found.name, found.id, found.subscription_id, found.resource_group) == ("digits", ID, "s", "g")
    assert (found.location, found.sku) == ("local", "basic")


def test_creating_makes_one_and_an_existing_one_needs_exist_ok(daemon: FakeDaemon) -> None:
    conflict = {"kind": "conflict", "code": "workspace_exists", "message": "there is one named 'digits' already"}
    daemon.on(
        "POST",
        "/v1/workspaces",
        lambda asked: row() if asked.body["exist_ok"] else Answer({"error": conflict}, status=409),
    )

    made = Workspace.create("digits", exist_ok=True, subscription_id="s", tags={"a": "b"})

    assert (made.id, made.subscription_id, made.tags) == (ID, "s", {"a": "b"})
    with pytest.raises(WorkspaceException) as caught:
        Workspace.create("digits")
    assert str(caught.value) == "there is one named 'digits' already\n  try: pass exist_ok=True to use it"


def test_what_is_written_is_found_again(daemon: FakeDaemon, here: Path) -> None:
    daemon.on("POST", "/v1/workspaces", lambda asked: row(root=asked.body.get("root")))
    daemon.on("GET", f"/v1/workspaces/{ID}", row())
    made = Workspace.create("digits")

    made.write_config()
    made.write_config(path=here / "notebooks", file_name="other.json")

    assert Workspace.from_config().id == ID
    assert Workspace.from_config(here / "notebooks" / ".stepwell" / "other.json").name == "digits"
    assert made.row["root"] == str(here)


def test_all_workspaces_are_listed_by_name(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/workspaces", {"workspaces": [row(), row(id="2"), row(id="3", name="other")]})

    found = Workspace.list("any")

    assert {name: [one.id for one in ones] for name, ones in found.items()} == {"digits": [ID, "2"], "other": ["3"]}


def test_its_details_are_plain_data(known: Workspace) -> None:
    details = known.get_details()

    assert (details["id"], details["name"], details["location"]) == ("ws-1", "digits", "local")
    assert details["creationTime"] == "1970-01-01T00:00:00.000000Z"


def test_its_experiments_and_datastores_are_dicts_by_name(daemon: FakeDaemon, known: Workspace) -> None:
    rows = [{"id": "e-1", "name": "train", "created_us": 0}, {"id": "e-2", "name": "score", "created_us": 0}]
    daemon.on("GET", "/v1/workspaces/ws-1/experiments", {"experiments": rows})
    daemon.on("POST", "/v1/workspaces/ws-1/experiments", {"id": "e-1", "name": "train"})

    assert list(known.experiments) == ["train", "score"]
    assert known.experiments["train"].id == "e-1"
    assert [one.name for one in Experiment.list(known, experiment_name="score")] == ["score"]
    assert list(known.datastores) == ["workspaceblobstore", "workspacefilestore"]
    assert known.get_default_datastore().name == "workspaceblobstore"


@pytest.mark.parametrize("name", ["datasets", "models", "environments", "get_default_keyvault", "webservices"])
def test_what_a_workspace_has_later_is_refused_by_name(workspace: Workspace, name: str) -> None:
    assert not hasattr(workspace, name)
    with pytest.raises(NotThereYetError, match=rf"Workspace\.{name} does not exist yet"):
        getattr(workspace, name)


def test_a_configuration_that_cannot_be_written_is_told(here: Path) -> None:
    (here / ".stepwell").write_text("a file")

    with pytest.raises(MachineError, match=r"cannot write .*config\.json': "):
        place.write(here, "config.json", Place("x", ID))
