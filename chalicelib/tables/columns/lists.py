"""Lists of values that people type, one on each line: allowed values, groups."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib import errors
from chalicelib.formulas import operands
from chalicelib.tables import cells

#: A list of allowed values has at least so many.
LEAST = 2
MAX_VALUES = 1000
MAX_VALUE_LENGTH = 1000


def read(typed: str, column_type: str, zone: ZoneInfo, *, field: str) -> list[Any]:
    """Return the values as they are stored with the column, in the order of the lines; empty lines don't count.

    Raises errors.Invalid, with words for `field`, when one is not of the type or is there twice.
    """
    lines = [line.strip() for line in typed.splitlines() if line.strip()]
    if len(lines) > MAX_VALUES:
        raise _refused(field, f"Use at most {MAX_VALUES:,} values; these are {len(lines):,}.")
    values: list[Any] = []
    for line in lines:
        if len(line) > MAX_VALUE_LENGTH:
            raise _refused(field, f"“{line[:40]}…” has more than {MAX_VALUE_LENGTH:,} characters.")
        try:
            value = operands.read(line, column_type, zone)
        except ValueError as error:
            raise _refused(field, f"“{line[:40]}” does not fit: {error}.") from None
        stored = value.isoformat() if isinstance(value, datetime) else value
        if stored in values:
            raise _refused(field, f"“{line[:40]}” is there twice.")
        values.append(stored)
    return values


def written(values: Sequence[Any] | None, column_type: str, zone: ZoneInfo) -> str:
    """Return the values as lines of text, nothing lost."""
    found = (value if column_type != "datetime" else datetime.fromisoformat(value) for value in values or ())
    return "\n".join(cells.written(value, zone) for value in found)


def _refused(field: str, message: str) -> errors.Invalid:
    return errors.Invalid(message, {field: message})
