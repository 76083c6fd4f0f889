from __future__ import annotations

from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.states import run_word
from stepwell.core.states import (
    ATTEMPT_MOVES,
    ATTEMPT_TERMINAL,
    HISTORY_RUN_WORDS,
    HISTORY_STEP_WORDS,
    PIPELINE_RUN_WORDS,
    RUN_TERMINAL,
    STEP_MOVES,
    STEP_RUN_WORDS,
    STEP_TERMINAL,
    AttemptState,
    IllegalMove,
    RunState,
    StepState,
    advance_attempt,
    advance_step,
    run_state,
)

step_lists = st.lists(st.sampled_from(list(StepState)), max_size=8)


@given(step_lists, st.booleans())
def test_the_state_of_a_run_is_what_the_glossary_says(steps: list[StepState], cancel_asked: bool) -> None:
    assert run_state(steps, cancel_asked=cancel_asked) == run_word([str(step) for step in steps], cancel_asked)


@given(step_lists, st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_steps_never_matters_to_a_run(steps: list[StepState], cancel_asked: bool, random: Random) -> None:
    shuffled = list(steps)
    random.shuffle(shuffled)

    assert run_state(shuffled, cancel_asked=cancel_asked) == run_state(steps, cancel_asked=cancel_asked)


@given(st.lists(st.sampled_from(list(StepState)), min_size=1, max_size=8), st.booleans())
def test_a_run_has_ended_exactly_when_all_its_steps_have(steps: list[StepState], cancel_asked: bool) -> None:
    ended = run_state(steps, cancel_asked=cancel_asked) in RUN_TERMINAL

    assert ended == all(step in STEP_TERMINAL for step in steps)


@given(st.lists(st.sampled_from(sorted(STEP_TERMINAL)), min_size=1, max_size=8))
def test_a_run_fails_exactly_when_a_step_failed_or_was_lost(steps: list[StepState]) -> None:
    failed = run_state(steps, cancel_asked=False) is RunState.FAILED

    assert failed == any(step in (StepState.FAILED, StepState.LOST) for step in steps)


def test_a_run_whose_steps_were_all_skipped_because_it_was_canceled_has_not_finished() -> None:
    assert run_state([StepState.SKIPPED, StepState.SKIPPED], cancel_asked=True) is RunState.CANCELED


@pytest.mark.parametrize(("current", "target"), list(product(StepState, StepState)))
def test_a_step_moves_only_as_its_table_says(current: StepState, target: StepState) -> None:
    allowed = target in STEP_MOVES[current] or (current is target and current in STEP_TERMINAL)

    if allowed:
        assert advance_step(current, target) is target
        return
    with pytest.raises(IllegalMove, match=f"^a step run that is {current} cannot become {target}$"):
        advance_step(current, target)


@pytest.mark.parametrize(("current", "target"), list(product(AttemptState, AttemptState)))
def test_an_attempt_moves_only_as_its_table_says(current: AttemptState, target: AttemptState) -> None:
    allowed = target in ATTEMPT_MOVES[current] or (current is target and current in ATTEMPT_TERMINAL)

    if allowed:
        assert advance_attempt(current, target) is target
        return
    with pytest.raises(IllegalMove, match=f"^an attempt that is {current} cannot become {target}$"):
        advance_attempt(current, target)


@given(st.lists(st.sampled_from(list(StepState)), min_size=1, max_size=30))
def test_no_sequence_of_moves_leaves_a_terminal_state(targets: list[StepState]) -> None:
    current = StepState.NOT_STARTED
    ended: StepState | None = None

    for target in targets:
        try:
            current = advance_step(current, target)
        except IllegalMove:
            continue
        ended = ended or (current if current in STEP_TERMINAL else None)

    assert ended is None or current is ended


def test_every_live_state_can_reach_every_end() -> None:
    for state in set(StepState) - STEP_TERMINAL:
        reached: set[StepState] = set()
        pending = [state]
        while pending:
            fresh = STEP_MOVES[pending.pop()] - reached
            reached |= fresh
            pending.extend(fresh)
        assert reached >= STEP_TERMINAL


def test_every_state_has_a_word_for_each_object_of_the_sdk() -> None:
    assert set(PIPELINE_RUN_WORDS) == set(HISTORY_RUN_WORDS) == set(RunState)
    assert set(STEP_RUN_WORDS) == set(HISTORY_STEP_WORDS) == set(StepState)
    assert PIPELINE_RUN_WORDS[RunState.FINISHED] == "Finished"
    assert HISTORY_RUN_WORDS[RunState.FINISHED] == "Completed"
    assert STEP_RUN_WORDS[StepState.FINISHED] == "Finished"
    assert HISTORY_STEP_WORDS[StepState.FINISHED] == "Completed"
