"""Whether an attempt that ended is followed by another, and after how long. Pure: chance is an argument.

Failed, TimedOut   as often as the step's `retry` says
Lost               `lost_count` more, since nobody saw the step fail; then as Failed
NeverStarted       costs nothing, but `START_TRIES` in a row are a machine that cannot start it
Finished, Canceled never
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stepwell.core.spec import RetrySpec
from stepwell.core.states import AttemptState

START_TRIES = 5
_START_DELAY_S = 0.2
_JITTER = 0.1  # at most this part of the delay is added, so that many failures do not return at once


@dataclass(frozen=True, slots=True)
class Retry:
    """The next attempt: in how many seconds, and how to say so ("retry 2 of 3, after 10 s")."""

    delay_s: float
    note: str


def next_try(
    spec: RetrySpec, outcome: AttemptState, tries: Sequence[AttemptState], jitter: float = 0.0
) -> Retry | None:
    """Return the next try after an attempt that ended with `outcome`, or None when the step ends with it.

    `tries` are the outcomes of all attempts so far, oldest first, that one being the last;
    `jitter` is in [0, 1).
    """
    if outcome is AttemptState.NEVER_STARTED:
        return _start_again(tries, jitter)
    lost = tries.count(AttemptState.LOST)
    if outcome is AttemptState.LOST and lost <= spec.lost_count:
        return _retry(spec, lost, f"retry {lost} of {spec.lost_count} because it was lost", jitter)
    if outcome in (AttemptState.FAILED, AttemptState.TIMED_OUT, AttemptState.LOST):
        failed = tries.count(AttemptState.FAILED) + tries.count(AttemptState.TIMED_OUT)
        used = failed + max(0, lost - spec.lost_count)
        if used <= spec.count:
            return _retry(spec, used, f"retry {used} of {spec.count}", jitter)
    return None


def _retry(spec: RetrySpec, number: int, note: str, jitter: float) -> Retry:
    doubled = spec.delay_s * 2.0 ** min(number - 1, 64)
    plain = min(doubled, spec.max_delay_s)
    return Retry(min(plain * (1 + _JITTER * jitter), spec.max_delay_s), f"{note}, after {plain:g} s")


def _start_again(tries: Sequence[AttemptState], jitter: float) -> Retry | None:
    in_a_row = 0
    for state in reversed(tries):
        if state is not AttemptState.NEVER_STARTED:
            break
        in_a_row += 1
    if in_a_row >= START_TRIES:
        return None
    delay_s = _START_DELAY_S * 2.0 ** (in_a_row - 1)
    return Retry(delay_s * (1 + _JITTER * jitter), f"starts again, after {delay_s:g} s")
