"""`stepwell init`: a folder becomes a workspace."""

from __future__ import annotations

import uuid
import warnings
from pathlib import Path

import click

from stepwell.api.client import Client
from stepwell.authoring import place
from stepwell.authoring.place import Place
from stepwell.cli import options
from stepwell.cli.output import print_json, say
from stepwell.errors import MachineError


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
    is now and, in words, what was done. Raises MachineError for a folder that cannot be written.
    """
    root = folder.absolute()
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(f"cannot make the folder {str(root)!r}: {error.strerror}", code="no_folder") from error
    root = root.resolve()
    found = place.read(root / place.OWN) if (root / place.OWN).exists() else None
    wanted = found or Place(name or root.name or "workspace", str(uuid.uuid4()), root)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        row = place.register(client, wanted)
    made = Place(row["name"], row["id"], root)
    if found is None:
        place.write(root, place.OWN.name, made)
        return made, "made a workspace"
    if told:
        return made, "a copy of another workspace became one of its own"
    return made, "this is a workspace already"
