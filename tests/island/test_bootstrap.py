"""A script under the bootstrap cannot tell that it was not started directly, in any Python."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from island.pythons import PYTHONS, bare, bootstrapped, interpreter, run

TELL = """
'''The document.'''
import os, sys
main = sys.modules["__main__"]
print(main.__dict__ is globals(), __name__, __doc__, __package__, __spec__, __file__ == os.path.abspath(sys.argv[0]))
print(type(__loader__).__name__, sorted(name for name in globals() if name.startswith("__")))
print(sys.argv, sys.path[0], sys.flags.optimize)
print([name for name in sys.modules if "stepwell" in name and "bootstrap" not in name])
"""


@pytest.fixture(params=PYTHONS)
def python(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def both(python: str, folder: Path, script: str, *arguments: str) -> tuple[tuple[int, str, str], tuple[int, str, str]]:
    """Run the script directly and under the bootstrap: (exit code, stdout, stderr) of each."""
    direct = run([interpreter(python), script, *arguments], folder)
    ours = run(bootstrapped([interpreter(python)], script, *arguments), folder)
    return (direct.returncode, direct.stdout, direct.stderr), (ours.returncode, ours.stdout, ours.stderr)


def test_a_script_sees_what_it_would_see(python: str, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "train.py").write_text(TELL)

    direct, ours = both(python, tmp_path, "deep/train.py", "--rate", "0.1", "", "a b")

    if python == "python3.8":  # there a main module still has the path as it was given
        direct = (direct[0], direct[1].replace("None None False", "None None True"), direct[2])
    assert direct[0] == 0
    assert ours == direct


@pytest.mark.parametrize(
    "text",
    [
        "raise ValueError('no')",
        "def f():\n    1 / 0\ntry:\n    f()\nexcept ZeroDivisionError as error:\n    raise KeyError(3) from error",
        "import broken",
        "def f(:\n",
        "import sys; sys.exit()",
        "import sys; sys.exit(3)",
        "import sys; sys.exit('a word at the end')",
        "raise SystemExit(None)",
        "import os; os._exit(9)",
        "import sys; sys.excepthook = lambda k, v, t: print('hook', k, v, t.tb_lineno)\nraise ValueError(1)",
        "import atexit; atexit.register(print, 'last'); raise ValueError(2)",
        "import threading; t = threading.Thread(target=print, args=['thread']); t.start()",
        "raise KeyboardInterrupt",
        "from __future__ import annotations\ndef f(x: nothing) -> nobody: return f.__annotations__\nprint(f(1))",
        "print(eval(compile('1 if True else 2', '<x>', 'eval')), __annotations__ if False else '')",
    ],
)
def test_a_script_ends_as_it_would_end(python: str, tmp_path: Path, text: str) -> None:
    (tmp_path / "train.py").write_text(text + "\n")
    (tmp_path / "broken.py").write_text("import nothing_of_that_name\n")

    direct, ours = both(python, tmp_path, str(tmp_path / "train.py"))

    assert ours == direct


def test_a_script_that_is_interrupted_dies_by_the_signal(python: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("raise KeyboardInterrupt\n")

    done = run(bootstrapped([interpreter(python)], "train.py"), tmp_path)

    assert done.returncode == -signal.SIGINT
    assert "bootstrap" not in done.stderr


def test_a_script_that_is_not_there_is_said_as_python_says_it(python: str, tmp_path: Path) -> None:
    done = run(bootstrapped([interpreter(python)], "nope.py"), tmp_path)

    assert done.returncode == 2
    assert done.stderr.endswith(": can't open file 'nope.py': [Errno 2] No such file or directory\n")


def test_a_source_in_another_encoding_is_read_as_it_says(python: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_bytes("# -*- coding: latin-1 -*-\nprint(ascii('é'))\n".encode("latin-1"))

    done = run(bootstrapped([interpreter(python)], "train.py"), tmp_path)

    assert done.stdout == "'\\xe9'\n"


def test_neighbours_of_a_linked_script_are_found_beside_the_real_one(python: str, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "train.py").write_text("import neighbour\n")
    (tmp_path / "real" / "neighbour.py").write_text("print('found')\n")
    (tmp_path / "train.py").symlink_to("real/train.py")

    assert run(bootstrapped([interpreter(python)], "train.py"), tmp_path).stdout == "found\n"


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_workers_of_multiprocessing_find_the_script_and_the_run(python: str, tmp_path: Path, method: str) -> None:
    (tmp_path / "train.py").write_text(f"""
import multiprocessing

def work(number):
    from stepwell_step.run import Run
    Run.get_context().log("squares", number * number)
    return number * number

if __name__ == "__main__":
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        print(sum(pool.map(work, range(10))))
""")
    attempt = tmp_path / "attempt"
    attempt.mkdir()
    place = {"STEPWELL_ATTEMPT_DIR": str(attempt), "STEPWELL_STEP_RUN_ID": "s", "STEPWELL_RUN_ID": "r"}

    done = run(bootstrapped(bare(python), "train.py"), tmp_path, place)

    assert (done.stdout, done.stderr) == ("285\n", "")
    assert len((attempt / "metrics.jsonl").read_bytes().splitlines()) == 10


def test_stepwell_can_be_imported_where_it_is_not_installed(python: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import sys, stepwell, stepwell_step.run\n"
        "from stepwell import Run\n"
        "print(Run is stepwell.Run is stepwell_step.run.Run, Run.get_context().id[:11])\n"
        "print(sorted(name for name in sys.modules if name.startswith('stepwell.')))\n"
    )

    done = run(bootstrapped(bare(python), "train.py"), tmp_path)

    assert (done.stdout, done.stderr) == ("True OfflineRun_\n[]\n", "")


def test_a_real_stepwell_is_never_hidden(python: str, tmp_path: Path) -> None:
    (tmp_path / "stepwell.py").write_text("mine = True\n")
    (tmp_path / "train.py").write_text("import stepwell; print(stepwell.mine)\n")

    assert run(bootstrapped(bare(python), "train.py"), tmp_path).stdout == "True\n"


def test_nothing_that_is_installed_beside_the_island_becomes_importable(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import importlib.util, stepwell_step\n"
        "print([importlib.util.find_spec(name) for name in ('blake3', 'stepwell_tui', 'pytest')])\n"
    )

    done = run(bootstrapped(bare("this"), "train.py"), tmp_path)

    assert done.stdout == "[None, None, None]\n"


def test_the_bootstrap_imports_nothing_of_its_own(python: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import sys; print(sorted(sys.modules))\n")

    direct, ours = both(python, tmp_path, "train.py")

    extra = set(eval(ours[1])) - set(eval(direct[1]))
    assert extra == {"__stepwell_bootstrap__"}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="-P came with Python 3.11")
def test_a_safe_path_stays_safe(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import sys; print(sys.path[:-1] if sys.argv[1:] else sys.path)\n")

    direct = run([sys.executable, "-P", "train.py"], tmp_path)
    ours = run(bootstrapped([sys.executable, "-P"], "train.py", "without ours"), tmp_path)

    assert ours.stdout == direct.stdout
