"""The fork server of one home: `python -I -S launcher.py HOME`.

It has imported what a shim needs, so an attempt costs two forks and an exec and no interpreter
start; and a few shims, each with the process that will be its step, always wait ready, so that
whoever launches an attempt does not even wait for the forks. It outlives the daemon, brings it back while
there is work (`revival`), and is needed by no shim: if it dies, attempts go on and a new launcher
takes over.

Protocol: a stream socket at HOME/launcher.sock, mode 0600, same user only. One JSON object a line
each way; a reply carries the request's "id" and comes when it is ready, in any order.

    {"id", "op": "launch", "folder"}            -> {"id", "ok": true, "shim_pid", "pid", "started_us"}
                                                   once started.json (or exit.json) is there
    {"id", "op": "work", "active", "restart"}   -> {"id", "ok": true}     says: I am the daemon
    {"id", "op": "ping"}                        -> {"id", "ok": true, "pid", "shims"}
    {"id", "op": "bye"}                         -> {"id", "ok": true}     the daemon stops on purpose
    what cannot be done                         -> {"id", "ok": false, "error"}

One thread, one poll. It ends when it has no daemon, no work and no living shim. Exit code 3:
another launcher has this home.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from typing import Any, Callable, Dict, List, Optional

if __name__ == "__main__":  # -I leaves our own folder out; at the end, so that we shadow nothing
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from stepwell_step import attempt, descendants, spawn
from stepwell_step import shim as supervisor
from stepwell_step.revival import Revival
from stepwell_step.supervision import Machine

SUN_PATH_MAX = 107
SPARES = 2
LINGER_S = 10.0  # how long a new launcher waits for its first caller
LINE_MAX = 1 << 20


class _Caller:
    """One connection. `daemon`: it has said what work it has. `leaving`: it has said good-bye."""

    def __init__(self, peer: socket.socket) -> None:
        self.peer = peer
        self.buffer = b""
        self.daemon = False
        self.leaving = False


class _Shim:
    """A shim that waits for an attempt, or that has one and has not answered yet."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.channel = channel
        self.caller: Optional[_Caller] = None
        self.request: Any = None
        self.folder = ""
        self.again = False


class Launcher:
    """Everything one launcher knows. `run` returns when it is no longer needed."""

    def __init__(self, home: str, lock: int) -> None:
        """`lock`: the handle that holds the home's launcher.lock, which no shim may keep open."""
        self._home = home
        self._home_lock = lock
        self._path = os.path.join(home, "launcher.sock")
        self._machine = Machine(attempt.boot_id(), _vmstat())
        self._revival = Revival(os.path.join(home, "daemon.log"))
        self._poll = select.poll()
        self._actions: Dict[int, Callable[[], None]] = {}
        self._callers: List[_Caller] = []
        self._spares: List[_Shim] = []
        self._wanting = True
        self._shims: Dict[int, str] = {}  # pid -> folder of those that have an attempt
        self._linger_until = time.monotonic() + LINGER_S
        self._listener = self._listen()
        self._watch(self._listener.fileno(), self._accept)
        self._wake = self._signals()
        self._watch(self._wake, self._reap)

    def run(self) -> None:
        while not self._finished():
            if self._wanting and not self._poll.poll(0):  # nobody waits: prepare for the next ones
                self._prepare()
            for handle, _ in self._poll.poll(self._wait_ms()):
                action = self._actions.get(handle)
                if action is not None:  # an earlier action of this round may have closed it
                    action()
            now = time.monotonic()
            if self._revival.due is not None and now >= self._revival.due:
                self._revival.start(now)
        self._leave()

    def _leave(self) -> None:
        """Send the shims that wait away, and see them go."""
        signal.set_wakeup_fd(-1)
        for shim in list(self._spares):
            self._close(shim)
            os.waitpid(shim.pid, 0)
        os.close(self._wake)
        os.close(self._wake_writer)

    # --- when to end

    def _finished(self) -> bool:
        needed = self._shims or self._revival.active or not all(caller.leaving for caller in self._callers)
        if needed or time.monotonic() < self._linger_until:
            return False
        self._unlink()
        self._unwatch(self._listener.fileno())
        known = len(self._callers)
        self._accept()  # whoever found the path before it went is still served
        self._listener.close()
        if len(self._callers) == known:
            return True
        self._listener = self._listen()
        self._watch(self._listener.fileno(), self._accept)
        return False

    def _wait_ms(self) -> Optional[int]:
        moments = [] if self._revival.due is None else [self._revival.due]
        now = time.monotonic()
        if now < self._linger_until:
            moments.append(self._linger_until)
        return max(0, int((min(moments) - now) * 1000) + 1) if moments else None

    # --- the socket

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.setblocking(False)
        self._unlink()
        mask = os.umask(0o177)
        folder = -1
        try:
            address = self._path
            if len(os.fsencode(address)) > SUN_PATH_MAX:
                folder = os.open(self._home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                address = f"/proc/self/fd/{folder}/launcher.sock"
            listener.bind(address)
        finally:
            os.umask(mask)
            if folder >= 0:
                os.close(folder)
        listener.listen(64)
        return listener

    def _unlink(self) -> None:
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass  # the one before us took it away; or somebody took the whole home away

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.ECONNABORTED, errno.EINTR):
                    continue
                raise
            credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            if struct.unpack("iII", credentials)[1] not in (os.geteuid(), 0):
                peer.close()
                continue
            peer.setblocking(False)
            caller = _Caller(peer)
            self._callers.append(caller)
            self._linger_until = 0.0
            self._watch(peer.fileno(), lambda caller=caller: self._receive(caller))  # type: ignore[misc]

    def _receive(self, caller: _Caller) -> None:
        try:
            data = caller.peer.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(caller)
            return
        *lines, caller.buffer = (caller.buffer + data).split(b"\n")
        for line in lines:
            if caller in self._callers:
                self._handle(caller, line)
        if len(caller.buffer) > LINE_MAX:
            self._drop(caller)

    def _handle(self, caller: _Caller, line: bytes) -> None:
        try:
            message = json.loads(line)
            request, operation = message.get("id"), message.get("op")
        except (ValueError, AttributeError):
            self._reply(caller, None, {"ok": False, "error": "not a JSON object"})
            return
        if operation == "launch" and isinstance(message.get("folder"), str):
            folder = os.fsdecode(message["folder"].encode("utf-8", "surrogateescape"))
            self._launch(caller, request, folder)
        elif operation == "work":
            caller.daemon = True
            self._revival.work(bool(message.get("active")), [str(word) for word in message.get("restart") or []])
            self._reply(caller, request, {"ok": True})
        elif operation == "ping":
            self._reply(caller, request, {"ok": True, "pid": os.getpid(), "shims": len(self._shims)})
        elif operation == "bye":
            self._revival.work(False, [])
            caller.daemon, caller.leaving = False, True
            self._reply(caller, request, {"ok": True})
        else:
            self._reply(caller, request, {"ok": False, "error": f"unknown request {operation!r}"})

    def _reply(self, caller: _Caller, request: Any, body: Dict[str, Any]) -> None:
        if caller not in self._callers:
            return
        try:
            caller.peer.sendall(attempt.encode({"id": request, **body}))
        except OSError:  # gone, or it does not read: its files tell it all
            self._drop(caller)

    def _drop(self, caller: _Caller) -> None:
        self._unwatch(caller.peer.fileno())
        caller.peer.close()
        self._callers.remove(caller)
        if caller.daemon and not any(other.daemon for other in self._callers):
            self._revival.lost(time.monotonic())

    # --- attempts

    def _launch(self, caller: _Caller, request: Any, folder: str, again: bool = False) -> None:
        """Hand the attempt to the shim that waits, or to a new one. `again`: the first was killed meanwhile."""
        try:
            shim = self._spares.pop(0) if self._spares and not again else self._fork()
            self._wanting = not self._spares
            shim.caller, shim.request, shim.folder, shim.again = caller, request, folder, again
            try:
                shim.channel.send(os.fsencode(folder))
            except ConnectionError:
                pass  # it was killed: its end is read from the same channel
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            self._reply(caller, request, {"ok": False, "error": f"cannot start a supervisor: {why}"})
            return
        self._shims[shim.pid] = folder

    def _prepare(self) -> None:
        """Have SPARES shims wait. Several at once, because each fork makes us copy our own pages anew."""
        self._wanting = False  # a machine that cannot fork now is asked again at the next launch, not in a circle
        try:
            while len(self._spares) < SPARES:
                self._spares.append(self._fork())
        except OSError as error:
            print(f"stepwell launcher: cannot fork a supervisor: {error}", flush=True)

    def _fork(self) -> _Shim:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            raise
        if pid == 0:
            foreign = (*self._actions, self._wake_writer, self._home_lock, ours.detach())
            supervisor.run(theirs.detach(), self._machine, foreign)
        theirs.close()
        shim = _Shim(pid, ours)
        self._watch(ours.fileno(), lambda: self._answered(shim))
        return shim

    def _answered(self, shim: _Shim) -> None:
        """A shim says how its launch went, once; or it ended before that."""
        try:
            said = attempt.decode(shim.channel.recv(8192))
        except ConnectionError:
            said = None
        self._close(shim)
        if shim.caller is None:
            return
        said = said or _last_seen(shim.folder)
        if said is None and not shim.again:
            self._launch(shim.caller, shim.request, shim.folder, again=True)
            return
        said = said or {"error": "its supervisor was killed before it could start it"}
        self._reply(shim.caller, shim.request, {"ok": "error" not in said, **said})

    def _close(self, shim: _Shim) -> None:
        self._unwatch(shim.channel.fileno())
        shim.channel.close()
        if shim in self._spares:
            self._spares.remove(shim)

    def _reap(self) -> None:
        """Collect every child that has ended: shims, the daemon, and orphans that became ours."""
        try:
            os.read(self._wake, 512)
        except BlockingIOError:
            pass  # called once more than there were signals
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._revival.pid:
                self._revival.pid = None
                if not any(caller.daemon for caller in self._callers) and self._revival.due is None:
                    self._revival.lost(time.monotonic())
            for spare in [spare for spare in self._spares if spare.pid == pid]:
                self._close(spare)
            folder = self._shims.pop(pid, None)
            if folder is not None and status != 0:
                descendants.end_orphans(folder, {*self._shims, self._revival.pid or 0})

    # --- the loop's own

    def _signals(self) -> int:
        reader, self._wake_writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, supervisor.noted)
        return reader

    def _watch(self, handle: int, action: Callable[[], None]) -> None:
        self._actions[handle] = action
        self._poll.register(handle, select.POLLIN)

    def _unwatch(self, handle: int) -> None:
        del self._actions[handle]
        self._poll.unregister(handle)


def _last_seen(folder: str) -> Optional[Dict[str, Any]]:
    """Answer for a shim that was killed before it could: what it had written down by then, or None."""
    started = attempt.started_record(folder)
    if started is None:
        return None
    return {key: started[key] for key in ("pid", "shim_pid", "started_us")}


def _vmstat() -> int:
    try:
        return os.open("/proc/vmstat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # a container may hide it: then an out-of-memory kill is a plain SIGKILL
        return -1


def main(home: str) -> int:
    """Run the launcher of `home` until nobody needs it. Returns the exit code."""
    while True:  # a shim's and a step's pipes must never land on 0, 1 or 2
        handle = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        if handle > 2:
            os.close(handle)
            break
        os.set_inheritable(handle, True)
    lock = os.open(os.path.join(home, "launcher.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 3
    os.chdir("/")
    spawn.prctl(spawn.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    spawn.prctl(spawn.PR_SET_NAME, b"stepwell-launch", 0, 0, 0)
    launcher = Launcher(home, lock)
    gc.collect()
    gc.freeze()
    gc.disable()
    launcher.run()
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: launcher.py HOME")
    sys.exit(main(os.path.abspath(sys.argv[1])))
