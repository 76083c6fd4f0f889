"""A forked process that waits for its order and then becomes the step; and the words for one that cannot.

The child leads a session of its own, dies with its shim (PDEATHSIG), reads nothing (/dev/null),
writes into two pipes, and has default signal dispositions. It is forked before anybody knows what
it will be: a page fault costs microseconds, a fork some hundred of them, and nobody waits for
those. It runs nothing of the step until the order comes: `started.json` must be there first.

A plain fork, because neither `posix_spawn` nor a vfork can ask for PDEATHSIG in the child; nothing
is imported between fork and exec.
"""

from __future__ import annotations

import ctypes
import errno
import marshal
import os
import signal
from typing import Any, Dict, List, Optional, Sequence, Tuple

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36
ARGUMENT_MAX = 131072  # bytes of one argument or variable with its NUL: 32 pages, fixed in the kernel

prctl = ctypes.CDLL(None, use_errno=True).prctl  # resolved before any fork
# Whatever this process ignores (Python: SIGPIPE, SIGXFSZ; nohup: SIGHUP) or a shim handles, a step must not inherit.
_RESET = [
    number
    for number in sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
    if signal.getsignal(number) != signal.SIG_DFL
    or number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
]


class Refused(Exception):
    """The step cannot be started. `code` is what a shell would exit with: 127 not found, 126 not runnable."""

    def __init__(self, message: str, code: int = 126) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Command:
    """What to start, in bytes, as the kernel takes it. Raises Refused where it cannot be said at all."""

    def __init__(self, record: Dict[str, Any]) -> None:
        self.argv = [_bytes(text, f"argument {number}") for number, text in enumerate(record["argv"])]
        self.cwd = _bytes(record["cwd"], "the working folder")
        self.env = {
            _bytes(name, f"the variable {name!r}"): _bytes(value, f"the variable {name!r}")
            for name, value in record["env"].items()
        }
        if not self.argv or not self.argv[0]:
            raise Refused("the command is empty", 127)
        for name in self.env:
            if not name or b"=" in name:
                raise Refused(f"a variable cannot be named {_text(name)!r}")

    @property
    def program(self) -> str:
        return _text(self.argv[0])

    @property
    def path(self) -> bytes:
        return self.env.get(b"PATH", os.fsencode(os.defpath))

    def candidates(self) -> List[bytes]:
        """Return the files to try, in order: those on PATH, or the one that is named by its path."""
        if b"/" in self.argv[0]:
            return [self.argv[0]]
        return [(folder or b".") + b"/" + self.argv[0] for folder in self.path.split(b":")]


class Child:
    """A forked process that waits to be told what to become. It has its own session and both pipes already."""

    def __init__(self, pid: int, out: int, err: int, gate: int, failure: int) -> None:
        self.pid = pid
        self.out = out
        self.err = err
        self._gate = gate
        self._failure = failure

    def release(self, command: Command) -> Optional[Tuple[str, int]]:
        """Let it become `command`; None once the program runs, else which act failed ("cwd", "exec") and its errno."""
        order = marshal.dumps((command.cwd, command.candidates(), command.argv, command.env))
        try:
            while order:
                order = order[os.write(self._gate, order) :]
        except BrokenPipeError:
            pass  # somebody killed it; its status will tell
        os.close(self._gate)
        said = os.read(self._failure, 64)
        os.close(self._failure)
        if not said:
            return None
        act, number = said.split(b" ")
        return act.decode("ascii"), int(number)

    def abandon(self) -> None:
        """Close the gate for good: the child exits without having run anything. Waits for that."""
        os.close(self._gate)
        os.close(self._failure)
        os.waitpid(self.pid, 0)


def fork(foreign: Sequence[int] = ()) -> Child:
    """Fork the process that will be the step; it closes `foreign`. Raises OSError where the machine has none left."""
    supervisor = os.getpid()
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    out, out_w = os.pipe()
    err, err_w = os.pipe()
    gate_r, gate = os.pipe()
    failure, failure_w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            for handle in (gate, *foreign):  # or nobody would see that the other end of them is gone
                os.close(handle)
            _become(supervisor, (null, out_w, err_w), gate_r, failure_w)
        finally:
            os._exit(127)
    for handle in (null, out_w, err_w, gate_r, failure_w):
        os.close(handle)
    os.set_blocking(out, False)
    os.set_blocking(err, False)
    return Child(pid, out, err, gate, failure)


def _become(supervisor: int, streams: Tuple[int, int, int], gate: int, failure: int) -> None:
    """In the child: wait for the order and become the step. Returns only where that fails, having said why."""
    os.setsid()
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != supervisor:  # it died before the line above
        return
    for each in _RESET:
        signal.signal(each, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number, handle in enumerate(streams):
        os.dup2(handle, number)
    _rehearse()
    order = b"".join(iter(lambda: os.read(gate, 65536), b""))
    if not order:
        return
    cwd, candidates, argv, env = marshal.loads(order)
    act = "cwd"
    try:
        os.chdir(cwd)
        act = "exec"
        _execute(candidates, argv, env)
    except OSError as error:
        os.write(failure, b"%s %d" % (act.encode("ascii"), error.errno or 0))


def _rehearse() -> None:
    """Go the way of an order once, to nowhere: each page we write to is copied now, not when the step is awaited."""
    _, candidates, argv, env = marshal.loads(marshal.dumps((b"/", [b""], [b"x"], {b"PATH": b"/"})))
    try:
        _execute(candidates, argv, env)
    except FileNotFoundError:
        pass


def _execute(candidates: List[bytes], argv: List[bytes], env: Dict[bytes, bytes]) -> None:
    """Try each file as execvp does: one that may not be run is remembered, the search goes on."""
    worst: Optional[OSError] = None
    for candidate in candidates:
        try:
            os.execve(candidate, argv, env)
        except (FileNotFoundError, NotADirectoryError) as error:
            worst = worst or error
        except PermissionError as error:
            worst = error
    if worst is not None:
        raise worst


def refusal(command: Command, act: str, number: int) -> Refused:
    """Say why the program could not be started, in the user's words."""
    program, why = command.program, os.strerror(number)
    if act == "cwd":
        return Refused(f"cannot enter the working folder {_text(command.cwd)!r}: {why.lower()}")
    if number == errno.E2BIG:
        return Refused(f"cannot start {program!r}: {_too_big(command)}\n  try: write them to a file and pass its path")
    if number == errno.ENOENT:
        return Refused(f"cannot start {program!r}: {_not_found(command)}", 127)
    if number == errno.ENOTDIR:
        return Refused(f"cannot start {program!r}: a part of its path is not a folder", 127)
    if number == errno.ENOEXEC:
        return Refused(f"cannot start {program!r}: it is neither a program nor a script with a '#!' line")
    if number == errno.EACCES:
        return Refused(f"cannot start {program!r}: {_not_allowed(command)}")
    return Refused(f"cannot start {program!r}: {why.lower()}")


def _too_big(command: Command) -> str:
    for index, word in enumerate(command.argv):
        if len(word) >= ARGUMENT_MAX:
            return f"argument {index} is {len(word)} bytes long (the kernel takes {ARGUMENT_MAX - 1})"
    for name, value in command.env.items():
        size = len(name) + 1 + len(value)
        if size >= ARGUMENT_MAX:
            return f"the variable {_text(name)!r} is {size} bytes long (the kernel takes {ARGUMENT_MAX - 1})"
    words = [*command.argv, *(name + b"=" + value for name, value in command.env.items())]
    total = sum(len(word) + 9 for word in words)  # a NUL and a pointer each
    return f"its arguments and variables are {total} bytes (the kernel takes {_total_max()})"


def _total_max() -> int:
    """Return what the kernel takes for all of it: a quarter of the stack limit, at most three quarters of 8 MiB."""
    return min(os.sysconf("SC_ARG_MAX"), 6 * 1024 * 1024)


def _not_found(command: Command) -> str:
    if b"/" not in command.argv[0]:
        return f"no such program on the PATH {_text(command.path)!r}"
    path = os.path.join(command.cwd, command.argv[0])
    if not os.path.exists(path):
        return "no such file"
    with open(path, "rb") as file:
        first = file.readline(256)
    words = first[2:].split()
    if first.startswith(b"#!") and words:
        return f"the interpreter that its first line names, {_text(words[0])!r}, is not there"
    return "the loader that it asks for is not there"


def _not_allowed(command: Command) -> str:
    for candidate in command.candidates():
        path = os.path.join(command.cwd, candidate)
        if os.path.isdir(path):
            return "it is a folder"
        if os.path.exists(path):
            return "it is not executable\n  try: chmod +x"
    return "permission denied"


def _bytes(text: str, what: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    if b"\0" in data:
        raise Refused(f"{what} holds a NUL byte, which no program can be given")
    return data


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
