"""Reads of the event log: its lines, newest first, narrowed by what somebody looks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.audit.words import WORDS

PAGE_SIZE = 50
#: So many lines are read at once for a file.
CHUNK = 2000


@dataclass(frozen=True)
class Search:
    """What to look for; every field that is empty lets everything through.

    `text` is looked for in the number, the words, the person and the details; `types` are given by their words on the
    screen, days are those of `time_zone`. `workflow_id` None: events of all workflows and of none.
    """

    workflow_id: int | None
    text: str = ""
    words: str = ""
    user_id: int = 0
    action_id: int = 0
    run_id: int = 0
    since: date | None = None
    until: date | None = None
    time_zone: str = "UTC"

    @property
    def is_narrow(self) -> bool:
        """Whether it leaves anything out."""
        return self != Search(self.workflow_id, time_zone=self.time_zone)


@dataclass(frozen=True)
class Line:
    """One event with the names of what it speaks of, as they are now."""

    id: int
    at: datetime
    type: str
    user_id: int | None
    who: str
    workflow_id: int | None
    workflow: str
    action_id: int | None
    action: str
    run_id: int | None
    origin: str
    correlation_id: str
    detail: dict[str, Any]


_LINES = """
    SELECT e.id, e.at, e.type, e.user_id, coalesce(nullif(u.name, ''), u.email, '') AS who, e.workflow_id,
           coalesce(w.name, '') AS workflow, a.id AS action_id, coalesce(a.name, '') AS action, r.id AS run_id,
           e.origin, e.correlation_id, e.detail
    FROM ontask.event e
    LEFT JOIN ontask."user" u ON u.id = e.user_id
    LEFT JOIN ontask.workflow w ON w.id = e.workflow_id
    LEFT JOIN ontask.action a ON a.id = e.action_id AND a.deleted_at IS NULL
    LEFT JOIN ontask.run r ON r.id = e.run_id
    WHERE {} ORDER BY e.at DESC, e.id DESC LIMIT :limit
"""
_OLDER = "(e.at, e.id) < (SELECT b.at, b.id FROM ontask.event b WHERE b.id = :before)"
_CONTAINS = (
    "(e.id::text = :text OR e.type = ANY(:types) OR strpos(lower(coalesce(u.name, '') || ' ' || coalesce(u.email, '')),"
    " lower(:text)) > 0 OR strpos(lower(e.detail::text), lower(:text)) > 0)"
)


def lines(session: Session, search: Search, *, before: int = 0, limit: int = PAGE_SIZE) -> list[Line]:
    """Return the newest lines that are looked for, older than the event `before`."""
    zone = ZoneInfo(search.time_zone)
    tests: list[tuple[bool, str, dict[str, Any]]] = [
        (search.workflow_id is not None, "e.workflow_id = :workflow_id", {"workflow_id": search.workflow_id}),
        (bool(search.text), _CONTAINS, {"text": search.text, "types": _types(search.text)}),
        (bool(search.words), "e.type = ANY(:chosen)", {"chosen": _called(search.words)}),
        (search.user_id > 0, "e.user_id = :user_id", {"user_id": search.user_id}),
        (search.action_id > 0, "e.action_id = :action_id", {"action_id": search.action_id}),
        (search.run_id > 0, "e.run_id = :run_id", {"run_id": search.run_id}),
        (search.since is not None, "e.at >= :since", {"since": _begin(search.since, zone)}),
        (search.until is not None, "e.at < :until", {"until": _begin(search.until, zone, days=1)}),
        (before > 0, _OLDER, {"before": before}),
    ]
    values: dict[str, Any] = {"limit": limit}
    for holds, _, more in tests:
        values |= more if holds else {}
    where = " AND ".join(test for holds, test, _ in tests if holds) or "true"
    return [Line(*row) for row in session.execute(text(_LINES.format(where)), values)]


def line(session: Session, workflow_id: int | None, event_id: int) -> Line | None:
    """Return one event, of the workflow when one is given; None when there is no such event."""
    where = "e.id = :id AND (CAST(:workflow_id AS bigint) IS NULL OR e.workflow_id = :workflow_id)"
    values = {"id": event_id, "workflow_id": workflow_id, "limit": 1}
    row = session.execute(text(_LINES.format(where)), values).one_or_none()
    return None if row is None else Line(*row)


def every(session: Session, search: Search) -> Iterator[Line]:
    """Give all lines that are looked for, newest first, a few thousand in memory at a time."""
    before = 0
    while found := lines(session, search, before=before, limit=CHUNK):
        yield from found
        before = found[-1].id


def people(session: Session, workflow_id: int | None) -> dict[int, str]:
    """Return who has done anything, by id, for the choice on the page."""
    query = """
        SELECT u.id, coalesce(nullif(u.name, ''), u.email) AS who FROM ontask."user" u
        WHERE EXISTS (SELECT FROM ontask.event e WHERE e.user_id = u.id
                      AND (CAST(:workflow_id AS bigint) IS NULL OR e.workflow_id = :workflow_id))
        ORDER BY who, u.id LIMIT 500
    """
    return {row.id: row.who for row in session.execute(text(query), {"workflow_id": workflow_id})}


def _types(words: str) -> list[str]:
    """Return the types whose words on the screen contain these."""
    return [kind for kind, said in WORDS.items() if words.lower() in said.lower()]


def _called(words: str) -> list[str]:
    """Return the types that are called so on the screen; several may be."""
    return [kind for kind, said in WORDS.items() if said == words] or [words]


def _begin(day: date | None, zone: ZoneInfo, days: int = 0) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(days=days)
