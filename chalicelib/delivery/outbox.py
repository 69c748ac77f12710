"""The statements of sending: which messages are next, taking them, and writing down what became of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.audit import service as audit
from chalicelib.database.prepared import Prepared
from chalicelib.delivery import throttle, wakeups
from chalicelib.delivery.models import RANKS

#: How many runs of a lane take turns in one slice; with more, each slice draws its own by lot.
MAX_RUNS = 10


@dataclass(frozen=True)
class Claimed:
    """A message that this worker alone may hand over, until `lease_until`."""

    id: int
    run_id: int
    recipient: str
    values: dict[str, Any]
    flags: dict[str, Any]
    cost: int
    attempts: int = 1


@dataclass(frozen=True)
class Outcome:
    """What became of a message: "sent", "failed", "not_sent" (nobody has it: back to the queue), "in_doubt", or
    "later" (it was answered that it may be tried again at `retry_at`).
    """

    id: int
    kind: str
    at: datetime
    reason: str = ""
    ses_id: str = ""
    answer: str = ""
    retry_at: datetime | None = None


# People whose runs have something waiting take turns, and so do the runs of each: a small run overtakes a large one,
# and twenty runs of one person take no more than one of another. Each run looks at the head of its own part of
# ix_message_open, which makes the claim as quick with a million messages waiting as with ten. Two phrases are there to
# make the planner use that index: a subquery with LIMIT can't become a join over all messages, and a run between its id
# and its id is the same run, but sorted by (run_id, id), which the primary key is not.
_HEADS = """
    WITH runs AS MATERIALIZED (
        SELECT r.id, coalesce(r.user_id, -r.id) AS owner,
               row_number() OVER (PARTITION BY coalesce(r.user_id, -r.id) ORDER BY random()) AS place
        FROM ontask.run r
        WHERE r.lane = :lane AND r.state = 'running' AND (
            SELECT m.id FROM ontask.message m
            WHERE m.lane = :lane AND m.state = 'queued' AND m.run_id BETWEEN r.id AND r.id
            ORDER BY m.run_id, m.id LIMIT 1) IS NOT NULL
        ORDER BY place, random() LIMIT :runs
    ), heads AS MATERIALIZED (
        SELECT h.id, h.run_id, h.cost, runs.owner, runs.place FROM runs, LATERAL (
            SELECT m.id, m.run_id, m.cost FROM ontask.message m
            WHERE m.lane = :lane AND m.state = 'queued' AND m.run_id BETWEEN runs.id AND runs.id
            ORDER BY m.run_id, m.id LIMIT :most /* lock */) h
    ), turns AS (
        SELECT id, cost, owner, place, row_number() OVER (PARTITION BY run_id ORDER BY id) AS turn FROM heads
    ), fair AS (
        SELECT id, cost, row_number() OVER (PARTITION BY owner ORDER BY turn, place) AS turn FROM turns
    )
"""

_COSTS = "SELECT cost FROM fair ORDER BY turn, id LIMIT :most"

_TAKE = """
    , chosen AS (
        SELECT id, row_number() OVER w AS number, sum(cost) OVER w AS total FROM fair
        WINDOW w AS (ORDER BY turn, id ROWS UNBOUNDED PRECEDING)
    )
    UPDATE ontask.message m
    SET state = 'sending', rank = :sending, attempts = m.attempts + 1, claimed_at = :now, lease_until = :lease_until,
        in_doubt_at = NULL, configuration_set = :configuration_set
    FROM chosen c WHERE m.id = c.id AND c.number <= :most AND c.total <= :cost
    RETURNING m.id, m.run_id, m.recipient, m.values, m.flags, m.cost, m.attempts
"""

_NEXT_COSTS = Prepared("\n".join((_HEADS, _COSTS)), runs=MAX_RUNS, most=throttle.MAX_RESERVED)
_LOCKED_HEADS = _HEADS.replace("/* lock */", "FOR UPDATE SKIP LOCKED")
_CLAIM = Prepared(
    "\n".join((_LOCKED_HEADS, _TAKE)), runs=MAX_RUNS, most=throttle.MAX_MESSAGES, sending=RANKS["sending"]
)


def next_costs(session: Session, lane: str) -> list[int]:
    """Return the recipients of each of the next messages, in fair order over the runs; nothing is taken yet."""
    return [cost for (cost,) in _NEXT_COSTS.run(session, lane=lane)]


def claim(
    session: Session, lane: str, grant: throttle.Grant, now: datetime, lease_until: datetime, configuration_set: str
) -> list[Claimed]:
    """Take the next messages for which slots are reserved, ten at most. Commit before handing any of them over."""
    found = _CLAIM.run(
        session, lane=lane, now=now, lease_until=lease_until, configuration_set=configuration_set,
        cost=grant.cost,
    )  # fmt: skip
    return sorted((Claimed(*row) for row in found), key=lambda message: message.id)


# News may have come before this: a message only moves up, but for one that was not sent and is still this claim's.
_SETTLE = Prepared(
    """
    WITH outcome AS (
        SELECT * FROM jsonb_to_recordset(CAST(:outcomes AS jsonb))
            AS o (id bigint, kind text, at timestamptz, reason text, ses_id text, answer text, retry_at timestamptz)
    ), locked AS MATERIALIZED (
        SELECT m.id, r.state AS run_state FROM ontask.message m JOIN ontask.run r ON r.id = m.run_id
        WHERE m.id IN (SELECT id FROM outcome) ORDER BY m.id FOR NO KEY UPDATE OF m
    ), settled AS (
    UPDATE ontask.message m SET
        state = CASE
            WHEN o.kind = 'sent' AND m.rank < :sent THEN 'sent'
            WHEN o.kind = 'failed' AND m.rank < :failed THEN 'failed'
            WHEN o.kind IN ('not_sent', 'later') AND m.state = 'sending' AND l.run_state IN ('cancelled', 'failed')
                THEN 'cancelled'
            WHEN o.kind = 'not_sent' AND m.state = 'sending' THEN 'queued'
            WHEN o.kind = 'later' AND m.state = 'sending' THEN 'waiting'
            ELSE m.state END,
        rank = CASE
            WHEN o.kind = 'sent' THEN greatest(m.rank, :sent)
            WHEN o.kind = 'failed' THEN greatest(m.rank, :failed)
            WHEN o.kind IN ('not_sent', 'later') AND m.state = 'sending' AND l.run_state IN ('cancelled', 'failed')
                THEN :cancelled
            WHEN o.kind IN ('not_sent', 'later') AND m.state = 'sending' THEN :queued
            ELSE m.rank END,
        attempts = m.attempts - CASE WHEN o.kind = 'not_sent' AND m.state = 'sending' THEN 1 ELSE 0 END,
        reason = CASE WHEN o.kind = 'failed' AND m.rank < :failed THEN o.reason ELSE m.reason END,
        ses_id = CASE WHEN o.ses_id <> '' THEN o.ses_id ELSE m.ses_id END,
        answer = CASE WHEN o.answer <> '' THEN o.answer ELSE m.answer END,
        retry_at = CASE WHEN o.kind = 'later' AND m.state = 'sending' THEN o.retry_at ELSE m.retry_at END,
        sent_at = CASE WHEN o.kind = 'sent' THEN o.at ELSE m.sent_at END,
        ended_at = CASE WHEN o.kind = 'failed' AND m.rank < :failed THEN o.at ELSE m.ended_at END,
        in_doubt_at = CASE WHEN o.kind = 'in_doubt' AND m.state = 'sending' THEN o.at ELSE m.in_doubt_at END
    FROM outcome o JOIN locked l ON l.id = o.id
    WHERE m.id = o.id AND (o.kind IN ('sent', 'failed') OR m.claimed_at = :claimed_at)
    RETURNING m.id, m.run_id, m.row_id, m.lane, m.attempts, o.kind, o.at, o.reason, o.answer
    )
    -- The log: one line for a mail, one for each request of an object. Whom it went to and what it said is the message.
    INSERT INTO ontask.event (at, type, workflow_id, user_id, action_id, run_id, row_id, message_id, origin, outcome,
                              correlation_id, detail, personal)
    SELECT s.at, CASE WHEN s.kind = 'sent' AND r.kind = 'email_report' THEN 'report_sent'
                      ELSE CASE WHEN s.lane LIKE 'push:%' THEN 'object' ELSE 'message' END
                           || CASE WHEN s.kind = 'sent' THEN '_sent' ELSE '_failed' END END,
           r.workflow_id, r.user_id, r.action_id, s.run_id, CASE WHEN s.row_id > 0 THEN s.row_id END, s.id, 'worker',
           CASE WHEN s.kind = 'sent' THEN '' ELSE 'failed' END, r.correlation_id,
           CASE WHEN s.lane LIKE 'push:%'
                THEN jsonb_strip_nulls(jsonb_build_object(
                    'attempt', s.attempts, 'status', substring(s.answer || s.reason FROM '^[0-9]{3}'),
                    'again', CASE WHEN s.kind = 'later' THEN true END,
                    'doubt', CASE WHEN s.kind = 'in_doubt' THEN true END))
                ELSE jsonb_build_object('from', r.from_name) END,
           CASE WHEN s.reason = '' THEN CAST('{}' AS jsonb) ELSE jsonb_build_object('reason', s.reason) END
    FROM settled s JOIN ontask.run r ON r.id = s.run_id
    WHERE s.kind IN ('sent', 'failed') OR (s.lane LIKE 'push:%' AND s.kind IN ('later', 'in_doubt'))
    ON CONFLICT DO NOTHING
""",
    **{state: RANKS[state] for state in ("queued", "cancelled", "failed", "sent")},
)


def settle(session: Session, outcomes: Iterable[Outcome], claimed_at: datetime) -> None:
    """Write down what became of a slice, in one statement. `claimed_at` tells this claim from a later one."""
    rows = [
        {
            **vars(outcome), "at": outcome.at.isoformat(),
            "retry_at": outcome.retry_at and outcome.retry_at.isoformat(),
        }
        for outcome in outcomes
    ]  # fmt: skip
    if rows:
        _SETTLE.run(session, outcomes=json.dumps(rows), claimed_at=claimed_at)


_RIPE = text("""
    UPDATE ontask.message SET state = 'queued', retry_at = NULL
    WHERE lane = :lane AND state = 'waiting' AND retry_at <= :now
""")


def wake_waiting(session: Session, lane: str) -> None:
    """Queue the messages again whose pause is over."""
    session.execute(_RIPE, {"lane": lane, "now": clock.now()})


def next_retry(session: Session, lane: str) -> datetime | None:
    """Return when the next pause of a message is over; None when none waits."""
    first = text("SELECT min(retry_at) FROM ontask.message WHERE lane = :lane AND state = 'waiting'")
    found: datetime | None = session.scalar(first, {"lane": lane})
    return found


_FINISH = text("""
    UPDATE ontask.run r SET state = 'done', ended_at = :now
    WHERE r.state = 'running' AND (r.lane = :lane OR r.id = ANY(CAST(:runs AS bigint[])))
      AND NOT EXISTS (SELECT 1 FROM ontask.message m WHERE m.lane = r.lane AND m.run_id = r.id
                      AND m.state IN ('held', 'queued', 'sending'))
      AND NOT EXISTS (SELECT 1 FROM ontask.message m WHERE m.lane = r.lane AND m.run_id = r.id AND m.state = 'waiting')
    RETURNING r.id, r.workflow_id, r.action_id, r.user_id, r.schedule_id
""")


def finish(session: Session, lane: str = "", runs: Sequence[int] = ()) -> int:
    """End the runs (of a lane, or these) none of whose messages waits any more; return how many."""
    ended = session.execute(_FINISH, {"lane": lane, "runs": list(runs), "now": clock.now()}).all()
    for run in ended:
        audit.record(
            session, "run_done", workflow_id=run.workflow_id, user_id=run.user_id, action_id=run.action_id,
            run_id=run.id, **counts(session, run.id),
        )  # fmt: skip
        if run.schedule_id is not None:
            wakeups.run_ended(session, run.id, run.workflow_id)
    return len(ended)


def counts(session: Session, run_id: int) -> dict[str, int]:
    """Return how many messages of the run are in which state."""
    query = "SELECT state, count(*) FROM ontask.message WHERE run_id = :run_id GROUP BY state ORDER BY state"
    return {row[0]: row[1] for row in session.execute(text(query), {"run_id": run_id})}


def left_out(session: Session, run_id: int) -> dict[str, int]:
    """Return how many learners get no message of the run, by the reason."""
    query = "SELECT reason, count(*) FROM ontask.message WHERE run_id = :run_id AND state = 'skipped' GROUP BY reason"
    return {row[0]: row[1] for row in session.execute(text(query), {"run_id": run_id})}
