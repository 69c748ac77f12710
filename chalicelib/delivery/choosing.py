"""The second step of sending: the values of a column among the learners of the filter, to leave some out."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib.delivery.audience import Audience, is_one_of, values
from chalicelib.delivery.forms import SendForm
from chalicelib.web.request import Values

PAGE_SIZE = 50
#: Texts of a column that many rows share are cut here.
MAX_SHOWN = 120


@dataclass(frozen=True)
class Look:
    """What of the list is shown: what a search finds, only those who are left out, those after a value."""

    find: str = ""
    only: str = ""
    after: str = ""


@dataclass(frozen=True)
class Line:
    """A value: of how many rows, what stands beside it, whether it is left out."""

    value: str
    count: int
    beside: tuple[str, ...]
    is_out: bool


@dataclass(frozen=True)
class Page:
    """A page of the list. `found` values fit the search, `gone` left-out ones are in no row of the filter."""

    lines: list[Line]
    found: int
    gone: int
    following: str | None


def look(sent: Values) -> Look:
    """Return what somebody asked to see."""
    return Look(sent.get("find").strip(), "out" if sent.get("only") == "out" else "", sent.get("after"))


def page(session: Session, among: Audience, form: SendForm, shown: Look) -> Page:
    """Return the values in their order, 50 a page."""
    listed = _found(among, form, shown)
    is_out = is_one_of(listed.c.value, form.left_out)
    chosen = sa.select(listed).add_columns(is_out.label("is_out"))
    fits = is_out if shown.only else sa.true()
    after = listed.c.value > shown.after if shown.after else sa.true()
    rows = session.execute(chosen.where(fits, after).order_by(listed.c.value).limit(PAGE_SIZE + 1)).all()
    found = session.scalar(sa.select(sa.func.count()).select_from(listed).where(fits)) or 0
    lines = [Line(row[0], row[1], tuple((text or "")[:MAX_SHOWN] for text in row[2:-1]), row[-1]) for row in rows]
    following = lines[PAGE_SIZE - 1].value if len(lines) > PAGE_SIZE else None
    return Page(lines[:PAGE_SIZE], found, _gone(session, among, form), following)


def _gone(session: Session, among: Audience, form: SendForm) -> int:
    """Return how many of the left-out values nobody has: another column was chosen, or the data changed."""
    if not form.left_out:
        return 0
    all_ = values(among, [])
    is_out = is_one_of(all_.c.value, form.left_out)
    there = session.scalar(sa.select(sa.func.count()).select_from(all_).where(is_out)) or 0
    return len(form.left_out) - there


def every(session: Session, among: Audience, form: SendForm, shown: Look) -> list[str]:
    """Return all values that the search finds."""
    return list(session.scalars(sa.select(_found(among, form, shown).c.value)))


def _found(among: Audience, form: SendForm, shown: Look) -> sa.Subquery:
    return values(among, [key for key in form.also if key in among.columns], shown.find)
