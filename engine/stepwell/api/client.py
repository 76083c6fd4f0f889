"""The one client of the daemon: HTTP/1.1 over a unix socket, JSON in both directions.

Written on bare sockets, because `http.client` costs 25 ms of every command's start. Connections
are kept open and may be used from several threads: each request takes an idle one or opens
another. What is asked again after a lost connection are reads only; a lost write is reported,
since nobody here can know whether it was done.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from io import BufferedReader
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from stepwell import paths
from stepwell.api import wire
from stepwell.errors import MachineError, from_wire
from stepwell.paths import Home

REPLY_TIMEOUT_S = 600.0  # a submission hashes whole source trees before it answers
RETURN_S = 1.5  # a killed daemon is restarted by its launcher after 0.2 s while runs are active
IDLE_KEPT = 4  # open connections that wait for the next request

Json = dict[str, Any]


class LogChunk(NamedTuple):
    """Some bytes of a log. `next_offset` is the next byte to ask for; `done`: no more will come."""

    data: bytes
    next_offset: int
    size: int
    done: bool


class EventPage(NamedTuple):
    """Events in order, and the sequence number to continue after."""

    events: list[Json]
    seq: int


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class _ConnectionLostError(Exception):
    """The daemon closed the connection before a whole reply had arrived."""


class _Connection:
    def __init__(self, home: Home) -> None:
        self._socket = paths.connect(home.socket, REPLY_TIMEOUT_S)
        self._reader: BufferedReader = self._socket.makefile("rb")

    def close(self) -> None:
        self._reader.close()
        self._socket.close()

    def is_stale(self) -> bool:
        """Tell whether the daemon has closed its end: an idle connection has nothing to read but its end."""
        self._socket.setblocking(False)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def exchange(self, request: bytes, timeout_s: float) -> tuple[Reply, bool]:
        """Return the reply, and whether the connection may be used again."""
        self._socket.settimeout(timeout_s)
        try:
            self._socket.sendall(request)
            return self._read()
        except (BrokenPipeError, ConnectionError) as error:
            raise _ConnectionLostError from error

    def _read(self) -> tuple[Reply, bool]:
        status_line = self._line()
        headers: dict[str, str] = {}
        while line := self._line():
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if "chunked" in headers.get("transfer-encoding", ""):
            body = self._chunks()
        elif "content-length" in headers:
            body = self._exactly(int(headers["content-length"]))
        else:
            body = self._reader.read()
            headers["connection"] = "close"
        reusable = headers.get("connection", "keep-alive").lower() != "close"
        return Reply(int(status_line.split(" ", 2)[1]), headers, body), reusable

    def _line(self) -> str:
        raw = self._reader.readline(65536)
        if not raw.endswith(b"\n"):
            raise _ConnectionLostError
        return raw.rstrip(b"\r\n").decode("latin-1")

    def _exactly(self, count: int) -> bytes:
        data = self._reader.read(count)
        if len(data) != count:
            raise _ConnectionLostError
        return data

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        while size := int(self._line().split(";")[0], 16):
            parts.append(self._exactly(size))
            self._line()
        while self._line():  # trailers
            pass
        return b"".join(parts)


class Client:
    """Speaks to the daemon of one home. With `start`, a daemon that is not there is started when needed."""

    def __init__(self, home: Home, *, start: bool = False) -> None:
        self.home = home
        self._start = start
        self._idle: list[_Connection] = []

    @classmethod
    def connect(cls, home: Home | None = None, *, start: bool = True) -> Client:
        """Return a client with an open connection, starting the daemon where `start` allows it.

        Raises MachineError where there is no daemon and none can be started, with the reason from its log.
        """
        client = cls(home or Home.from_environment(), start=start)
        client._idle.append(client._open())
        return client

    def close(self) -> None:
        """Close the connections. The client may still be used; it opens new ones."""
        while self._idle:
            self._idle.pop().close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def get(self, path: str, **query: object) -> Json:
        """Return the JSON reply to a read. Query values that are None are left out.

        Raises the daemon's own error, rebuilt, or MachineError where it cannot be reached.
        """
        return _json(self.request("GET", path, query=query))

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Json:
        """Return the JSON reply to a write. Never sent twice. Raises as `get` does."""
        return _json(self.request("POST", path, body=body or {}))

    def delete(self, path: str) -> Json:
        return _json(self.request("DELETE", path))

    def log(
        self,
        step_run: str,
        offset: int = 0,
        limit: int = 1 << 20,
        wait_s: float = 0.0,
        *,
        stream: str | None = None,
        attempt: str | None = None,
    ) -> LogChunk:
        """Return up to `limit` bytes of a step's log from `offset`, waiting up to `wait_s` for the first.

        `stream` is "out", "err" or None for both as they came; a reused step shows its original's log.
        """
        query = {"offset": offset, "limit": limit, "wait_s": wait_s, "stream": stream, "attempt": attempt}
        reply = self.request("GET", wire.route("step_runs", step_run, "log"), query=query)
        headers = reply.headers
        return LogChunk(
            reply.body,
            int(headers.get(wire.LOG_OFFSET_HEADER.lower(), offset + len(reply.body))),
            int(headers.get(wire.LOG_SIZE_HEADER.lower(), offset + len(reply.body))),
            headers.get(wire.LOG_DONE_HEADER.lower()) == "1",
        )

    def events(
        self,
        after: int,
        run: str | None = None,
        wait_s: float = 0.0,
        *,
        limit: int | None = None,
        kind: str | None = None,
    ) -> EventPage:
        """Return the events after `after`, waiting up to `wait_s` for the first; of one run, of one kind.

        Raises ConflictError with code `events_gone` when they are older than what is kept.
        """
        page = self.get("/v1/events", after=after, run=run, wait_s=wait_s, limit=limit, kind=kind)
        return EventPage(page["events"], page["seq"])

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Send one request and return its reply, whatever its type. Raises as `get` does."""
        wait_s = (query or {}).get("wait_s") or 0.0
        timeout_s = REPLY_TIMEOUT_S + (wait_s if isinstance(wait_s, (int, float)) else 0.0)
        message = _message(method, path, query or {}, body)
        try:
            reply = self._exchange(message, timeout_s)
        except _ConnectionLostError:
            if method != "GET":
                raise MachineError(
                    f"the daemon went away before it answered; whether it did `{method} {path}` is not known",
                    hint="`stepwell status` and `stepwell runs` show what is there",
                    code="connection_lost",
                ) from None
            reply = self._again(message, timeout_s)
        except TimeoutError:
            raise MachineError(
                f"the daemon did not answer within {timeout_s:.0f} s",
                hint="`stepwell daemon logs` shows what it is doing",
                code="daemon_silent",
            ) from None
        _check_wire(reply)
        if reply.status >= 400:
            raise _error(reply)
        return reply

    def _exchange(self, message: bytes, timeout_s: float) -> Reply:
        connection = self._take()
        try:
            reply, reusable = connection.exchange(message, timeout_s)
        except BaseException:
            connection.close()
            raise
        if reusable and len(self._idle) < IDLE_KEPT:
            self._idle.append(connection)
        else:
            connection.close()
        return reply

    def _again(self, message: bytes, timeout_s: float) -> Reply:
        """Ask a read once more, after giving the launcher a moment to bring a killed daemon back."""
        self.close()
        deadline = time.monotonic() + RETURN_S
        while time.monotonic() < deadline:
            time.sleep(0.02)
            try:
                self._idle.append(_Connection(self.home))
                break
            except OSError:  # not back yet; after the deadline `_open` says why, or starts one
                continue
        try:
            return self._exchange(message, timeout_s)
        except _ConnectionLostError:
            raise MachineError(
                "the daemon closed the connection twice without an answer",
                hint="`stepwell daemon logs` shows why",
                code="connection_lost",
            ) from None

    def _take(self) -> _Connection:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if not connection.is_stale():
                return connection
            connection.close()
        return self._open()

    def _open(self) -> _Connection:
        try:
            return _Connection(self.home)
        except OSError as error:
            reason = error
        if not self._start:
            raise _no_daemon(self.home, reason)
        from stepwell.api.starting import start_daemon

        start_daemon(self.home)
        try:
            return _Connection(self.home)
        except OSError as error:
            raise _no_daemon(self.home, error) from error


def _no_daemon(home: Home, reason: OSError) -> MachineError:
    if isinstance(reason, PermissionError):
        return MachineError(
            f"may not connect to the daemon of {str(home.root)!r}: it belongs to somebody else",
            hint="set STEPWELL_HOME to a folder of your own",
            code="no_daemon",
        )
    return MachineError(
        f"no daemon is running for the home {str(home.root)!r}",
        hint="stepwell daemon start",
        code="no_daemon",
    )


def _message(method: str, path: str, query: Mapping[str, object], body: Mapping[str, Any] | None) -> bytes:
    wanted = {name: _text(value) for name, value in query.items() if value is not None}
    if wanted:
        path += "?" + urlencode(wanted, errors="surrogateescape", quote_via=quote)
    head = f"{method} {path} HTTP/1.1\r\nHost: stepwell\r\n{wire.WIRE_HEADER}: {wire.WIRE}\r\n"
    head += f"{wire.VERSION_HEADER}: {wire.VERSION}\r\n"
    if body is None:
        return (head + "\r\n").encode("ascii")
    data = json.dumps(body, separators=(",", ":")).encode("ascii")
    head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode("ascii") + data


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json(reply: Reply) -> Json:
    data: Json = json.loads(reply.body)
    return data


def _check_wire(reply: Reply) -> None:
    spoken = reply.headers.get(wire.WIRE_HEADER.lower())
    if spoken == str(wire.WIRE):
        return
    if spoken is None or not spoken.isdigit():
        raise MachineError(
            "what answers on the daemon's socket is not Stepwell",
            hint="set STEPWELL_HOME to another folder",
            code="not_stepwell",
        )
    version = reply.headers.get(wire.VERSION_HEADER.lower(), "unknown")
    newer = int(spoken) > wire.WIRE
    raise MachineError(
        f"the daemon is Stepwell {version} and speaks wire {spoken}; "
        f"this is Stepwell {wire.VERSION} and speaks wire {wire.WIRE}",
        hint=f"use the stepwell command of version {version}"
        if newer
        else "stop the daemon with the version that started it; running steps go on",
        code="wire_mismatch",
    )


def _error(reply: Reply) -> Exception:
    try:
        return from_wire(json.loads(reply.body)["error"])
    except (ValueError, KeyError, TypeError):
        text = reply.body[:200].decode("utf-8", "replace")
        return MachineError(
            f"the daemon answered {reply.status} and no reason: {text!r}",
            hint="`stepwell daemon logs` shows more",
            code="bad_reply",
        )
