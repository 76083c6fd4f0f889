"""`stepwell doctor`: what works here, what does not, why, and the command that would change it."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from typing import Any

import click

from stepwell.api import wire
from stepwell.api.client import Client
from stepwell.cli import options
from stepwell.cli.output import here, print_json, show
from stepwell.cli.terminal import Terminal, columns, visible
from stepwell.errors import StepwellError
from stepwell.paths import Home

Check = dict[str, Any]
FAILED = 4


@click.command()
@options.as_json
def doctor(as_json: bool) -> None:
    """Say what works here, what does not, and what to do about it. Exit code 4 where no run could work."""
    home = Home.from_environment()
    local = [_python(), _home(home), _demo(), _completion()]
    daemon, more = _daemon(home)
    checks = [*local, daemon, *more]
    if as_json:
        print_json({"checks": checks})
    else:
        show(_lines(checks, here()))
    if not (daemon["ok"] and local[1]["ok"]):
        raise click.exceptions.Exit(FAILED)


def check(name: str, ok: bool, detail: str, remedy: str | None = None) -> Check:
    """Return one row; the remedy only where something is to be done."""
    return {"name": name, "ok": ok, "detail": detail, "remedy": None if ok else remedy}


def _python() -> Check:
    found = ".".join(str(part) for part in sys.version_info[:3])
    return check("python", True, f"Python {found} at {sys.executable}, stepwell {wire.VERSION}")


def _home(home: Home) -> Check:
    root = home.root
    if not root.exists():
        return check("home", True, f"{root} will be made when it is needed")
    usable = os.access(root, os.R_OK | os.W_OK | os.X_OK)
    open_to_others = root.stat().st_mode & 0o077
    if usable and open_to_others:
        return check("home", False, f"{root} is open to other users", f"chmod 700 {root}")
    remedy = "set STEPWELL_HOME to a folder of your own on a local disk"
    return check("home", usable, f"{root} {'can' if usable else 'cannot'} be read and written", remedy)


def _daemon(home: Home) -> tuple[Check, list[Check]]:
    """Return whether a daemon answers, starting one if need be, and what it says about itself."""
    try:
        with Client.connect(home) as client:
            hello = client.get("/v1/hello")
            found: list[Check] = client.get("/v1/doctor")["checks"]
    except StepwellError as error:
        return check("daemon", False, error.message, error.hint), []
    return check("daemon", True, f"{hello['version']} answers, pid {hello['pid']}"), found


def _demo() -> Check:
    missing = [name for name in ("sklearn", "matplotlib") if find_spec(name) is None]
    detail = f"this Python lacks {', '.join(missing)}" if missing else "scikit-learn and matplotlib are here"
    return check("demo", not missing, detail, f"{sys.executable} -m pip install scikit-learn matplotlib")


def _completion() -> Check:
    shell = os.path.basename(os.environ.get("SHELL", ""))
    known = shell in ("bash", "zsh", "fish") and shutil.which("stepwell") is not None
    return check(
        "command",
        shutil.which("stepwell") is not None,
        f"stepwell is on the PATH{f'; `stepwell completion {shell}` completes it' if known else ''}"
        if shutil.which("stepwell")
        else "stepwell is not on the PATH",
        f'export PATH="{os.path.dirname(sys.executable)}:$PATH"',
    )


def _lines(checks: list[Check], terminal: Terminal) -> list[str]:
    good, bad = ("✓", "✗") if terminal.unicode else ("+", "x")
    width = max(columns(item["name"]) for item in checks)
    lines = []
    for item in checks:
        mark = terminal.paint(good, "green") if item["ok"] else terminal.paint(bad, "yellow")
        lines.append(f"{mark} {terminal.pad(item['name'], width)}  {visible(item['detail'])}")
        if not item["ok"] and item["remedy"]:
            lines.append(f"  {' ' * width}  try: {visible(item['remedy'])}")
    return lines
