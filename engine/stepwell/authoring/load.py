"""Reading a pipeline file: it is run, in this process, as a module that is not `__main__`.

While it runs the current folder, the first entry of `sys.path` and `sys.argv` are what they would
be if it were run in its own folder; what it prints goes to standard error, where it cannot spoil
JSON. Everything is put back afterwards, and modules that it imported from its folder are
forgotten, so that a file may be loaded again after an edit. Ctrl-C ends a file that hangs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

from stepwell.authoring.origin import shown
from stepwell.authoring.pipeline import Pipeline
from stepwell.authoring.workspace import Workspace
from stepwell.errors import NotFoundError, StepwellError, UsageError, closest

MODULE = "__pipeline__"


def load(file: Path, workspace: Workspace | None = None) -> Pipeline:
    """Return the pipeline that `file` defines: its `pipeline`, or what its `build(workspace)` returns.

    `workspace` is given to `build`; without one it is the workspace of the file's folder. Raises
    UsageError with file and line for a file that raises, exits or defines no pipeline; a
    KeyboardInterrupt passes.
    """
    path = Path(os.path.abspath(file))
    source = _source(path, file)
    with _in_folder_of(path):
        try:
            module = _run(path, source)
            return _pipeline(module, path, workspace)
        except SystemExit as exit_:
            reason = UsageError(
                f"the pipeline file calls sys.exit({'' if exit_.code is None else repr(exit_.code)})",
                hint="put what does not describe the pipeline under `if __name__ == '__main__':`",
                code="pipeline_exits",
            )
            raise _located(reason, exit_, path) from exit_
        except UsageError as error:
            raise _located(error, error, path) from error
        except StepwellError:
            raise  # the machine's fault, or somebody else's; the line does not matter
        except SyntaxError as error:
            where = f"{shown(error.filename or str(path))}:{error.lineno}"
            raise UsageError(f"{where}: {error.msg}", code="pipeline_syntax") from error
        except Exception as error:  # a file of the user's may raise anything; it is told with its line
            reason = UsageError(
                f"{type(error).__name__}: {error}",
                hint=f"python {shown(str(path))}   shows where it comes from",
                code="pipeline_raises",
            )
            raise _located(reason, error, path) from error


def _source(path: Path, file: Path) -> bytes:
    try:
        return path.read_bytes()
    except IsADirectoryError:
        inside = path / "pipeline.py"
        raise UsageError(
            f"{str(file)!r} is a folder, not a pipeline file",
            hint=f"{inside}" if inside.is_file() else "name a Python file that defines `pipeline`",
            code="pipeline_file",
        ) from None
    except (FileNotFoundError, NotADirectoryError):
        there = [entry.name for entry in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise NotFoundError(
            f"no pipeline file {str(file)!r} (there is: {', '.join(sorted(there)) or 'no .py file'})",
            hint=closest(path.name, there),
            code="pipeline_file",
        ) from None
    except OSError as error:
        raise UsageError(f"cannot read {str(file)!r}: {error.strerror}", code="pipeline_file") from error


def _run(path: Path, source: bytes) -> ModuleType:
    module = ModuleType(MODULE)
    module.__file__ = str(path)
    sys.modules[MODULE] = module  # dataclasses and pickles look their module up
    exec(compile(source, str(path), "exec", dont_inherit=True), module.__dict__)
    return module


def _pipeline(module: ModuleType, path: Path, workspace: Workspace | None) -> Pipeline:
    names = vars(module)
    if isinstance(names.get("pipeline"), Pipeline):
        made: Any = names["pipeline"]
    elif callable(names.get("build")):
        made = names["build"](workspace or Workspace.from_config())
        if not isinstance(made, Pipeline):
            raise UsageError(f"build(workspace) returned {_a(made)}, not a Pipeline", code="no_pipeline")
    elif "pipeline" in names:
        raise UsageError(f"`pipeline` is {_a(names['pipeline'])}, not a Pipeline", code="no_pipeline")
    else:
        others = [name for name, value in names.items() if isinstance(value, Pipeline)]
        raise UsageError(
            "the file defines neither `pipeline` nor `build(workspace)`",
            hint=f"rename {others[0]!r} to 'pipeline'" if len(others) == 1 else "pipeline = Pipeline(workspace, steps)",
            code="no_pipeline",
        )
    assert isinstance(made, Pipeline)
    return made


def _a(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _located(reason: UsageError, error: BaseException, path: Path) -> UsageError:
    """Return `reason` with file and line before it: the innermost line of the user's folder that was running."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if os.path.abspath(frame.filename) == str(path)]
    near = [frame for frame in frames if os.path.abspath(frame.filename).startswith(f"{path.parent}{os.sep}")]
    found = near or own
    where = f"{shown(os.path.abspath(found[-1].filename))}:{found[-1].lineno}" if found else shown(str(path))
    if reason.message.startswith(f"{where}:"):
        return reason
    return type(reason)(f"{where}: {reason.message}", hint=reason.hint, code=reason.code)


@contextmanager
def _in_folder_of(path: Path) -> Iterator[None]:
    """Have the process look as the file expects it, and put everything back."""
    folder = str(path.parent)
    before = os.getcwd(), list(sys.path), sys.argv, sys.dont_write_bytecode, set(sys.modules)
    sys.path.insert(0, folder)
    sys.argv = [str(path)]
    sys.dont_write_bytecode = True  # the user's folders are only read
    try:
        os.chdir(folder)
        with _stdout_to_stderr():
            yield
    finally:
        os.chdir(before[0])
        sys.path[:], sys.argv, sys.dont_write_bytecode = before[1], before[2], before[3]
        for name in set(sys.modules) - before[4]:
            source = getattr(sys.modules[name], "__file__", None) or ""
            if name == MODULE or source.startswith(folder + os.sep):
                del sys.modules[name]


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Send to standard error what this process prints, and what programs print that it starts."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
