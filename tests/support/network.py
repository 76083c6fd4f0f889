"""The suite passes with no network at all: leaving this machine raises, in the process of the tests.

Loopback and unix sockets stay open. Names are looked up nowhere but in the hosts file, for the
same reason: a test that resolves a name waits for a server somewhere.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

LOCAL_NAMES = frozenset({"", "localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})
_INTERNET = (socket.AF_INET, socket.AF_INET6)


class NetworkForbidden(AssertionError):
    """A test reached for another machine."""


def is_local(host: object) -> bool:
    """Say whether `host`, a name or an address, is this machine; None means "any of mine"."""
    if host is None:
        return True
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    if text.lower() in LOCAL_NAMES:
        return True
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def forbid() -> Callable[[], None]:
    """Make every way out of this machine raise NetworkForbidden. Returns what takes that back."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    sendto, getaddrinfo = socket.socket.sendto, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any, /) -> None:
        _refuse(self, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any, /) -> int:
        _refuse(self, address)
        return connect_ex(self, address)

    def guarded_sendto(self: socket.socket, *words: Any) -> int:
        _refuse(self, words[-1])
        return sendto(self, *words)

    def guarded_getaddrinfo(host: Any, *words: Any, **named: Any) -> Any:
        if not is_local(host):
            raise NetworkForbidden(f"a test looked up {host!r}")
        return getaddrinfo(host, *words, **named)

    _install(guarded_connect, guarded_connect_ex, guarded_sendto, guarded_getaddrinfo)
    return lambda: _install(connect, connect_ex, sendto, getaddrinfo)


def _install(connect: Any, connect_ex: Any, sendto: Any, getaddrinfo: Any) -> None:
    for owner, name, function in (
        (socket.socket, "connect", connect),
        (socket.socket, "connect_ex", connect_ex),
        (socket.socket, "sendto", sendto),
        (socket, "getaddrinfo", getaddrinfo),
    ):
        setattr(owner, name, function)


def _refuse(peer: socket.socket, address: Any) -> None:
    if peer.family in _INTERNET and not is_local(address[0]):
        raise NetworkForbidden(f"a test connected to {address!r}")
