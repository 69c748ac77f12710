"""The part of the send form that says when a sending repeats: from its fields to a wish, and back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

from chalicelib import errors
from chalicelib.schedules import crontab, plans
from chalicelib.web.request import Values
from chalicelib.web.templates import zone

#: How often, in the words of the page; "crontab" is for those who know it.
EVERY = {
    "day": "every day",
    "week": "on some days of the week",
    "month": "on a day of the month",
    "crontab": "as a crontab",
}


@dataclass(frozen=True, kw_only=True)
class RepeatForm:
    """The fields as they are shown: text as typed, so that a refused form keeps it."""

    name: str = ""
    every: str = "week"
    time: str = "08:00"
    weekdays: tuple[int, ...] = (0,)
    day: str = "1"
    crontab: str = ""
    start: str = ""
    until: str = ""
    only_new: bool = True
    notify: str = plans.ON_ERROR

    def wish(self, time_zone: str) -> plans.Wish:
        """Return the wish; days and times are read in the given zone.

        Raises errors.Invalid with a message for each field that can't be read.
        """
        problems: dict[str, str] = {}
        expression = self._expression(problems)
        start, until = (
            _day(text, name, time_zone, problems) for name, text in (("start", self.start), ("until", self.until))
        )
        if problems:
            raise errors.Invalid("Some fields need another look.", problems)
        return plans.Wish(
            name=self.name, crontab=expression, time_zone=time_zone, start=start, until=until, notify=self.notify
        )  # fmt: skip

    def _expression(self, problems: dict[str, str]) -> str:
        if self.every == "crontab":
            return self.crontab
        try:
            at = time.fromisoformat(self.time)
        except ValueError:
            problems["time"] = "Write a time as 08:30."
            return ""
        if self.every == "month":
            if not (self.day.isdigit() and 1 <= int(self.day) <= 31):
                problems["day"] = "Write a day from 1 to 31."
                return ""
            return crontab.monthly(at.hour, at.minute, int(self.day))
        if self.every == "week" and not self.weekdays:
            problems["weekdays"] = "Choose at least one day."
            return ""
        return crontab.daily(at.hour, at.minute, self.weekdays if self.every == "week" else ())


def from_values(values: Values) -> RepeatForm:
    """Return the form as somebody sent it; the fields begin with "r_"."""
    return RepeatForm(
        name=values.get("r_name"), every=values.get("r_every") if values.get("r_every") in EVERY else "week",
        time=values.get("r_time"), weekdays=tuple(day for day in values.wholes("r_weekdays") if 0 <= day <= 6),
        day=values.get("r_day").strip(), crontab=values.get("r_crontab"), start=values.get("r_start"),
        until=values.get("r_until"), only_new=values.checked("r_only_new"), notify=values.get("r_notify"),
    )  # fmt: skip


def of_schedule(schedule: plans.Schedule) -> RepeatForm:
    """Return the form a schedule is changed with."""
    until = schedule.until.astimezone(zone(schedule.time_zone)) if schedule.until else None
    return RepeatForm(
        name=schedule.name, every="crontab", crontab=schedule.crontab, until=f"{until:%Y-%m-%dT%H:%M}" if until else "",
        only_new=bool(schedule.payload.get("only_new")), notify=schedule.notify,
    )  # fmt: skip


def shown(form: RepeatForm, time_zone: str) -> dict[str, Any]:
    """Return what the form comes to: words and the first moments; nothing while it can't be read."""
    try:
        wish = form.wish(time_zone)
        return {"words": crontab.words(crontab.check(wish.crontab)), "moments": plans.preview(wish)}
    except errors.Invalid:
        return {"words": "", "moments": []}


def _day(text: str, name: str, time_zone: str, problems: dict[str, str]) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M").replace(tzinfo=zone(time_zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        problems[name] = "Choose the day and the time."
        return None
