"""`Graph`: a pipeline's nodes and edges, to be looked at. The pipeline itself is changed by its steps."""

from __future__ import annotations

from typing import Any, NamedTuple

from stepwell.core.spec import PipelineSpec, Scalar


class Edge(NamedTuple):
    """`dest` waits for `source`, both node ids. `output` and `input` name the data; None for a bare order."""

    source: str
    dest: str
    output: str | None = None
    input: str | None = None


class Node(NamedTuple):
    """A step. `node_id` is its key: its name, or `name#2` for the second step of that name."""

    node_id: str
    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: dict[str, Any]


class Graph:
    """The execution graph of a pipeline, acyclic or not (document "What are machine learning pipelines")."""

    def __init__(self, name: str, nodes: list[Node], edges: list[Edge], params: dict[str, Scalar]) -> None:
        self.name = name
        self.nodes = nodes
        self.edges = edges
        self.params = params

    @classmethod
    def of(cls, spec: PipelineSpec) -> Graph:
        nodes = [
            Node(
                step.key,
                step.name,
                step.kind,
                tuple(port.name for port in step.inputs),
                tuple(port.name for port in step.outputs),
                dict(step.params),
            )
            for step in spec.steps
        ]
        edges = [Edge(port.step, step.key, port.output, port.name) for step in spec.steps for port in step.inputs]
        edges += [Edge(key, step.key) for step in spec.steps for key in step.run_after]
        return cls(spec.name, nodes, edges, {item.name: item.default for item in spec.parameters})

    @property
    def module_nodes(self) -> list[Node]:
        """The steps; every node is one."""
        return self.nodes

    @property
    def datasource_nodes(self) -> list[Node]:
        """None: data comes from steps."""
        return []

    @property
    def node_dict(self) -> dict[str, Node]:
        """The nodes by id."""
        return {node.node_id: node for node in self.nodes}

    @property
    def node_name_dict(self) -> dict[str, list[Node]]:
        """The nodes by name; several steps may have one name."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            found.setdefault(node.name, []).append(node)
        return found

    def get_node(self, node_id: str) -> Node:
        """Return a node. Raises KeyError for an unknown id."""
        return self.node_dict[node_id]

    def __repr__(self) -> str:
        return f"Graph({self.name!r}, {len(self.nodes)} nodes, {len(self.edges)} edges)"
