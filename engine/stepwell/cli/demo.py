"""`stepwell demo`: the handwritten-digits sample, copied to a folder of the user's and run."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import click

import stepwell
from stepwell.api.client import Client
from stepwell.cli import init, options
from stepwell.cli.loading import submission
from stepwell.cli.output import say
from stepwell.cli.submit import quoted, start, watch
from stepwell.errors import ConflictError, MachineError

SAMPLE = "digits"
PIPELINE = "pipeline.py"
NEEDS = {"sklearn": "scikit-learn", "matplotlib": "matplotlib"}
NOT_COPIED = ("__pycache__", ".stepwell", "outputs", "*.pyc")


@click.command()
@click.argument("folder", metavar="[DIR]", default="stepwell-demo", type=click.Path(path_type=Path, file_okay=False))
@options.as_json
def demo(folder: Path, as_json: bool) -> int:
    """Copy the handwritten-digits sample to DIR (stepwell-demo) and run it.

    Where DIR holds the sample already, it is run as it is: edit it and run again.
    """
    missing = [package for module, package in NEEDS.items() if find_spec(module) is None]
    if missing:
        raise MachineError(
            f"the sample needs {' and '.join(missing)}, which this Python does not have",
            hint=f"{sys.executable} -m pip install {' '.join(missing)}",
            code="demo_packages",
        )
    copied = _copy(folder)
    root = folder.resolve()
    with Client.connect() as client:
        init.make(client, root)
        say(f"{'copied the sample to' if copied else 'the sample is in'} {root}")
        submitted = start(client, submission(root / PIPELINE, ()))
        code = watch(client, submitted, str(root / PIPELINE), as_json=as_json)
    if code == 0 and not as_json:
        say(f"\nnow edit a file in {root} and see what runs again, and why:\n  cd {quoted(folder)}")
        say(f"  stepwell run {PIPELINE}\n  stepwell why last compare")
    return code


def _copy(folder: Path) -> bool:
    """Copy the sample into `folder`; False where it is there. Never writes over anything."""
    if (folder / PIPELINE).is_file():
        return False
    if folder.is_dir() and any(folder.iterdir()):
        raise ConflictError(
            f"{str(folder)!r} is not empty, and holds no sample",
            hint=f"stepwell demo {quoted(folder / SAMPLE)}",
            code="folder_taken",
        )
    try:
        shutil.copytree(sample(), folder, ignore=shutil.ignore_patterns(*NOT_COPIED), dirs_exist_ok=True)
    except OSError as error:
        raise MachineError(f"cannot copy the sample to {str(folder)!r}: {error}", code="no_folder") from error
    return True


def sample() -> Path:
    """Return where the sample lies: in the installed package, or beside the source root of a checkout."""
    package = Path(stepwell.__file__).parent
    for parent in (package, package.parents[1]):
        found = parent / "sample_projects" / SAMPLE
        if (found / PIPELINE).is_file():
            return found
    raise MachineError(
        f"this installation has no sample projects (looked in {str(package)!r} and beside it)",
        hint="install stepwell again",
        code="no_sample",
    )
