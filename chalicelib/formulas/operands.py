"""What people type as the value of a rule, turned into a value of the column's type."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

Operand = int | float | bool | datetime | str

_DATE = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2})(:\d{2}(?:\.\d{1,6})?)?)?\s*(Z|[+-]\d{2}:?\d{2})?", re.ASCII
)
_TRUE, _FALSE = {"true", "yes", "1"}, {"false", "no", "0"}
BIGGEST = 2**63 - 1
MAX_TEXT_LENGTH = 10_000
#: PostgreSQL has no NUL in its texts; half a surrogate pair, which JSON can write, has no UTF-8.
_UNSPEAKABLE = re.compile("[\0\ud800-\udfff]")


def read(text: str, column_type: str, time_zone: ZoneInfo) -> Operand:
    """Return the value of `text`; dates without an offset are of `time_zone`.

    Raises ValueError that says in words what was expected.
    """
    if len(text) > MAX_TEXT_LENGTH:
        raise ValueError(f"use at most {MAX_TEXT_LENGTH:,} characters")
    if _UNSPEAKABLE.search(text):
        raise ValueError("the value has a character that can't be stored; type it again")
    if column_type == "text":
        return text
    text = text.strip()
    if not text:
        raise ValueError("type a value")
    if column_type == "datetime":
        return _moment(text, time_zone)
    return {"integer": _integer, "double": _double, "boolean": _boolean}[column_type](text)


def tidy(text: str, column_type: str) -> str:
    """Return a readable operand as it is stored: as typed, but without blanks around, and yes/no as true/false."""
    if column_type == "boolean":
        return str(_boolean(text.strip())).lower()
    return text if column_type == "text" else text.strip()


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,19}", text, re.ASCII) or not -BIGGEST - 1 <= int(text) <= BIGGEST:
        raise ValueError("type a whole number")
    return int(text)


def _double(text: str) -> float:
    try:
        value = float(text) if re.fullmatch(r"[0-9.eE+-]+", text) else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError("type a number, such as 12.5")
    return value


def _boolean(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError("choose yes or no")
    return text.lower() in _TRUE


def _moment(text: str, time_zone: ZoneInfo) -> datetime:
    found = _DATE.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        day, minutes, seconds, offset = found.groups()
        moment = datetime.fromisoformat(f"{day} {minutes or '00:00'}{seconds or ':00'}{offset or ''}")
        return (moment if moment.tzinfo else moment.replace(tzinfo=time_zone)).astimezone(UTC)
    except (ValueError, OverflowError):  # the first and the last day of all years may have no UTC
        raise ValueError("type a date such as 2026-03-31 or 2026-03-31 14:30") from None
