"""The supervisor of one attempt: starts the step, pumps its output, ends it in time, writes how it ended.

The launcher forks a shim before there is anything to do; it forks the process that will be the
step, and waits for the name of an attempt's folder, or for the launcher's end. From then on
everything is told through files in that folder:

    take the lock, for life -> started.json -> cancel.json there? -> the step runs -> pump
    -> the step ends -> its descendants end or are ended -> drain -> exit.json -> exit

The step's end is the exit of its main process, not the end of its output: a grandchild may hold the
pipe for ever. What it leaves running has PATIENCE_S to end by itself (a `tee` still writing, a
resource tracker), then it is killed and named in exit.json.

SIGTERM asks the shim to cancel: TERM to the step and all below it, then KILL after the grace. A
process that even SIGKILL does not end (uninterruptible sleep) keeps the shim, and the lock, waiting.

If the shim itself is killed the step dies with it and no exit.json is written: the attempt is Lost.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import time
import traceback
from typing import Any, Dict, NamedTuple, NoReturn, Optional, Sequence

from stepwell_step import attempt, descendants, spawn
from stepwell_step.pump import CHUNK, ERR, OUT, Log, Pump

PATIENCE_S = 0.5
REPEAT_KILL_S = 0.2
EXIT_RETRY_S = 30.0  # how long a full disk may keep the exit record from being written
GRACE_S = 10.0  # where neither the launch nor the cancel says


class Machine(NamedTuple):
    """What the launcher looked up once for all its shims. `vmstat`: an open handle, or -1."""

    boot_id: str
    vmstat: int

    def oom_kills(self) -> int:
        """Return how many processes the kernel has killed for want of memory since boot; 0 where it does not say."""
        if self.vmstat < 0:
            return 0
        text = os.pread(self.vmstat, CHUNK, 0)
        start = text.find(b"\noom_kill ")
        return int(text[start + 10 : text.index(b"\n", start + 1)]) if start >= 0 else 0


class _Ending(NamedTuple):
    """Why the step is being ended before it ended by itself."""

    outcome: str
    message: str


def run(channel: int, machine: Machine, foreign: Sequence[int]) -> NoReturn:
    """Wait for an attempt, supervise it and exit. `channel`: one end of a SEQPACKET pair to the launcher.

    `foreign`: the launcher's own handles, closed here: a shim must never keep its locks or connections
    open. The step's process is forked before anything else: after a fork, each page that is written
    to is copied, and what we had copied before would be copied again.

    In comes the attempt's folder, one message of bytes; its end means that we are not needed. Out
    goes one message: {"pid", "shim_pid", "started_us"} once started.json or exit.json is there, or
    {"error"} where nothing was started.
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
            _Shim(channel, machine, child).run()
    except BaseException:  # noqa: BLE001  the top of a process: a bug of ours belongs into the launcher's log
        traceback.print_exc()
        code = 70
    finally:
        os._exit(code)


class _Unstarted(Exception):
    """Nothing was run, and the attempt's folder says nothing about it."""


class _Shim:
    def __init__(self, channel: int, machine: Machine, child: spawn.Child) -> None:
        os.setsid()
        spawn.prctl(spawn.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        spawn.prctl(spawn.PR_SET_NAME, b"stepwell-shim", 0, 0, 0)
        self._channel = channel
        self._machine = machine
        self._child = child
        self._wake = self._listen()
        self._status: Optional[int] = None  # of the step's main process, once it has ended
        self._ended_at = 0.0
        self._ended_us = 0
        self._over = False  # no process is left below us
        self._ending: Optional[_Ending] = None
        self._kill_at: Optional[float] = None
        self._left: Dict[int, descendants.Process] = {}
        self._started_us: Optional[int] = None
        self._started = 0.0
        self._log: Optional[Log] = None

    def run(self) -> None:
        folder = self._wait()
        if not folder:
            return
        self._folder = os.fsdecode(folder)
        try:
            record = self._take()
            self._start(record)
        except _Unstarted as error:
            self._tell({"error": str(error)})

    def _wait(self) -> bytes:
        """Wait for the attempt's folder; b"" where none will come."""
        self._rehearse()
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            if os.waitpid(self._child.pid, os.WNOHANG)[0]:  # somebody killed it: another shim takes the job
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

    def _take(self) -> Dict[str, Any]:
        """Make the attempt ours and return its launch record."""
        try:
            self._lock = attempt.Lock(self._folder)  # never released: it is free when we are gone
            refused = attempt.refusal(self._folder) if self._lock.acquire() else "it is already running"
        except OSError as error:
            raise _Unstarted(f"cannot lock the attempt: {(error.strerror or str(error)).lower()}") from error
        if refused is not None:
            raise _Unstarted(refused)
        record = attempt.launch_record(self._folder)
        if record is None:
            raise _Unstarted("its folder holds no readable launch.json")
        self._ooms = self._machine.oom_kills()
        self._grace = _seconds(record.get("grace_s"), GRACE_S)
        self._timeout: Optional[float] = record.get("timeout_s")
        return record

    def _listen(self) -> int:
        """Have signals arrive as bytes in a pipe; return its reading end."""
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, noted)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        return reader

    def _start(self, record: Dict[str, Any]) -> None:
        self._started_us, self._started = attempt.now_us(), time.monotonic()
        started = {
            "v": attempt.VERSION,
            "pid": self._child.pid,
            "shim_pid": os.getpid(),
            "pgid": self._child.pid,
            "start_ticks": attempt.start_time(self._child.pid),
            "shim_start_ticks": attempt.start_time(os.getpid()),
            "boot_id": self._machine.boot_id,
            "started_us": self._started_us,
        }
        try:
            self._log = Log(self._folder, record.get("log_cap_bytes"))
            attempt.write_json_atomic(os.path.join(self._folder, attempt.STARTED), started)
        except OSError as error:
            raise _Unstarted(f"cannot write to its folder: {(error.strerror or str(error)).lower()}") from error
        # From here on whoever wants to cancel finds us; before, they have left a file.
        canceled = attempt.cancel_record(self._folder)
        refused = None
        if canceled is not None:
            self._child.abandon()
            self._exit("Canceled", None, None, _reason(canceled))
        else:
            refused = self._release(record)
        if refused is not None:
            self._exit("Failed", refused.code, None, refused.message)
        self._tell({key: started[key] for key in ("pid", "shim_pid", "started_us")})
        if canceled is None and refused is None:
            self._supervise(self._log)
            self._finish()

    def _release(self, record: Dict[str, Any]) -> Optional[spawn.Refused]:
        """Let the step run; return why it cannot."""
        try:
            command = spawn.Command(record)
        except spawn.Refused as refused:
            self._child.abandon()
            return refused
        failed = self._child.release(command)
        if failed is None:
            return None
        os.waitpid(self._child.pid, 0)
        return spawn.refusal(command, *failed)

    def _supervise(self, log: Log) -> None:
        """Pump until the step has ended and nothing is left below us."""
        self._pump = Pump(log)
        streams = {self._child.out: OUT, self._child.err: ERR}
        poll = select.poll()
        for handle in (self._wake, *streams):
            poll.register(handle, select.POLLIN)
        deadline = None if self._timeout is None else self._started + self._timeout
        while True:
            for handle, _ in poll.poll(self._wait_ms(deadline)):
                if handle == self._wake:
                    self._signalled(os.read(handle, 512))
                elif not self._read(handle, streams[handle]):
                    poll.unregister(handle)
                    del streams[handle]
            now = time.monotonic()
            if self._pump.due is not None and now >= self._pump.due:
                self._pump.flush(now)
            if self._over:
                break
            if deadline is not None and now >= deadline and self._status is None and self._ending is None:
                self._end("TimedOut", f"timed out after {self._timeout:g} s", self._grace)
            if self._kill_at is not None and now >= self._kill_at:
                self._kill(now)
        for handle, stream in streams.items():
            self._drain(handle, stream)
        self._pump.flush(time.monotonic())

    def _wait_ms(self, deadline: Optional[float]) -> Optional[int]:
        waits = [self._pump.due, self._kill_at]
        if self._status is None and self._ending is None:
            waits.append(deadline)
        first = min((moment for moment in waits if moment is not None), default=None)
        if first is None:
            return None
        return max(0, int((first - time.monotonic()) * 1000) + 1)

    def _read(self, handle: int, stream: int) -> int:
        """Pump once; return how many bytes there were, 0 at the end of the stream."""
        data = os.read(handle, CHUNK)
        if data:
            self._pump.feed(stream, data, time.monotonic())
        return len(data)

    def _drain(self, handle: int, stream: int) -> None:
        """Read what is in the pipe now. Bounded: a process we may not kill could write for ever."""
        taken = 0
        try:
            while taken < 2 * 1024 * 1024:
                count = self._read(handle, stream)
                if count == 0:
                    return
                taken += count
        except BlockingIOError:
            pass  # empty, but held open by somebody who is not ours

    def _signalled(self, numbers: bytes) -> None:
        if signal.SIGTERM in numbers and self._status is None:
            wish = attempt.cancel_record(self._folder) or {}
            grace = _seconds(wish.get("grace_s"), self._grace)
            if self._ending is None:
                self._end("Canceled", _reason(wish), grace)
            elif self._kill_at is not None:  # asked again: patience may only get shorter
                self._kill_at = min(self._kill_at, time.monotonic() + grace)
        if signal.SIGCHLD in numbers:
            self._reap()

    def _reap(self) -> None:
        """Collect every child that has ended: the step, and orphans that became ours."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._over = True
                return
            if pid == 0:
                return
            if pid == self._child.pid:
                self._status, self._ended_at = status, time.monotonic()
                self._ended_us = attempt.now_us()
                if self._ending is None:
                    self._kill_at = self._ended_at + PATIENCE_S

    def _end(self, outcome: str, message: str, grace_s: float) -> None:
        """Ask the step and all below it to end. Stopped ones are woken, to hear it."""
        self._ending = _Ending(outcome, message)
        self._kill_at = time.monotonic() + grace_s
        descendants.signal_below(os.getpid(), signal.SIGTERM, signal.SIGCONT)

    def _kill(self, now: float) -> None:
        """Kill all below us, again and again: a process may fork while we look."""
        for process in descendants.signal_below(os.getpid(), signal.SIGKILL):
            if self._ending is None:
                self._left[process.pid] = process
        self._kill_at = now + REPEAT_KILL_S

    def _finish(self) -> None:
        status = self._status or 0
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        code = None if number is not None else os.WEXITSTATUS(status)
        if self._ending is not None:
            self._exit(self._ending.outcome, code, number, self._ending.message)
        elif code == 0:
            self._exit("Finished", 0, None, None)
        else:
            self._exit("Failed", code, number, self._out_of_memory(code, number))

    def _out_of_memory(self, code: Optional[int], number: Optional[int]) -> Optional[str]:
        """Say so where the kernel killed for want of memory while the step ran and the step ended as if by that."""
        if (number == signal.SIGKILL or code == 128 + signal.SIGKILL) and self._machine.oom_kills() > self._ooms:
            how = "killed by SIGKILL" if number else f"exit code {code}"
            return f"{how}: out of memory (the kernel ended a process to free memory while the step ran)"
        return None

    def _exit(self, outcome: str, code: Optional[int], number: Optional[int], message: Optional[str]) -> None:
        """Write exit.json. A full disk is waited for, EXIT_RETRY_S long: without it the attempt would be Lost."""
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        ended = self._ended_at if self._status is not None else time.monotonic()
        log = self._log
        if log is not None and log.failure is not None:
            lost = f"{log.lost} bytes of its output were lost: {log.failure.lower()}"
            message = lost if message is None else f"{message}; {lost}"
        record = {
            "v": attempt.VERSION,
            "outcome": outcome,
            "exit_code": code,
            "signal": number,
            "message": message,
            "started_us": self._started_us,
            "ended_us": self._ended_us if self._status is not None else attempt.now_us(),
            "duration_s": max(0.0, ended - self._started) if self._started_us is not None else 0.0,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "max_rss_mib": usage.ru_maxrss / 1024,
            "log_bytes": log.size if log is not None else 0,
            "log_lost_bytes": log.lost if log is not None else 0,
            "left_behind": [{"pid": each.pid, "name": each.name} for each in self._left.values()],
        }
        give_up = time.monotonic() + EXIT_RETRY_S
        while True:
            try:
                attempt.write_json_atomic(os.path.join(self._folder, attempt.EXIT), record)
                return
            except OSError:
                if time.monotonic() > give_up:
                    raise
            time.sleep(0.25)

    def _tell(self, line: Dict[str, Any]) -> None:
        """Answer the launcher. It may be gone: nobody needs the answer any more then."""
        try:
            os.write(self._channel, attempt.encode(line))
        except BrokenPipeError:
            pass
        os.close(self._channel)


def noted(number: int, frame: object) -> None:
    """The byte in the wake-up pipe says it all."""


def _seconds(value: Any, default: float) -> float:
    return default if value is None else float(value)


def _reason(record: Dict[str, Any]) -> str:
    return str(record.get("reason") or "canceled")
