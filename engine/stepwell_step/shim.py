"""A supervisor process: waits for an attempt, supervises it (`supervision`), and is gone with it.

The launcher forks it before there is anything to do, and it forks the process that will be the
step before it knows which. It speaks through the files of the attempt's folder; the launcher gets
one message, and is needed for nothing more. Its end, and the lock that it frees, say that the
attempt is over.

If it is killed the step dies with it and no exit.json is written: the attempt is Lost.
"""

from __future__ import annotations

import os
import select
import signal
import traceback
from typing import Any, Dict, NoReturn, Sequence

from stepwell_step import attempt, spawn
from stepwell_step.pump import Log
from stepwell_step.supervision import Machine, Supervision, Unstarted


def run(channel: int, machine: Machine, foreign: Sequence[int]) -> NoReturn:
    """Wait for an attempt, supervise it and exit. `channel`: one end of a SEQPACKET pair to the launcher.

    In comes the attempt's folder, one message of bytes; its end means that we are not needed. Out
    goes one message: {"pid", "shim_pid", "started_us"} once started.json or exit.json is there, or
    {"error"} where nothing was started.

    `foreign`: the launcher's own handles, closed here: a shim must never keep its locks or connections
    open. The step's process is forked before anything else: after a fork, each page that is written
    to is copied, and what we had copied before would be copied again.
    """
    code = 0
    try:
        signal.set_wakeup_fd(-1)  # its other end is the launcher's
        child, failure = None, ""
        try:
            child = spawn.fork((channel, *foreign))
        except OSError as error:  # no process, handle or memory left: said to whoever wants a step
            failure = f"cannot start a process: {(error.strerror or str(error)).lower()}"
        for handle in foreign:
            os.close(handle)
        if child is None:
            if os.read(channel, 8192):
                os.write(channel, attempt.encode({"error": failure}))
        else:
            _Shim(channel, machine).run(child)
    except BaseException:  # noqa: BLE001  the top of a process: a bug of ours belongs into the launcher's log
        traceback.print_exc()
        code = 70
    finally:
        os._exit(code)


class _Shim:
    def __init__(self, channel: int, machine: Machine) -> None:
        os.setsid()
        spawn.prctl(spawn.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        spawn.prctl(spawn.PR_SET_NAME, b"stepwell-shim", 0, 0, 0)
        self._channel = channel
        self._machine = machine
        self._wake = self._listen()

    def run(self, child: spawn.Child) -> None:
        self._rehearse()
        folder = self._wait(child)
        if not folder:
            return
        try:
            Supervision(os.fsdecode(folder), child, self._wake, self._machine, self._tell).run()
        except Unstarted as error:
            self._tell({"error": str(error)})

    def _wait(self, child: spawn.Child) -> bytes:
        """Wait for an attempt's folder; b"" where none will come."""
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            if os.waitpid(child.pid, os.WNOHANG)[0]:  # somebody killed it: another shim takes the job
                return b""
            ready = [handle for handle, _ in poll.poll()]
            if self._channel in ready:
                return os.read(self._channel, 8192)
            os.read(self._wake, 512)

    def _rehearse(self) -> None:
        """Go the way of an attempt once, in a folder that cannot be, as `spawn._rehearse` does."""
        folder = "/proc/self/nowhere"
        self._machine.oom_kills()
        attempt.start_time(os.getpid())
        attempt.refusal(folder)
        attempt.launch_record(folder)
        spawn.Command({"argv": ["x"], "cwd": "/", "env": {"PATH": "/"}}).candidates()
        attempt.decode(attempt.encode({"v": attempt.VERSION, "left_behind": [], "cpu_s": 0.5, "message": None}))
        for write in (attempt.Lock(folder).acquire, lambda: Log(folder), lambda: attempt.write_json_atomic(folder, {})):
            try:
                write()
            except OSError:
                pass  # which is what is expected of a folder that cannot be

    def _listen(self) -> int:
        """Have signals arrive as bytes in a pipe; return its reading end."""
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, noted)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        return reader

    def _tell(self, line: Dict[str, Any]) -> None:
        """Answer the launcher. It may be gone: nobody needs the answer any more then."""
        try:
            os.write(self._channel, attempt.encode(line))
        except BrokenPipeError:
            pass
        os.close(self._channel)


def noted(number: int, frame: object) -> None:
    """The byte in the wake-up pipe says it all."""
