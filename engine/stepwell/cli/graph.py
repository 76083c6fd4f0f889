"""`stepwell graph`: a pipeline or a run as text.

A step is drawn below the last of the steps it waits for; the others are named behind it. Steps
with one follower go straight down, so that a chain of a thousand is as wide as a chain of two.

    prepare
    ├─ train-forest
    ├─ train-linear
    └─ train-svm
       │
       compare  (also after train-forest, train-linear)
       │
       report
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from stepwell.api.client import Client
from stepwell.cli import options
from stepwell.cli.lookup import find_run
from stepwell.cli.marks import shown, step_mark
from stepwell.cli.output import here, print_json, show
from stepwell.cli.terminal import Terminal, visible


class Node(NamedTuple):
    """A step to draw: the keys it waits for, and what is written behind its name."""

    key: str
    upstream: tuple[str, ...]
    note: str = ""


@click.command()
@click.argument("what", metavar="FILE|RUN")
@options.workspace
@options.as_json
def graph(what: str, workspace: str | None, as_json: bool) -> None:
    """Draw the steps of a pipeline file, or of a run with their states, as text.

    A FILE is loaded and not run. Anything that is not a file is taken for a RUN.
    """
    terminal = here()
    if Path(what).exists() or what.endswith(".py"):
        from stepwell.cli.loading import compiled
        from stepwell.core.graph import Graph

        _, spec = compiled(Path(what))
        Graph.of(spec.steps)  # a cycle is told here, and never drawn
        steps = [_of_spec(step) for step in spec.steps]
    else:
        with Client.connect() as client:
            steps = find_run(client, what, workspace)["steps"]
    if as_json:
        names = ("key", "name", "kind", "upstream", "status", "reused")
        print_json({"steps": [{name: step[name] for name in names if name in step} for step in steps]})
        return
    show(draw([_node(step, terminal) for step in steps], terminal))


def draw(nodes: Sequence[Node], terminal: Terminal) -> list[str]:
    """Return the lines of the drawing. O(steps + edges); cyclic graphs never come here."""
    order = _topological(nodes)
    rank = {node.key: number for number, node in enumerate(order)}
    parents = {node.key: max(node.upstream, key=rank.__getitem__, default=None) for node in order}
    below: dict[str | None, list[Node]] = {}
    for node in order:
        below.setdefault(parents[node.key], []).append(node)
    tee, last, bar = ("├─ ", "└─ ", "│") if terminal.unicode else ("|- ", "`- ", "|")
    lines: list[str] = []
    # (node, before its own line, before the lines below it); a stack, for chains deeper than Python's
    pending = [(node, "", "") for node in reversed(below.get(None, []))]
    while pending:
        node, lead, indent = pending.pop()
        lines.append(lead + _text(node, parents[node.key], terminal))
        children = below.get(node.key, [])
        if len(children) == 1:
            lines.append(indent + bar)
            pending.append((children[0], indent, indent))
        for child in reversed(children if len(children) > 1 else []):
            is_last = child is children[-1]
            pending.append((child, indent + (last if is_last else tee), indent + ("   " if is_last else f"{bar}  ")))
    return lines


def _text(node: Node, parent: str | None, terminal: Terminal) -> str:
    others = [visible(key) for key in node.upstream if key != parent]
    also = terminal.paint(f"  (also after {', '.join(others)})", "dim") if others else ""
    return f"{visible(node.key)}{node.note}{also}"


def _topological(nodes: Sequence[Node]) -> list[Node]:
    """Return the nodes so that each comes after those it waits for; otherwise in the order given."""
    by_key = {node.key: node for node in nodes}
    done: dict[str, Node] = {}
    for root in nodes:
        pending = [root]
        while pending:
            node = pending[-1]
            missing = [by_key[key] for key in node.upstream if key in by_key and key not in done]
            if missing:
                pending.extend(reversed(missing))
            else:
                done.setdefault(pending.pop().key, node)
    return list(done.values())


def _of_spec(step: Any) -> dict[str, Any]:
    return {"key": step.key, "name": step.name, "kind": step.kind, "upstream": sorted(step.depends_on())}


def _node(step: Mapping[str, Any], terminal: Terminal) -> Node:
    note = f"  {shown(step_mark(dict(step)), terminal)}" if "status" in step else ""
    return Node(step["key"], tuple(step["upstream"]), note)
