"""Messages of which nobody can say whether SES took them: a worker died, or the answer did not come.

Until the deadline an event settles it. After it: an event has meanwhile come for a message of the same configuration
set that was claimed later, so events arrive, and none came for this one: it was not sent and is sent again, once.
Where there was no later message, a probe to SES's mailbox simulator makes one. No event even of the probe: unknown.

Of what goes elsewhere (an object, a mail through another server; these have no configuration set) no event ever comes:
it is unknown as soon as no worker can be at it any more.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from chalicelib import clock, database, metrics
from chalicelib.audit import service as audit
from chalicelib.aws.mailer import Closed, Envelope, InDoubt, NotSent, Refused
from chalicelib.delivery import outbox, throttle, wakeups
from chalicelib.delivery.carriers import Carrier
from chalicelib.delivery.compose import Head, compose
from chalicelib.delivery.models import RANKS, Proof
from chalicelib.delivery.news import PROBE_TAG
from chalicelib.delivery.render import Rendered
from chalicelib.logs import logger
from chalicelib.schedules import service as schedules
from chalicelib.settings import settings

#: The time-out of `send_batch` is no longer than this: when it is over, no worker of the lease is alive any more.
FUNCTION_TIMEOUT = timedelta(minutes=5)
#: How long SES's events may take.
EVENTS_TAKE = timedelta(minutes=15)
#: From the end of the lease until a message in doubt is judged.
PATIENCE = FUNCTION_TIMEOUT + EVENTS_TAKE
#: Amazon's address that takes everything and reports a delivery.
SIMULATOR = "success@simulator.amazonses.com"

_JUDGE = text("""
    WITH doubtful AS MATERIALIZED (
        SELECT m.id, m.run_id, r.workflow_id, r.action_id,
               CASE WHEN p.claimed_at > m.claimed_at AND m.attempts <= 1 AND r.state IN ('running', 'paused')
                        THEN 'queued'
                    WHEN p.claimed_at > m.claimed_at OR r.state NOT IN ('running', 'paused')
                         OR (p.probed_at > m.claimed_at AND p.probed_at < :probe_due) THEN 'unknown'
               END AS verdict
        FROM ontask.message m
        JOIN ontask.run r ON r.id = m.run_id
        LEFT JOIN ontask.mail_proof p ON p.configuration_set = m.configuration_set
        WHERE m.lane = :lane AND m.state = 'sending' AND m.lease_until < :deadline AND m.configuration_set <> ''
        ORDER BY m.id FOR NO KEY UPDATE OF m SKIP LOCKED
    )
    UPDATE ontask.message m
    SET state = d.verdict,
        rank = CASE d.verdict WHEN 'queued' THEN CAST(:queued AS bigint) ELSE CAST(:unknown AS bigint) END,
        in_doubt_at = CASE d.verdict WHEN 'queued' THEN NULL ELSE coalesce(m.in_doubt_at, m.lease_until) END,
        ended_at = CASE d.verdict WHEN 'unknown' THEN CAST(:now AS timestamptz) END
    FROM doubtful d WHERE d.id = m.id AND d.verdict IS NOT NULL
    RETURNING m.run_id, m.state, d.workflow_id, d.action_id
""").bindparams(queued=RANKS["queued"], unknown=RANKS["unknown"])

_GIVE_UP = text("""
    WITH doubtful AS MATERIALIZED (
        SELECT m.id, r.workflow_id, r.action_id FROM ontask.message m JOIN ontask.run r ON r.id = m.run_id
        WHERE m.lane = :lane AND m.state = 'sending' AND m.lease_until < :deadline AND m.configuration_set = ''
        ORDER BY m.id FOR NO KEY UPDATE OF m SKIP LOCKED
    )
    UPDATE ontask.message m
    SET state = 'unknown', rank = :unknown, in_doubt_at = coalesce(m.in_doubt_at, m.lease_until), ended_at = :now
    FROM doubtful d WHERE d.id = m.id
    RETURNING m.run_id, m.state, d.workflow_id, d.action_id
""").bindparams(unknown=RANKS["unknown"])

_UNPROVEN = text("""
    SELECT DISTINCT m.configuration_set FROM ontask.message m
    LEFT JOIN ontask.mail_proof p ON p.configuration_set = m.configuration_set
    WHERE m.lane = :lane AND m.state = 'sending' AND m.lease_until < :deadline AND m.configuration_set <> ''
      AND (p.claimed_at IS NULL OR p.claimed_at <= m.claimed_at)
      AND (p.probed_at IS NULL OR p.probed_at <= m.claimed_at)
""")

_EARLIEST = text("""
    SELECT min(lease_until) FILTER (WHERE configuration_set <> ''),
           min(lease_until) FILTER (WHERE configuration_set = '')
    FROM ontask.message WHERE lane = :lane AND state = 'sending'
""")


def resolve(lane: str, mailer: Carrier) -> None:
    """Judge the lane's messages whose deadline is over; send a probe for those without evidence."""
    with database.scope() as session:
        _judge(session, lane)
        unproven = list(session.scalars(_UNPROVEN, {"lane": lane, "deadline": clock.now() - PATIENCE}))
    for configuration_set in unproven:
        _probe(lane, mailer, configuration_set)


def _judge(session: Session, lane: str) -> None:
    now = clock.now()
    values = {"lane": lane, "now": now}
    judged = [
        *session.execute(_GIVE_UP, values | {"deadline": now - FUNCTION_TIMEOUT}),
        *session.execute(_JUDGE, values | {"deadline": now - PATIENCE, "probe_due": now - EVENTS_TAKE}),
    ]
    unknown = Counter((row.workflow_id, row.action_id, row.run_id) for row in judged if row.state == "unknown")
    for (workflow_id, action_id, run_id), count in sorted(unknown.items()):
        audit.record(
            session, "messages_unknown", workflow_id=workflow_id, action_id=action_id, run_id=run_id, count=count
        )  # fmt: skip
    if unknown.total() < len(judged):
        wakeups.wake(session, lane)
    if unknown:
        database.after_commit(session, lambda: metrics.put({metrics.MAILS_UNKNOWN: unknown.total()}, lane=lane))
        outbox.finish(session, runs=[run_id for _, _, run_id in unknown])


def _probe(lane: str, mailer: Carrier, configuration_set: str) -> None:
    """Send a mail to the simulator, tagged with its time, and note it: two of them do no harm, none would.

    Where mails go through another server by now, only the time is noted.
    """
    now = clock.now()
    with database.scope() as session:
        schedules.alarm(session, now)
        if not isinstance(throttle.reserve(session, lane, [1], urgent=True), throttle.Grant):
            return
    if mailer.configuration_set and not _is_tried(mailer, configuration_set, now):
        return
    with database.scope() as session:
        row = {"configuration_set": configuration_set, "probed_at": now}
        session.execute(
            upsert(Proof)
            .values(row)
            .on_conflict_do_update(index_elements=["configuration_set"], set_={"probed_at": now})
        )
        schedules.alarm(session, now + EVENTS_TAKE)


def _is_tried(mailer: Carrier, configuration_set: str, now: datetime) -> bool:
    """Send the probe; tell whether it may have left, or never will."""
    mail = Rendered("Probe", "<p>Do events of sent mails arrive?</p>", "Do events of sent mails arrive?")
    letter = compose(Head(), mail, SIMULATOR, None)
    envelope = Envelope(letter.envelope.sender, SIMULATOR)  # in safe mode too: nobody reads it
    tags = {PROBE_TAG: str(int(now.timestamp() * 1000))}
    try:
        mailer.send(envelope, letter.raw, configuration_set, tags)
    except (NotSent, Refused, Closed, InDoubt) as error:
        logger().warning("probe not sent", extra={"reason": type(error).__name__})
        return not isinstance(error, NotSent)
    return True


def proven_at(session: Session, configuration_set: str) -> datetime | None:
    """Return when the latest mail was handed over of which an event has arrived."""
    return session.scalar(select(Proof.claimed_at).where(Proof.configuration_set == configuration_set))


def next_judgement(session: Session, lane: str) -> datetime | None:
    """Return when the next message in doubt is due to be judged, or the probe's answer to be looked for."""
    earliest, silent = session.execute(_EARLIEST, {"lane": lane}).one()
    if silent is not None:
        alone: datetime = silent + FUNCTION_TIMEOUT
        return alone if earliest is None else min(alone, earliest + PATIENCE)
    if earliest is None:
        return None
    probed = session.scalar(select(Proof.probed_at).where(Proof.configuration_set == settings().ses_configuration_set))
    due: datetime = earliest + PATIENCE
    return max(due, probed + EVENTS_TAKE) if probed is not None and probed > earliest else due
