"""The live picture of a run: a block of lines, painted over in place.

No alternate screen and no hidden cursor: whatever kills us leaves a terminal that works, with the
last picture on it. Lines are never wider than the terminal; when it was made narrower since, the
lines it folded are counted, so that nothing is painted over that is not ours.
"""

from __future__ import annotations

from collections import Counter
from typing import TextIO

from stepwell.cli import words
from stepwell.cli.marks import WORD_WIDTH, shown
from stepwell.cli.progress import BROKEN, STARTED, Progress, Row
from stepwell.cli.terminal import Terminal, bare, columns, visible

ROOMY = 72  # columns from which on everything is shown
MODEST = 44  # columns below which only state and name are
KEY_WIDTH = 28
TIME_WIDTH = 12
STATE_WIDTH = WORD_WIDTH + 4  # mark, word and the gap behind it


def picture(progress: Progress, terminal: Terminal, title: str, now_us: int) -> list[str]:
    """Return the lines that show a run now: a row a step, what did not fit, one line for the whole."""
    rows = progress.ordered()
    room = max(terminal.height - 4, 1)
    chosen = _most_telling(rows, room)
    longest = max((columns(visible(row.key)) for row in chosen), default=1)
    key_width = min(longest, KEY_WIDTH, max(terminal.width - 1 - STATE_WIDTH - TIME_WIDTH, 1))
    lines = [_row(row, terminal, key_width, now_us) for row in chosen]
    if len(chosen) < len(rows):
        left = Counter(row.mark.word for row in rows) - Counter(row.mark.word for row in chosen)
        rest = ", ".join(f"{number} {word}" for word, number in sorted(left.items()))
        lines.append(terminal.fit(f"  and {len(rows) - len(chosen)} more: {rest}", terminal.width - 1))
    if not progress.over:  # its summary follows
        lines.append(terminal.fit(_whole(progress, rows, title), terminal.width - 1))
    return lines


def _row(row: Row, terminal: Terminal, key_width: int, now_us: int) -> str:
    key = terminal.pad(visible(row.key), key_width)
    room = terminal.width - 1 - STATE_WIDTH
    if terminal.width < MODEST:
        return f"{shown(row.mark, terminal, WORD_WIDTH)}  {terminal.fit(key.rstrip(), room)}"
    passed = words.elapsed(row.started_us, row.ended_us, now_us)
    took = f"{words.duration(passed) if passed is not None else '':>{TIME_WIDTH}}"
    line = f"{shown(row.mark, terminal, WORD_WIDTH)}  {key}{took}"
    room -= key_width + TIME_WIDTH
    if terminal.width >= ROOMY:
        used = f"cpu {words.duration(row.cpu_s)}" if row.cpu_s is not None else ""
        line += f"  {used:<{TIME_WIDTH + 2}}"
        room -= TIME_WIDTH + 4
    reason = visible(row.message if row.state in BROKEN else row.reason)
    if room > 8:
        line += "  " + terminal.paint(terminal.fit(reason, room - 2), "dim")
    return line.rstrip()


def _whole(progress: Progress, rows: list[Row], title: str) -> str:
    if not rows:
        return f"{title}: reading the sources"
    ended = sum(row.over for row in rows)
    under_way = sum(row.state in STARTED for row in rows)
    return f"{title}: {ended} of {words.count(len(rows), 'step')} done, {under_way} under way"


def _most_telling(rows: list[Row], room: int) -> list[Row]:
    """Return at most `room` rows in their order: failures, then what runs, then the next and the latest."""
    if len(rows) <= room:
        return rows

    def rank(row: Row) -> tuple[int, int]:
        if row.state in BROKEN:
            return 0, row.position
        if row.state in STARTED:
            return 1, row.position
        if not row.over:
            return 2, row.position
        return 3, -(row.ended_us or 0)

    return sorted(sorted(rows, key=rank)[:room], key=lambda row: row.position)


class Painter:
    """Paints blocks of lines over each other on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._painted: list[int] = []  # columns of each line on the screen

    def paint(self, lines: list[str], width: int) -> None:
        """Replace the last block by `lines`, on a terminal that is `width` columns wide now."""
        up = sum(max(1, -(-used // width)) for used in self._painted)
        back = f"\x1b[{up}F\x1b[J" if up else ""
        self._stream.write(back + "".join(line + "\n" for line in lines))
        self._stream.flush()
        self._painted = [columns(bare(line)) for line in lines]
