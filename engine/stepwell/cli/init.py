"""`stepwell init`: a folder becomes a workspace."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

import click

from stepwell.api import wire
from stepwell.api.client import Client
from stepwell.cli import options, place
from stepwell.cli.output import print_json, say
from stepwell.cli.place import Place
from stepwell.errors import MachineError, NotFoundError


@click.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", metavar="NAME", help="Another name than that of the folder.")
@options.as_json
def init(folder: Path, name: str | None, as_json: bool) -> None:
    """Make a workspace of DIR (this folder): its runs, experiments and names are its own."""
    with Client.connect() as client:
        made, note = make(client, folder, name)
    if as_json:
        print_json({"id": made.id, "name": made.name, "root": str(made.root)})
    else:
        say(f"{note}: {made.name} in {made.root}")


def make(client: Client, folder: Path, name: str | None = None) -> tuple[Place, str]:
    """Make `folder` a workspace and register it; one that is a workspace already stays the one it is.

    A copy of a workspace, whose original is still there, becomes another one. Returns what it
    is now and, in words, what was done.
    """
    root = folder.absolute()
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(f"cannot make the folder {str(root)!r}: {error.strerror}", code="no_folder") from error
    root = root.resolve()
    found = place.at(root) if (root / place.OWN).exists() else None
    note = "made a workspace"
    if found is not None and found.id is not None and not _is_copy(client, found):
        note = "this is a workspace already"
        wanted = Place(root, name or found.name, found.id)
    else:
        if found is not None:
            note = "a copy of another workspace became one of its own"
        wanted = Place(root, name or root.name or "workspace", str(uuid.uuid4()))
    registered = client.post(
        "/v1/workspaces",
        {"id": wanted.id, "name": wanted.name, "root": str(root), "exist_ok": found is not None},
    )
    made = Place(root, registered["name"], registered["id"])
    if made != found:
        _write(made)
    return made, note


def _is_copy(client: Client, found: Place) -> bool:
    """Tell whether the workspace of that id lives in another folder, which still says so itself."""
    assert found.id is not None
    try:
        known = client.get(wire.route("workspaces", found.id))
    except NotFoundError:
        return False
    if known["root"] is None or Path(known["root"]).resolve() == found.root:
        return False
    original = place.at(Path(known["root"]))
    return original is not None and original.id == found.id


def _write(made: Place) -> None:
    path = made.root / place.OWN
    staged = path.with_name(f"config.json.{os.getpid()}")
    try:
        path.parent.mkdir(exist_ok=True)
        staged.write_text(json.dumps({"id": made.id, "name": made.name}, indent=2) + "\n", encoding="ascii")
        staged.replace(path)
    except OSError as error:
        raise MachineError(f"cannot write {str(path)!r}: {error.strerror}", code="no_folder") from error
