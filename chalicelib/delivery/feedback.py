"""Record what became of mails: a whole batch of news in a few statements, in any order, doubled or not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from chalicelib import clock, database, metrics
from chalicelib.delivery import counters, hits, outbox
from chalicelib.delivery.links import LIFETIME
from chalicelib.delivery.models import BOUNCED, COMPLAINED, DELIVERED, RANKS, Proof
from chalicelib.delivery.news import News, NotOurs, ProbeNews, read
from chalicelib.logs import logger
from chalicelib.settings import settings

# What is new becomes rows, and only that changes messages: the same news twice counts once. Messages are locked in
# one order, so that two batches (or a batch and a settling sender) never wait for each other.
_RECORD = text("""
    WITH news AS MATERIALIZED (
        SELECT n.*, m.recipient, r.cc, r.bcc
        FROM jsonb_to_recordset(CAST(:news AS jsonb)) AS n (
            message_id bigint, type text, at timestamptz, state text, rank bigint, reason text, suppress text,
            addresses jsonb, detail jsonb, is_machine boolean)
        JOIN ontask.message m ON m.id = n.message_id JOIN ontask.run r ON r.id = m.run_id
        WHERE n.type NOT IN ('open', 'click') OR coalesce(m.sent_at, m.claimed_at, n.at) > :oldest
    ), locked AS MATERIALIZED (
        SELECT id, rank, claimed_at FROM ontask.message
        WHERE id IN (SELECT message_id FROM news) ORDER BY id FOR NO KEY UPDATE
    ), added AS (
        INSERT INTO ontask.mail_event (message_id, type, at, detail, is_machine)
        SELECT n.message_id, n.type, n.at, n.detail, n.is_machine FROM news n JOIN locked l ON l.id = n.message_id
        ON CONFLICT DO NOTHING RETURNING id, message_id, type, at
    ), fresh AS (
        -- A bounce of a copy says nothing about the learner's mail.
        SELECT DISTINCT ON (a.message_id, a.type, a.at) a.id, a.message_id, a.type, a.at, n.state, n.reason, n.suppress,
               n.addresses, n.recipient,
               CASE WHEN n.type IN ('bounce', 'complaint') AND NOT n.addresses ? lower(n.recipient)
                         AND n.addresses <@ (n.cc || n.bcc) AND n.addresses <> '[]'
                    THEN 0 ELSE n.rank END AS rank
        FROM added a JOIN news n USING (message_id, type, at)
    ), told AS (
        SELECT message_id,
               (array_agg(state ORDER BY rank DESC, at))[1] AS state, max(rank) AS rank,
               (array_agg(reason ORDER BY rank DESC, at))[1] AS reason,
               min(at) FILTER (WHERE type IN ('send', 'delivery')) AS sent_at,
               min(at) FILTER (WHERE type = 'delivery') AS delivered_at,
               min(at) FILTER (WHERE type IN ('bounce', 'complaint', 'reject') AND rank > 0) AS ended_at
        FROM fresh WHERE type NOT IN ('open', 'click') GROUP BY message_id
    ), suppressed AS (
        INSERT INTO ontask.suppression (address, reason, at, message_id)
        SELECT DISTINCT ON (a.address) a.address, f.suppress, f.at, f.message_id
        FROM fresh f, jsonb_array_elements_text(f.addresses) AS a (address)
        WHERE f.suppress <> '' AND a.address <> :safe ORDER BY a.address, f.at
        ON CONFLICT DO NOTHING
    ), changed AS (
    UPDATE ontask.message m SET
        state = CASE WHEN t.rank > m.rank THEN t.state ELSE m.state END,
        reason = CASE WHEN t.rank > m.rank THEN t.reason ELSE m.reason END,
        rank = greatest(m.rank, t.rank),
        sent_at = coalesce(m.sent_at, t.sent_at, CASE WHEN t.rank >= :sent THEN m.claimed_at END),
        delivered_at = least(m.delivered_at, t.delivered_at),
        ended_at = CASE WHEN t.rank > m.rank THEN t.ended_at ELSE m.ended_at END
    FROM told t WHERE m.id = t.message_id
    RETURNING m.run_id, CASE WHEN t.rank > 0 THEN t.state END AS state
    ), happened AS (
        -- Of a mail in doubt this is the first that is heard; the sender has told of all others.
        SELECT message_id, 'message_sent' AS type, coalesce(sent_at, claimed_at) AS at, '' AS reason
        FROM told JOIN (SELECT id, claimed_at FROM locked WHERE rank < :sent) l ON l.id = message_id
        WHERE told.rank >= :sent
        UNION ALL
        SELECT message_id, 'message_' || CASE type WHEN 'bounce' THEN 'bounced' ELSE 'complained' END, at, reason
        FROM fresh WHERE type IN ('bounce', 'complaint') AND rank > 0
    ), logged AS (
        INSERT INTO ontask.event (at, type, workflow_id, action_id, run_id, row_id, message_id, origin, outcome,
                                  correlation_id, detail, personal)
        SELECT h.at, CASE WHEN h.type = 'message_sent' AND r.kind = 'email_report' THEN 'report_sent' ELSE h.type END,
               r.workflow_id, r.action_id, r.id, CASE WHEN m.row_id > 0 THEN m.row_id END, m.id, 'mail service',
               CASE WHEN h.type = 'message_sent' THEN '' ELSE 'failed' END, r.correlation_id, CAST('{}' AS jsonb),
               CASE WHEN h.reason = '' THEN CAST('{}' AS jsonb) ELSE jsonb_build_object('reason', h.reason) END
        FROM happened h JOIN ontask.message m ON m.id = h.message_id JOIN ontask.run r ON r.id = m.run_id
        ON CONFLICT DO NOTHING
    )
    SELECT run_id, state AS told, CAST(NULL AS bigint) AS hit FROM changed
    UNION ALL SELECT NULL, NULL, id FROM fresh WHERE type IN ('open', 'click')
""").bindparams(sent=RANKS["sent"])

# The claim of the latest message of each configuration set that an SES event came for: evidence for later doubts.
_PROVE = text("""
    INSERT INTO ontask.mail_proof AS p (configuration_set, claimed_at)
    SELECT m.configuration_set, max(m.claimed_at) FROM ontask.message m
    WHERE m.id = ANY(CAST(:ids AS bigint[])) AND m.claimed_at IS NOT NULL GROUP BY m.configuration_set
    ON CONFLICT (configuration_set) DO UPDATE SET claimed_at = greatest(p.claimed_at, excluded.claimed_at)
    WHERE p.claimed_at IS NULL OR p.claimed_at < excluded.claimed_at
""")


METRICS = {
    DELIVERED: metrics.MAILS_DELIVERED,
    BOUNCED: metrics.MAILS_BOUNCED,
    COMPLAINED: metrics.MAILS_COMPLAINED,
}


def understand(bodies: Sequence[str]) -> list[News | ProbeNews]:
    """Return what a batch of queue messages says; those that can't be believed or read are logged and dropped."""
    found: list[News | ProbeNews] = []
    for body in bodies:
        try:
            news = read(body)
        except NotOurs as error:
            logger().warning("mail event dropped", extra={"reason": str(error)})
            continue
        if news is not None:
            found.append(news)
    return found


def record(session: Session, found: Sequence[News | ProbeNews]) -> None:
    """Write a batch down."""
    for probe in found:
        if isinstance(probe, ProbeNews):
            _prove(session, probe)
    news = [item for item in found if isinstance(item, News)]
    if not news:
        return
    values = {
        "news": json.dumps([asdict(item) for item in news], default=datetime.isoformat),
        "oldest": clock.now() - LIFETIME,
        "safe": settings().safe_mode_address.lower(),
    }
    changed = session.execute(_RECORD, values).all()
    told_by_ses = [item.message_id for item in news if item.configuration_set]
    if told_by_ses:
        session.execute(_PROVE, {"ids": told_by_ses})
    told = Counter(row.told for row in changed)
    if counted := {metric: told[state] for state, metric in METRICS.items() if told[state]}:
        database.after_commit(session, lambda: metrics.put(counted))
    runs = sorted({row.run_id for row in changed if row.run_id is not None})
    if fresh := [row.hit for row in changed if row.hit is not None]:
        counters.write_opens(session, hits.count(session, fresh))
    if runs and told_by_ses:
        outbox.finish(session, runs=runs)


def _prove(session: Session, probe: ProbeNews) -> None:
    row: dict[str, Any] = {"configuration_set": probe.configuration_set, "claimed_at": probe.sent_at}
    made = upsert(Proof).values(row)
    later = made.excluded.claimed_at
    session.execute(
        made.on_conflict_do_update(
            index_elements=["configuration_set"],
            set_={"claimed_at": later},
            where=Proof.claimed_at.is_(None) | (Proof.claimed_at < later),
        )
    )
