"""A run in numbers, over time, and message by message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.accounts.models import User
from chalicelib.delivery import copies, throttle, turns
from chalicelib.delivery.models import ENDED, UNKNOWN, MailEvent, Message, Run
from chalicelib.delivery.render import Rendered, Renderer

PAGE_SIZE = 50
#: The timeline has about this many points.
POINTS = 60


def run(session: Session, workflow_id: int, run_id: int) -> Run:
    """Return the run.

    Raises errors.NotFound when the workflow has no such run.
    """
    found = session.scalar(select(Run).where(Run.id == run_id, Run.workflow_id == workflow_id))
    if found is None:
        raise errors.NotFound
    return found


def who_began(session: Session, found: Run) -> str:
    """Return the name of whoever confirmed the run; nothing when they are gone."""
    user = session.get(User, found.user_id) if found.user_id is not None else None
    return user.name or user.email if user is not None else ""


@dataclass(frozen=True)
class RunCard:
    """A run in the list of runs."""

    id: int
    action_id: int
    action_name: str
    who: str
    state: str
    pause_reason: str
    created_at: datetime
    due_at: datetime | None
    ended_at: datetime | None
    planned: int
    sent: int
    opened: int
    problems: int


# Both counts come out of an index alone: a list of a hundred large runs reads no message.
_RUNS = text("""
    SELECT r.id, r.action_id, a.name, coalesce(nullif(u.name, ''), u.email, ''), r.state, r.pause_reason,
           r.created_at, r.due_at, r.ended_at, r.planned, m.sent, o.opened, m.problems
    FROM ontask.run r
    JOIN ontask.action a ON a.id = r.action_id
    LEFT JOIN ontask."user" u ON u.id = r.user_id
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE state IN ('sent', 'delivered', 'bounced', 'complained')) AS sent,
               count(*) FILTER (WHERE state IN ('bounced', 'complained', 'failed', 'unknown')) AS problems
        FROM ontask.message WHERE run_id = r.id
    ) m
    CROSS JOIN LATERAL (
        SELECT count(*) AS opened FROM ontask.message WHERE run_id = r.id AND opened_at IS NOT NULL
    ) o
    WHERE r.workflow_id = :workflow_id AND (:action_id = 0 OR r.action_id = :action_id)
    ORDER BY r.id DESC LIMIT :limit
""")


def runs(session: Session, workflow_id: int, *, action_id: int = 0, limit: int = 100) -> list[RunCard]:
    """Return the workflow's runs (or one action's), newest first."""
    values = {"workflow_id": workflow_id, "action_id": action_id, "limit": limit}
    return [RunCard(*row) for row in session.execute(_RUNS, values)]


@dataclass(frozen=True)
class Totals:
    """A run in numbers of messages.

    `queued` wait (held ones too), `sent` were accepted by SES, `delivered` of those were taken by the learner's mail
    server, `in_doubt` may or may not have been sent, and `unknown` are those of which it will never be known.
    """

    queued: int
    sending: int
    in_doubt: int
    sent: int
    delivered: int
    opened: int
    clicked: int
    bounced: int
    complained: int
    failed: int
    skipped: int
    cancelled: int
    unknown: int

    @property
    def planned(self) -> int:
        """Messages that were to be sent."""
        return self.queued + self.sending + self.in_doubt + self.sent + self.failed + self.cancelled + self.unknown

    @property
    def errors(self) -> int:
        """Messages that did not reach anybody, or of which that will never be known."""
        return self.failed + self.bounced + self.unknown

    @property
    def finished(self) -> int:
        """Messages that wait for nothing any more."""
        return self.sent + self.failed + self.cancelled + self.unknown


_TOTALS = text("""
    SELECT count(*) FILTER (WHERE state IN ('held', 'queued', 'waiting')),
           count(*) FILTER (WHERE state = 'sending' AND in_doubt_at IS NULL AND lease_until >= :now),
           count(*) FILTER (WHERE state = 'sending' AND (in_doubt_at IS NOT NULL OR lease_until < :now)),
           count(*) FILTER (WHERE state IN ('sent', 'delivered', 'bounced', 'complained')),
           count(*) FILTER (WHERE state IN ('delivered', 'complained') OR delivered_at IS NOT NULL),
           count(opened_at), count(clicked_at),
           count(*) FILTER (WHERE state = 'bounced'), count(*) FILTER (WHERE state = 'complained'),
           count(*) FILTER (WHERE state = 'failed'), count(*) FILTER (WHERE state = 'skipped'),
           count(*) FILTER (WHERE state = 'cancelled'), count(*) FILTER (WHERE state = 'unknown')
    FROM ontask.message WHERE run_id = :run_id
""")


def totals(session: Session, run_id: int) -> Totals:
    """Return the run in numbers."""
    return Totals(*session.execute(_TOTALS, {"run_id": run_id, "now": clock.now()}).one())


def seconds_left(session: Session, found: Run, left: int) -> float:
    """Return how long the `left` messages of the run still take, with what others send meanwhile."""
    lane = throttle.look(session, found.lane)
    served = turns.before_end(session, found.lane, found.user_id or -found.id, left * found.cost, found.id)
    return throttle.seconds_for(lane, clock.now(), served, throttle.limits(found.lane))


@dataclass(frozen=True)
class MessagePage:
    """A page of messages; `after` leads to the next one, None at the end."""

    rows: list[Message]
    after: int | None


def messages(
    session: Session, run_id: int, *, state: str = "", search: str = "", row_ids: Sequence[int] = (), after: int = 0
) -> MessagePage:
    """Return 50 messages: in a state (or "opened", "clicked", "in_doubt"), to addresses that contain `search`.

    Those of the learners `row_ids`, whom a search by name found, are among them too.
    """
    chosen = select(Message).where(Message.run_id == run_id, Message.id > after)
    doubtful = (Message.state == "sending") & (Message.in_doubt_at.is_not(None) | (Message.lease_until < clock.now()))
    kinds = {
        "queued": Message.state.in_(["queued", "waiting"]),
        "opened": Message.opened_at.is_not(None), "clicked": Message.clicked_at.is_not(None),
        "in_doubt": doubtful | (Message.state == UNKNOWN),
    }  # fmt: skip
    if state:
        chosen = chosen.where(kinds.get(state, Message.state == state))
    if search.strip():
        is_to = Message.recipient.icontains(search.strip(), autoescape=True)
        chosen = chosen.where(is_to | Message.row_id.in_(row_ids))
    found = list(session.scalars(chosen.order_by(Message.id).limit(PAGE_SIZE + 1)))
    return MessagePage(found[:PAGE_SIZE], found[PAGE_SIZE - 1].id if len(found) > PAGE_SIZE else None)


@dataclass(frozen=True)
class Point:
    """What happened in one stretch of the timeline; `at` is its beginning."""

    at: datetime
    sent: int
    delivered: int
    opened: int
    clicked: int
    bounced: int


_TIMELINE = text("""
    WITH happened AS (
        SELECT v.kind, v.at FROM ontask.message m, LATERAL (VALUES
            ('sent', m.sent_at), ('delivered', m.delivered_at), ('opened', m.opened_at), ('clicked', m.clicked_at),
            ('bounced', CASE WHEN m.state = 'bounced' THEN m.ended_at END)) AS v (kind, at)
        WHERE m.run_id = :run_id AND v.at IS NOT NULL
    ), width AS (
        SELECT CASE WHEN span <= :points * 60 THEN greatest(1, ceil(span / :points))
                    ELSE ceil(span / :points / 60) * 60 END AS seconds
        FROM (SELECT extract(epoch FROM max(at) - min(at)) AS span FROM happened) AS whole
    )
    SELECT to_timestamp(floor(extract(epoch FROM at) / seconds) * seconds) AS start,
           count(*) FILTER (WHERE kind = 'sent'), count(*) FILTER (WHERE kind = 'delivered'),
           count(*) FILTER (WHERE kind = 'opened'), count(*) FILTER (WHERE kind = 'clicked'),
           count(*) FILTER (WHERE kind = 'bounced')
    FROM happened, width GROUP BY start ORDER BY start
""")


def timeline(session: Session, run_id: int) -> list[Point]:
    """Return the run over time, in stretches of whole seconds or minutes; stretches without news are left out."""
    return [Point(*row) for row in session.execute(_TIMELINE, {"run_id": run_id, "points": POINTS})]


def message(session: Session, run_id: int, message_id: int) -> Message:
    """Return one message.

    Raises errors.NotFound when the run has no such message.
    """
    found = session.scalar(select(Message).where(Message.id == message_id, Message.run_id == run_id))
    if found is None:
        raise errors.NotFound
    return found


def mail_events(session: Session, message_id: int) -> list[MailEvent]:
    """Return what was heard of a message, oldest first."""
    return list(session.scalars(select(MailEvent).where(MailEvent.message_id == message_id).order_by(MailEvent.at)))


def is_erased(found: Message) -> bool:
    """Tell whether address and content were erased with all that was known of the learner."""
    return not found.recipient and found.values == {} and found.flags == {} and found.sent_at is not None


def rendered(session: Session, found: Message) -> Rendered:
    """Return the mail as it was (or will be) sent, without tracking, so that looking at it counts as nothing."""
    run = session.get_one(Run, found.run_id)
    return copies.collect(session, run)[0] if copies.is_copy(found) else Renderer(run).render(found.values, found.flags)


def unfinished_runs(session: Session, action_id: int) -> int:
    """Return how many runs of an action have not ended."""
    return session.scalar(select(func.count()).where(Run.action_id == action_id, Run.state.not_in(ENDED))) or 0
