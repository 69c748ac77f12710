"""The figures of a column in words: the lines of its table, what its bars are called, where a learner is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib.tables import cells
from chalicelib.tables.charts.figures import Bar, Figures
from chalicelib.tables.models import Column

#: Texts longer than this are cut in charts and their tables.
MAX_LABEL = 80
#: Characters that a picture can't hold (XML 1.0 §2.2).
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
#: How the beginning of a bar on a time axis is written.
_TIMES = {"second": "%H:%M:%S", "minute": "%H:%M", "hour": "%a %H:%M", "month": "%b %Y", "year": "%Y"}


@dataclass(frozen=True)
class Words:
    """Says the figures of one column in the reader's time zone; `exact`: every digit, as in a file."""

    column: Column
    figures: Figures
    zone: ZoneInfo
    exact: bool = False

    def value(self, value: Any) -> str:
        """Write one value, or a figure of numbers."""
        if isinstance(value, Decimal):
            value = int(value) if value == value.to_integral_value() and abs(value) < 10**15 else float(value)
        if value == "":
            return "an empty text"
        text = _UNWRITABLE.sub(" ", (cells.written if self.exact else cells.shown)(value, self.zone))
        return text if len(text) <= MAX_LABEL else text[: MAX_LABEL - 1] + "…"

    def bar(self, bar: Bar) -> str:
        """Say which values a bar stands for."""
        if self.figures.kind == "time":
            return self.moment(bar.start)
        if self.figures.kind == "choice":
            return self.value(bar.start)
        if self.figures.distinct == 1:
            return self.value(self.figures.lowest)
        is_last = bar is self.figures.bars[-1]
        if self.column.type != "integer":
            return f"{self.value(bar.start)} to {'' if is_last else 'under '}{self.value(bar.end)}"
        last = max(Decimal(self.figures.highest), bar.end - 1) if is_last else bar.end - 1
        return self.value(bar.start) if last == bar.start else f"{self.value(bar.start)}–{self.value(last)}"

    def moment(self, moment: datetime) -> str:
        """Write the beginning of a bar on the time axis, a wall clock's time in the reader's zone."""
        if self.figures.unit in {"day", "week"}:
            return f"{'week of ' if self.figures.unit == 'week' else ''}{moment.day} {moment:%b %Y}"
        if self.figures.unit in {"decade", "century"}:
            return f"from {moment.year}"
        return f"{moment:{_TIMES[self.figures.unit]}}"

    @property
    def summary(self) -> list[tuple[str, int | str]]:
        """The figures, each with its name: counts as numbers, values in words."""
        figures = self.figures
        found: list[tuple[str, int | str]] = [
            ("Learners with a value", figures.present), ("Without a value", figures.missing),
        ]  # fmt: skip
        if figures.beyond:
            found.append(("Too large to be counted in", figures.beyond))
        if not figures.present:
            return found
        found.append(("Different values", figures.distinct))
        if figures.kind == "choice":
            return found
        names = ("Lowest", "First quartile", "Median", "Third quartile", "Highest")
        if figures.kind == "time":
            names = ("Earliest", "A quarter until", "Half until", "Three quarters until", "Latest")
        values = (figures.lowest, figures.q1, figures.median, figures.q3, figures.highest)
        found += [(name, self.value(value)) for name, value in zip(names, values, strict=True)]
        if figures.kind == "number":
            deviation = "–" if figures.deviation is None else self.value(figures.deviation)
            found += [("Mean", self.value(figures.mean)), ("Standard deviation", deviation)]
        found.append(("Most frequent", self._mode()))
        return found

    def _mode(self) -> str:
        figures = self.figures
        if figures.mode_count == 1 and figures.present > 1:
            return "no value comes twice"
        others = "" if figures.modes == 1 else f" and {_plural(figures.modes - 1, 'other')}, each"
        return f"{self.value(figures.mode)}{others} ({_plural(figures.mode_count, 'learner')})"

    @property
    def note(self) -> str:
        """What the bars leave out, or why there are none."""
        figures = self.figures
        if not figures.present:
            return "No values."
        if figures.kind != "choice" or not figures.others:
            return ""
        if self.is_unlike:
            return f"Each of the {figures.distinct:,} values is different."
        rest = _plural(figures.distinct - len(figures.bars), "more value")
        return f"The most frequent of {figures.distinct:,} values; {_plural(figures.others, 'learner')} with {rest}."

    @property
    def is_unlike(self) -> bool:
        """Whether bars would say nothing: names, e-mail addresses, answers."""
        return self.figures.kind == "choice" and self.figures.others > 0 and self.figures.mode_count == 1

    @property
    def place(self) -> str:
        """Where the learner is among the others; empty when the figures are about nobody."""
        figures, own = self.figures, self.figures.own
        if own is None:
            return ""
        if own.value is None:
            return f"No value here; {_plural(figures.missing, 'learner')} of {figures.total:,} have none."
        value = self.value(own.value)
        if figures.kind == "choice":
            if own.same <= 1:
                return f"{value}: nobody else has this."
            return f"{value}: like {own.same:,} of {figures.present:,}."
        rank, way = (own.higher, "highest") if figures.kind == "number" else (own.lower, "earliest")
        shared = f" (with {_plural(own.same - 1, 'other')})" if own.same > 1 else ""
        place = f"{ordinal(rank + 1)} {way}" if rank else f"the {way}"
        return f"{value}: {place} of {figures.present:,}{shared}{self._side(own.value)}."

    def _side(self, value: Any) -> str:
        median = self.figures.median
        if median is None:
            return ""
        if value == median:
            return ", the median"
        above, below = ("above", "below") if self.figures.kind == "number" else ("after", "before")
        return f", {above if value > median else below} the median"


def ordinal(number: int) -> str:
    """Write 1st, 2nd, 3rd, 11th."""
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
