"""What steps produce, as a function: same recipe and same inputs, same outputs. No caching, no order.

Content is text of 64 characters, as a digest is. A `constant` step writes the same whatever it reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """`inputs`: (name, step above, output)."""

    recipe: str
    inputs: tuple[tuple[str, str, str], ...] = ()
    outputs: tuple[str, ...] = ("out",)
    constant: bool = False

    def produce(self, read: Mapping[str, str]) -> dict[str, str]:
        """Return the content of every output, given the content of every input by name."""
        seen = [] if self.constant else sorted(read.items())
        return {name: hashlib.sha256(repr((self.recipe, name, seen)).encode()).hexdigest() for name in self.outputs}


def from_scratch(works: Mapping[str, Work]) -> dict[str, dict[str, str]]:
    """Return what every step produces when all of them run."""
    done: dict[str, dict[str, str]] = {}

    def visit(key: str) -> dict[str, str]:
        if key not in done:
            work = works[key]
            done[key] = work.produce({name: visit(above)[output] for name, above, output in work.inputs})
        return done[key]

    for key in works:
        visit(key)
    return done
