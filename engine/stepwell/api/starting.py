"""Bringing up the daemon of a home, from any client. Imported only when there is none.

The daemon holds a lock for its life, so two clients may start one at the same moment: the
loser ends with code 3 and both clients connect to the winner. It gets few variables, its own
session and `/` as its folder, so that it outlives whoever needed it first.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from stepwell import paths
from stepwell.errors import MachineError
from stepwell.paths import Home

START_TIMEOUT_S = 20.0
POLL_S = 0.01
LOST_THE_RACE = 3
_REASON = "stepwell: "  # how the daemon's log says on purpose why it ended
_HINT = "  try: "
KEPT_VARIABLES = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "XDG_RUNTIME_DIR"}
    | {"LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "STEPWELL_IDLE_EXIT_S"}
)


def start_daemon(home: Home) -> None:
    """Start a daemon for `home` and return once its socket answers. Raises MachineError with the reason."""
    home.create()
    written_before = home.log.stat().st_size if home.log.exists() else 0
    pid = _spawn(home)
    deadline = time.monotonic() + START_TIMEOUT_S
    status: int | None = None
    while time.monotonic() < deadline:
        if _answers(home):
            return
        if status is None:
            status = _ended(pid)
            if status is not None and status != LOST_THE_RACE:
                raise _failed(home, written_before, f"the daemon could not start ({_how(status)})")
        time.sleep(POLL_S)
    raise _failed(home, written_before, f"the daemon did not answer {START_TIMEOUT_S:.0f} s after its start")


def clean_environment(environment: dict[str, str]) -> dict[str, str]:
    """Return what of `environment` the daemon gets: enough to run, nothing a step could come to rely on."""
    return {
        name: value
        for name, value in environment.items()
        if name in KEPT_VARIABLES or name.startswith(("LC_", "STEPWELL_FAULT"))
    }


def _spawn(home: Home) -> int:
    if not sys.executable:
        raise MachineError(
            "cannot start a daemon: this Python does not know its own path",
            hint="run `stepwell daemon start` in a terminal first",
            code="no_interpreter",
        )
    # A shell changes the folder: posix_spawn cannot, and a fork would copy the caller's threads' locks.
    # -P: the folder `/` must not be searched for modules.
    words = [sys.executable, "-P", "-m", "stepwell.runtime.daemon", "--home", str(home.root)]
    log = os.open(home.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", 'cd / && exec "$@"', "sh", *words],
            clean_environment(dict(os.environ)),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE),
        )
    finally:
        os.close(log)


def _answers(home: Home) -> bool:
    try:
        paths.connect(home.socket, 1.0).close()
    except OSError:
        return False
    return True


def _ended(pid: int) -> int | None:
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:  # somebody else in this process collects children
        return None
    return os.waitstatus_to_exitcode(status) if found else None


def _how(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit code {status}"


def _failed(home: Home, skip: int, what: str) -> MachineError:
    said, hint = _last_words(home.log, skip)
    return MachineError(
        f"{what}: {said}" if said else what,
        hint=hint or f"the whole story is in {str(home.log)!r}",
        code="daemon_not_started",
    )


def _last_words(log: Path, skip: int) -> tuple[str, str | None]:
    """Return what the daemon said last, after `skip` bytes of its log, and what it said to try.

    A reason that it gave on purpose is a line `stepwell: …`; else the last line, as of a traceback.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(skip, log.stat().st_size - 8192))
            lines = [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    except OSError as error:
        return f"and its log cannot be read: {error.strerror}", None
    for number in range(len(lines) - 1, -1, -1):
        if lines[number].startswith(_REASON):
            after = lines[number + 1 : number + 2]
            hint = after[0].removeprefix(_HINT) if after and after[0].startswith(_HINT) else None
            return lines[number].removeprefix(_REASON), hint
    return (lines[-1].strip() if lines else ""), None
