"""What a step was told about itself, read from its environment; and the daemon, asked in the step's name.

STEPWELL_ATTEMPT_DIR      the attempt's folder: metrics.jsonl, notes.jsonl, work/
STEPWELL_STEP_RUN_ID      this step in this run        STEPWELL_STEP         its key
STEPWELL_RUN_ID           the run                      STEPWELL_RUN_NUMBER
STEPWELL_EXPERIMENT       STEPWELL_WORKSPACE           STEPWELL_WORKSPACE_ID
STEPWELL_HOME             where the daemon listens
STEPWELL_INPUTS, STEPWELL_OUTPUTS   JSON objects {name: path}
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any, Dict, Mapping, NamedTuple, Optional
from urllib.parse import quote

SUN_PATH_MAX = 107


class Context(NamedTuple):
    """The step's place. Ids are text; `attempt` and `home` are absolute folders."""

    attempt: str
    step_run: str
    step: str
    run: str
    run_number: int
    experiment: str
    workspace: str
    workspace_id: str
    home: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]

    @property
    def work(self) -> str:
        """The step's own folder, in which it was started."""
        return os.path.join(self.attempt, "work")


def current() -> Optional[Context]:
    """Return the context of this process, or None where no run started it."""
    environment = os.environ
    if not environment.get("STEPWELL_ATTEMPT_DIR"):
        return None
    return Context(
        attempt=environment["STEPWELL_ATTEMPT_DIR"],
        step_run=environment["STEPWELL_STEP_RUN_ID"],
        step=environment.get("STEPWELL_STEP", ""),
        run=environment["STEPWELL_RUN_ID"],
        run_number=int(environment.get("STEPWELL_RUN_NUMBER") or 0),
        experiment=environment.get("STEPWELL_EXPERIMENT", ""),
        workspace=environment.get("STEPWELL_WORKSPACE", ""),
        workspace_id=environment.get("STEPWELL_WORKSPACE_ID", ""),
        home=environment.get("STEPWELL_HOME", ""),
        inputs=json.loads(environment.get("STEPWELL_INPUTS") or "{}"),
        outputs=json.loads(environment.get("STEPWELL_OUTPUTS") or "{}"),
    )


def ask(home: str, *path: str) -> Dict[str, Any]:
    """GET /v1/<path> from the daemon of `home`. Raises ConnectionError with its words where it cannot answer."""
    from http.client import HTTPConnection  # a step that only logs never pays for it

    connection = HTTPConnection("localhost", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.sock.settimeout(30)
        _connect(connection.sock, home)
        connection.request("GET", "/v1/" + "/".join(quote(part, safe="") for part in path))
        reply = connection.getresponse()
        body = json.loads(reply.read())
    except (OSError, ValueError) as error:
        raise ConnectionError(f"the daemon of {home!r} does not answer: {error}") from error
    finally:
        connection.close()
    if reply.status != 200:
        raise ConnectionError(str(body.get("error", {}).get("message") or f"the daemon answered {reply.status}"))
    return dict(body)


def _connect(peer: socket.socket, home: str) -> None:
    path = os.path.join(home, "daemon.sock")
    if len(os.fsencode(path)) <= SUN_PATH_MAX:
        peer.connect(path)
        return
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        peer.connect(f"/proc/self/fd/{folder}/daemon.sock")
    finally:
        os.close(folder)
