"""The daemon's process: take the home's lock, open the state, bring runs back, serve, end cleanly.

    python -m stepwell.runtime.daemon --home DIR

Exit codes: 0 asked to stop or idle, 3 another daemon has the home, 4 the home cannot be used.
"""

from __future__ import annotations

import argparse
import fcntl
import gc
import json
import logging
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TextIO

import psutil

from stepwell.api.engine import Engine
from stepwell.api.routes import application
from stepwell.api.server import HttpServer, bind
from stepwell.content.artifacts import ObjectStore
from stepwell.core.allocator import Machine
from stepwell.errors import ConflictError, MachineError, StepwellError
from stepwell.extend.registry import StepTypes
from stepwell.ids import now_us
from stepwell.paths import Home
from stepwell.runtime import doctor
from stepwell.runtime.attempts import Attempts
from stepwell.runtime.context import Context
from stepwell.runtime.durability import Durability
from stepwell.runtime.feed import Feed
from stepwell.runtime.launch import Launcher
from stepwell.runtime.loop import Loop
from stepwell.runtime.preparation import Preparation
from stepwell.runtime.recover import Recovery
from stepwell.runtime.scheduler import Scheduler
from stepwell.store import queries
from stepwell.store.database import Database
from stepwell.store.writer import Writer

IDLE_EXIT_S = 30 * 60.0
WORKERS = 8
COLLECT_AFTER = 50_000  # objects; a pipeline of 1,000 steps makes as many while it is planned
SWITCH_S = 0.0005  # threads hand each step on to the next; Python's own 5 ms is as long as a whole step
_KEPT_VARIABLES = ("HOME", "PATH", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "STEPWELL_IDLE_EXIT_S")
log = logging.getLogger("stepwell.daemon")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="stepwell.runtime.daemon", description="the Stepwell daemon")
    parser.add_argument("--home", help="the folder that holds all state")
    options = parser.parse_args(arguments)
    home = Home.at(options.home) if options.home else Home.from_environment()
    _scrub_environment()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        if doctor.is_network(str(home.root)):
            raise MachineError(
                f"{str(home.root)!r} lies on a network file system, where SQLite cannot keep state safely",
                hint="set STEPWELL_HOME to a folder on a local disk",
                code="network_home",
            )
        home.create()
        with _locked(home):
            return _serve(home)
    except StepwellError as error:
        sys.stderr.write(f"stepwell: {error}\n")
        return error.exit_code


def _scrub_environment() -> None:
    """Nothing of whoever happened to start the daemon may reach a step."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    os.environ.clear()
    os.environ.update(kept)
    os.umask(0o077)


def _locked(home: Home) -> TextIO:
    """Return the held lock of the home. Raises ConflictError naming the daemon that holds it."""
    file = open(home.lock, "a+", encoding="utf-8")  # noqa: SIM115  held, open, for the daemon's life
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise ConflictError(
            f"another daemon has the home {str(home.root)!r}: {holder}",
            hint="stepwell status",
            code="home_taken",
        ) from None
    file.truncate(0)
    file.write(json.dumps({"pid": os.getpid(), "started_us": now_us()}))
    file.flush()
    return file


def _serve(home: Home) -> int:
    over = threading.Event()
    failure: list[BaseException] = []

    def broken(error: BaseException) -> None:
        failure.append(error)
        over.set()

    sys.setswitchinterval(SWITCH_S)
    gc.freeze()  # what was imported stays; looking through it again and again costs a third of a large plan
    gc.set_threshold(COLLECT_AFTER)
    with ExitStack() as stack:
        database = Database.open(home)
        stack.callback(database.close)
        with database.read() as connection:
            feed = Feed(queries.last_seq(connection))
        writer = Writer(database, feed.publish)
        stack.callback(writer.close)
        store = ObjectStore(home)
        store.sweep()
        durability = Durability(home, database, writer, store)
        durability.start()
        feed.listen(durability.committed)
        stack.callback(durability.close)
        workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="worker")
        stack.callback(workers.shutdown, wait=True, cancel_futures=True)
        context = _context(home, database, writer, feed, store, workers)
        stack.callback(context.launcher.close)
        loop = Loop(writer, workers, broken)
        scheduler = Scheduler(context, loop)
        stack.callback(scheduler.close)
        engine = Engine(context, scheduler, loop, over.set)
        stack.callback(loop.stop)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: over.set())
        loop.start()
        count = Recovery(context, engine.catalog, scheduler, loop).run()
        listener = bind(home)
        server = HttpServer(application(engine), listener)
        server.start()
        stack.callback(home.socket.unlink, missing_ok=True)
        stack.callback(server.stop)
        log.info("serving %s, %d runs brought back", home.root, count)
        _wait(over, engine)
    if failure:
        log.error("stopped by a failure: %r", failure[0])
        return 4 if isinstance(failure[0], (MachineError, OSError)) else 1
    log.info("stopped")
    return 0


def _context(
    home: Home, database: Database, writer: Writer, feed: Feed, store: ObjectStore, workers: ThreadPoolExecutor
) -> Context:
    types = StepTypes()
    restart = [sys.executable, "-m", "stepwell.runtime.daemon", "--home", str(home.root)]
    return Context(
        home=home,
        database=database,
        writer=writer,
        feed=feed,
        store=store,
        types=types,
        preparation=Preparation(home, database, store, types),
        attempts=Attempts(home, store, types),
        launcher=Launcher(home, restart),
        workers=workers,
        machine=Machine(cpus=float(len(os.sched_getaffinity(0))), memory_mib=psutil.virtual_memory().total >> 20),
    )


def _wait(over: threading.Event, engine: Engine) -> None:
    """Sleep until asked to stop, or until nobody has needed the daemon for half an hour."""
    limit = float(os.environ.get("STEPWELL_IDLE_EXIT_S") or IDLE_EXIT_S)
    left = limit
    while not over.wait(max(left, 1.0)):
        left = limit - engine.idle_s()
        if left <= 0:
            log.info("idle for %.0f s", limit)
            return


if __name__ == "__main__":
    sys.exit(main())
