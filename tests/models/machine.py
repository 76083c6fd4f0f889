"""A machine that keeps its own books and refuses to be booked twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction


class Overbooked(AssertionError):
    """More was given out than there is."""


@dataclass
class Books:
    cpus: Fraction
    memory_mib: int
    gpus: frozenset[str]
    places: dict[str, int | None]  # by compute target; None: any number
    held: dict[str, tuple[str, Fraction, int, frozenset[str]]] = field(default_factory=dict)

    def take(self, who: str, pool: str, cpus: float, memory_mib: int, gpus: tuple[str, ...]) -> None:
        if who in self.held:
            raise Overbooked(f"{who} starts twice")
        if len(set(gpus)) < len(gpus):
            raise Overbooked(f"{who} gets one GPU twice: {gpus}")
        self.held[who] = (pool, Fraction(cpus).limit_denominator(1000), memory_mib, frozenset(gpus))
        self.check()

    def give_back(self, who: str) -> None:
        del self.held[who]

    def check(self) -> None:
        holders = self.held.values()
        if sum((cpus for _, cpus, _, _ in holders), Fraction(0)) > self.cpus:
            raise Overbooked("cpus")
        if sum(memory for _, _, memory, _ in holders) > self.memory_mib:
            raise Overbooked("memory")
        gpus = [gpu for _, _, _, held in holders for gpu in held]
        if len(set(gpus)) < len(gpus) or not self.gpus.issuperset(gpus):
            raise Overbooked(f"GPUs {gpus}")
        for pool, most in self.places.items():
            if most is not None and sum(where == pool for where, _, _, _ in holders) > most:
                raise Overbooked(f"compute target {pool}")
