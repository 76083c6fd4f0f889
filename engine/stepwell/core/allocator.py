"""Who may start now: ready steps and free room in, placements out. Pure.

Requests are looked at in the order given, and one that does not fit does not hold up the ones
behind it. A request that others have overtaken `PATIENCE` times goes first from then on, and
what it needs is kept free for it, so it starts as soon as enough of the holders have ended:
nothing waits for ever. A GPU belongs to one holder at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stepwell.core.spec import Resources

PATIENCE = 50  # how many later requests may start before one that does not fit yet


@dataclass(frozen=True, slots=True)
class Pool:
    """A compute target on this machine. `max_steps`: how many steps it runs at once; None: as many as fit."""

    name: str
    max_steps: int | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """All there is to give out. `gpus` are UUIDs."""

    cpus: float
    memory_mib: int
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """A step that is ready. `bypassed`: how many later requests were placed before it so far."""

    id: str
    pool: str
    resources: Resources = Resources()  # noqa: RUF009  frozen
    bypassed: int = 0


@dataclass(frozen=True, slots=True)
class Holding:
    """What a step that has started still holds."""

    id: str
    pool: str
    cpus: float
    memory_mib: int = 0
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Placement:
    """A request that may start, and what it now holds."""

    id: str
    pool: str
    cpus: float
    memory_mib: int = 0
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Allocation:
    """What starts, and what does not.

    `waiting`: id -> why it does not start. `overtaken`: id -> how many requests behind it were
    placed now; the caller adds that to the request's `bypassed`.
    """

    placements: tuple[Placement, ...] = ()
    waiting: Mapping[str, str] = field(default_factory=dict)
    overtaken: Mapping[str, int] = field(default_factory=dict)


def allocate(
    requests: Sequence[Request],
    pools: Mapping[str, Pool],
    machine: Machine,
    holdings: Iterable[Holding],
) -> Allocation:
    """Return which of `requests`, most urgent first, may start beside `holdings`. O(requests + holdings)."""
    room = _Room(pools, machine, holdings)
    waiting: dict[str, str] = {}
    placements: list[Placement] = []
    placed_at: list[int] = []
    refused: dict[tuple[str, Resources], str] = {}  # room only shrinks, so a shape that did not fit never will
    for position in _overtaken_first(requests):
        request = requests[position]
        shape = (request.pool, request.resources)
        reason = refused.get(shape) or room.lacks(request)
        if reason is None:
            placements.append(room.place(request))
            placed_at.append(position)
            continue
        waiting[request.id] = refused[shape] = reason
        if request.bypassed >= PATIENCE:
            room.reserve(request)
    return Allocation(tuple(placements), waiting, _overtaken(requests, waiting, placed_at))


def fits(resources: Resources, machine: Machine) -> str | None:
    """Return why this machine could never run such a step, or None when it could."""
    if resources.cpus > machine.cpus:
        return f"asks for {_count(resources.cpus, 'cpu')}, this machine has {machine.cpus:g}"
    if resources.memory_mib > machine.memory_mib:
        return f"asks for {resources.memory_mib} MiB of memory, this machine has {machine.memory_mib} MiB"
    if resources.gpus > len(machine.gpus):
        return f"asks for {_count(resources.gpus, 'GPU')}, this machine has {len(machine.gpus) or 'none'}"
    return None


class _Room:
    """What is still free. Cpus are counted in thousandths, so that ten times 0.1 is exactly one."""

    def __init__(self, pools: Mapping[str, Pool], machine: Machine, holdings: Iterable[Holding]) -> None:
        self._pools = pools
        self._machine = machine
        self._cpus = _milli(machine.cpus)
        self._memory_mib = machine.memory_mib
        self._steps: dict[str, int] = {}
        held: set[str] = set()
        for holding in holdings:
            self._take(holding.pool, holding.cpus, holding.memory_mib)
            held.update(holding.gpus)
        self._gpus = [gpu for gpu in machine.gpus if gpu not in held]
        self._gpus_kept = 0

    def lacks(self, request: Request) -> str | None:
        """Return what stands in the way of `request`, or None."""
        pool = self._pools.get(request.pool)
        if pool is None:
            return f"compute target {request.pool!r} is no longer there"
        if pool.max_steps is not None and self._is_full(pool.name):
            return f"compute target {pool.name!r} runs at most {_count(pool.max_steps, 'step')} at once"
        wanted, machine = request.resources, self._machine
        if _milli(wanted.cpus) > max(self._cpus, 0):
            free = max(self._cpus, 0) / 1000
            return f"waits for {_count(wanted.cpus, 'cpu')}: {free:g} of {machine.cpus:g} free"
        if wanted.memory_mib > max(self._memory_mib, 0):
            free_mib = max(self._memory_mib, 0)
            return f"waits for {wanted.memory_mib} MiB of memory: {free_mib} of {machine.memory_mib} MiB free"
        free_gpus = max(len(self._gpus) - self._gpus_kept, 0)
        if wanted.gpus > free_gpus:
            return f"waits for {_count(wanted.gpus, 'GPU')}: {free_gpus} of {len(machine.gpus)} free"
        return None

    def place(self, request: Request) -> Placement:
        wanted = request.resources
        self._take(request.pool, wanted.cpus, wanted.memory_mib)
        gpus, self._gpus = tuple(self._gpus[: wanted.gpus]), self._gpus[wanted.gpus :]
        return Placement(request.id, request.pool, wanted.cpus, wanted.memory_mib, gpus)

    def reserve(self, request: Request) -> None:
        """Keep what `request` needs, as far as it is free, from every request after it.

        Not while its compute target is full: then only a place there is kept, or cpus would
        stand idle for as long as another step of that target takes. Nor for what can never be.
        """
        wanted = request.resources
        if self._is_full(request.pool):
            self._take(request.pool, 0, 0)
        elif request.pool in self._pools and fits(wanted, self._machine) is None:
            self._take(request.pool, wanted.cpus, wanted.memory_mib)
            self._gpus_kept += wanted.gpus

    def _is_full(self, name: str) -> bool:
        pool = self._pools.get(name)
        return pool is not None and pool.max_steps is not None and self._steps.get(name, 0) >= pool.max_steps

    def _take(self, pool: str, cpus: float, memory_mib: int) -> None:
        self._steps[pool] = self._steps.get(pool, 0) + 1
        self._cpus -= _milli(cpus)
        self._memory_mib -= memory_mib


def _overtaken_first(requests: Sequence[Request]) -> list[int]:
    return sorted(range(len(requests)), key=lambda position: requests[position].bypassed < PATIENCE)


def _overtaken(requests: Sequence[Request], waiting: Mapping[str, str], placed_at: list[int]) -> dict[str, int]:
    """Count, for every waiting request, the placed ones that stood behind it."""
    last = max(placed_at, default=-1)
    placed = set(placed_at)
    behind = len(placed)
    overtaken = {}
    for position in range(last):
        if position in placed:
            behind -= 1
        elif requests[position].id in waiting:
            overtaken[requests[position].id] = behind
    return overtaken


def _milli(cpus: float) -> int:
    return round(cpus * 1000)


def _count(number: float, noun: str) -> str:
    return f"{number:g} {noun}" if number == 1 else f"{number:g} {noun}s"
