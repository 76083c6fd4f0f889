from __future__ import annotations

import pytest
from hypothesis import given

from core.strategies import arguments, words
from stepwell.core.spec import Argument
from stepwell.core.symbols import readable, symbol


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        (Argument(text="--out"), "--out"),
        (Argument(param="epochs"), "{param:epochs}"),
        (Argument(input="clean"), "{input:clean}"),
        (Argument(output="model"), "{output:model}"),
        (Argument(parts=(Argument(text="--data="), Argument(input="clean"))), "--data={input:clean}"),
        (Argument(text="{param:epochs}"), "\\{param:epochs\\}"),
        (Argument(text="a\\b"), "a\\\\b"),
        (Argument(), ""),
    ],
)
def test_an_argument_is_written_symbolically(argument: Argument, text: str) -> None:
    assert symbol(argument) == text


def pieces(argument: Argument) -> list[tuple[str, str]]:
    """What an argument says, piece by piece, with neighbouring texts joined: a model of its meaning."""
    if argument.parts:
        found: list[tuple[str, str]] = []
        for part in argument.parts:
            for kind, name in pieces(part):
                if kind == "text" and found and found[-1][0] == "text":
                    found[-1] = ("text", found[-1][1] + name)
                else:
                    found.append((kind, name))
        return found
    for kind in ("text", "param", "input", "output"):
        value = getattr(argument, kind)
        if value is not None and (value or kind != "text"):
            return [(kind, value)]
    return []


@given(arguments, arguments)
def test_two_arguments_have_one_symbol_exactly_when_they_mean_the_same(left: Argument, right: Argument) -> None:
    assert (symbol(left) == symbol(right)) == (pieces(left) == pieces(right))


@given(words)
def test_a_text_is_shown_as_its_author_wrote_it(text: str) -> None:
    assert readable(symbol(Argument(text=text))) == text
