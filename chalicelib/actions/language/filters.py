"""How values are shown: the filters people may write, and what each kind of value looks like without one.

    default: "text"            the text when the value is missing or blank
    round: 2                   exactly that many decimals, halves away from zero; `round` alone: none
    percent: 1                 0.853 as 85.3%; `percent` alone: no decimals
    date: "dd/mm/yyyy hh:mm"   a pattern, and a time zone if it is not the workflow's: date: "hh:mm", "Asia/Tokyo"

Parts of a pattern: yyyy yy, mmmm (November) mmm (Nov) mm m, dddd (Tuesday) ddd (Tue) dd d, hh h (24 hours, or 12 when
the pattern has am/pm), mm and ss for minutes and seconds after hours, am/pm, zzz (the zone's short name). Other letters
stand in single quotes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime, time, tzinfo
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache, partial
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from chalicelib.actions.language.syntax import Filter

Argument: TypeAlias = str | int

MAX_DECIMALS = 10
DEFAULT_DATE = "dd mmm yyyy hh:mm"
DEFAULT_DAY = "dd mmm yyyy"

_MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"]  # fmt: skip
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_PART = re.compile(
    r"(?P<part>y{4}|yy|m{1,4}|d{1,4}|h{1,2}|s{1,2}|am/pm|zzz)|'(?P<quoted>[^']*)'|(?P<other>[^a-z'])|(?P<unknown>.)",
    re.IGNORECASE | re.DOTALL,
)
#: Enough digits for any double, whatever the context of the thread.
_ROUNDING = Context(prec=400, rounding=ROUND_HALF_UP)


def check(step: Filter) -> str | None:
    """Return what is wrong with the arguments of a filter, or None."""
    return _CHECKS[step.name](step.arguments)


def _check_default(arguments: tuple[Argument, ...]) -> str | None:
    if len(arguments) != 1 or not isinstance(arguments[0], str):
        return 'Write the text in double quotes, such as default: "there".'
    return None


def _check_decimals(arguments: tuple[Argument, ...]) -> str | None:
    if not arguments:
        return None
    number = arguments[0]
    if len(arguments) > 1 or not isinstance(number, int) or not 0 <= number <= MAX_DECIMALS:
        return f"Write the number of decimals, 0 to {MAX_DECIMALS}, such as round: 1."
    return None


def _check_date(arguments: tuple[Argument, ...]) -> str | None:
    if not arguments or len(arguments) > 2 or not all(isinstance(argument, str) for argument in arguments):
        return 'Write a pattern in double quotes, such as date: "dd/mm/yyyy hh:mm".'
    for found in _PART.finditer(str(arguments[0])):
        if found["unknown"]:
            return (
                f"The pattern has no part “{found['unknown']}”: use dd, mm, yyyy, hh, mm, ss and the like, "
                "and single quotes around other letters."
            )
    if len(arguments) == 2 and zone(str(arguments[1])) is None:
        return f"There is no time zone “{arguments[1]}”: write one such as Europe/Madrid."
    return None


_CHECKS: dict[str, Callable[[tuple[Argument, ...]], str | None]] = {
    "default": _check_default,
    "round": _check_decimals,
    "percent": _check_decimals,
    "date": _check_date,
}
NAMES = tuple(_CHECKS)


@lru_cache(maxsize=64)
def zone(name: str) -> tzinfo | None:
    """Return the time zone of that name, or None when there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def or_default(value: Any, text: str) -> Any:
    """Return the text when the value is missing, blank or not a number at all."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return text
    if isinstance(value, float) and not math.isfinite(value):
        return text
    return value


def marked(value: Any, name: str) -> Any:
    """Return the value, or where it is missing a mark that says so, in HTML."""
    from markupsafe import Markup

    if or_default(value, "") != "":
        return value
    return Markup('<span style="background:#fdecea;color:#b3261e;padding:0 4px" title="{0}">no {0}</span>').format(name)


def rounded(value: Any, decimals: int = 0) -> Any:
    """Return a number with that many decimals as text; anything else as it is."""
    return _fixed(Decimal(repr(value)), decimals) if _is_number(value) else value


def percent(value: Any, decimals: int = 0) -> Any:
    """Return a fraction of one as a percentage; anything else as it is."""
    return _fixed(Decimal(repr(value)).scaleb(2, _ROUNDING), decimals) + "%" if _is_number(value) else value


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _fixed(number: Decimal, decimals: int) -> str:
    text = format(number.quantize(Decimal(1).scaleb(-decimals), context=_ROUNDING), "f")
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def dated(value: Any, pattern: str, zone_name: str | None = None, *, default_zone: tzinfo) -> Any:
    """Return a point in time by a pattern, in the named zone or the default one; anything else as it is.

    Text counts as a point in time when it is one in ISO 8601.
    """
    moment = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(moment, datetime):
        place = (zone(zone_name) if zone_name else None) or default_zone
        if moment.tzinfo is not None:
            try:
                moment = moment.astimezone(place)
            except OverflowError:
                return value
        return "".join(part(moment) for part in _pattern(pattern))
    if isinstance(moment, date):
        midnight = datetime.combine(moment, time.min)
        return "".join(part(midnight) for part in _pattern(pattern))
    return value


_PARTS: dict[str, Callable[[datetime], str]] = {
    "yyyy": lambda at: f"{at.year:04}",
    "yy": lambda at: f"{at.year % 100:02}",
    "mmmm": lambda at: _MONTHS[at.month - 1],
    "mmm": lambda at: _MONTHS[at.month - 1][:3],
    "mm": lambda at: f"{at.month:02}",
    "m": lambda at: str(at.month),
    "dddd": lambda at: _DAYS[at.weekday()],
    "ddd": lambda at: _DAYS[at.weekday()][:3],
    "dd": lambda at: f"{at.day:02}",
    "d": lambda at: str(at.day),
    "hh": lambda at: f"{at.hour:02}",
    "h": lambda at: str(at.hour),
    "hh12": lambda at: f"{(at.hour - 1) % 12 + 1:02}",
    "h12": lambda at: str((at.hour - 1) % 12 + 1),
    "minute mm": lambda at: f"{at.minute:02}",
    "minute m": lambda at: str(at.minute),
    "ss": lambda at: f"{at.second:02}",
    "s": lambda at: str(at.second),
    "am/pm": lambda at: "am" if at.hour < 12 else "pm",
    "zzz": lambda at: at.tzname() or "",
}


def _copied(text: str, _: datetime) -> str:
    return text


@lru_cache(maxsize=256)
def _pattern(pattern: str) -> tuple[Callable[[datetime], str], ...]:
    is_12_hours = "am/pm" in pattern.lower()
    parts: list[Callable[[datetime], str]] = []
    after_hours = False
    for found in _PART.finditer(pattern):
        name = (found["part"] or "").lower()
        if not name:
            text = found["quoted"] if found["quoted"] is not None else found[0]
            parts.append(partial(_copied, text))
            continue
        if name in ("m", "mm") and after_hours:
            name, after_hours = f"minute {name}", False
        elif name.startswith("h"):
            name, after_hours = name + ("12" if is_12_hours else ""), True
        elif name not in ("s", "ss"):
            after_hours = False
        parts.append(_PARTS[name])
    return tuple(parts)


def shown(value: Any, default_zone: tzinfo, pattern: str = DEFAULT_DATE, decimals: int | None = None) -> str:
    """Return any value as people read it; missing values and "not a number" are empty.

    `pattern` is for times, `decimals` for numbers that can have some; None: as many as there are.
    """
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "yes" if value else "no"
        case float():
            return _double(value) if decimals is None or not math.isfinite(value) else str(rounded(value, decimals))
        case datetime():
            return str(dated(value, pattern, default_zone=default_zone))
        case date():
            return str(dated(value, DEFAULT_DAY, default_zone=default_zone))
        case _:
            return str(value)


def _double(value: float) -> str:
    if not math.isfinite(value):
        return ""
    # 15 digits: what a double holds for sure, so 0.1 + 0.2 is 0.3.
    text = format(value, ".15g")
    if "e" in text:
        text = format(Decimal(text), "f")
    return text if text != "-0" else "0"
