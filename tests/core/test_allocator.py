from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.machine import Books
from stepwell.core.allocator import PATIENCE, Allocation, Holding, Machine, Placement, Pool, Request, allocate, fits
from stepwell.core.spec import Resources

MACHINE = Machine(cpus=8, memory_mib=16_000, gpus=("GPU-a", "GPU-b"))
POOLS = {"local": Pool("local"), "one": Pool("one", max_steps=1)}


def ask(name: str, pool: str = "local", *, bypassed: int = 0, **wanted: float) -> Request:
    return Request(name, pool, Resources(**wanted), bypassed)  # type: ignore[arg-type]


def given_out(*requests: Request, holdings: tuple[Holding, ...] = (), machine: Machine = MACHINE) -> Allocation:
    return allocate(requests, POOLS, machine, holdings)


def test_what_fits_is_placed_and_gets_what_it_asked_for() -> None:
    allocation = given_out(ask("a", cpus=2, memory_mib=100), ask("b", gpus=1))

    assert allocation.placements == (
        Placement("a", "local", 2, 100),
        Placement("b", "local", 1, 0, ("GPU-a",)),
    )
    assert allocation.waiting == {}


def test_a_gpu_that_is_held_is_not_given_to_another() -> None:
    allocation = given_out(ask("b", gpus=1), holdings=(Holding("a", "local", 1, 0, ("GPU-a",)),))

    assert allocation.placements == (Placement("b", "local", 1, 0, ("GPU-b",)),)


@pytest.mark.parametrize(
    ("request_", "holding", "reason"),
    [
        (ask("b", cpus=4), Holding("a", "local", 5), "waits for 4 cpus: 3 of 8 free"),
        (ask("b"), Holding("a", "local", 7.5), "waits for 1 cpu: 0.5 of 8 free"),
        (
            ask("b", memory_mib=9_000),
            Holding("a", "local", 1, 8_000),
            "waits for 9000 MiB of memory: 8000 of 16000 MiB free",
        ),
        (ask("b", gpus=2), Holding("a", "local", 1, 0, ("GPU-b",)), "waits for 2 GPUs: 1 of 2 free"),
        (ask("b", "one"), Holding("a", "one", 1), "compute target 'one' runs at most 1 step at once"),
        (ask("b", "gone"), Holding("a", "one", 1), "compute target 'gone' is no longer there"),
        (ask("b", cpus=1), Holding("a", "local", 12), "waits for 1 cpu: 0 of 8 free"),
    ],
)
def test_a_waiting_request_says_what_it_waits_for(request_: Request, holding: Holding, reason: str) -> None:
    allocation = given_out(request_, holdings=(holding,))

    assert allocation.placements == ()
    assert allocation.waiting == {"b": reason}


def test_a_request_that_does_not_fit_does_not_hold_up_the_ones_behind_it() -> None:
    allocation = given_out(
        ask("big", gpus=2), ask("small"), ask("also", gpus=1), holdings=(Holding("a", "local", 1, 0, ("GPU-a",)),)
    )

    assert [placement.id for placement in allocation.placements] == ["small", "also"]
    assert allocation.overtaken == {"big": 2}


def test_only_requests_that_stood_behind_count_as_having_overtaken() -> None:
    allocation = given_out(ask("first"), ask("big", cpus=8), ask("last"))

    assert allocation.overtaken == {"big": 1}


def test_a_request_overtaken_often_enough_keeps_free_what_it_needs() -> None:
    held = Holding("a", "local", 1, 0, ("GPU-a",))
    patient, impatient = ask("big", gpus=2, bypassed=PATIENCE - 1), ask("big", gpus=2, bypassed=PATIENCE)

    assert [p.id for p in given_out(patient, ask("next", gpus=1), holdings=(held,)).placements] == ["next"]
    assert given_out(impatient, ask("next", gpus=1), holdings=(held,)).waiting["next"] == (
        "waits for 1 GPU: 0 of 2 free"
    )


def test_a_request_overtaken_often_enough_goes_before_those_that_stand_before_it() -> None:
    allocation = given_out(ask("urgent", cpus=8), ask("old", cpus=8, bypassed=PATIENCE))

    assert [placement.id for placement in allocation.placements] == ["old"]


def test_what_it_does_not_need_still_goes_to_others() -> None:
    held = Holding("a", "local", 1, 0, ("GPU-a",))

    allocation = given_out(ask("big", gpus=2, bypassed=PATIENCE), ask("next"), holdings=(held,))

    assert [placement.id for placement in allocation.placements] == ["next"]


def test_nothing_stands_idle_for_a_request_whose_compute_target_is_full() -> None:
    held = Holding("a", "one", 1)

    allocation = given_out(ask("big", "one", cpus=7, bypassed=PATIENCE), ask("next", cpus=7), holdings=(held,))

    assert [placement.id for placement in allocation.placements] == ["next"]


def test_nothing_stands_idle_for_a_request_that_could_never_start() -> None:
    allocation = given_out(ask("big", cpus=9, bypassed=PATIENCE), ask("next", cpus=8))

    assert [placement.id for placement in allocation.placements] == ["next"]


def test_ten_times_a_tenth_of_a_cpu_is_one_cpu() -> None:
    requests = [ask(f"r{number}", cpus=0.1) for number in range(11)]

    allocation = given_out(*requests, machine=Machine(1, 0))

    assert len(allocation.placements) == 10


@pytest.mark.parametrize(
    ("resources", "why"),
    [
        (Resources(cpus=8, memory_mib=16_000, gpus=2), None),
        (Resources(cpus=8.5), "asks for 8.5 cpus, this machine has 8"),
        (Resources(memory_mib=16_001), "asks for 16001 MiB of memory, this machine has 16000 MiB"),
        (Resources(gpus=3), "asks for 3 GPUs, this machine has 2"),
    ],
)
def test_what_a_machine_can_never_give_is_said(resources: Resources, why: str | None) -> None:
    assert fits(resources, MACHINE) == why


def test_a_machine_without_gpus_says_it_has_none() -> None:
    assert fits(Resources(gpus=1), Machine(8, 16_000)) == "asks for 1 GPU, this machine has none"


# --- laws ---------------------------------------------------------------------------------------

wanted = st.builds(
    Resources,
    cpus=st.sampled_from((0.1, 0.5, 1.0, 2.0, 3.3, 8.0, 9.0)),
    memory_mib=st.sampled_from((0, 0, 1_000, 9_000, 16_000, 17_000)),
    gpus=st.sampled_from((0, 0, 0, 1, 2, 3)),
)
pools = st.sampled_from(("local", "one", "gone"))


@st.composite
def queues(draw: st.DrawFn) -> list[Request]:
    shapes = draw(st.lists(st.tuples(pools, wanted, st.sampled_from((0, PATIENCE))), max_size=12))
    return [Request(f"r{number}", *shape) for number, shape in enumerate(shapes)]


def books() -> Books:
    places = {name: pool.max_steps for name, pool in POOLS.items()}
    return Books(Fraction(8), MACHINE.memory_mib, frozenset(MACHINE.gpus), places)


@given(st.lists(queues(), max_size=6), st.data())
def test_no_more_is_ever_given_out_than_there_is(waves: list[list[Request]], data: st.DataObject) -> None:
    kept = books()
    holdings: dict[str, Holding] = {}

    for number, wave in enumerate(waves):
        requests = [Request(f"{number}{r.id}", r.pool, r.resources, r.bypassed) for r in wave]
        for placed in allocate(requests, POOLS, MACHINE, holdings.values()).placements:
            kept.take(placed.id, placed.pool, placed.cpus, placed.memory_mib, placed.gpus)
            holdings[placed.id] = Holding(placed.id, placed.pool, placed.cpus, placed.memory_mib, placed.gpus)
        for ended in data.draw(st.lists(st.sampled_from(sorted(holdings)), unique=True)) if holdings else []:
            kept.give_back(ended)
            del holdings[ended]


@given(queues())
def test_every_request_is_either_placed_with_what_it_asked_for_or_told_why_not(requests: list[Request]) -> None:
    allocation = allocate(requests, POOLS, MACHINE, ())

    placed = {placement.id: placement for placement in allocation.placements}
    assert placed.keys() | allocation.waiting.keys() == {request.id for request in requests}
    assert not placed.keys() & allocation.waiting.keys()
    for request in requests:
        if request.id in placed:
            got, asked = placed[request.id], request.resources
            assert (got.cpus, got.memory_mib, len(got.gpus)) == (asked.cpus, asked.memory_mib, asked.gpus)


@given(queues())
def test_room_is_never_left_to_a_request_that_it_would_do_for(requests: list[Request]) -> None:
    """Without anyone who has waited too long, what still waits could not start beside what was placed."""
    fresh = [Request(request.id, request.pool, request.resources) for request in requests]
    allocation = allocate(fresh, POOLS, MACHINE, ())
    holdings = [Holding(p.id, p.pool, p.cpus, p.memory_mib, p.gpus) for p in allocation.placements]

    again = allocate([request for request in fresh if request.id in allocation.waiting], POOLS, MACHINE, holdings)

    assert again.placements == ()


@given(
    st.lists(st.tuples(st.sampled_from(("local", "one")), wanted), min_size=1, max_size=6),
    st.integers(1, 4),
)
def test_nobody_waits_for_ever_while_others_keep_coming(first: list[tuple[str, Resources]], lasting: int) -> None:
    """Three small requests arrive at each tick, each runs for `lasting` ticks; whatever can run does at last."""
    waiting = [
        Request(f"first{number}", pool, resources)
        for number, (pool, resources) in enumerate(first)
        if fits(resources, MACHINE) is None
    ]
    due = {request.id for request in waiting}
    running: dict[str, tuple[int, Holding]] = {}
    kept = books()

    for tick in range(40 * (lasting + 1) * (len(first) + 1)):
        for name in [name for name, (end, _) in running.items() if end <= tick]:
            kept.give_back(name)
            del running[name]
        waiting += [ask(f"{tick}.{n}", cpus=4, gpus=1, memory_mib=1_000) for n in range(2)] + [
            ask(f"{tick}.one", "one")
        ]
        allocation = allocate(waiting, POOLS, MACHINE, [holding for _, holding in running.values()])
        for placed in allocation.placements:
            kept.take(placed.id, placed.pool, placed.cpus, placed.memory_mib, placed.gpus)
            holding = Holding(placed.id, placed.pool, placed.cpus, placed.memory_mib, placed.gpus)
            running[placed.id] = (tick + lasting, holding)
            due.discard(placed.id)
        waiting = [
            Request(r.id, r.pool, r.resources, r.bypassed + allocation.overtaken.get(r.id, 0))
            for r in waiting
            if r.id in allocation.waiting
        ]
        if not due:
            return
        waiting = [r for r in waiting if r.id in due] + [r for r in waiting if r.id not in due][-20:]

    raise AssertionError(f"still waiting: {sorted(due)}")
