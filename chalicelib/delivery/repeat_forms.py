"""The part of a form that says when something happens again and again: from its fields to a wish, and back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

from chalicelib import errors
from chalicelib.delivery.order import split_addresses
from chalicelib.schedules import crontab, plans
from chalicelib.web.request import Values
from chalicelib.web.templates import zone

#: How often, in the words of the page; "crontab" is for those who know it.
ONCE = {"once": "once"}
EVERY = {
    "hour": "every hour",
    "day": "every day",
    "week": "on some days of the week",
    "month": "on some days of each month",
    "year": "on some days of some months",
    "crontab": "as a crontab",
}
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RepeatForm:
    """The fields as they are shown: text as typed, so that a refused form keeps it."""

    name: str = ""
    description: str = ""
    every: str = "week"
    minutes: str = "0"
    times: str = "05:00"
    weekdays: tuple[int, ...] = (6,)
    days: str = "1"
    months: tuple[int, ...] = ()
    crontab: str = ""
    start: str = ""
    until: str = ""
    only_new: bool = True
    notify: str = plans.ON_ERROR
    addresses: str = ""
    max_failures: str = str(plans.MAX_FAILURES)

    def wish(self, time_zone: str) -> plans.Wish:
        """Return the wish; days and times are read in the given zone.

        Raises errors.Invalid with a message for each field that can't be read.
        """
        problems: dict[str, str] = {}
        expression = self._expression(problems)
        start, until = (
            _moment(text, name, time_zone, problems) for name, text in (("start", self.start), ("until", self.until))
        )
        if problems:
            raise errors.Invalid("Some fields need another look.", problems)
        return plans.Wish(
            name=self.name, description=self.description, crontab=expression, time_zone=time_zone, start=start,
            until=None if self.every == "once" else until, notify=self.notify,
            addresses=split_addresses(self.addresses),
            max_failures=int(self.max_failures) if self.max_failures.isdecimal() else None,
        )  # fmt: skip

    def _expression(self, problems: dict[str, str]) -> str:
        match self.every:
            case "once":
                return ""
            case "crontab":
                return self.crontab or "none"
            case "hour":
                return f"{_numbers(self.minutes, 'minutes', range(60), problems)} * * * *"
        at = _times(self.times, problems)
        match self.every:
            case "week":
                if not self.weekdays:
                    problems["weekdays"] = "Choose at least one day."
                return f"{at} * * {crontab.weekdays(self.weekdays)}"
            case "month":
                return f"{at} {_numbers(self.days, 'days', range(1, 32), problems)} * *"
            case "year":
                if not self.months:
                    problems["months"] = "Choose at least one month."
                months = ",".join(str(month + 1) for month in sorted(self.months))
                return f"{at} {_numbers(self.days, 'days', range(1, 32), problems)} {months} *"
        return f"{at} * * *"


def from_values(values: Values) -> RepeatForm:
    """Return the form as somebody sent it; the fields begin with "r_"."""
    return RepeatForm(
        name=values.get("r_name"), description=values.get("r_description"),
        every=values.get("r_every") if values.get("r_every") in {**EVERY, **ONCE} else "week",
        minutes=values.get("r_minutes"), times=values.get("r_times"),
        weekdays=tuple(day for day in values.wholes("r_weekdays") if 0 <= day <= 6), days=values.get("r_days"),
        months=tuple(month for month in values.wholes("r_months") if 0 <= month <= 11),
        crontab=values.get("r_crontab"), start=values.get("r_start"), until=values.get("r_until"),
        only_new=values.checked("r_only_new"), notify=values.get("r_notify"), addresses=values.get("r_addresses"),
        max_failures=values.get("r_max_failures", str(plans.MAX_FAILURES)).strip(),
    )  # fmt: skip


def of_schedule(schedule: plans.Schedule) -> RepeatForm:
    """Return the form a schedule is changed with."""
    start, until = (_local(moment, schedule.time_zone) for moment in (schedule.starts_at, schedule.until))
    return RepeatForm(
        name=schedule.name, description=schedule.description, start=start, until=until,
        only_new=bool(schedule.payload.get("only_new")), notify=schedule.notify,
        addresses=", ".join(schedule.addresses), max_failures=str(schedule.max_failures),
        **_built(schedule.crontab),
    )  # fmt: skip


def _built(expression: str) -> dict[str, Any]:
    """Return the fields that say what the crontab says; the crontab itself where they can't."""
    if not expression:
        return {"every": "once"}
    minutes, hours, days, months, weekdays = expression.split()
    lists = {name: re.fullmatch(r"[\d,]+", text) is not None for name, text in
             {"hours": hours, "days": days, "months": months, "weekdays": weekdays}.items()}  # fmt: skip
    stars = {name for name, text in {"hours": hours, "days": days, "months": months, "weekdays": weekdays}.items()
             if text == "*"}  # fmt: skip
    given = {name for name, is_list in lists.items() if is_list}
    every = {
        frozenset(): "hour", frozenset({"hours"}): "day", frozenset({"hours", "weekdays"}): "week",
        frozenset({"hours", "days"}): "month", frozenset({"hours", "days", "months"}): "year",
    }.get(frozenset(given))  # fmt: skip
    if every is None or len(given) + len(stars) < 4 or not re.fullmatch(r"[\d,]+", minutes):
        return {"every": "crontab", "crontab": expression}
    built: dict[str, Any] = {"every": every, "minutes": minutes.replace(",", ", "), "crontab": expression}
    if "hours" in given:
        pairs = [(int(hour), int(minute)) for hour in hours.split(",") for minute in minutes.split(",")]
        built["times"] = ", ".join(f"{hour:02}:{minute:02}" for hour, minute in sorted(pairs))
    if "days" in given:
        built["days"] = days.replace(",", ", ")
    if "months" in given:
        built["months"] = tuple(int(month) - 1 for month in months.split(","))
    if "weekdays" in given:
        built["weekdays"] = tuple((int(day) + 6) % 7 for day in weekdays.split(","))
    return built


def shown(form: RepeatForm, time_zone: str) -> dict[str, Any]:
    """Return what the form comes to: words and the first moments; nothing while it can't be read."""
    try:
        wish = form.wish(time_zone)
        return {"words": crontab.words(crontab.check(wish.crontab)), "moments": plans.preview(wish)}
    except errors.Invalid:
        return {"words": "", "moments": []}


def fields() -> dict[str, Any]:
    """Return what the fields choose from, for templates."""
    return {
        "every": EVERY, "days": crontab.DAYS, "months": MONTHS, "notify": plans.NOTIFY,
        "clock_changes": crontab.CLOCK_CHANGES, "outage": plans.OUTAGE,
    }  # fmt: skip


def _numbers(text: str, name: str, allowed: range, problems: dict[str, str]) -> str:
    parts = [part for part in re.split(r"[\s,;]+", text) if part]
    if not parts or not all(part.isdecimal() and int(part) in allowed for part in parts):
        problems[name] = f"Write numbers from {allowed[0]} to {allowed[-1]}, with commas between them."
        return "*"
    return ",".join(str(number) for number in sorted({int(part) for part in parts}))


def _times(text: str, problems: dict[str, str]) -> str:
    """Return minutes and hours of a crontab for times of the day."""
    try:
        found = {time.fromisoformat(part) for part in re.split(r"[\s,;]+", text) if part}
    except ValueError:
        found = set()
    if not found:
        problems["times"] = "Write times as 08:30, with commas between them."
        return "0 0"
    hours, minutes = sorted({at.hour for at in found}), sorted({at.minute for at in found})
    if len(found) != len(hours) * len(minutes):
        problems["times"] = "Each hour needs the same minutes, such as 08:30, 14:30. Make two schedules of it."
    return f"{','.join(map(str, minutes))} {','.join(map(str, hours))}"


def _local(moment: datetime | None, time_zone: str) -> str:
    return f"{moment.astimezone(zone(time_zone)):%Y-%m-%dT%H:%M}" if moment else ""


def _moment(text: str, name: str, time_zone: str, problems: dict[str, str]) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone(time_zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        problems[name] = "Choose the day and the time."
        return None
