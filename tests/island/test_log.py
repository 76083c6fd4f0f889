"""The log of a step: every byte, in order, of the right stream, whatever the step does to it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from island.real_launcher import RealLauncher, ended, python, shell
from stepwell_step.pump import BY_SHIM, CHUNK, ERR, HOLD_S, OUT, RECORD, Log, Pump
from support.waiting import wait_until

Record = tuple[int, int, int, int, int]


def records(folder: Path) -> list[Record]:
    data = (folder / "step.log.idx").read_bytes()
    assert len(data) % RECORD.size == 0
    return [(int(a), int(b), int(c), int(d), int(e)) for a, b, c, d, e in RECORD.iter_unpack(data)]


def pieces(folder: Path) -> list[tuple[int, bytes]]:
    """Return the log as its index cuts it: (stream, bytes) of each record."""
    log = (folder / "step.log").read_bytes()
    index = records(folder)
    ends = [record[0] for record in index][1:] + [len(log)] * bool(index)
    return [(record[3], log[record[0] : end]) for record, end in zip(index, ends, strict=True)]


def test_a_hundred_megabytes_without_a_newline_arrive_exactly_and_in_little_memory(launcher: RealLauncher) -> None:
    text = """
import hashlib, os, sys
seen = hashlib.sha256()
for number in range(1600):
    block = bytes((number + i) % 256 for i in range(256)).replace(b"\\n", b"\\0") * 256
    seen.update(block)
    sys.stdout.buffer.write(block)
sys.stdout.flush()
for line in open(f"/proc/{os.getppid()}/status"):
    if line.startswith("VmHWM"):
        print(seen.hexdigest(), line.split()[1], file=sys.stderr)
"""

    record = launcher.run(python(text))

    log, size = record["log"], 1600 * CHUNK
    digest, peak_kib = log[size:].split()
    assert record["log_bytes"] == len(log) == size + len(log[size:])
    assert hashlib.sha256(log[:size]).hexdigest().encode() == digest
    assert int(peak_kib) < 40_000
    index = records(record["folder"])
    assert len(index) < 2 * 1600 + 10
    assert sum(newlines for _, _, newlines, _, _ in index) == 1


def test_both_streams_are_told_apart_by_the_index(launcher: RealLauncher) -> None:
    text = """
import os
for number in range(200):
    os.write(1, b"out %d\\n" % number)
    os.write(2, b"err %d\\n" % number)
"""

    record = launcher.run(python(text))

    cut = pieces(record["folder"])
    assert b"".join(data for stream, data in cut if stream == OUT) == b"".join(b"out %d\n" % n for n in range(200))
    assert b"".join(data for stream, data in cut if stream == ERR) == b"".join(b"err %d\n" % n for n in range(200))
    index = records(record["folder"])
    assert [record[2] for record in index] == [data.count(b"\n") for _, data in cut]
    assert sorted(record[1] for record in index) == [record[1] for record in index]


def test_lines_of_both_streams_keep_their_order_when_there_is_time_between_them(launcher: RealLauncher) -> None:
    record = launcher.run(shell("for i in 1 2 3; do echo out; sleep 0.02; echo err >&2; sleep 0.02; done"))

    assert record["log"] == b"out\nerr\n" * 3
    assert [stream for stream, _ in pieces(record["folder"])] == [OUT, ERR] * 3


def test_nul_bytes_invalid_text_and_escapes_are_kept_as_they_are(launcher: RealLauncher) -> None:
    odd = bytes(range(256)) + b"\x1b]0;title\x07\x1b[2J\xff\xfe\0\0"

    record = launcher.run(python(f"import os; os.write(1, {odd!r})"))

    assert record["log"] == odd


def test_a_line_is_in_the_file_while_the_step_still_runs(launcher: RealLauncher) -> None:
    folder = launcher.attempt(shell("echo now; read line < go"))
    os.mkfifo(folder / "work" / "go")

    launcher.launch(folder)

    wait_until(lambda: (folder / "step.log").read_bytes() == b"now\n", within_s=10)

    (folder / "work" / "go").write_text("on\n")
    ended(folder)


def test_a_step_may_close_its_output_and_go_on(launcher: RealLauncher) -> None:
    record = launcher.run(shell("echo first; exec >&- 2>&-; sleep 0.1; touch went-on"))

    assert (record["outcome"], record["log"]) == ("Finished", b"first\n")
    assert (record["folder"] / "work" / "went-on").exists()


@pytest.mark.parametrize("deed", ["rm ../step.log", "mv ../step.log ../elsewhere", "rm ../step.log ../step.log.idx"])
def test_a_step_that_takes_its_own_log_away_goes_on(launcher: RealLauncher, deed: str) -> None:
    folder = launcher.start(shell(f"echo before; sleep 0.1; {deed}; echo after; exit 4"))
    wait_until((folder / "exit.json").exists, within_s=20)

    record = json.loads((folder / "exit.json").read_bytes())
    assert (record["outcome"], record["exit_code"], record["log_bytes"]) == ("Failed", 4, len(b"before\nafter\n"))


def test_a_step_that_truncates_its_own_log_loses_what_it_cut_and_no_more(launcher: RealLauncher) -> None:
    record = launcher.run(shell("echo before; sleep 0.1; : > ../step.log; echo after"))

    assert record["log"] == b"\0" * len(b"before\n") + b"after\n"
    assert pieces(record["folder"])[-1] == (OUT, b"after\n")


def test_a_log_that_cannot_be_written_is_drained_and_the_loss_is_said(launcher: RealLauncher) -> None:
    folder = launcher.attempt(shell("head -c 1000000 /dev/zero; echo over >&2; exit 0"))
    (folder / "step.log").symlink_to("/dev/full")

    launcher.launch(folder)

    wait_until((folder / "exit.json").exists, within_s=20)
    record = json.loads((folder / "exit.json").read_bytes())
    assert (record["outcome"], record["exit_code"]) == ("Finished", 0)
    assert record["message"] == "1000005 bytes of its output were lost: no space left on device"
    assert (record["log_bytes"], record["log_lost_bytes"]) == (0, 1_000_005)


def test_a_capped_log_is_marked_and_the_rest_is_drained_and_counted(launcher: RealLauncher) -> None:
    record = launcher.run(python("import os; [os.write(1, b'x' * 1000) for _ in range(1000)]"), log_cap_bytes=2500)

    marker = b"\n[stepwell: the log is capped at 2500 bytes; what follows is not kept]\n"
    assert record["outcome"] == "Finished"
    assert record["log"] == b"x" * 2500 + marker
    assert record["log_lost_bytes"] == 1_000_000 - 2500
    assert records(record["folder"])[-1][4] == BY_SHIM


def test_a_step_that_writes_to_a_closed_reader_dies_by_sigpipe_as_anywhere(launcher: RealLauncher) -> None:
    record = launcher.run(["/bin/bash", "-c", "yes | head -1; exit ${PIPESTATUS[0]}"])

    assert record["exit_code"] == 128 + signal.SIGPIPE


# --- the pump alone, with time as an argument


Feeds = st.lists(
    st.tuples(st.sampled_from([OUT, ERR]), st.binary(min_size=1, max_size=40), st.floats(0.0, 0.2)), max_size=40
)


@given(feeds=Feeds)
def test_the_index_cuts_the_log_into_what_each_stream_wrote(
    tmp_path_factory: pytest.TempPathFactory, feeds: list[tuple[int, bytes, float]]
) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = Log(str(folder))
    pump, now = Pump(log), 1000.0
    for stream, data, pause in feeds:
        pump.feed(stream, data, now)
        assert pump.due is None or pump.due <= now + HOLD_S
        now += pause
        if pump.due is not None and now >= pump.due:
            pump.flush(now)
    pump.flush(now)
    log.close()

    cut = pieces(folder)
    assert b"".join(data for _, data in cut) == b"".join(data for _, data, _ in feeds)
    for wanted in (OUT, ERR):
        assert b"".join(d for s, d in cut if s == wanted) == b"".join(d for s, d, _ in feeds if s == wanted)


def test_a_line_after_a_pause_is_written_at_once_and_a_second_one_within_fifty_milliseconds(tmp_path: Path) -> None:
    log = Log(str(tmp_path))
    pump = Pump(log)

    pump.feed(OUT, b"first\n", 10.0)
    at_once = log.size
    pump.feed(OUT, b"second\n", 10.01)

    assert at_once == len(b"first\n")
    assert log.size == at_once
    assert pump.due == pytest.approx(10.05)
    pump.flush(10.05)
    assert (tmp_path / "step.log").read_bytes() == b"first\nsecond\n"
    log.close()


def test_a_flood_is_written_in_blocks_and_never_held(tmp_path: Path) -> None:
    log = Log(str(tmp_path))
    pump = Pump(log)

    for number in range(100):
        pump.feed(OUT, b"x" * 4096, 10.0 + number * 1e-6)

    assert 100 * 4096 - log.size < CHUNK
    pump.flush(11.0)
    log.close()
    assert len(records(tmp_path)) < 10
