"""A run in depth: opens and clicks over time and by link, why mails failed, who read which block, beside other runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.delivery.models import Run
from chalicelib.delivery.queries.runs import POINTS, Totals, totals

#: Links and reasons beyond these are few and far between.
MAX_LISTED = 50
#: So many other runs fit beside one.
MAX_COMPARED = 4
#: Recipients that are read at once for a file.
CHUNK = 5000


@dataclass(frozen=True)
class Attention:
    """Opens and clicks: by so many learners, so often in all, and those of programs."""

    openers: int
    opens: int
    clickers: int
    clicks: int
    programs: int


@dataclass(frozen=True)
class Opened:
    """What happened in one stretch of time: learners who opened or clicked for the first time, and every time."""

    at: datetime
    opened: int
    opens: int
    clicked: int
    clicks: int


@dataclass(frozen=True)
class Link:
    """A link of the text: how many learners followed it, and how often."""

    url: str
    learners: int
    clicks: int


@dataclass(frozen=True)
class Reason:
    """Why so many mails are in such a state."""

    state: str
    reason: str
    count: int


@dataclass(frozen=True)
class Block:
    """A condition of the text: how many of those who were to get a mail it held for."""

    name: str
    held: int
    total: int


@dataclass(frozen=True)
class Compared:
    """A run beside another one: `overlap` learners were sent both."""

    run: Run
    totals: Totals
    overlap: int

    def rate(self, name: str) -> float | None:
        """Return how many percent of the mails that left were `name`; None where none left."""
        return 100 * getattr(self.totals, name) / self.totals.sent if self.totals.sent else None


_ATTENTION = text("""
    SELECT count(opened_at), coalesce(sum(open_count), 0), count(clicked_at), coalesce(sum(click_count), 0),
           coalesce(sum(machine_count), 0)
    FROM ontask.message WHERE run_id = :run_id
""")

# What people did with the mails of a run, without programs.
_HITS = """
    WITH hits AS (SELECT e.type, e.at, e.detail, m.row_id,
           row_number() OVER (PARTITION BY e.message_id, e.type ORDER BY e.at, e.id) = 1 AS is_first
    FROM ontask.message m JOIN ontask.mail_event e ON e.message_id = m.id
    WHERE m.run_id = :run_id AND m.open_count + m.click_count > 0 AND e.type IN ('open', 'click') AND NOT e.is_machine)
"""

_BY_TIME = """
    , width AS (
        SELECT CASE WHEN span <= :points * 60 THEN greatest(1, ceil(span / :points))
                    ELSE ceil(span / :points / 60) * 60 END AS seconds
        FROM (SELECT extract(epoch FROM max(at) - min(at)) AS span FROM hits) AS whole
    )
    SELECT to_timestamp(floor(extract(epoch FROM at) / seconds) * seconds) AS start,
           count(*) FILTER (WHERE type = 'open' AND is_first), count(*) FILTER (WHERE type = 'open'),
           count(*) FILTER (WHERE type = 'click' AND is_first), count(*) FILTER (WHERE type = 'click')
    FROM hits, width GROUP BY start ORDER BY start
"""

_BY_LINK = """
    SELECT coalesce(detail ->> 'url', ''), count(DISTINCT row_id), count(*) FROM hits
    WHERE type = 'click' GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT :limit
"""
_OVER_TIME, _LINKS = (text("\n".join((_HITS, part))) for part in (_BY_TIME, _BY_LINK))

# What the mail service wrote has the address in it; without addresses equal reasons are equal.
_REASONS = text(r"""
    SELECT state, regexp_replace(reason, '<?[^\s<>@]+@[^\s<>@]+>?', '…', 'g'), count(*) FROM ontask.message
    WHERE run_id = :run_id AND state IN ('failed', 'bounced', 'complained', 'skipped', 'unknown', 'cancelled')
    GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT :limit
""")

_BLOCKS = text("""
    SELECT f.key, count(*) FILTER (WHERE f.value = 'true'), count(*) FROM ontask.message m, jsonb_each(m.flags) f
    WHERE m.run_id = :run_id AND m.state <> 'skipped' GROUP BY 1
""")

_OVERLAP = text("""
    SELECT o.run_id, count(*) FROM ontask.message m JOIN ontask.message o ON o.row_id = m.row_id
    WHERE m.run_id = :run_id AND o.run_id = ANY(:others) AND m.sent_at IS NOT NULL AND o.sent_at IS NOT NULL
    GROUP BY o.run_id
""")

_RECIPIENTS = text("""
    SELECT id, row_id, recipient, state, reason, sent_at, delivered_at, opened_at, open_count, clicked_at, click_count,
           machine_count, answer
    FROM ontask.message WHERE run_id = :run_id AND id > :after ORDER BY id LIMIT :limit
""")


def attention(session: Session, run_id: int) -> Attention:
    """Return opens and clicks, those of programs apart."""
    return Attention(*session.execute(_ATTENTION, {"run_id": run_id}).one())


def opens(session: Session, run_id: int) -> list[Opened]:
    """Return opens and clicks of people over time; stretches without any are left out."""
    return [Opened(*row) for row in session.execute(_OVER_TIME, {"run_id": run_id, "points": POINTS})]


def links(session: Session, run_id: int) -> list[Link]:
    """Return the links that people followed, the most used first."""
    return [Link(*row) for row in session.execute(_LINKS, {"run_id": run_id, "limit": MAX_LISTED})]


def reasons(session: Session, run_id: int) -> list[Reason]:
    """Return why mails did not arrive or were not made, the most frequent first."""
    return [Reason(*row) for row in session.execute(_REASONS, {"run_id": run_id, "limit": MAX_LISTED})]


def blocks(session: Session, run: Run) -> list[Block]:
    """Return for how many each condition of the text held, in the order in which the conditions are."""
    counted = {row[0]: (row[1], row[2]) for row in session.execute(_BLOCKS, {"run_id": run.id})}
    return [
        Block(condition["name"], *counted[key])
        for condition in run.conditions
        if (key := f"k{condition['id']}") in counted
    ]


def compare(session: Session, run: Run, others: Sequence[Run]) -> list[Compared]:
    """Return the run and beside it the others, each with how many learners were sent both."""
    found = session.execute(_OVERLAP, {"run_id": run.id, "others": [other.id for other in others]})
    shared: Mapping[int, int] = {row[0]: row[1] for row in found}
    own = totals(session, run.id)
    beside = [Compared(other, totals(session, other.id), shared.get(other.id, 0)) for other in others]
    return [Compared(run, own, own.sent), *beside]


def recipients(session: Session, run_id: int) -> Iterator[Sequence[Any]]:
    """Give every message of the run, some thousands at a time."""
    after = 0
    while rows := session.execute(_RECIPIENTS, {"run_id": run_id, "after": after, "limit": CHUNK}).all():
        yield rows
        after = rows[-1].id
