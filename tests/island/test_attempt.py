"""The files of an attempt: whole or not there, whatever is in them; and the lock that says who lives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from island.real_launcher import ISLAND, alive
from stepwell_step import attempt, descendants
from support.waiting import wait_until

Text = st.text(st.characters(codec="utf-8") | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF))


@given(words=st.lists(Text), variables=st.dictionaries(Text, Text))
def test_any_words_and_variables_survive_the_file(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], variables: dict[str, str]
) -> None:
    path = str(tmp_path_factory.mktemp("record") / "launch.json")
    record = {"v": 1, "argv": words, "env": variables}

    attempt.write_json_atomic(path, record)

    assert attempt.read_json(path) == record
    assert Path(path).read_bytes().isascii()
    assert os.listdir(os.path.dirname(path)) == ["launch.json"]


def test_a_torn_record_is_no_record_wherever_it_was_torn(tmp_path: Path) -> None:
    path = tmp_path / "exit.json"
    attempt.write_json_atomic(str(path), {"v": 1, "outcome": "Finished", "left_behind": [{"pid": 1}]})
    whole = path.read_bytes()

    for end in range(len(whole) - 1):
        path.write_bytes(whole[:end])
        assert attempt.read_json(str(path)) is None


@pytest.mark.parametrize("data", [b"[]", b"3", b"null", b"\xff", b""])
def test_what_is_no_object_is_no_record(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "exit.json").write_bytes(data)

    assert attempt.exit_record(str(tmp_path)) is None


def test_a_folder_that_is_not_there_has_no_records_and_no_lock(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")

    assert attempt.started_record(nowhere) is None
    assert attempt.exit_record(nowhere) is None
    assert not attempt.is_locked(nowhere)
    with pytest.raises(FileNotFoundError):
        attempt.Lock(nowhere).acquire()


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "exit.json"
    (target / "in the way").mkdir(parents=True)

    with pytest.raises(IsADirectoryError):
        attempt.write_json_atomic(str(target), {"v": 1})

    assert os.listdir(tmp_path) == ["exit.json"]


def test_one_holds_the_lock_and_looking_at_it_takes_nothing(tmp_path: Path) -> None:
    folder = str(tmp_path)
    first, second = attempt.Lock(folder), attempt.Lock(folder)
    assert not attempt.is_locked(folder)

    assert first.acquire()
    assert attempt.is_locked(folder)
    assert not second.acquire()
    first.release()

    assert not attempt.is_locked(folder)
    assert second.acquire()
    second.release()


def test_a_child_that_was_forked_with_the_lock_keeps_it(tmp_path: Path) -> None:
    folder = str(tmp_path)
    lock = attempt.Lock(folder)
    assert lock.acquire()
    words = [sys.executable, "-c", "import sys; print('ready', flush=True); sys.stdin.read()"]
    os.set_inheritable(lock.handle, True)
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[lock.handle], text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"

        lock.release()

        assert attempt.is_locked(folder)
        child.communicate("")
    assert not attempt.is_locked(folder)


def test_an_attempt_that_never_started_says_so_in_every_field(tmp_path: Path) -> None:
    attempt.write_never_started(str(tmp_path), "the daemon ended before it was launched")

    record = attempt.exit_record(str(tmp_path)) or {}
    assert (record["v"], record["outcome"], record["exit_code"], record["signal"]) == (1, "NeverStarted", None, None)
    assert record["message"] == "the daemon ended before it was launched"
    assert (record["started_us"], record["log_bytes"], record["left_behind"]) == (None, 0, [])


def test_a_process_is_named_by_its_start_even_as_a_zombie_and_not_after_it() -> None:
    child = subprocess.Popen(["sleep", "1000"])
    ticks = attempt.start_time(child.pid)

    child.kill()
    wait_until(lambda: not alive(child.pid), within_s=10)
    as_zombie = attempt.start_time(child.pid)
    child.wait()

    assert ticks is not None
    assert as_zombie == ticks
    assert attempt.start_time(child.pid) is None


def test_a_pid_that_is_somebody_elses_by_now_is_not_signalled() -> None:
    with subprocess.Popen(["sleep", "1000"]) as child:
        ticks = attempt.start_time(child.pid) or 0

        stranger = descendants.Process(child.pid, os.getpid(), "sleep", ticks - 1)
        assert not descendants.send(stranger, 9)
        assert alive(child.pid)

        assert descendants.send(stranger._replace(start_ticks=ticks), 9)
        assert child.wait(10) == -9


def test_a_process_whose_name_looks_like_the_kernels_line_is_read_right(tmp_path: Path) -> None:
    odd = tmp_path / ") S 1 (x"
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([str(odd), "1000"]) as child:
        wait_until(lambda: Path(f"/proc/{child.pid}/comm").read_text() == ") S 1 (x\n", within_s=10)

        [found] = [each for each in descendants.below(os.getpid()) if each.pid == child.pid]

        assert (found.name, found.parent) == (") S 1 (x", os.getpid())
        assert attempt.start_time(child.pid) == found.start_ticks
        child.kill()


def test_the_launcher_imports_little_and_nothing_of_stepwell(tmp_path: Path) -> None:
    """Each module is pages that every fork copies the tables of, and that a step waits for at start-up."""
    code = (
        f"import sys; sys.path.append({str(ISLAND.parent)!r}); import stepwell_step.launcher;"
        "print(*sorted(name.partition('.')[0] for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)

    modules = set(done.stdout.split())
    assert "stepwell" not in modules
    assert not modules & {"subprocess", "tempfile", "logging", "threading", "random", "pathlib", "asyncio", "site"}
