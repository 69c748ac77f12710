"""Values of the table in JSON: numbers, true and false, texts, null, and times as ISO 8601 in UTC."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib import errors
from chalicelib.formulas import operands
from chalicelib.tables import cells
from chalicelib.tables.models import Column

#: The same blanks that are cut from the cells of files.
BLANKS = " \t\r\n\u00a0"
_KINDS = {"integer": "a whole number", "double": "a number", "boolean": "true or false", "text": "a text"}


def shown(value: Any) -> Any:
    """Return a value of the table as JSON has it; what is no number in JSON is null."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Decimal):  # of a figure, such as the mean
        return int(value) if value == value.to_integral_value() and abs(value) < 2**53 else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def row(columns: Sequence[Column], values: Mapping[int, Any]) -> dict[str, Any]:
    """Return a row by the names of its columns."""
    return {column.name: shown(values[column.id]) for column in columns}


def parsed(value: Any, kind: str, zone: ZoneInfo) -> Any:
    """Return a value of JSON as one of the type `kind`; texts lose the blanks around them, empty ones are no value.

    Raises ValueError that says in words what was expected.
    """
    if isinstance(value, str):
        value = value.strip(BLANKS)
    if value is None or value == "":
        return None
    if kind == "datetime" and isinstance(value, str):
        return operands.read(value, "datetime", zone)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "double" and is_number:
        return _double(value)
    if kind == "integer" and is_number and value == int(value):
        return _integer(int(value))
    if kind == "boolean" and isinstance(value, bool):
        return value
    if kind == "text" and isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    raise ValueError(f"this must be {_KINDS.get(kind, 'a time, such as 2026-03-31T14:30:00Z')}, or null")


def _double(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ValueError("this number is too large") from None


def _integer(value: int) -> int:
    if abs(value) > operands.BIGGEST:
        raise ValueError("this number is too large; send it as a text, in a column of texts")
    return value


def guess(values: Iterable[Any], zone: ZoneInfo) -> str:
    """Return the type that all of the values of a column have.

    Raises ValueError when they are of several kinds.
    """
    present = [value for value in values if value is not None and not (isinstance(value, str) and not value.strip())]
    kinds = {type(value) for value in present}
    if not kinds or kinds == {str}:
        return "datetime" if present and all(_is_time(value, zone) for value in present) else "text"
    if kinds == {bool}:
        return "boolean"
    if kinds == {int}:
        return "integer"
    if kinds <= {int, float}:
        return "double"
    raise ValueError("its values are of several kinds; say which by `type`, and send only such values")


def _is_time(value: str, zone: ZoneInfo) -> bool:
    try:
        operands.read(value.strip(BLANKS), "datetime", zone)
    except ValueError:
        return False
    return True


def read(sent: Mapping[str, Any], columns: Sequence[Column], zone: ZoneInfo) -> dict[Column, Any]:
    """Return what was sent for a row, by column.

    Raises errors.Invalid, with a message for each name that is no column or whose value does not fit.
    """
    by_name = {column.name: column for column in columns}
    found: dict[Column, Any] = {}
    problems: dict[str, str] = {}
    for name, value in sent.items():
        if name not in by_name:
            problems[name] = "There is no such column."
            continue
        column = by_name[name]
        try:
            found[column] = parsed(value, column.type, zone)
            cells.check(found[column], column, zone, name)
        except ValueError as error:
            problems[name] = str(error)[0].upper() + str(error)[1:] + "."
        except errors.Invalid as error:
            problems |= error.fields
    if problems:
        raise errors.Invalid(f"Some values do not fit: {next(iter(problems.values()))}", problems)
    return found
