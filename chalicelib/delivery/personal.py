"""What one learner was sent, and the end of it: the messages stay as numbers, without address and content."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.delivery import lanes
from chalicelib.delivery.models import (
    CANCELLED,
    HELD,
    MAIL,
    QUEUED,
    RANKS,
    SENDING,
    WAITING,
    MailEvent,
    Message,
    OptOut,
    Run,
    Suppression,
)
from chalicelib.delivery.push import objects
from chalicelib.delivery.render import Renderer


def row_ids_of(session: Session, workflow_id: int, address: str) -> list[int]:
    """Return the learners to whom something was sent at the address, also those who are gone from the table."""
    query = sa.select(Message.row_id).join(Run, Run.id == Message.run_id).distinct()
    query = query.where(Run.workflow_id == workflow_id, sa.func.lower(Message.recipient) == address.lower())
    return list(session.scalars(query.where(Message.row_id > 0)))


def addresses_of(session: Session, workflow_id: int, row_ids: Collection[int]) -> set[str]:
    """Return where these learners were sent something, in lower case."""
    query = sa.select(sa.func.lower(Message.recipient)).join(Run, Run.id == Message.run_id).distinct()
    found = session.scalars(query.where(Run.workflow_id == workflow_id, Message.row_id.in_(row_ids), Run.lane == MAIL))
    return {address for address in found if "@" in address}


def messages(session: Session, workflow_id: int, row_ids: Collection[int]) -> list[dict[str, Any]]:
    """Return all that was sent to these learners, as it was sent, and what was heard of it."""
    query = sa.select(Message, Run).join(Run, Run.id == Message.run_id).order_by(Message.id)
    found = session.execute(query.where(Run.workflow_id == workflow_id, Message.row_id.in_(row_ids))).all()
    return [_told(session, message, run) for message, run in found]


def _told(session: Session, message: Message, run: Run) -> dict[str, Any]:
    events = session.scalars(
        sa.select(MailEvent).where(MailEvent.message_id == message.id).order_by(MailEvent.at)
    )  # fmt: skip
    moments = {"sent": message.sent_at, "delivered": message.delivered_at}
    return {
        "to": message.recipient, "state": message.state, "reason": message.reason,
        **{name: moment.isoformat() for name, moment in moments.items() if moment},
        **_content(message, run),
        "events": [
            {"what": event.type, "at": event.at.isoformat(), **event.detail, "by_a_program": event.is_machine}
            for event in events if event.type in {"open", "click"}
        ],
    }  # fmt: skip


def _content(message: Message, run: Run) -> dict[str, Any]:
    try:
        if lanes.is_push(run.lane):
            return {"object": objects.shown(run, message.values, message.flags), "answer": message.answer}
        mail = Renderer(run).render(message.values, message.flags)
    except errors.Invalid as error:
        return {"content": error.message}
    return {"subject": mail.subject, "html": mail.html, "text": mail.text}


def erase(
    session: Session, workflow_id: int, row_ids: Collection[int], addresses: Collection[str]
) -> tuple[int, list[int]]:  # fmt: skip
    """Empty all that was sent to these learners and cancel what waits; return how many messages, and which learners.

    Those who had left the table are found by the addresses. Raises errors.Conflict while one is being sent.
    """
    runs = sa.select(Run.id).where(Run.workflow_id == workflow_id)
    theirs = Message.row_id.in_(row_ids) | sa.func.lower(Message.recipient).in_([one.lower() for one in addresses])
    found = session.execute(
        sa.select(Message.id, Message.row_id, Message.state, Message.lease_until)
        .where(Message.run_id.in_(runs), theirs).order_by(Message.id).with_for_update(key_share=True)
    ).all()  # fmt: skip
    if any(row.state == SENDING and row.lease_until and row.lease_until > clock.now() for row in found):
        raise errors.Conflict("A message to this learner is being sent just now. Please try again in a minute.")
    ids = [row.id for row in found]
    chosen = {"synchronize_session": False}
    session.execute(
        sa.update(Message).where(Message.id.in_(ids), Message.state.in_([HELD, QUEUED, WAITING]))
        .values(state=CANCELLED, rank=RANKS[CANCELLED], ended_at=clock.now()), execution_options=chosen,
    )  # fmt: skip
    session.execute(
        sa.update(Message).where(Message.id.in_(ids))
        .values(recipient="", values={}, flags={}, reason="", answer=""), execution_options=chosen,
    )  # fmt: skip
    session.execute(
        sa.update(MailEvent).where(MailEvent.message_id.in_(ids)).values(detail={}), execution_options=chosen
    )  # fmt: skip
    session.execute(sa.delete(OptOut).where(OptOut.workflow_id == workflow_id, OptOut.address.in_(addresses)))
    return len(ids), sorted({row.row_id for row in found if row.row_id})


def forget_choices(
    session: Session, workflow_id: int, own: Callable[[int], Sequence[str]], addresses: Collection[str]
) -> None:  # fmt: skip
    """Take learners out of what is left out by name in runs, schedules and forms that are being filled in.

    `own` gives what stands in a column for them alone; a list whose column is not told has addresses only.
    """
    for column in session.scalars(_LISTED, {"workflow_id": workflow_id}).all():
        gone = [*addresses, *(own(int(column)) if column else ())]
        for statement in _SHORTENED if gone else ():
            session.execute(statement, {"workflow_id": workflow_id, "column": column, "gone": gone})


#: The columns whose values are left out somewhere; empty where none is told.
_LISTED = sa.text("""
    SELECT COALESCE(CAST(to_column_id AS text), '') FROM ontask.run
    WHERE workflow_id = :workflow_id AND left_out <> '[]'
    UNION SELECT COALESCE(fields -> 'to_column_id' ->> 0, '') FROM ontask.run_draft
    WHERE workflow_id = :workflow_id AND left_out <> '[]'
    UNION SELECT COALESCE(sent ->> 'to_column_id', sent ->> 'item_column_id', '')
    FROM ontask.schedule, LATERAL (
        SELECT payload AS sent UNION ALL SELECT step -> 'payload' FROM jsonb_array_elements(steps) step) all_of_it
    WHERE workflow_id = :workflow_id AND sent -> 'left_out' <> '[]'
""")
_SHORTENED = (
    sa.text("""
        UPDATE ontask.run SET left_out = left_out - CAST(:gone AS text[])
        WHERE workflow_id = :workflow_id AND COALESCE(CAST(to_column_id AS text), '') = :column"""),
    sa.text("""
        UPDATE ontask.run_draft SET left_out = left_out - CAST(:gone AS text[])
        WHERE workflow_id = :workflow_id AND COALESCE(fields -> 'to_column_id' ->> 0, '') = :column"""),
    sa.text("""
        UPDATE ontask.schedule SET payload = jsonb_set(
            payload, '{left_out}', (payload -> 'left_out') - CAST(:gone AS text[]))
        WHERE workflow_id = :workflow_id AND payload -> 'left_out' <> '[]'
              AND COALESCE(payload ->> 'to_column_id', payload ->> 'item_column_id', '') = :column"""),
    sa.text("""
        UPDATE ontask.schedule SET steps = (
            SELECT jsonb_agg(CASE
                WHEN sent -> 'left_out' <> '[]'
                     AND COALESCE(sent ->> 'to_column_id', sent ->> 'item_column_id', '') = :column
                THEN jsonb_set(step, '{payload,left_out}', (sent -> 'left_out') - CAST(:gone AS text[]))
                ELSE step END ORDER BY number)
            FROM jsonb_array_elements(steps) WITH ORDINALITY listed (step, number), LATERAL (SELECT step -> 'payload')
                 of_it (sent))
        WHERE workflow_id = :workflow_id AND steps <> '[]'"""),
)


def forget_suppression(session: Session, addresses: Collection[str]) -> None:
    """Take addresses that nothing was ever sent to, as far as is kept, off the list of those that get no mail."""
    known = sa.exists().where(sa.func.lower(Message.recipient) == Suppression.address)
    session.execute(sa.delete(Suppression).where(Suppression.address.in_(addresses), ~known))
