"""One attempt, from its folder to its exit record: start the step, pump its output, end it in time.

    take the lock -> started.json -> cancel.json there? -> the step runs -> pump
    -> the step ends -> its descendants end or are ended -> drain -> exit.json

The step's end is the exit of its main process, not the end of its output: a grandchild may hold the
pipe for ever. What it leaves running has PATIENCE_S to end by itself (a `tee` still writing, a
resource tracker), then it is killed and named in exit.json.

SIGTERM asks to cancel, and cancel.json says why: TERM to the step and all below it, then KILL after
the grace. A process that even SIGKILL does not end (uninterruptible sleep) keeps us, and the lock, waiting.
"""

from __future__ import annotations

import os
import resource  # noqa: F401  os.wait4 would import it, in each shim anew
import select
import signal
import time
from typing import Any, Callable, Dict, NamedTuple, Optional

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


class Unstarted(Exception):
    """Nothing was run, and the attempt's folder says nothing about it."""


class Supervision:
    """Supervises one attempt in a process that has no other child than `child`, which becomes the step.

    `wake`: reading end of a pipe that gets a byte for each SIGCHLD and SIGTERM. `tell` is called
    once with {"pid", "shim_pid", "started_us"}, when started.json or exit.json is there.
    """

    def __init__(
        self, folder: str, child: spawn.Child, wake: int, machine: Machine, tell: Callable[[Dict[str, Any]], None]
    ) -> None:
        self._folder = folder
        self._child = child
        self._wake = wake
        self._machine = machine
        self._tell = tell
        self._log: Optional[Log] = None
        self._started_us: Optional[int] = None
        self._started = 0.0
        self._status: Optional[int] = None  # of the step's main process, once it has ended
        self._ended_at = 0.0
        self._ended_us = 0
        self._over = False  # no process is left below us
        self._ending: Optional[_Ending] = None
        self._kill_at: Optional[float] = None
        self._left: Dict[int, descendants.Process] = {}
        self._cpu_s = 0.0
        self._max_rss_kib = 0

    def run(self) -> None:
        """Do all of it. The lock is then still held, until this process is gone. Raises Unstarted."""
        self._start(self._take())

    def _take(self) -> Dict[str, Any]:
        """Make the attempt ours and return its launch record."""
        try:
            self._lock = attempt.Lock(self._folder)
            refused = attempt.refusal(self._folder) if self._lock.acquire() else "it is already running"
        except OSError as error:
            raise Unstarted(f"cannot lock the attempt: {(error.strerror or str(error)).lower()}") from error
        if refused is not None:
            raise Unstarted(refused)
        record = attempt.launch_record(self._folder)
        if record is None:
            raise Unstarted("its folder holds no readable launch.json")
        self._ooms = self._machine.oom_kills()
        self._grace = _seconds(record.get("grace_s"), GRACE_S)
        self._timeout: Optional[float] = record.get("timeout_s")
        return record

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
            raise Unstarted(f"cannot write to its folder: {(error.strerror or str(error)).lower()}") from error
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
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                self._over = True
                return
            if pid == 0:
                return
            self._cpu_s += usage.ru_utime + usage.ru_stime
            self._max_rss_kib = max(self._max_rss_kib, usage.ru_maxrss)
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
            "cpu_s": self._cpu_s,
            "max_rss_mib": self._max_rss_kib / 1024,
            "log_bytes": log.size if log is not None else 0,
            "log_lost_bytes": log.lost if log is not None else 0,
            "left_behind": [{"pid": each.pid, "name": each.name} for each in self._left.values()],
        }
        give_up = time.monotonic() + EXIT_RETRY_S
        while True:
            try:
                attempt.write_json_atomic(os.path.join(self._folder, attempt.EXIT), record)
                return
            except (FileNotFoundError, NotADirectoryError):
                return  # the step removed its own folder: there is nobody left to tell, and it counts as Lost
            except OSError:
                if time.monotonic() > give_up:
                    raise
            time.sleep(0.25)


def _seconds(value: Any, default: float) -> float:
    return default if value is None else float(value)


def _reason(record: Dict[str, Any]) -> str:
    return str(record.get("reason") or "canceled")
