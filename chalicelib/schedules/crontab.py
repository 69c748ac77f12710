"""Repetition as crontab has it: five fields, the moments they name in a time zone, and what they say in words.

At a change of the clocks cronsim does as Debian's cron: what falls into the hour that is left out is done once right
after it, what falls into the hour that comes twice is done once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from chalicelib import errors

#: How many moments are compared to find the shortest distance between two of them.
COMPARED = 60
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
CLOCK_CHANGES = (
    "When the clocks change: what falls into the hour that is left out is done right after it; what falls into the "
    "hour that comes twice is done once."
)


def check(expression: str, *, min_minutes: int = 0) -> str:
    """Return the expression with single blanks.

    Raises errors.Invalid when it is no crontab, names no moment, or names two that are less than `min_minutes` apart.
    """
    from cronsim import CronSim, CronSimError

    tidy = " ".join(expression.split())
    if len(tidy.split()) != 5:
        raise errors.Invalid("A crontab has five parts: minute, hour, day of the month, month, day of the week.")
    try:
        found = list(islice(CronSim(tidy, datetime(2026, 1, 1, tzinfo=UTC)), COMPARED))
    except CronSimError as error:
        raise errors.Invalid(f"This is no crontab: {str(error).lower()}.") from error
    except (StopIteration, RuntimeError) as error:
        raise errors.Invalid("This never happens.") from error
    if not found:
        raise errors.Invalid("This never happens.")
    shortest = min((after - before for before, after in pairwise(found)), default=None)
    if shortest is not None and shortest < timedelta(minutes=min_minutes):
        raise errors.Invalid(f"This is too often: here at least {min_minutes} minutes must lie between two times.")
    return tidy


def moments(expression: str, after: datetime, time_zone: str, until: datetime | None = None) -> Iterator[datetime]:
    """Give the moments after `after`, in UTC, up to and with `until`."""
    from cronsim import CronSim

    for moment in CronSim(expression, after.astimezone(ZoneInfo(time_zone))):
        instant = moment.astimezone(UTC)
        if until is not None and instant > until:
            return
        yield instant


def words(expression: str) -> str:
    """Say the expression in words, such as "At 08:30 on Monday"; none is "Once"."""
    from cronsim import CronSim

    if not expression:
        return "Once"

    return str(CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC)).explain())


def weekdays(days: Sequence[int]) -> str:
    """Return the last field of a crontab for days of the week, of which 0 is Monday."""
    return ",".join(str(day) for day in sorted({(day + 1) % 7 for day in days})) or "*"
