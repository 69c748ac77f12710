"""Turns the values of a data frame into the texts of our `table.csv`; the declared type of each column decides."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chalicelib import errors
from chalicelib.exchange.ontask.frames import Moment

#: PostgreSQL's `bigint`.
SMALLEST, LARGEST = -(2**63), 2**63 - 1


def write(path: Path, names: Sequence[str], types: Sequence[str], columns: Sequence[Sequence[Any]]) -> None:
    """Write the columns as a CSV file of our format.

    Raises errors.Invalid naming column, row and rule for the first value that is not of its column's type.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(map(quoted, names)) + "\n")
        texts = [_texts(*column) for column in zip(names, types, columns, strict=True)]
        for row in zip(*texts, strict=True):
            file.write(",".join(row) + "\n")


def quoted(text: str) -> str:
    """Return a text as a field of the file; only a missing value has no quotes."""
    return '"' + text.replace('"', '""') + '"'


def _texts(name: str, column_type: str, values: Sequence[Any]) -> Iterator[str]:
    convert = _CONVERSIONS[column_type]
    for row, value in enumerate(values, 1):
        if value is None or (isinstance(value, float) and math.isnan(value)):
            yield ""
            continue
        try:
            yield convert(value)
        except (ValueError, OverflowError):
            shown = value if isinstance(value, str) else repr(value)
            raise errors.Invalid(
                f"Column “{name}”, row {row:,}: “{str(shown)[:60]}” {_EXPECTED[column_type]}. "
                "Each value must be of the column’s type."
            ) from None


_EXPECTED = {
    "text": "is no text that can be stored", "integer": "is no whole number", "double": "is no number",
    "boolean": "is neither true nor false", "datetime": "is no date",
}  # fmt: skip


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError
    value.encode()  # half a surrogate pair has no UTF-8; the error is a ValueError
    return quoted(value)


def _integer(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise ValueError
    if not SMALLEST <= int(value) <= LARGEST:
        raise ValueError
    return str(int(value))


def _double(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    return repr(float(value)).replace("inf", "Infinity")


def _boolean(value: Any) -> str:
    # A column of true and false with gaps may have become numbers.
    if value not in (0, 1) or isinstance(value, str):
        raise ValueError
    return "true" if value else "false"


def _datetime(value: Any) -> str:
    if isinstance(value, Moment):
        value = value.in_utc()
    if not isinstance(value, datetime):
        raise ValueError
    return value.astimezone(UTC).isoformat(" ")


_CONVERSIONS: dict[str, Callable[[Any], str]] = {
    "text": _text, "integer": _integer, "double": _double, "boolean": _boolean, "datetime": _datetime,
}  # fmt: skip
