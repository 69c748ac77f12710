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

    `text` is looked for in the number, the words, the person, the details and, for what happened to a mail, its
    address; `words` are those of the screen, `kind` one of KINDS, days are those of `time_zone`, `outcome` "well" or
    "not". `row_id` is a learner. `is_line`: without what happened to single mails. `workflow_id` None: events of all
    workflows and of none.
    """

    workflow_id: int | None
    text: str = ""
    words: str = ""
    user_id: int = 0
    action_id: int = 0
    run_id: int = 0
    row_id: int = 0
    kind: str = ""
    outcome: str = ""
    is_line: bool = False
    since: date | None = None
    until: date | None = None
    time_zone: str = "UTC"

    @property
    def is_narrow(self) -> bool:
        """Whether it leaves anything out."""
        return self != Search(self.workflow_id, is_line=self.is_line, time_zone=self.time_zone)


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
    outcome: str
    row_id: int | None
    message_id: int | None
    recipient: str
    kind: str


_LINES = """
    SELECT e.id, e.at, e.type, e.user_id,
           -- Learners need no account to answer.
           coalesce(nullif(u.name, ''), u.email,
                    CASE WHEN e.type IN ('survey_answered', 'todo_answered') THEN 'A learner' ELSE '' END) AS who,
           e.workflow_id,
           -- One that is gone for good is called as it was in the end.
           coalesce(w.name, (SELECT p.detail ->> 'name' FROM ontask.event p WHERE p.workflow_id = e.workflow_id
                             AND p.type = 'workflow_purged' LIMIT 1), '') AS workflow,
           a.id AS action_id, coalesce(a.name, '') AS action, r.id AS run_id,
           e.origin, e.correlation_id, e.detail || e.personal, e.outcome, e.row_id, m.id AS message_id,
           coalesce(m.recipient, '') AS recipient, {kind} AS kind
    FROM ontask.event e
    LEFT JOIN ontask."user" u ON u.id = e.user_id
    LEFT JOIN ontask.workflow w ON w.id = e.workflow_id
    LEFT JOIN ontask.action a ON a.id = e.action_id AND a.deleted_at IS NULL
    LEFT JOIN ontask.run r ON r.id = e.run_id
    LEFT JOIN ontask.message m ON m.id = e.message_id
    WHERE {where} ORDER BY e.at DESC, e.id DESC LIMIT :limit
"""
_OLDER = "(e.at, e.id) < (SELECT b.at, b.id FROM ontask.event b WHERE b.id = :before)"
_CONTAINS = (
    "(e.id::text = :text OR e.type = ANY(:types) OR strpos(lower(concat_ws(' ', u.name, u.email, m.recipient, e.detail,"
    " e.personal)), lower(:text)) > 0)"
)
#: The kinds of events, in the order of the page.
KINDS = {"mail": "Sending", "answers": "Answers", "data": "Learners and data", "texts": "Messages and forms",
         "people": "Workflow and people"}  # fmt: skip
# The kind follows from what an event speaks of; only those about data are told by their type.
_KIND = """CASE WHEN e.run_id IS NOT NULL OR e.type ~ '^(schedule|archive)_' OR e.type = 'unsubscribed' THEN 'mail'
                WHEN e.type IN ('survey_answered', 'todo_answered', 'action_served') THEN 'answers'
                WHEN e.action_id IS NOT NULL OR e.type ~ '^(action|condition|message)_' THEN 'texts'
                WHEN e.type ~ '^(cell|row|rows|column|data|import|view|personal)_' THEN 'data' ELSE 'people' END"""
_WELL = "(e.outcome <> 'failed') = (:outcome = 'well')"


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
        (search.row_id > 0, "e.row_id = :row_id", {"row_id": search.row_id}),
        (bool(search.kind), f"{_KIND} = :kind", {"kind": search.kind}),
        (bool(search.outcome), _WELL, {"outcome": search.outcome}),
        (search.is_line, "e.message_id IS NULL", {}),
        (search.since is not None, "e.at >= :since", {"since": _begin(search.since, zone)}),
        (search.until is not None, "e.at < :until", {"until": _begin(search.until, zone, days=1)}),
        (before > 0, _OLDER, {"before": before}),
    ]
    values: dict[str, Any] = {"limit": limit}
    for holds, _, more in tests:
        values |= more if holds else {}
    where = " AND ".join(test for holds, test, _ in tests if holds) or "true"
    return [Line(*row) for row in session.execute(text(_LINES.format(where=where, kind=_KIND)), values)]


def line(session: Session, workflow_id: int | None, event_id: int) -> Line | None:
    """Return one event, of the workflow when one is given; None when there is no such event."""
    where = "e.id = :id AND (CAST(:workflow_id AS bigint) IS NULL OR e.workflow_id = :workflow_id)"
    values = {"id": event_id, "workflow_id": workflow_id, "limit": 1}
    row = session.execute(text(_LINES.format(where=where, kind=_KIND)), values).one_or_none()
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
