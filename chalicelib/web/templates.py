"""The Jinja2 environment of our own pages. Autoescape is on everywhere; people's texts never come here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup

from chalicelib import clock
from chalicelib.audit.words import said
from chalicelib.web.static import static
from chalicelib.web.urls import url_for

if TYPE_CHECKING:
    from jinja2 import Environment

ROOT = Path(__file__).parent.parent.parent / "templates"


def number(value: float | None) -> str:
    """Write a whole number with thin groups: 12,345."""
    return "–" if value is None else f"{value:,.0f}"


def plural(count: int, one: str, many: str = "") -> str:
    """Write a number with its noun: `1 learner`, `2,498 learners`."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def zone(name: str) -> ZoneInfo:
    """Return the time zone, UTC when the name is unknown."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def at(moment: datetime | None, time_zone: str = "UTC") -> Markup:
    """Write an instant in the reader's zone, the zone's name and the exact time on hover."""
    if moment is None:
        return Markup("–")
    local = moment.astimezone(zone(time_zone))
    shown = f"{local.day} {local:%b %Y, %H:%M}"
    return Markup('<time datetime="{}" title="{} ({})">{}</time>').format(
        moment.astimezone(UTC).isoformat(), f"{local:%A, %d %B %Y, %H:%M:%S}", time_zone, shown
    )


def ago(moment: datetime | None, time_zone: str = "UTC") -> Markup:
    """Write an instant relative to now ("3 hours ago", "in 2 hours"), the exact time on hover."""
    if moment is None:
        return Markup("–")
    local = moment.astimezone(zone(time_zone))
    return Markup('<time datetime="{}" title="{} ({})">{}</time>').format(
        moment.astimezone(UTC).isoformat(),
        f"{local:%A, %d %B %Y, %H:%M:%S}",
        time_zone,
        duration_words(moment - clock.now()),
    )


def duration_words(difference: timedelta) -> str:
    """Say a difference from now in words; more than two weeks back or ahead in weeks."""
    seconds = abs(difference.total_seconds())
    if seconds < 45:
        return "just now" if difference <= timedelta(0) else "in a moment"
    for size, unit, limit in ((60, "minute", 3600), (3600, "hour", 86400), (86400, "day", 14 * 86400)):
        if seconds < limit:
            words = plural(max(1, round(seconds / size)), unit)
            break
    else:
        words = plural(round(seconds / (7 * 86400)), "week")
    return f"{words} ago" if difference < timedelta(0) else f"in {words}"


@cache
def environment() -> Environment:
    """Return the environment; templates are looked up in `templates/`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(ROOT), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.globals.update(url_for=url_for, static=static, now=clock.now)
    made.filters.update(number=number, at=at, ago=ago)
    made.globals.update(plural=plural, said=said)
    return made


def render(template: str, context: dict[str, object]) -> str:
    """Render one of our pages."""
    return environment().get_template(template).render(context)
