"""HTTP/1.1 over the home's unix socket: starlette behind uvicorn, with three things made our own.

The socket is bound by us (mode 0600, long paths); a peer of another uid is cut off before a byte
is read; and the server sleeps until something happens (its stock loop wakes ten times a second).
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from stepwell.errors import MachineError
from stepwell.paths import Home, socket_address

_UCRED = struct.Struct("3i")  # pid, uid, gid


def peer_uid(peer: socket.socket) -> int:
    """Return the uid of the process at the other end of a unix socket."""
    return int(_UCRED.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))[1])


class _OwnUserOnly(H11Protocol):
    """Hangs up on other users without reading or answering, whatever the socket's mode would allow."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        peer = cast(socket.socket, transport.get_extra_info("socket"))
        if peer_uid(peer) != os.getuid():
            transport.abort()
            return
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if hasattr(self, "transport") and self.transport is not None:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if hasattr(self, "transport") and self.transport is not None:
            super().connection_lost(exc)


class _QuietServer(uvicorn.Server):
    """A server whose main loop waits for an event instead of ticking."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.wake = asyncio.Event()

    async def main_loop(self) -> None:
        await self.wake.wait()

    def install_signal_handlers(self) -> None:
        """Signals belong to the daemon's main thread."""


def bind(home: Home) -> socket.socket:
    """Return the listening socket of the home. The caller holds the home's lock, so a file there is stale."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        home.socket.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            with socket_address(home.socket) as address:
                listener.bind(address)
        finally:
            os.umask(before)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise MachineError(f"cannot listen on {str(home.socket)!r}: {error.strerror}", code="socket") from error
    return listener


class HttpServer:
    """The server on a thread of its own. `stop` may be called from any thread."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._app = app
        self._listener = listener
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: _QuietServer | None = None
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        loop, server = self._loop, self._server
        if loop is not None and server is not None:
            loop.call_soon_threadsafe(server.wake.set)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        config: dict[str, Any] = {
            "http": _OwnUserOnly,
            "ws": "none",
            "lifespan": "off",
            "log_config": None,
            "access_log": False,
            "server_header": False,
            "date_header": False,
            "timeout_keep_alive": 600,
            "timeout_graceful_shutdown": 1,
        }
        self._server = _QuietServer(uvicorn.Config(self._app, **config))
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        await self._server._serve([self._listener])
