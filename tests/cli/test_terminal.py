"""What a terminal can show, and text that must not reach one as it is."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.cli.tables import table
from stepwell.cli.terminal import Terminal, columns, visible

PLAIN = Terminal(80, 24, color=False, unicode=True, live=False)
NARROW = Terminal(30, 24, color=False, unicode=True, live=True)


class _Stream(io.StringIO):
    def __init__(self, encoding: str, *, terminal: bool) -> None:
        super().__init__()
        self._encoding = encoding
        self._terminal = terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    ("encoding", "terminal", "variables", "color", "unicode", "live"),
    [
        ("utf-8", True, {"TERM": "xterm"}, True, True, True),
        ("utf-8", True, {"TERM": "xterm", "NO_COLOR": "1"}, False, True, True),
        ("utf-8", True, {"TERM": "dumb"}, False, True, False),
        ("utf-8", True, {}, False, True, False),
        ("ascii", True, {"TERM": "xterm"}, True, False, True),
        ("latin-1", False, {"TERM": "xterm"}, False, False, False),
        ("utf-8", False, {"TERM": "xterm"}, False, True, False),
    ],
)
def test_a_terminal_is_taken_for_what_it_says_it_is(
    encoding: str, terminal: bool, variables: dict[str, str], color: bool, unicode: bool, live: bool
) -> None:
    found = Terminal.of(_Stream(encoding, terminal=terminal), variables)

    assert (found.color, found.unicode, found.live) == (color, unicode, live)


def test_columns_says_how_wide_to_draw_and_a_tiny_one_is_drawn_as_twenty() -> None:
    assert Terminal.of(_Stream("utf-8", terminal=False), {"COLUMNS": "57"}).width == 57
    assert Terminal.of(_Stream("utf-8", terminal=False), {"COLUMNS": "5"}).width == 20
    assert Terminal.of(_Stream("utf-8", terminal=False), {"COLUMNS": "x"}).width == 100


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]52;c;c2VjcmV0\x1b\\after", "after"),
        ("\x1bcreset", "reset"),
        (" 10%\r 50%\r100%", "100%"),
        ("done\r\n", "done"),
        ("a\x00b\x07c", "a\\x00b\\x07c"),
        ("a\tb", "a       b"),
        ("user\u202etxt.exe", "user\\u202etxt.exe"),
        ("two\nlines", "two\\nlines"),
        ("naïve 名前 🎉", "naïve 名前 🎉"),
    ],
)
def test_text_is_shown_without_what_would_act_on_the_terminal(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_nothing_visible_acts_on_a_terminal(text: str) -> None:
    shown = visible(text)

    assert all(character.isprintable() or character >= "\xa0" for character in shown)
    assert visible(shown) == shown


@given(st.text().map(visible), st.integers(min_value=0, max_value=60))
def test_padded_text_has_exactly_the_columns_asked_for(text: str, width: int) -> None:
    assert columns(PLAIN.pad(text, width)) == width


def test_a_table_on_a_narrow_terminal_cuts_its_widest_column() -> None:
    lines = table([["name", "a reason that is far too long for this"], ["n", "short"]], NARROW)

    assert lines == ["name  a reason that is far to…", "n     short"]


def test_a_piped_table_is_never_cut() -> None:
    long = "word " * 60

    assert table([["name", long]], PLAIN) == [f"name  {long}".rstrip()]
