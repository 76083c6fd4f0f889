"""Runs of real processes: data flows, failures stop or do not stop, every end has its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepwell.core.spec import ParameterSpec, RetrySpec
from support.live import Live, shell
from support.waiting import wait_until


def states(run: dict[str, object]) -> dict[str, str]:
    steps = run["steps"]
    assert isinstance(steps, list)
    return {step["key"]: step["status"] for step in steps}


def test_an_output_reaches_the_step_below_as_a_file(live: Live) -> None:
    run = live.run(
        shell("make", "echo 41 > $out_number", writes=["number"]),
        shell(
            "add",
            "echo $(($(cat $in_number) + 1)) | tee $out_sum",
            reads={"number": ("make", "number")},
            writes=["sum"],
        ),
    )

    assert run["status"] == "Finished", run
    assert live.log(run["run"], "add") == "42\n"
    assert run["ran"] == 2


def test_an_output_may_be_a_folder(live: Live) -> None:
    run = live.run(
        shell("make", "mkdir -p $out_all/deep/empty && echo hi > $out_all/deep/file", writes=["all"]),
        shell("list", "cd $in_all && find . | sort", reads={"all": ("make", "all")}),
    )

    assert live.log(run["run"], "list") == ".\n./deep\n./deep/empty\n./deep/file\n"


def test_a_second_run_reuses_every_step_and_names_the_first(live: Live) -> None:
    steps = [
        shell("make", "echo 41 > $out_number", writes=["number"]),
        shell("add", "cat $in_number", reads={"number": ("make", "number")}),
    ]
    first = live.run(*steps)

    second = live.run(*steps)

    assert (second["ran"], second["reused"]) == (0, 2)
    assert all(step["reason"].startswith(f"same as run {first['number']}") for step in second["steps"])
    assert live.log(second["run"], "add") == "41\n"


def test_equal_bytes_from_a_step_that_ran_again_let_the_step_below_be_reused(live: Live) -> None:
    below = shell("below", "cat $in_x", reads={"x": ("above", "x")})
    live.run(shell("above", "echo same > $out_x", writes=["x"]), below)

    run = live.run(shell("above", "true; echo same > $out_x", writes=["x"]), below)

    assert {step["key"]: step["reused"] for step in run["steps"]} == {"above": False, "below": True}


def test_a_step_below_a_failed_step_is_skipped_and_names_it(live: Live) -> None:
    run = live.run(shell("bad", "exit 3"), shell("below", "true", run_after=("bad",)))

    assert run["status"] == "Failed"
    assert states(run) == {"bad": "Failed", "below": "Skipped"}
    assert run["steps"][0]["exit_code"] == 3
    assert run["steps"][1]["reason"] == "'bad' failed"


def test_the_first_failure_cancels_what_runs_and_says_so(live: Live) -> None:
    run = live.run(shell("slow", "exec sleep 600"), shell("bad", "sleep 0.3; exit 1"))

    assert run["status"] == "Failed"
    assert states(run) == {"slow": "Canceled", "bad": "Failed"}
    assert run["steps"][0]["reason"] == "because 'bad' failed"


def test_with_continue_on_step_failure_only_what_depends_on_it_is_left_out(live: Live) -> None:
    run = live.run(
        shell("bad", "exit 1"),
        shell("below", "true", run_after=("bad",)),
        shell("other", "sleep 0.2"),
        shell("last", "true", run_after=("other",)),
        continue_on_step_failure=True,
    )

    assert run["status"] == "Failed"
    assert states(run) == {"bad": "Failed", "below": "Skipped", "other": "Finished", "last": "Finished"}


def test_an_output_that_was_not_written_is_a_failure_that_names_it(live: Live) -> None:
    run = live.run(shell("forgets", "true", writes=["model"]))

    assert run["steps"][0]["error"]["message"] == (
        "output_missing(model): the step ended well but did not write 'model'"
    )


@pytest.mark.parametrize("number", [1, 2, 6, 9, 11, 13, 15])
def test_death_by_a_signal_is_told_by_its_name(live: Live, number: int) -> None:
    import signal

    run = live.run(shell("dies", f"kill -{number} $$"))

    assert run["steps"][0]["signal"] == number
    assert run["steps"][0]["error"]["message"] == f"killed by {signal.Signals(number).name}"


def test_a_step_that_takes_too_long_is_ended_and_called_so(live: Live) -> None:
    run = live.run(shell("slow", "sleep 600", timeout_s=0.3))

    assert run["status"] == "Failed"
    assert "timed out" in run["steps"][0]["error"]["message"]


def test_a_failed_step_is_tried_again_as_often_as_it_says(live: Live) -> None:
    run = live.run(shell("flaky", "exit 1", retry=RetrySpec(count=2, delay_s=0.01)))

    assert run["steps"][0]["attempts"] == 3
    assert run["status"] == "Failed"


def test_a_retry_that_works_finishes_the_step(live: Live, tmp_path_factory: pytest.TempPathFactory) -> None:
    mark = tmp_path_factory.mktemp("mark") / "tried"

    run = live.run(shell("flaky", f"test -e {mark} || {{ touch {mark}; exit 1; }}", retry=RetrySpec(1, 0.01)))

    assert run["status"] == "Finished"
    assert run["steps"][0]["attempts"] == 2


def test_a_canceled_run_ends_its_steps_and_starts_no_more(live: Live) -> None:
    run = live.submit(shell("slow", "exec sleep 600"), shell("below", "true", run_after=("slow",)))
    live.in_state(run, "slow", "Running")

    live.client.post(f"/v1/runs/{run}/cancel", {"reason": "canceled by you"})

    ended = live.ended(run)
    assert ended["status"] == "Canceled"
    assert states(ended) == {"slow": "Canceled", "below": "Canceled"}
    assert ended["steps"][0]["reason"] == "canceled by you"


def test_parameters_reach_the_command_and_only_steps_that_use_them_run_again(live: Live) -> None:
    from dataclasses import replace

    from stepwell.core.spec import Argument

    words = (Argument(text="echo"), Argument(param="n"))
    uses = replace(shell("uses", ""), settings={"shell": False}, arguments=words)
    declared = (ParameterSpec("n", "int", 5),)
    live.run(uses, shell("other", "true"), parameters=declared)

    run = live.run(uses, shell("other", "true"), parameters=declared, values={"n": 6})

    assert live.log(run["run"], "uses") == "6\n"
    assert {step["key"]: step["reused"] for step in run["steps"]} == {"uses": False, "other": True}


def test_equal_work_in_one_run_is_done_once(live: Live) -> None:
    run = live.run(shell("one", "sleep 0.2; date +%N"), shell("two", "sleep 0.2; date +%N"))

    assert run["status"] == "Finished"
    assert (run["ran"], run["reused"]) == (1, 1)


def test_a_step_reads_end_of_file_from_stdin(live: Live) -> None:
    run = live.run(shell("reads", "cat; echo over"))

    assert live.log(run["run"], "reads") == "over\n"


def test_what_a_plan_says_is_what_a_run_does(live: Live) -> None:
    steps = [
        shell("a", "echo 1 > $out_x", writes=["x"]),
        shell("b", "cat $in_x", reads={"x": ("a", "x")}),
        shell("c", "true"),
    ]
    before = live.plan(*steps)
    live.run(*steps)

    after = live.plan(*steps)

    assert {key: step["verdict"] for key, step in before.items()} == {"a": "run", "b": "wait", "c": "run"}
    assert {key: step["verdict"] for key, step in after.items()} == {"a": "reuse", "b": "reuse", "c": "reuse"}


def test_of_many_attempts_only_the_newest_folders_are_kept_whole_and_every_log(live: Live) -> None:
    runs = [live.run(shell("prints", f"echo {number}"), force=True) for number in range(7)]

    folders = [live.home.attempt(run["steps"][0]["attempt"]) for run in runs]
    wait_until(lambda: [folder for folder in folders if (folder / "work").exists()] == folders[2:], within_s=10)
    assert [live.log(run["run"], "prints") for run in runs] == [f"{number}\n" for number in range(7)]


def test_the_path_of_an_output_can_be_opened_although_no_step_reads_it(live: Live) -> None:
    run = live.run(
        shell("makes", "echo 1 > $out_file; mkdir $out_all; echo 2 > $out_all/x", writes=["file", "all"]),
    )

    paths = {output["name"]: Path(output["path"]) for output in run["steps"][0]["outputs"]}
    assert paths["file"].read_text() == "1\n"
    assert (paths["all"] / "x").read_text() == "2\n"
