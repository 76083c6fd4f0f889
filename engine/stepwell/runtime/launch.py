"""The daemon's end of the launcher: starting it, keeping one connection, asking for attempts.

The launcher is a separate program (`stepwell_step.launcher`) that outlives us. If it is gone we
start another; attempts that already run do not notice.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import stepwell_step
from stepwell.errors import MachineError
from stepwell.paths import Home, connect

_PROGRAM = Path(stepwell_step.__file__).with_name("launcher.py")
_START_S = 10.0


class Launcher:
    """A connection to the launcher of this home. Thread-safe; replies come in any order."""

    def __init__(self, home: Home, restart: list[str]) -> None:
        self._home = home
        self._restart = restart
        self._lock = threading.Lock()
        self._pending: dict[int, Future[dict[str, Any]]] = {}
        self._next = 0
        self._active = False
        self._closing = False
        self._socket: socket.socket | None = None

    def launch(self, folder: Path) -> dict[str, Any]:
        """Start the attempt in `folder` and return once it runs: {"ok", "shim_pid", "pid", "started_us"}.

        Blocks for about as long as a fork and an exec. Raises MachineError where no launcher can be had.
        """
        return self._ask({"op": "launch", "folder": os.fsdecode(folder)}).result(timeout=60)

    def work(self, active: bool) -> None:
        """Say whether runs are under way, so that the launcher brings us back if we die."""
        if active != self._active:
            self._active = active
            self._ask({"op": "work", "active": active, "restart": self._restart}).result(timeout=10)

    def close(self) -> None:
        """Say good-bye: nobody needs to be brought back."""
        self._closing = True
        with self._lock:
            peer = self._socket
        if peer is not None:
            try:
                peer.sendall(b'{"op":"bye","id":0}\n')
                peer.shutdown(socket.SHUT_RDWR)
            except OSError:  # it went first
                pass
            peer.close()

    def _ask(self, message: dict[str, Any]) -> Future[dict[str, Any]]:
        answer: Future[dict[str, Any]] = Future()
        for attempt in (1, 2):
            with self._lock:
                peer = self._socket or self._connect()
                self._next += 1
                self._pending[self._next] = answer
                try:
                    peer.sendall(json.dumps({**message, "id": self._next}).encode() + b"\n")
                    return answer
                except OSError as error:
                    self._pending.pop(self._next)
                    self._socket = None
                    if attempt == 2:
                        raise MachineError(f"the launcher does not answer: {error}", code="launcher") from error
        raise AssertionError("unreachable")

    def _connect(self) -> socket.socket:
        """Connect, starting a launcher where none listens. Called with the lock held."""
        deadline = time.monotonic() + _START_S
        child: subprocess.Popen[bytes] | None = None
        while True:
            try:
                peer = connect(self._home.launcher_socket)
                break
            except OSError as error:
                if child is None or child.poll() is not None:
                    child = self._start()
                if time.monotonic() > deadline:
                    raise MachineError(
                        f"the launcher did not start within {_START_S:.0f} s", hint="stepwell daemon logs"
                    ) from error
                time.sleep(0.005)
        self._socket = peer
        threading.Thread(target=self._read, args=(peer,), name="launcher-replies", daemon=True).start()
        if self._active:
            hello = {"op": "work", "active": True, "restart": self._restart, "id": 0}
            peer.sendall(json.dumps(hello).encode() + b"\n")
        return peer

    def _start(self) -> subprocess.Popen[bytes]:
        with self._home.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", str(_PROGRAM), str(self._home.root)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                close_fds=True,
            )

    def _read(self, peer: socket.socket) -> None:
        buffer = b""
        while True:
            try:
                data = peer.recv(65536)
            except OSError:
                data = b""
            if not data:
                break
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                reply = json.loads(line)
                with self._lock:
                    answer = self._pending.pop(reply.get("id", 0), None)
                if answer is not None:
                    answer.set_result(reply)
        with self._lock:
            if self._socket is peer:
                self._socket = None
            lost, self._pending = self._pending, {}
        peer.close()
        for answer in lost.values():
            answer.set_exception(MachineError("the launcher went away", code="launcher_gone"))
