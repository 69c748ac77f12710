"""What is in a column, in figures: one statement over all rows that are meant, whatever the column's type.

Only null is missing; 0, no and an empty text are values. A number that is none (NaN) counts as missing, as in formulas.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib.tables.models import Column
from chalicelib.tables.scope import Scope
from chalicelib.tables.store import table

#: Of a column with many different texts, the most frequent ones are shown.
TOP = 10


@dataclass(frozen=True)
class Bar:
    """How many learners have a value from `start` to `end`; for texts and yes/no both are the value itself."""

    start: Any
    end: Any
    count: int


@dataclass(frozen=True)
class Own:
    """One learner's value among the others: how many have a higher one, a lower one, the same (they included)."""

    value: Any = None
    higher: int = 0
    lower: int = 0
    same: int = 0


@dataclass(frozen=True)
class Figures:
    """The figures of a column. Those that need an order, or numbers, are None where there is none.

    `modes` values are the most frequent ones, `mode` the lowest of them; `mode_count` learners have each. `beyond`
    learners have numbers or dates too large to be counted in. `unit` is the width of the bars of a time axis.
    """

    kind: str
    present: int = 0
    missing: int = 0
    distinct: int = 0
    beyond: int = 0
    lowest: Any = None
    q1: Any = None
    median: Any = None
    q3: Any = None
    highest: Any = None
    mean: float | None = None
    deviation: float | None = None
    mode: Any = None
    mode_count: int = 0
    modes: int = 0
    unit: str = ""
    bars: list[Bar] = field(default_factory=list)
    own: Own | None = None

    @property
    def total(self) -> int:
        """How many learners were looked at."""
        return self.present + self.missing + self.beyond

    @property
    def others(self) -> int:
        """How many learners have a value that no bar stands for."""
        return self.present - sum(bar.count for bar in self.bars)


def kind_of(column: Column) -> str:
    """Return how the column is looked at: as numbers, on a time axis, or by its values."""
    return {"integer": "number", "double": "number", "datetime": "time"}.get(column.type, "choice")


def read(session: Session, scope: Scope, column: Column, row_id: int | None = None) -> Figures:
    """Return the figures of the column over the rows of the scope; with `row_id`, where this learner is among them.

    Raises errors.Invalid when a rule of the scope can't be used any more.
    """
    kind = kind_of(column)
    parts = _PARTS[kind]
    rows = scope.table()
    x, beyond = _value(column, "t")
    looked_at = (
        sa.select(sa.literal_column(x).label("x"), sa.literal_column(beyond).label("beyond"))
        .select_from(rows)
        .where(*scope.where(rows))
        .cte("v")
    )
    # The learner is looked up in the table itself: a view need not show them to say where they would be.
    own_x, _ = _value(column, "o")
    own = sa.text(f"SELECT max({own_x}) AS x FROM {table(scope.workflow_id)} o WHERE o.row_id = :row_id")
    if column.type == "boolean":
        own = sa.text(f"SELECT bool_or({own_x}) AS x FROM {table(scope.workflow_id)} o WHERE o.row_id = :row_id")
    written = [_with(name, query, column) for name, query in {**_COMMON, **parts}.items()]
    query = sa.select(sa.text("*")).select_from(sa.text("answer"))
    query = query.add_cte(looked_at, own.bindparams(row_id=row_id or 0).columns().cte("own"), *written)
    values = {"zone": scope.time_zone, "kept": max(TOP, len(column.allowed_values or []))}
    row = session.execute(query, {name: values[name] for name in _BINDS[kind]}).mappings().one()
    return _figures(kind, column, row, with_own=row_id is not None)


def _value(column: Column, alias: str) -> tuple[str, str]:
    """Return SQL of the value as it is counted, and of whether it is too large for that."""
    name = f"{alias}.c{column.id}"
    if column.type == "double":  # sums of larger ones would overflow; NaN is neither
        return f"CASE WHEN abs({name}) < 1e100 THEN {name} END", f"({name} < 'NaN' AND abs({name}) >= 1e100)"
    if column.type == "datetime":  # Python knows no others
        within = f"{name} >= '0001-01-02 00:00+00' AND {name} < '9999-12-31 00:00+00'"
        return f"CASE WHEN {within} THEN {name} END", f"({name} IS NOT NULL AND NOT ({within}))"
    return name, "false"


def _with(name: str, query: str, column: Column) -> sa.CTE:
    whole = column.type == "integer"
    query = query.replace("{whole}", "true" if whole else "false")
    query = re.sub(
        r"{decimal\((\w+)\)}", r"CAST(\1 AS numeric)" if whole else r"CAST(CAST(\1 AS text) AS numeric)", query
    )
    return sa.text(query).columns().cte(name)


_COMMON = {
    "counts": "SELECT x, count(*) AS n FROM v WHERE x IS NOT NULL GROUP BY x",
    "modes": """
        SELECT min(n) AS mode_count, count(*) AS modes FROM counts WHERE n = (SELECT max(n) FROM counts)""",
    "among": """
        SELECT own.x AS own, coalesce(sum(n) FILTER (WHERE counts.x > own.x), 0) AS higher,
               coalesce(sum(n) FILTER (WHERE counts.x < own.x), 0) AS lower,
               coalesce(sum(n) FILTER (WHERE counts.x = own.x), 0) AS same
        FROM own LEFT JOIN counts ON true GROUP BY own.x""",
}  # fmt: skip

_BARS = "array_agg({0} ORDER BY place)"

_NUMBER = {
    "summary": """
        SELECT count(*) AS total, count(x) AS present, count(*) FILTER (WHERE beyond) AS beyond,
               min(x) AS lowest, max(x) AS highest, CAST(avg(x) AS double precision) AS mean,
               CAST(stddev_samp(x) AS double precision) AS deviation,
               percentile_cont(ARRAY[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY x) AS quartiles
        FROM v""",
    # Decimal numbers as they are written, so that 0.3 is in the bar that begins with 0.3.
    "ends": "SELECT {decimal(lowest)} AS lo, {decimal(highest)} AS hi FROM summary",
    "raw": """
        SELECT lo, hi, CASE WHEN hi > lo THEN (hi - lo) / 10 END AS raw,
               CASE WHEN hi > lo THEN CAST('1e' || CAST(floor(log((hi - lo) / 10)) AS integer) AS numeric) END AS power
        FROM ends""",
    "steps": """
        SELECT lo, hi, CASE WHEN raw IS NULL AND abs(lo) >= 1e15 AND NOT {whole}
                                THEN CAST('1e' || CAST(floor(log(abs(lo))) AS integer) AS numeric)
                            WHEN raw IS NULL OR ({whole} AND hi - lo <= 20) THEN 1
                            WHEN {whole} AND raw <= 1 THEN 1
                            WHEN raw <= power THEN power WHEN raw <= 2 * power THEN 2 * power
                            WHEN raw <= 5 * power THEN 5 * power ELSE 10 * power END AS step
        FROM raw""",
    "scale": """
        SELECT step, floor(lo / step) * step AS start,
               CASE WHEN {whole} AND step = 1 THEN hi - lo + 1
                    ELSE greatest(1, ceil((hi - floor(lo / step) * step) / step)) END AS number
        FROM steps""",
    "bars": """
        SELECT least(floor(({decimal(x)} - start) / step), number - 1) AS place, sum(n) AS n
        FROM counts, scale GROUP BY 1""",
    "answer": f"""
        SELECT summary.*, scale.*, modes.*, among.*, (SELECT count(*) FROM counts) AS distinct_values,
               (SELECT min(x) FROM counts WHERE n = modes.mode_count) AS mode,
               (SELECT {_BARS.format("CAST(place AS integer)")} FROM bars) AS places,
               (SELECT {_BARS.format("CAST(n AS bigint)")} FROM bars) AS heights
        FROM summary, scale, modes, among""",
}  # fmt: skip

_TIME = {
    "summary": """
        SELECT count(*) AS total, count(x) AS present, count(*) FILTER (WHERE beyond) AS beyond,
               min(x) AS lowest, max(x) AS highest,
               percentile_disc(ARRAY[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY x) AS quartiles
        FROM v""",
    "scale": """
        SELECT CASE WHEN highest - lowest < '2 minutes' THEN 'second' WHEN highest - lowest < '2 hours' THEN 'minute'
                    WHEN highest - lowest < '2 days' THEN 'hour' WHEN highest - lowest < '60 days' THEN 'day'
                    WHEN highest - lowest < '366 days' THEN 'week' WHEN highest - lowest < '2200 days' THEN 'month'
                    WHEN highest - lowest < '30000 days' THEN 'year' WHEN highest - lowest < '200000 days' THEN 'decade'
                    ELSE 'century' END AS unit
        FROM summary""",
    "bars": """
        SELECT greatest(date_trunc(unit, x AT TIME ZONE :zone), '0001-01-01') AS place, sum(n) AS n
        FROM counts, scale GROUP BY 1""",
    "answer": f"""
        SELECT summary.*, scale.*, modes.*, among.*, (SELECT count(*) FROM counts) AS distinct_values,
               (SELECT min(x) FROM counts WHERE n = modes.mode_count) AS mode,
               (SELECT {_BARS.format("place")} FROM bars) AS places,
               (SELECT {_BARS.format("least(place + CAST('1 ' || unit AS interval), '9999-12-31')")} FROM bars) AS ends,
               (SELECT {_BARS.format("CAST(n AS bigint)")} FROM bars) AS heights
        FROM summary, scale, modes, among""",
}  # fmt: skip

_CHOICE = {
    "summary": "SELECT count(*) AS total, count(x) AS present, 0 AS beyond FROM v",
    "bars": """
        SELECT x, n, row_number() OVER (ORDER BY n DESC, CAST(x AS text) COLLATE "C") AS place
        FROM counts ORDER BY place LIMIT :kept""",
    "answer": f"""
        SELECT summary.*, modes.*, among.*, (SELECT count(*) FROM counts) AS distinct_values,
               (SELECT {_BARS.format("x")} FROM bars) AS places, (SELECT {_BARS.format("n")} FROM bars) AS heights
        FROM summary, modes, among""",
}  # fmt: skip

_PARTS: Mapping[str, Mapping[str, str]] = {"number": _NUMBER, "time": _TIME, "choice": _CHOICE}
_BINDS = {"number": (), "time": ("zone",), "choice": ("kept",)}


def _figures(kind: str, column: Column, row: Mapping[Any, Any], *, with_own: bool) -> Figures:
    present, beyond = int(row["present"]), int(row["beyond"])
    q1, median, q3 = row.get("quartiles") or (None, None, None)
    own = Own(row["own"], int(row["higher"]), int(row["lower"]), int(row["same"])) if with_own else None
    bars = {"number": _number_bars, "time": _time_bars, "choice": _choice_bars}[kind](column, row)
    return Figures(
        kind, present, int(row["total"]) - present - beyond, int(row["distinct_values"]), beyond,
        row.get("lowest"), q1, median, q3, row.get("highest"), row.get("mean"), row.get("deviation"),
        row.get("mode"), int(row["mode_count"] or 0), int(row["modes"]), row.get("unit") or "", bars, own,
    )  # fmt: skip


def _number_bars(_column: Column, row: Mapping[Any, Any]) -> list[Bar]:
    if not row["places"]:
        return []
    heights = dict(zip(row["places"], row["heights"], strict=True))
    start, step = row["start"], row["step"]
    return [
        Bar(start + place * step, start + (place + 1) * step, heights.get(place, 0))
        for place in range(int(row["number"]))
    ]


def _time_bars(_column: Column, row: Mapping[Any, Any]) -> list[Bar]:
    return [Bar(*parts) for parts in zip(row["places"] or [], row["ends"] or [], row["heights"] or [], strict=True)]


def _choice_bars(column: Column, row: Mapping[Any, Any]) -> list[Bar]:
    """Return the values by frequency; yes/no and a list of allowed values in their own order, all of them."""
    heights = dict(zip(row["places"] or [], row["heights"] or [], strict=True))
    if not heights:
        return []
    if column.type == "boolean":
        return [Bar(value, value, heights.get(value, 0)) for value in (True, False)]
    if column.allowed_values:
        values = [*column.allowed_values, *(value for value in heights if value not in column.allowed_values)]
        return [Bar(value, value, heights.get(value, 0)) for value in values]
    return [Bar(value, value, count) for value, count in heights.items()]
