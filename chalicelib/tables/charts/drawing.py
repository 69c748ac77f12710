"""A column as a picture: pure geometry, so that the page needs no script for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib.tables.charts.figures import Bar, Figures
from chalicelib.tables.charts.words import Words

#: The drawing's width, and the place that an axis has in it, in pixels of the SVG's own grid.
WIDTH = 360
LEFT, RIGHT = 40, 352
#: Where the box plot, the bars and the labels below them are.
BOX, TOP, BOTTOM, LABELS = 22, 46, 172, 192
#: Of values that are words: the height of each, and where their bars begin and end at most.
LINE, WORDS, END = 26, 132, 306
#: Labels of the axis, at most.
MARKS = 6


@dataclass(frozen=True)
class Block:
    """A bar; `is_own` when it holds the learner the picture is about."""

    x: float
    y: float
    width: float
    height: float
    title: str
    label: str = ""
    count: int = 0
    is_own: bool = False


@dataclass(frozen=True)
class Mark:
    """A label of an axis at a place on it."""

    at: float
    label: str


@dataclass(frozen=True)
class Box:
    """A box plot: ends of the whiskers, quartiles, median."""

    low: float
    q1: float
    median: float
    q3: float
    high: float


@dataclass(frozen=True)
class Drawing:
    """A picture of the column; `own` is where on the axis the learner is."""

    height: int
    is_lines: bool
    blocks: list[Block]
    across: list[Mark] = field(default_factory=list)
    up: list[Mark] = field(default_factory=list)
    box: Box | None = None
    own: float | None = None


@dataclass(frozen=True)
class _Axis:
    """From the first bar to the last; `shift` is how far bars begin before their value."""

    origin: Any
    width: Decimal
    shift: Decimal
    zone: ZoneInfo

    def at(self, value: Any) -> float:
        """Return the place of a value; of a learner outside the view it is the end of the axis."""
        return min(float(RIGHT), max(float(LEFT), self.edge(value) + float(self.shift / self.width) * (RIGHT - LEFT)))

    def edge(self, value: Any) -> float:
        """Return where the bar that begins with the value begins."""
        return LEFT + float(_distance(self.origin, value, self.zone) / self.width) * (RIGHT - LEFT)


def draw(words: Words) -> Drawing | None:
    """Return the picture; None where bars would say nothing."""
    figures = words.figures
    if not figures.present or not figures.bars or words.is_unlike:
        return None
    return _lines(words) if figures.kind == "choice" else _histogram(words)


def _lines(words: Words) -> Drawing:
    figures = words.figures
    top = max(bar.count for bar in figures.bars)
    own = figures.own.value if figures.own else None
    blocks = [
        Block(
            WORDS, place * LINE + 4, bar.count / top * (END - WORDS), LINE - 8, _title(words, bar), words.bar(bar),
            bar.count, is_own=own is not None and bar.start == own,
        )
        for place, bar in enumerate(figures.bars)
    ]  # fmt: skip
    return Drawing(LINE * len(blocks), True, blocks)


def _histogram(words: Words) -> Drawing:
    figures = words.figures
    first, last = figures.bars[0], figures.bars[-1]
    # Whole numbers that each have a bar stand in the middle of it.
    shift = Decimal("0.5") if words.column.type == "integer" and first.end - first.start == 1 else Decimal(0)
    axis = _Axis(first.start, _distance(first.start, last.end, words.zone), shift, words.zone)
    top = _round_up(max(bar.count for bar in figures.bars))
    own = figures.own.value if figures.own else None
    up = [Mark(_y(value, top), f"{value:,}") for value in sorted({0, top // 2, top})]
    return Drawing(
        LABELS + 8, False, [_block(words, bar, axis, top) for bar in figures.bars], _marks(words, axis), up,
        _box(figures, axis) if figures.kind == "number" else None, None if own is None else axis.at(own),
    )  # fmt: skip


def _block(words: Words, bar: Bar, axis: _Axis, top: int) -> Block:
    left, right = axis.edge(bar.start), axis.edge(bar.end)
    gap = min(2.0, (right - left) / 5)
    # A single learner among thousands is still to be seen.
    height = max(1.0, BOTTOM - _y(bar.count, top)) if bar.count else 0.0
    return Block(left + gap / 2, BOTTOM - height, right - left - gap, height, _title(words, bar), count=bar.count)


def _title(words: Words, bar: Bar) -> str:
    return f"{words.bar(bar)}: {bar.count:,}"


def _box(figures: Figures, axis: _Axis) -> Box:
    values = (figures.lowest, figures.q1, figures.median, figures.q3, figures.highest)
    return Box(*(axis.at(value) for value in values))


def _marks(words: Words, axis: _Axis) -> list[Mark]:
    bars = words.figures.bars
    if words.figures.kind == "time":
        return _moments(words, axis)
    starts = [bar.start for bar in bars] + ([] if axis.shift else [bars[-1].end])
    return [Mark(axis.at(value), words.value(value)) for value in starts[:: ceil(len(starts) / MARKS)]]


def _moments(words: Words, axis: _Axis) -> list[Mark]:
    """Label some bars; those that are too near to the label before get none."""
    found: list[Mark] = []
    for bar in words.figures.bars:
        mark = Mark(axis.at(bar.start), words.moment(bar.start).removeprefix("week of "))
        if (not found or mark.at - found[-1].at > (RIGHT - LEFT) / 3) and mark.at < RIGHT - 30:
            found.append(mark)
    return found


def _distance(origin: Any, value: Any, zone: ZoneInfo) -> Decimal:
    """Return how far a value is from the first bar's, exactly; a moment where the reader's clock shows it."""
    if isinstance(value, datetime):
        local = value.astimezone(zone).replace(tzinfo=None) if value.tzinfo else value
        return Decimal((local - origin).total_seconds())
    return Decimal(value) - Decimal(origin)


def _y(count: int, top: int) -> float:
    return BOTTOM - count / top * (BOTTOM - TOP)


def _round_up(value: int) -> int:
    """Return the next even number of one or two digits followed by zeros."""
    step: int = 10 ** max(0, len(str(value)) - 2)
    return max(2, ceil(value / step / 2) * 2 * step)
