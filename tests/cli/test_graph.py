"""A pipeline drawn as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.cli.graph import Node, draw
from stepwell.cli.terminal import Terminal
from support.command_line import stepwell
from support.fake_daemon import FakeDaemon
from support.wire_samples import a_failed_step, a_run, a_step

UNICODE = Terminal(80, 24, color=False, unicode=True, live=False)
ASCII = Terminal(80, 24, color=False, unicode=False, live=False)
DIGITS = [
    Node("prepare", ()),
    Node("forest", ("prepare",)),
    Node("linear", ("prepare",)),
    Node("svm", ("prepare",)),
    Node("compare", ("forest", "linear", "svm")),
    Node("report", ("compare",)),
]


def test_a_step_stands_below_the_last_it_waits_for_and_names_the_others() -> None:
    assert draw(DIGITS, UNICODE) == [
        "prepare",
        "├─ forest",
        "├─ linear",
        "└─ svm",
        "   │",
        "   compare  (also after forest, linear)",
        "   │",
        "   report",
    ]


def test_the_drawing_has_an_ascii_form() -> None:
    lines = draw(DIGITS, ASCII)

    assert lines[1:5] == ["|- forest", "|- linear", "`- svm", "   |"]


def test_lines_pass_by_the_branches_above_the_last() -> None:
    nodes = [Node("a", ()), Node("b", ("a",)), Node("b1", ("b",)), Node("b2", ("b",)), Node("c", ("a",))]

    assert draw(nodes, UNICODE) == ["a", "├─ b", "│  ├─ b1", "│  └─ b2", "└─ c"]


def test_a_chain_of_thousands_goes_straight_down() -> None:
    nodes = [Node(f"s{n}", (f"s{n - 1}",) if n else ()) for n in range(5000)]

    lines = draw(nodes, UNICODE)

    assert len(lines) == 9999
    assert max(len(line) for line in lines) == 5


@st.composite
def _graphs(draw_from: st.DrawFn) -> list[Node]:
    size = draw_from(st.integers(0, 12))
    nodes = []
    for number in range(size):
        upstream = draw_from(st.sets(st.integers(0, number - 1))) if number else set()
        nodes.append(Node(f"n{number}", tuple(f"n{other}" for other in sorted(upstream))))
    return draw_from(st.permutations(nodes))


@given(_graphs())
def test_every_step_is_drawn_once_with_everything_it_waits_for(nodes: list[Node]) -> None:
    lines = draw(nodes, ASCII)

    drawn = [line.strip(" |`-").split("  ")[0] for line in lines if line.strip(" |`-")]
    assert sorted(drawn) == sorted(node.key for node in nodes)
    for node in nodes:
        (line,) = [line for line in lines if line.strip(" |`-").split("  ")[0] == node.key]
        named = line.partition("(also after ")[2].rstrip(")").split(", ") if "(also" in line else []
        assert set(named) <= set(node.upstream)
        assert len(named) == max(len(node.upstream) - 1, 0)


def test_a_run_is_drawn_with_its_states(daemon: FakeDaemon) -> None:
    run = a_run(a_step("prep", reused_run=11), a_failed_step("train", upstream=["prep"]))
    daemon.on("GET", "/v1/runs/last", run)

    said = stepwell("graph", "last")

    assert said.out == "prep  ↺ reused\n│\ntrain  ✗ failed\n"


def test_a_run_as_json_names_keys_and_edges(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs/12", a_run(a_step("prep"), a_step("train", upstream=["prep"])))

    assert stepwell("graph", "12", "--json").data == {
        "steps": [
            {
                "key": key,
                "name": key,
                "kind": "python_script",
                "upstream": up,
                "status": "Finished",
                "reused": False,
            }
            for key, up in (("prep", []), ("train", ["prep"]))
        ]
    }


@pytest.mark.parametrize("name", ["\x1b[2Jx", "a\nb"])
def test_odd_names_are_drawn_harmless(name: str) -> None:
    assert "\x1b" not in "".join(draw([Node(name, ())], UNICODE))
    assert "\n" not in "".join(draw([Node(name, ())], UNICODE))
