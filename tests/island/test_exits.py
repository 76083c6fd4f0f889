"""How a step that ends by itself, or cannot start, is written down."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from island.real_launcher import RealLauncher, ended, python, shell, started
from stepwell_step import attempt, spawn
from support.waiting import wait_until

DEADLY = [
    number
    for number in signal.valid_signals()
    if number
    not in (
        *(signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH),  # ignored by default
        *(signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),  # these stop
    )
    and number <= signal.SIGSYS
]


@pytest.mark.parametrize("code", [0, 1, 2, 126, 127, 137, 139, 255])
def test_an_exit_code_is_written_down_as_it_is(launcher: RealLauncher, code: int) -> None:
    record = launcher.run(shell(f"exit {code}"))

    assert record["outcome"] == ("Finished" if code == 0 else "Failed")
    assert record["exit_code"] == code
    assert record["signal"] is None
    assert record["message"] is None


@pytest.mark.parametrize("number", DEADLY, ids=lambda number: signal.Signals(number).name)
def test_death_by_a_signal_is_told_from_an_exit_code(launcher: RealLauncher, number: int) -> None:
    record = launcher.run(shell(f"ulimit -c 0; kill -{int(number)} $$"))

    assert record["outcome"] == "Failed"
    assert record["exit_code"] is None
    assert record["signal"] == number


_THREADS_OWN = 0b11 << 31  # signals 32 and 33 belong to the C library, which lets nobody set them


def test_the_records_say_who_ran_and_for_how_long(launcher: RealLauncher) -> None:
    folder = launcher.attempt(shell("echo one; echo two >&2"))

    answer = launcher.launch(folder)
    record = ended(folder)

    begun = started(folder)
    assert answer == {key: begun[key] for key in ("pid", "shim_pid", "started_us")} | {"ok": True}
    assert begun["v"] == record["v"] == 1
    assert begun["boot_id"] == attempt.boot_id()
    assert begun["pgid"] == begun["pid"]
    assert record["started_us"] == begun["started_us"] <= record["ended_us"]
    assert 0 < record["duration_s"] < 30
    assert 0 < record["cpu_s"] < 30
    assert 0 < record["max_rss_mib"] < 1000
    assert record["log_bytes"] == len(b"one\ntwo\n") == len(record["log"])
    assert record["left_behind"] == []


def test_a_step_reads_nothing_and_gets_the_end_of_file_at_once(launcher: RealLauncher) -> None:
    record = launcher.run(shell("cat; echo over"))

    assert record["log"] == b"over\n"


def test_a_step_is_a_session_of_its_own_without_a_terminal(launcher: RealLauncher) -> None:
    record = launcher.run(python("import os; print(os.getpid() == os.getsid(0) == os.getpgid(0))"))

    assert record["log"] == b"True\n"


def test_a_step_inherits_no_handle_no_ignored_signal_and_no_variable(launcher: RealLauncher) -> None:
    folder = launcher.start(
        shell("ls -l /proc/self/fd | grep -o '[0-9]* ->.*'; grep Sig[BI] /proc/self/status; env | sort")
    )

    lines = ended(folder)["log"].decode().splitlines()
    handles = [line for line in lines if " -> " in line and not line.startswith("3 -> /proc/")]
    assert [line.split(":")[0] for line in handles] == ["0 -> /dev/null", "1 -> pipe", "2 -> pipe"]
    masks = [int(line.split()[1], 16) & ~_THREADS_OWN for line in lines if line.startswith("Sig")]
    assert masks == [0, 0]
    variables = {line.split("=")[0] for line in lines if "=" in line}
    assert variables == {"PATH", "PWD", "STEPWELL_ATTEMPT_DIR"}


def test_words_and_variables_arrive_byte_for_byte(launcher: RealLauncher) -> None:
    words = ["", "a b", "line\nbreak", "'\"$`\\", "snow ☃ 🎉", os.fsdecode(b"\xff\xfe raw")]
    show = "import os, sys; print(sys.argv[1:] == eval(os.environ['WANTED']), ascii(os.environb[b'RAW']))"
    variables = {"WANTED": ascii(words), "RAW": os.fsdecode(b"\x80\xff")}

    record = launcher.run([sys.executable, "-X", "utf8", "-c", show, *words], env=variables)

    assert record["log"] == b"True b'\\x80\\xff'\n"


def test_a_folder_with_an_odd_name_can_be_the_working_folder(launcher: RealLauncher) -> None:
    odd = launcher.home / os.fsdecode(b"odd \n \xff name")
    odd.mkdir()

    record = launcher.run(["pwd", "-P"], cwd=str(odd))

    assert record["log"] == os.fsencode(odd) + b"\n"


def test_a_program_is_looked_for_on_the_path_of_the_step(launcher: RealLauncher) -> None:
    folder = launcher.attempt(["hello"])
    tools = launcher.home / "tools"
    tools.mkdir()
    (tools / "hello").write_text("#!/bin/sh\necho from tools\n")
    (tools / "hello").chmod(0o755)
    record = attempt.launch_record(str(folder)) or {}
    attempt.write_json_atomic(
        str(folder / "launch.json"), record | {"env": {"PATH": f"/nowhere:{tools}:/bin:/usr/bin"}}
    )

    launcher.launch(folder)

    assert ended(folder)["log"] == b"from tools\n"


def refused(launcher: RealLauncher, argv: list[str], **launch: object) -> tuple[int, str]:
    record = launcher.run(argv, **launch)
    assert record["outcome"] == "Failed"
    assert record["log"] == b""
    return record["exit_code"], record["message"]


def test_a_program_that_is_nowhere_is_127_and_the_path_is_shown(launcher: RealLauncher) -> None:
    code, message = refused(launcher, ["nope"], env={"PATH": "/a:/b"})

    assert (code, message) == (127, "cannot start 'nope': no such program on the PATH '/a:/b'")


def test_a_file_that_is_not_there_is_127(launcher: RealLauncher) -> None:
    assert refused(launcher, ["./nope"]) == (127, "cannot start './nope': no such file")


def test_a_script_whose_interpreter_is_missing_names_that(launcher: RealLauncher, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/usr/bin/nopython3 -u\n")
    script.chmod(0o755)

    code, message = refused(launcher, [str(script)])

    assert code == 127
    assert message == (
        f"cannot start {str(script)!r}: the interpreter that its first line names, '/usr/bin/nopython3', is not there"
    )


def test_a_file_that_is_not_executable_is_126(launcher: RealLauncher, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")

    code, message = refused(launcher, [str(script)])

    assert (code, message) == (126, f"cannot start {str(script)!r}: it is not executable\n  try: chmod +x")


def test_a_folder_is_no_program(launcher: RealLauncher, tmp_path: Path) -> None:
    assert refused(launcher, [str(tmp_path)]) == (126, f"cannot start {str(tmp_path)!r}: it is a folder")


def test_a_text_without_a_first_line_is_no_program(launcher: RealLauncher, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo hello\n")
    script.chmod(0o755)

    code, message = refused(launcher, [str(script)])

    assert code == 126
    assert message == f"cannot start {str(script)!r}: it is neither a program nor a script with a '#!' line"


def test_an_empty_command_is_refused(launcher: RealLauncher) -> None:
    assert refused(launcher, []) == (127, "the command is empty")


def test_a_nul_byte_is_refused_by_position_and_name(launcher: RealLauncher) -> None:
    _, in_word = refused(launcher, ["echo", "a\0b"])
    _, in_variable = refused(launcher, ["echo"], env={"BAD": "a\0b"})

    assert in_word == "argument 1 holds a NUL byte, which no program can be given"
    assert in_variable == "the variable 'BAD' holds a NUL byte, which no program can be given"


def test_a_working_folder_that_is_gone_is_named(launcher: RealLauncher) -> None:
    code, message = refused(launcher, ["true"], cwd="/nowhere/at all")

    assert (code, message) == (
        126,
        "cannot enter the working folder '/nowhere/at all': no such file or directory",
    )


def test_the_longest_argument_the_kernel_takes_arrives_whole(launcher: RealLauncher) -> None:
    longest = "x" * (spawn.ARGUMENT_MAX - 1)

    record = launcher.run(["/bin/echo", longest])

    assert record["outcome"] == "Finished"
    assert record["log"] == longest.encode() + b"\n"


def test_one_byte_more_is_refused_with_both_sizes(launcher: RealLauncher) -> None:
    code, message = refused(launcher, ["/bin/echo", "x" * spawn.ARGUMENT_MAX])

    assert code == 126
    assert message == (
        "cannot start '/bin/echo': argument 1 is 131072 bytes long (the kernel takes 131071)\n"
        "  try: write them to a file and pass its path"
    )


def test_a_variable_that_is_too_long_is_named(launcher: RealLauncher) -> None:
    _, message = refused(launcher, ["/bin/echo"], env={"BIG": "x" * spawn.ARGUMENT_MAX})

    assert "the variable 'BIG' is 131076 bytes long (the kernel takes 131071)" in message


def test_arguments_up_to_the_limit_of_all_arrive_and_beyond_it_are_refused(launcher: RealLauncher) -> None:
    limit = min(os.sysconf("SC_ARG_MAX"), 6 * 1024 * 1024)
    count = [sys.executable, "-c", "import sys; print(sum(map(len, sys.argv[1:])))"]
    words = ["x" * 100_000] * ((limit - 10_000) // 100_009)

    fits = launcher.run([*count, *words])
    code, message = refused(launcher, [*count, *words, words[0], words[0]])

    assert fits["log"] == b"%d\n" % (len(words) * 100_000)
    assert code == 126
    assert "its arguments and variables are " in message
    assert f"bytes (the kernel takes {limit})" in message


def test_a_folder_without_a_launch_record_is_refused(launcher: RealLauncher) -> None:
    folder = launcher.home / "attempts" / "empty"
    folder.mkdir(parents=True)

    assert launcher.launch(folder) == {"ok": False, "error": "its folder holds no readable launch.json"}
    assert attempt.exit_record(str(folder)) is None


def test_a_folder_that_is_not_there_is_refused(launcher: RealLauncher) -> None:
    answer = launcher.launch(launcher.home / "nowhere")

    assert answer == {"ok": False, "error": "cannot lock the attempt: no such file or directory"}


def test_a_folder_that_cannot_be_written_starts_nothing(launcher: RealLauncher) -> None:
    folder = launcher.attempt(["touch", "it-ran"])
    (folder / "step.log").mkdir()

    answer = launcher.launch(folder)

    assert answer == {"ok": False, "error": "cannot write to its folder: is a directory"}
    wait_until(lambda: not attempt.is_locked(str(folder)), within_s=10)
    assert attempt.started_record(str(folder)) is None
    assert not (folder / "work" / "it-ran").exists()


@pytest.fixture
def small_memory() -> Iterator[Path]:
    """A memory cgroup (v1) of 48 MiB, which only root can make."""
    group = Path(f"/sys/fs/cgroup/memory/stepwell-test-{os.getpid()}")
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(48 * 1024 * 1024))
    except OSError as error:
        pytest.skip(f"no memory cgroup can be made here: {error}")
    yield group
    wait_until(lambda: not (group / "cgroup.procs").read_text(), within_s=10)
    group.rmdir()


@pytest.mark.parametrize("how", ["exec", "", "env"])
def test_out_of_memory_is_said_as_that(launcher: RealLauncher, small_memory: Path, how: str) -> None:
    eat = f"{sys.executable} -c 'x = bytearray(200_000_000)'"

    record = launcher.run(shell(f"echo $$ > {small_memory}/cgroup.procs; {how} {eat}; exit $?"))

    assert record["outcome"] == "Failed"
    said = "killed by SIGKILL" if how == "exec" else "exit code 137"
    assert record["message"] == f"{said}: out of memory (the kernel ended a process to free memory while the step ran)"


def test_a_kill_with_memory_to_spare_is_no_lack_of_memory(launcher: RealLauncher) -> None:
    record = launcher.run(shell("kill -9 $$"))

    assert (record["signal"], record["message"]) == (9, None)
