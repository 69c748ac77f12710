"""How the values of each column are spread: for the small picture in its header and the learner's page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.tables.models import Column
from chalicelib.tables.store import table

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


def spreads(session: Session, workflow_id: int, columns: Sequence[Column], row_count: int) -> dict[int, Spread]:
    """Return the distribution of each column by its id, from one statement over all rows or a sample of them."""
    if not columns:
        return {}
    sample = _sample(row_count)
    numbers = {column.id: f"x{column.id}" for column in columns if column.type != "text"}
    words = {column.id: f"x{column.id}" for column in columns if column.type == "text"}
    values = ", ".join(f"{_looked_at(column)} AS x{column.id}" for column in columns)
    # Numbers beyond 1e100 would overflow sums and buckets; they are left out of the picture.
    statement = f"""
        WITH looked_at AS MATERIALIZED (SELECT {values} FROM {table(workflow_id)} {sample}),
        ranges AS (SELECT unnest({_array(numbers, "integer")}) AS id, {_each("min", numbers)} AS lo,
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
    rows = session.execute(text(statement)).mappings().all()
    return {
        column.id: _spread(column, [row for row in rows if row["id"] == column.id], bool(sample)) for column in columns
    }


def _looked_at(column: Column) -> str:
    if column.type == "text":
        return f"left(c{column.id}, {MAX_WORD})"
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
    name = f"c{column.id}"
    if column.type == "boolean":
        return f"CAST(CAST({name} AS integer) AS double precision)"
    if column.type == "datetime":
        return f"CAST(extract(epoch FROM {name}) AS double precision)"
    return f"CAST({name} AS double precision)"


def _sample(row_count: int) -> str:
    """Return the clause that reads about SAMPLE_ROWS rows, always the same ones."""
    if row_count <= SAMPLE_ROWS:
        return ""
    # Single rows while that is quick, whole pages of the table where reading each row would not be.
    method = "BERNOULLI" if row_count <= IMMEDIATE_ROWS else "SYSTEM"
    return f"TABLESAMPLE {method} ({100 * SAMPLE_ROWS / row_count:.6f}) REPEATABLE (1)"


def _spread(column: Column, rows: Sequence[Any], is_sample: bool) -> Spread:
    about = next((row for row in rows if row["part"] == "range"), None)
    if about is None:
        return Spread(is_sample=is_sample)
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
    return Spread(bars, present, total - present, about["lo"], about["hi"], about["mean"], words, is_sample)
