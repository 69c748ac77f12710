"""One value: how it is shown, how it is written in a field, and how what people type becomes one."""

from __future__ import annotations

import hashlib
import unicodedata
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib import errors
from chalicelib.formulas import operands
from chalicelib.tables.models import Column
from chalicelib.tables.store import MAX_KEY_BYTES

#: Longer texts are cut in the table; the learner's page has them whole.
MAX_SHOWN = 160
#: Numbers closer to zero than this are shown with all their digits.
MIN_ROUNDED = 0.001
#: A text longer than this is a file in the wrong place.
MAX_LENGTH = 50_000

UTC_ZONE = ZoneInfo("UTC")

TYPE_NAMES = {
    "integer": "whole number", "double": "number", "boolean": "yes/no", "datetime": "date and time", "text": "text",
}  # fmt: skip


def shown(value: Any, zone: ZoneInfo) -> str:
    """Return a present value as people read it: numbers to four decimals, dates in their zone, to the minute."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _number(round(value, 4) if abs(value) >= MIN_ROUNDED else value)
    if isinstance(value, datetime):
        return f"{value.astimezone(zone):%Y-%m-%d %H:%M}"
    return str(value)


def written(value: Any, zone: ZoneInfo) -> str:
    """Return a value as it stands in a field, nothing lost; a missing one is empty."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        local = value.astimezone(zone).replace(tzinfo=None)
        if local.second or local.microsecond:
            return local.isoformat(" ")
        return f"{local:%Y-%m-%d %H:%M}"
    return _number(value) if isinstance(value, float) else shown(value, zone)


def _number(value: float) -> str:
    text = repr(value)
    return text.removesuffix(".0")


def seal(value: Any) -> str:
    """Return a short text that tells two values of one cell apart, to notice that it was changed meanwhile."""
    if value is None:
        return ""
    return hashlib.sha256(stored(value).encode()).hexdigest()[:20]


def stored(value: Any) -> str:
    """Return a present value as the event log keeps it; `restored` reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def restored(text: str | None, column_type: str) -> Any:
    """Return the value that `stored` wrote; it may be of another type by now.

    Raises errors.Invalid when the column's type does not know it.
    """
    if text is None or column_type == "text":
        return text
    try:
        return operands.read(text, column_type, UTC_ZONE)
    except ValueError:
        raise errors.Invalid("The column has another type by now, so this can't be taken back.") from None


def read(typed: str, column: Column, zone: ZoneInfo, *, field: str = "value") -> Any:
    """Return what was typed as a value of the column; nothing typed is no value.

    Raises errors.Invalid, with words for `field`, when it does not fit the column.
    """
    typed = typed.replace("\r\n", "\n")
    if not typed.strip():
        if column.is_key:
            raise _refused(field, "This column tells learners apart, so it can't be empty.")
        return None
    try:
        value = (
            unicodedata.normalize("NFC", typed) if column.type == "text" else operands.read(typed, column.type, zone)
        )
    except ValueError as error:
        words = str(error)
        raise _refused(field, f"{words[0].upper()}{words[1:]}.") from None
    except OverflowError:
        raise _refused(field, "This date is out of reach.") from None
    check(value, column, zone, field)
    return value


def check(value: Any, column: Column, zone: ZoneInfo, field: str) -> None:
    """Raise errors.Invalid, with words for `field`, when a value of the right type can't be in the column."""
    if value is None and column.is_key:
        raise _refused(field, "This column tells learners apart, so it can't be empty.")
    if isinstance(value, str) and len(value) > MAX_LENGTH:
        raise _refused(field, f"Use at most {MAX_LENGTH:,} characters; this has {len(value):,}.")
    if isinstance(value, str) and column.is_key and len(value.encode()) > MAX_KEY_BYTES:
        raise _refused(field, "This is too long for a column that tells learners apart.")
    if value is not None and column.allowed_values and value not in allowed(column, zone):
        raise _refused(field, "Choose one of the column's values.")


def allowed(column: Column, zone: ZoneInfo) -> list[Any]:
    """Return the values that the column may have; empty when it may have any."""
    values = column.allowed_values or []
    if column.type != "datetime":
        return list(values)
    return [operands.read(str(value), "datetime", zone) for value in values]


def _refused(field: str, message: str) -> errors.Invalid:
    return errors.Invalid(message, {field: message})
