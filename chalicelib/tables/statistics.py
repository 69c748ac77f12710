"""How the values of each column are spread: for the small picture in its header and the learner's page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib.formulas import sql
from chalicelib.tables.models import Column
from chalicelib.tables.scope import Scope

BARS = 10
#: A sample of so many learners shows the same picture as all of them do.
SAMPLE_ROWS = 2_000
#: Up to so many rows the pictures come with the page; beyond, after it.
IMMEDIATE_ROWS = 20_000
#: The same for tables with hundreds of columns.
IMMEDIATE_CELLS = 60_000
#: A column with more different texts than this, or hardly any twice, holds names or answers: bars would say nothing.
MOST_WORDS = 30
#: Longer texts count as equal when they begin alike.
MAX_WORD = 40


@dataclass(frozen=True)
class Spread:
    """One column's distribution. `bars` are shares of the highest one, 0 to 100; none where they say nothing."""

    bars: list[int] = field(default_factory=list)
    present: int = 0
    missing: int = 0
    lowest: float | None = None
    highest: float | None = None
    mean: float | None = None
    #: The most frequent texts.
    words: list[str] = field(default_factory=list)
    #: Only some learners were looked at.
    is_sample: bool = False

    def bar_of(self, value: Any) -> int | None:
        """Return the position in `bars` of the bar that counts this value; None when there is none."""
        if value is None or len(self.bars) < 2:
            return None
        if isinstance(value, str):
            return self.words.index(value[:MAX_WORD]) if value[:MAX_WORD] in self.words else None
        if isinstance(value, bool):
            return int(value)
        number = value.timestamp() if isinstance(value, datetime) else float(value)
        if self.lowest is None or self.highest is None or not self.lowest <= number <= self.highest:
            return None
        share = (number / 2 - self.lowest / 2) / (self.highest / 2 - self.lowest / 2)
        return min(len(self.bars) - 1, int(share * len(self.bars)))


def is_immediate(row_count: int, column_count: int) -> bool:
    """Tell whether the pictures can be computed while somebody waits for the page."""
    return row_count <= IMMEDIATE_ROWS and min(row_count, SAMPLE_ROWS) * column_count <= IMMEDIATE_CELLS


def spreads(session: Session, scope: Scope, columns: Sequence[Column], row_count: int) -> dict[int, Spread]:
    """Return the distribution of each column by its id, from one statement over the rows of the scope or a sample.

    `row_count` is how many rows the table has. Raises errors.Invalid when a rule of the scope can't be used any more.
    """
    if not columns:
        return {}
    numbers = {column.id: f"x{column.id}" for column in columns if column.type != "text"}
    words = {column.id: f"x{column.id}" for column in columns if column.type == "text"}
    # Numbers beyond 1e100 would overflow sums and buckets; they are left out of the picture.
    statement = f"""
        WITH ranges AS (SELECT unnest({_array(numbers, "integer")}) AS id, {_each("min", numbers)} AS lo,
                          {_each("max", numbers)} AS hi, {_each("avg", numbers)} AS mean,
                          {_each("count", numbers)} AS present, count(*) AS total FROM looked_at),
        bars AS (SELECT n.id,
                        CASE WHEN r.hi > r.lo THEN least({BARS}, width_bucket(n.x, r.lo, r.hi, {BARS}))
                             ELSE 1 END AS bar,
                        count(*) AS height
                 FROM {_pairs(numbers, "double precision")} n JOIN ranges r ON r.id = n.id WHERE n.x IS NOT NULL
                 GROUP BY 1, 2),
        words AS (SELECT v.id, v.x AS word, count(*) AS height FROM {_pairs(words, "text")} v GROUP BY 1, 2),
        ranked AS (SELECT id, word, height, row_number() OVER (PARTITION BY id ORDER BY height DESC, word) AS rank,
                          count(*) OVER (PARTITION BY id) AS different,
                          sum(height) OVER (PARTITION BY id) AS present
                   FROM words WHERE word IS NOT NULL),
        counts AS (SELECT id, coalesce(sum(height) FILTER (WHERE word IS NOT NULL), 0) AS present,
                          sum(height) AS total FROM words GROUP BY id)
        SELECT 'range' AS part, id, NULL AS word, lo, hi, mean, present, total, 0 AS bar, 0 AS height FROM ranges
        UNION ALL SELECT 'bar', id, NULL, NULL, NULL, NULL, 0, 0, bar, height FROM bars
        UNION ALL SELECT 'range', id, NULL, NULL, NULL, NULL, present, total, 0, 0 FROM counts
        UNION ALL SELECT 'word', id, word, NULL, NULL, NULL, 0, 0, rank, height FROM ranked
                  WHERE rank <= {BARS} AND different <= least({MOST_WORDS}, present / 2)"""  # fmt: skip
    query = sa.select(sa.text("*")).select_from(sa.text("answer"))
    query = query.add_cte(_looked_at(scope, columns, row_count), sa.text(statement).columns().cte("answer"))
    rows = session.execute(query).mappings().all()
    found = {column.id: _spread(column, [row for row in rows if row["id"] == column.id]) for column in columns}
    most = max(one.present + one.missing for one in found.values())
    is_sample = row_count > SAMPLE_ROWS and (scope.is_everybody or most >= SAMPLE_ROWS)
    return {key: replace(one, is_sample=is_sample) for key, one in found.items()}


def _looked_at(scope: Scope, columns: Sequence[Column], row_count: int) -> sa.CTE:
    """Return the values of the rows that are looked at: about SAMPLE_ROWS, always the same ones."""
    rows = scope.table()
    if scope.is_everybody and row_count > SAMPLE_ROWS:
        # Single rows while that is quick, whole pages of the table where reading each row would not be.
        method = sa.func.bernoulli if row_count <= IMMEDIATE_ROWS else sa.func.system
        rows = sa.tablesample(
            sql.learners(scope.workflow_id, scope.columns), method(100 * SAMPLE_ROWS / row_count), "t", sa.text("1")
        )
    values: list[sa.ColumnElement[Any]] = [
        sa.literal_column(_value(column)).label(f"x{column.id}") for column in columns
    ]
    query = sa.select(*values).select_from(rows).where(*scope.where(rows))
    if not scope.is_everybody and row_count > SAMPLE_ROWS:
        # How many pass is not known before they are read.
        query = query.order_by(sa.text("hashint8(t.row_id)")).limit(SAMPLE_ROWS)
    return query.cte("looked_at").prefix_with("MATERIALIZED", dialect="postgresql")


def _value(column: Column) -> str:
    if column.type == "text":
        return f"left(t.c{column.id}, {MAX_WORD})"
    number = _as_number(column)
    return f"CASE WHEN abs({number}) < 1e100 THEN {number} END"


def _pairs(values: Mapping[int, str], kind: str) -> str:
    """Return SQL of a subquery with a row (id, x) for each learner and column."""
    ids, written = _array(values, "integer"), _array(values.values(), kind)
    return f"(SELECT unnest({ids}) AS id, unnest({written}) AS x FROM looked_at)"


def _each(aggregate: str, values: Mapping[int, str]) -> str:
    """Return SQL of a set: the aggregate of each column."""
    return f"unnest({_array([f'{aggregate}({value})' for value in values.values()], 'double precision')})"


def _array(parts: Iterable[object], kind: str) -> str:
    return f"CAST(ARRAY[{', '.join(map(str, parts))}] AS {kind}[])"


def _as_number(column: Column) -> str:
    name = f"t.c{column.id}"
    if column.type == "boolean":
        return f"CAST(CAST({name} AS integer) AS double precision)"
    if column.type == "datetime":
        return f"CAST(extract(epoch FROM {name}) AS double precision)"
    return f"CAST({name} AS double precision)"


def _spread(column: Column, rows: Sequence[Any]) -> Spread:
    about = next((row for row in rows if row["part"] == "range"), None)
    if about is None:
        return Spread()
    words = [row["word"] for row in sorted(rows, key=lambda row: row["bar"]) if row["part"] == "word"]
    heights = {row["bar"]: row["height"] for row in rows if row["part"] in {"bar", "word"}}
    positions: Iterable[int] = range(1, BARS + 1)
    if column.type == "boolean" and about["lo"] == about["hi"]:
        heights = {BARS if about["lo"] else 1: about["present"]}
    if column.type == "boolean":
        positions = (1, BARS)
    elif column.type == "text" or about["lo"] == about["hi"]:
        positions = sorted(heights)
    top = max(heights.values(), default=0)
    bars = [round(100 * heights.get(position, 0) / top) for position in positions] if top else []
    present, total = int(about["present"]), int(about["total"])
    return Spread(bars, present, total - present, about["lo"], about["hi"], about["mean"], words)
