"""Runs a Python script as if it had been started directly: `python bootstrap.py SCRIPT ARGS...`

The script finds itself in a fresh `__main__`, with its own argv, folder on `sys.path`, `__file__`
and exit code, and no frame of ours in its tracebacks. What it gains: `import stepwell_step` works,
and so does `import stepwell` where the interpreter has none (folder `importable`, appended last,
so that it never hides a real one).

Imports nothing that the interpreter has not imported itself: a step's start-up time is a promise.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


def _run(script: str, arguments: "list[str]") -> None:
    path = os.path.abspath(script)
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        print(f"{sys.executable}: can't open file {script!r}: [Errno {error.errno}] {error.strerror}", file=sys.stderr)
        sys.exit(2)
    here = os.path.dirname(os.path.abspath(__file__))
    if not getattr(sys.flags, "safe_path", False):  # Python put our own folder first; with -P it puts none
        sys.path[0] = os.path.dirname(os.path.realpath(path))
    sys.path.append(os.path.join(here, "importable"))
    sys.argv[:] = [script, *arguments]

    main = type(sys)("__main__")
    main.__dict__.update(
        __file__=path,
        __builtins__=__builtins__,
        __loader__=type(__loader__)("__main__", path),  # type: ignore[name-defined]
        __cached__=None,
        __annotations__={},
    )
    sys.modules["__stepwell_bootstrap__"] = sys.modules["__main__"]  # or its names would be cleared under us
    sys.modules["__main__"] = main
    try:
        exec(compile(source, path, "exec", dont_inherit=True), main.__dict__)
    except SystemExit:
        raise
    except BaseException:
        _cut_own_frames()
        raise


def _cut_own_frames() -> None:
    """Have the traceback that Python is about to print begin with the script.

    Python itself must see the exception, so that exit code, death by SIGINT and a hook that the
    script has set are what they would be without us.
    """
    shown = sys.excepthook

    def hook(kind: "type[BaseException]", value: BaseException, traceback: "TracebackType | None") -> None:
        while traceback is not None and traceback.tb_frame.f_globals is _run.__globals__:
            traceback = traceback.tb_next
        shown(kind, value.with_traceback(traceback), traceback)

    sys.excepthook = hook


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: bootstrap.py SCRIPT ARGS...")
    _run(sys.argv[1], sys.argv[2:])
