"""A small HTTP server on a unix socket that answers as a test tells it to.

It speaks the daemon's wire and knows nothing: each route is a canned reply or a function. What
was asked is kept in `requests`, so that a test can say what a command must and must not ask.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from stepwell.api import wire
from stepwell.paths import Home, socket_address


@dataclass(frozen=True)
class Asked:
    """One request as it arrived. `path` is unquoted."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Answer:
    """One reply. `data` bytes are sent as they are, anything else as JSON."""

    data: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = False


Responder = Callable[[Asked], Any]


class FakeDaemon:
    """Serves `home`'s socket from threads until `close`. Use it as a context manager."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.requests: list[Asked] = []
        self.routes: dict[tuple[str, str], Any] = {}
        self.wire_headers = {wire.WIRE_HEADER: str(wire.WIRE), wire.VERSION_HEADER: wire.VERSION}
        self.hang_up_before_answering = 0  # so many requests are read, and the connection is closed
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self.listen()

    def on(self, method: str, path: str, answer: Any) -> None:
        """Answer `method path` with data, an `Answer`, or what a function of the request returns."""
        self.routes[method, path] = answer

    def listen(self) -> None:
        self.home.root.mkdir(parents=True, exist_ok=True)
        self.home.socket.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with socket_address(self.home.socket) as address:
            listener.bind(address)
        listener.listen(16)
        self._listener = listener
        self._start(self._accept, listener)

    def stop_listening(self) -> None:
        """Go away as a killed daemon does: its socket file stays, and nobody listens."""
        self.stop_accepting()
        self.drop_connections()

    def stop_accepting(self) -> None:
        """Take no new connections; those that are open go on."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def drop_connections(self) -> None:
        """Close every open connection."""
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # the client closed it already
                pass
        self._connections.clear()

    def close(self) -> None:
        self.stop_listening()
        for thread in self._threads:
            thread.join(timeout=10)

    def __enter__(self) -> FakeDaemon:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def asked(self, method: str, path: str) -> list[Asked]:
        return [request for request in self.requests if (request.method, request.path) == (method, path)]

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed
                return
            self._connections.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader:
            try:
                while (request := _read(reader)) is not None:
                    self.requests.append(request)
                    if self.hang_up_before_answering:
                        self.hang_up_before_answering -= 1
                        connection.shutdown(socket.SHUT_RDWR)
                        return
                    connection.sendall(self._encode(self._answer(request)))
            except OSError:  # the test dropped the connection
                return

    def _answer(self, request: Asked) -> Answer:
        found = self.routes.get((request.method, request.path))
        if found is None:
            error = {
                "kind": "not_found",
                "message": f"nothing at {request.method} {request.path}",
                "hint": None,
            }
            return Answer({"error": error}, status=404)
        answer = found(request) if callable(found) else found
        return answer if isinstance(answer, Answer) else Answer(answer)

    def _encode(self, answer: Answer) -> bytes:
        raw = isinstance(answer.data, bytes)
        body: bytes = answer.data if raw else json.dumps(answer.data).encode("ascii")
        headers = {"content-type": "application/octet-stream" if raw else "application/json"}
        headers |= {**self.wire_headers, **answer.headers}
        if answer.chunked:
            headers["transfer-encoding"] = "chunked"
            middle = len(body) // 2
            parts = [body[:middle], body[middle:]]
            body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"
        else:
            headers["content-length"] = str(len(body))
        head = f"HTTP/1.1 {answer.status} X\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers.items())
        return head.encode("ascii") + b"\r\n" + body


def _read(reader: Any) -> Asked | None:
    first = reader.readline().decode("ascii").split(" ")
    if len(first) != 3:
        return None
    length = 0
    while (line := reader.readline().strip()) != b"":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    body = json.loads(reader.read(length)) if length else None
    target = urlsplit(first[1])
    query = dict(parse_qsl(target.query, keep_blank_values=True, errors="surrogateescape"))
    return Asked(first[0], unquote(target.path, errors="surrogateescape"), query, body)


def fake_daemon(folder: Path) -> FakeDaemon:
    """Return a fake daemon for a home inside `folder`."""
    return FakeDaemon(Home.at(folder / "home"))
