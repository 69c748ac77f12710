"""Count opens and clicks: those of people on their messages, those of programs apart.

A program is told by its name (`agents`), by its haste (a scanner looks before the mail is in the box) and by following
several links at once. The last is known only when the second link has come, so a hit that counted as a person's may be
taken back.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

#: Nobody has read a mail so soon after it was delivered.
HASTE = "3 seconds"
#: Nobody follows two links of a mail so soon after each other.
AT_ONCE = "1 second"

_JUDGE = text("""
    WITH fresh AS MATERIALIZED (
        SELECT message_id, CAST(:at_once AS interval) AS near, min(at) - CAST(:at_once AS interval) AS since
        FROM ontask.mail_event WHERE id = ANY(:fresh) GROUP BY message_id
    ), judged AS MATERIALIZED (
        SELECT e.id, e.message_id, e.type, e.at, e.is_machine AS was, e.is_machine
               OR e.at < coalesce(m.delivered_at, m.sent_at, m.claimed_at) + CAST(:haste AS interval)
               OR (SELECT count(DISTINCT c.detail ->> 'url') FROM ontask.mail_event c
                   WHERE c.message_id = e.message_id AND c.type = 'click'
                     AND c.at BETWEEN e.at - f.near AND e.at + f.near) > 1 AS is_machine
        FROM fresh f JOIN ontask.mail_event e ON e.message_id = f.message_id
        JOIN ontask.message m ON m.id = f.message_id
        WHERE e.type IN ('open', 'click') AND e.at >= f.since
    ), marked AS (
        UPDATE ontask.mail_event e SET is_machine = true FROM judged j
        WHERE e.id = j.id AND j.is_machine AND NOT j.was
    ), logged AS (
        INSERT INTO ontask.event (at, type, workflow_id, action_id, run_id, row_id, message_id, origin, outcome,
                                  correlation_id, detail, personal)
        SELECT j.at, CASE j.type WHEN 'open' THEN 'message_opened' ELSE 'link_clicked' END, r.workflow_id, r.action_id,
               r.id, CASE WHEN m.row_id > 0 THEN m.row_id END, m.id, 'mail',
               CASE WHEN j.is_machine THEN 'machine' ELSE '' END, '',
               CASE j.type WHEN 'open'
                    THEN jsonb_build_object('column_id', r.to_column_id, 'counter_id', r.opens_column_id)
                    ELSE CAST('{}' AS jsonb) END,
               CASE j.type WHEN 'click' THEN e.detail ELSE CAST('{}' AS jsonb) END
        FROM judged j JOIN ontask.mail_event e ON e.id = j.id JOIN ontask.message m ON m.id = j.message_id
        JOIN ontask.run r ON r.id = m.run_id WHERE j.id = ANY(:fresh)
    ), corrected AS (
        UPDATE ontask.event v SET outcome = 'machine'
        FROM judged j JOIN ontask.message m ON m.id = j.message_id JOIN ontask.run r ON r.id = m.run_id
        WHERE j.is_machine AND NOT j.was AND j.id <> ALL(:fresh) AND v.workflow_id = r.workflow_id
          AND v.row_id = m.row_id AND v.at = j.at AND v.message_id = m.id
    )
    SELECT 1
""")

# What was judged just now is told: in one statement nobody sees what another part of it has changed.
_COUNT = text("""
    UPDATE ontask.message m SET
        opened_at = c.opened_at, open_count = c.opens, clicked_at = c.clicked_at, click_count = c.clicks,
        machine_count = c.machines
    FROM (
        SELECT message_id, min(at) FILTER (WHERE NOT is_machine) AS opened_at,
               count(*) FILTER (WHERE type = 'open' AND NOT is_machine) AS opens,
               min(at) FILTER (WHERE type = 'click' AND NOT is_machine) AS clicked_at,
               count(*) FILTER (WHERE type = 'click' AND NOT is_machine) AS clicks,
               count(*) FILTER (WHERE is_machine) AS machines
        FROM ontask.mail_event
        WHERE message_id IN (SELECT message_id FROM ontask.mail_event WHERE id = ANY(:fresh))
          AND type IN ('open', 'click')
        GROUP BY message_id
    ) c WHERE m.id = c.message_id
    RETURNING m.id
""")


def count(session: Session, fresh: Sequence[int]) -> list[int]:
    """Judge the mail events `fresh`, write what they are into the log and the counts; return the messages."""
    session.execute(_JUDGE, {"fresh": list(fresh), "haste": HASTE, "at_once": AT_ONCE})
    return list(session.scalars(_COUNT, {"fresh": list(fresh)}))
