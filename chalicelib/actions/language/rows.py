"""The tables of a report as people or programs read them: HTML, plain text, or JSON."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from chalicelib.actions.language.syntax import Output

#: In plain text a column is at most that wide, so that a long value does not push all others away.
MAX_WIDTH = 30

_RIGHT = ' align="right"'
_TABLE = '<table border="1" cellpadding="6" cellspacing="0" style="border-collapse:collapse">'


@dataclass(frozen=True)
class Rows:
    """What a table shows: the names of its columns, and a value of each for every learner."""

    names: Sequence[str]
    rows: Sequence[Sequence[Any]]


def as_html(table: Rows | None, show: Callable[[Any], str]) -> str:
    """Return a table with a header row; numbers are on the right."""
    if table is None:
        return ""
    head = "".join(f'<th align="left" scope="col">{html.escape(name)}</th>' for name in table.names)
    body = "".join(f"<tr>{''.join(_cell(value, show) for value in row)}</tr>" for row in table.rows)
    return f"{_TABLE}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any, show: Callable[[Any], str]) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"<td{_RIGHT if is_number else ''}>{html.escape(show(value))}</td>"


def as_text(table: Rows | None, show: Callable[[Any], str]) -> str:
    """Return the columns side by side, under their names and a line."""
    if table is None:
        return ""
    lines = [list(table.names), *([" ".join(show(value).split()) for value in row] for row in table.rows)]
    widths = [min(MAX_WIDTH, max(map(len, column))) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def as_json(table: Rows | None, show: Callable[[Any], str]) -> str:
    """Return an object with a list by column name; numbers, yes/no and missing values keep their types."""
    del show
    columns = zip(*table.rows, strict=True) if table and table.rows else ([] for _ in (table.names if table else ()))
    made = {name: list(map(_plain, column)) for name, column in zip(table.names if table else (), columns, strict=True)}
    return json.dumps(made, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, datetime | date) else value


TABLES: dict[Output, Callable[..., str]] = {"html": as_html, "text": as_text, "json": as_json}
