from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.retries import START_TRIES, Retry, next_try
from stepwell.core.spec import RetrySpec
from stepwell.core.states import ATTEMPT_TERMINAL, AttemptState

FAILED, LOST, NEVER = AttemptState.FAILED, AttemptState.LOST, AttemptState.NEVER_STARTED
outcomes = st.sampled_from(sorted(ATTEMPT_TERMINAL))
specs = st.builds(
    RetrySpec,
    count=st.integers(0, 5),
    delay_s=st.floats(0, 1000),
    max_delay_s=st.floats(0, 1000),
    lost_count=st.integers(0, 3),
)


def after(spec: RetrySpec, tries: list[AttemptState], outcome: AttemptState, jitter: float = 0.0) -> Retry | None:
    return next_try(spec, outcome, [*tries, outcome], jitter)


def test_a_failed_step_is_not_tried_again_unless_it_asks_for_it() -> None:
    assert after(RetrySpec(), [], FAILED) is None


def test_the_note_says_which_retry_it_is_and_when() -> None:
    spec = RetrySpec(count=3, delay_s=5)

    assert after(spec, [], FAILED) == Retry(5.0, "retry 1 of 3, after 5 s")
    assert after(spec, [FAILED], FAILED) == Retry(10.0, "retry 2 of 3, after 10 s")
    assert after(spec, [FAILED, FAILED], FAILED) == Retry(20.0, "retry 3 of 3, after 20 s")
    assert after(spec, [FAILED, FAILED, FAILED], FAILED) is None


def test_a_timeout_counts_as_a_failure() -> None:
    spec = RetrySpec(count=1, delay_s=0.5)

    assert after(spec, [], AttemptState.TIMED_OUT) == Retry(0.5, "retry 1 of 1, after 0.5 s")
    assert after(spec, [FAILED], AttemptState.TIMED_OUT) is None


def test_a_lost_attempt_is_tried_again_without_being_asked_and_says_so() -> None:
    spec = RetrySpec(lost_count=2)

    assert after(spec, [], LOST) == Retry(1.0, "retry 1 of 2 because it was lost, after 1 s")
    assert after(spec, [LOST], LOST) == Retry(2.0, "retry 2 of 2 because it was lost, after 2 s")
    assert after(spec, [LOST, LOST], LOST) is None


def test_lost_attempts_cost_no_retry_of_failures_until_their_own_are_spent() -> None:
    spec = RetrySpec(count=1, lost_count=1, delay_s=1)

    assert after(spec, [LOST], FAILED) == Retry(1.0, "retry 1 of 1, after 1 s")
    assert after(spec, [LOST], LOST) == Retry(1.0, "retry 1 of 1, after 1 s")
    assert after(spec, [LOST, LOST], FAILED) is None


def test_an_attempt_that_never_started_costs_nothing() -> None:
    spec = RetrySpec(count=1, delay_s=1)

    assert after(RetrySpec(), [], NEVER) == Retry(0.2, "starts again, after 0.2 s")
    assert after(spec, [NEVER, NEVER], FAILED) == Retry(1.0, "retry 1 of 1, after 1 s")


def test_a_step_that_never_starts_is_given_up() -> None:
    assert after(RetrySpec(), [NEVER] * (START_TRIES - 2), NEVER) is not None
    assert after(RetrySpec(), [NEVER] * (START_TRIES - 1), NEVER) is None


@pytest.mark.parametrize("outcome", [AttemptState.FINISHED, AttemptState.CANCELED])
def test_what_finished_or_was_canceled_is_not_tried_again(outcome: AttemptState) -> None:
    assert after(RetrySpec(count=9), [], outcome) is None


@given(specs, outcomes, st.lists(outcomes, max_size=8), st.floats(0, 1, exclude_max=True))
def test_a_delay_is_never_negative_nor_above_the_most(
    spec: RetrySpec, outcome: AttemptState, tries: list[AttemptState], jitter: float
) -> None:
    retry = after(spec, tries, outcome, jitter)

    if retry is not None and outcome is not NEVER:
        assert 0 <= retry.delay_s <= spec.max_delay_s


@given(specs, st.lists(outcomes, min_size=60, max_size=60))
def test_every_step_is_given_up_at_some_time(spec: RetrySpec, coming: list[AttemptState]) -> None:
    tries: list[AttemptState] = []

    for outcome in coming:
        if after(spec, tries, outcome) is None:
            break
        tries.append(outcome)

    failures = [outcome for outcome in tries if outcome is not NEVER]
    assert len(failures) <= spec.count + spec.lost_count
    assert len(tries) < 60


@given(specs, st.lists(outcomes, max_size=5), st.floats(0, 1, exclude_max=True))
def test_chance_lengthens_a_delay_by_a_tenth_at_most(spec: RetrySpec, tries: list[AttemptState], jitter: float) -> None:
    plain, late = after(spec, tries, FAILED), after(spec, tries, FAILED, jitter)

    assert (plain is None) == (late is None)
    if plain is not None and late is not None:
        assert plain.delay_s <= late.delay_s <= plain.delay_s * 1.1 + 1e-9
