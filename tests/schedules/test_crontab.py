"""What crontabs mean: their moments in a time zone, their words, and which ones are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from chalicelib import errors
from chalicelib.schedules import crontab

MADRID = ZoneInfo("Europe/Madrid")


def local(expression: str, after: datetime, count: int) -> list[str]:
    found = islice(crontab.moments(expression, after, "Europe/Madrid"), count)
    return [f"{moment.astimezone(MADRID):%m-%d %H:%M}" for moment in found]


def test_each_field_means_what_it_says() -> None:
    friday = datetime(2026, 1, 2, 12, tzinfo=MADRID)
    assert local("0 5 * * 0", friday, 2) == ["01-04 05:00", "01-11 05:00"]  # Sundays
    assert local("30 8 15 * *", friday, 2) == ["01-15 08:30", "02-15 08:30"]  # a day of the month
    assert local("0 9 1 6 *", friday, 1) == ["06-01 09:00"]  # a month
    assert local(f"45 7 * * {crontab.weekdays([0, 4])}", friday, 3) == ["01-05 07:45", "01-09 07:45", "01-12 07:45"]
    assert local("0 6 31 * *", friday, 3) == ["01-31 06:00", "03-31 06:00", "05-31 06:00"]


def test_an_hour_that_is_left_out_is_done_right_after_it_and_one_that_comes_twice_once() -> None:
    assert local("30 2 * * *", datetime(2026, 3, 28, 12, tzinfo=MADRID), 2) == ["03-29 03:00", "03-30 02:30"]
    assert local("30 2 * * *", datetime(2026, 10, 24, 12, tzinfo=MADRID), 2) == ["10-25 02:30", "10-26 02:30"]


def test_the_same_time_of_the_day_stays_when_the_clocks_change() -> None:
    found = list(islice(crontab.moments("0 8 * * *", datetime(2026, 3, 28, tzinfo=UTC), "Europe/Madrid"), 2))
    assert [moment.hour for moment in found] == [7, 6]


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("", "five parts"),
        ("0 8 * *", "five parts"),
        ("61 8 * * *", "no crontab: bad minute"),
        ("0 8 30 2 *", "bad day-of-month"),
        ("*/5 * * * *", "at least 15 minutes"),
        ("0,10 8 * * 1", "at least 15 minutes"),
        ("x y z a b", "no crontab"),
    ],
)
def test_what_is_no_crontab_or_too_often_is_refused(expression: str, hint: str) -> None:
    with pytest.raises(errors.Invalid, match=hint):
        crontab.check(expression, min_minutes=15)


def test_it_is_said_in_words() -> None:
    assert crontab.words("30 8 * * 1") == "At 08:30 on Monday"
