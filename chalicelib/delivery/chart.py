"""A run over time, as lines to be drawn: pure geometry, so that the page needs no script for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from math import ceil, log10
from typing import Protocol

from chalicelib.web.templates import zone

#: The drawing's size, and the place its lines have in it, in pixels of the SVG's own grid.
WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 72, 712, 12, 206
#: The points' fields that are drawn, with what they are called.
KINDS = {"sent": "Sent", "delivered": "Delivered", "opened": "Opened", "clicked": "Clicked", "bounced": "Bounced"}
#: Labels of the time axis.
MARKS = 4


@dataclass(frozen=True)
class Line:
    """One line; `path` is SVG path data, `total` where it ends."""

    kind: str
    name: str
    path: str
    total: int


@dataclass(frozen=True)
class Mark:
    """A label of an axis at a place on it."""

    at: float
    label: str


@dataclass(frozen=True)
class Row:
    """A line of the table that says the same: totals up to the end of a stretch."""

    at: datetime
    totals: list[int]


@dataclass(frozen=True)
class Chart:
    """Lines, axes and the table for those who cannot see them."""

    lines: list[Line]
    across: list[Mark]
    up: list[Mark]
    names: list[str]
    rows: list[Row]


class Moment(Protocol):
    """What happened in one stretch of time: a number for each kind that is drawn."""

    @property
    def at(self) -> datetime:
        """Its beginning."""


def chart(points: Sequence[Moment], time_zone: str, kinds: Mapping[str, str] = KINDS) -> Chart | None:
    """Return the totals over time in the reader's zone, of `kinds` and their names; None when nothing happened.

    The first kind is always drawn, the others where there is something to see.
    """
    if not points:
        return None
    start = points[0].at
    stretch = min((b.at - a.at for a, b in pairwise(points)), default=timedelta(seconds=1))
    # A total stays as it was until the stretch in which it grows.
    moments = [moment for point in points for moment in (point.at, point.at + stretch)]
    span = (moments[-1] - start).total_seconds()
    totals = {kind: list(accumulate((getattr(point, kind) for point in points), initial=0)) for kind in kinds}
    drawn = {kind: values for kind, values in totals.items() if values[-1] or kind == next(iter(kinds))}
    top = _round_up(max(values[-1] for values in drawn.values()))
    across = [LEFT + (moment - start).total_seconds() / span * (RIGHT - LEFT) for moment in moments]
    lines = []
    for kind, values in drawn.items():
        heights = [_height(value, top) for before_after in pairwise(values) for value in before_after]
        steps = " L".join(f"{x:.1f} {y:.1f}" for x, y in zip(across, heights, strict=True))
        lines.append(Line(kind, kinds[kind], "M" + steps, values[-1]))
    rows = [Row(point.at + stretch, [values[n] for values in drawn.values()]) for n, point in enumerate(points, 1)]
    marks = [_mark(start, span * n / (MARKS - 1), span, time_zone) for n in range(MARKS)]
    up = [Mark(_height(value, top), f"{value:,}") for value in sorted({0, top // 2, top})]
    return Chart(lines, marks, up, [line.name for line in lines], rows)


def _height(value: int, top: int) -> float:
    return BOTTOM - value / top * (BOTTOM - TOP)


def _mark(start: datetime, seconds: float, span: float, time_zone: str) -> Mark:
    moment = (start + timedelta(seconds=seconds)).astimezone(zone(time_zone))
    if span < 10 * 60:
        label = f"{moment:%H:%M:%S}"
    else:
        label = f"{moment:%H:%M}" if span < 20 * 3600 else f"{moment.day} {moment:%b %H:%M}"
    return Mark(LEFT + seconds / span * (RIGHT - LEFT), label)


def _round_up(value: int) -> int:
    """Return the next even number of one or two digits followed by zeros."""
    step: int = 10 ** max(0, int(log10(max(1, value))) - 1)
    return max(2, ceil(value / step / 2) * 2 * step)
