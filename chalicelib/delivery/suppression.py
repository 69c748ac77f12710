"""Addresses that get no mail: why, since when, and back again; and what people want of one workflow."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.audit import service as audit
from chalicelib.delivery.models import (
    BOUNCED,
    COMPLAINED,
    HELD,
    MAIL,
    QUEUED,
    RANKS,
    SKIPPED,
    SUPPRESSED,
    UNSUBSCRIBED,
    WAITING,
    Message,
    OptOut,
    Run,
    Suppression,
)

PAGE_SIZE = 50
#: An administrator put it there.
BY_HAND = "by hand"
#: Why an address gets no mail, as the page says it.
REASONS = {
    BOUNCED: "a mail came back for good", COMPLAINED: "marked a mail as spam", UNSUBSCRIBED: "asked for no more mail",
    BY_HAND: "put here by an administrator",
}  # fmt: skip


def listed(session: Session, *, before: str = "") -> list[Suppression]:
    """Return a page of addresses, the latest first, and one more when there are others; `before` is an address."""
    query = sa.select(Suppression).order_by(Suppression.at.desc(), Suppression.address).limit(PAGE_SIZE + 1)
    if before and (last := session.get(Suppression, before)) is not None:
        query = query.where(
            sa.tuple_(Suppression.at, sa.literal(last.address)) < sa.tuple_(sa.literal(last.at), Suppression.address)
        )
    return list(session.scalars(query))


def of(session: Session, address: str) -> Suppression | None:
    """Return why the address gets no mail; None when it does."""
    return session.get(Suppression, address.lower())


def add(session: Session, user_id: int | None, address: str, note: str) -> None:
    """Have an address get no more mail; one that is there already keeps its reason."""
    row = {"address": address.lower(), "reason": BY_HAND, "at": clock.now(), "message_id": None, "note": note}
    if session.scalar(upsert(Suppression).values(row).on_conflict_do_nothing().returning(Suppression.address)):
        audit.record(session, "address_suppressed", user_id=user_id, note=note)


def release(session: Session, user_id: int | None, address: str) -> None:
    """Let an address get mail again.

    Raises errors.NotFound when it does.
    """
    row = of(session, address)
    if row is None:
        raise errors.NotFound
    audit.record(session, "address_released", user_id=user_id, reason=row.reason)
    session.delete(row)


def forget(session: Session, address: str) -> None:
    """Forget an address that is erased everywhere."""
    session.execute(sa.delete(Suppression).where(Suppression.address == address.lower()))
    session.execute(sa.delete(OptOut).where(OptOut.address == address.lower()))


def message_of(session: Session, message_id: int) -> tuple[str, Run]:
    """Return the address a mail went to, in lower case, and its run.

    Raises errors.NotFound when it was deleted, or nothing of its recipient is known any more.
    """
    row = session.execute(
        sa.select(Message.recipient, Run).join(Run, Run.id == Message.run_id).where(Message.id == message_id)
    ).one_or_none()
    if row is None or not row[0]:
        raise errors.NotFound("This mail is so old that nothing is known of it any more.")
    return row[0].lower(), row[1]


def stop(session: Session, message_id: int, *, everywhere: bool) -> str:
    """Send no more mail of the message's workflow, or of any, to its recipient; return the address. Twice is fine.

    What waits is left out, too. Raises errors.NotFound as `message_of` does.
    """
    address, run = message_of(session, message_id)
    row: dict[str, Any] = {"address": address, "at": clock.now()}
    if everywhere:
        values = {**row, "reason": UNSUBSCRIBED, "message_id": message_id}
        added = session.scalar(
            upsert(Suppression).values(values).on_conflict_do_nothing().returning(Suppression.address)
        )  # fmt: skip
    else:
        values = {**row, "workflow_id": run.workflow_id}
        added = session.scalar(upsert(OptOut).values(values).on_conflict_do_nothing().returning(OptOut.address))
    runs = sa.select(Run.id).where(sa.true() if everywhere else Run.workflow_id == run.workflow_id)
    session.execute(
        sa.update(Message)
        .where(Message.lane == MAIL, Message.state.in_([HELD, QUEUED, WAITING]), Message.run_id.in_(runs))
        .where(sa.func.lower(Message.recipient) == address)
        .values(state=SKIPPED, rank=RANKS[SKIPPED], reason=SUPPRESSED, ended_at=clock.now()),
        execution_options={"synchronize_session": False},
    )
    if added:
        _record(session, "unsubscribed", run, message_id, everywhere)
    return address


def resume(session: Session, message_id: int) -> str:
    """Send the message's recipient mail again, of its workflow and of all others; return the address.

    A bounce or complaint stays. Raises errors.NotFound as `message_of` does.
    """
    address, run = message_of(session, message_id)
    here = sa.delete(OptOut).where(OptOut.workflow_id == run.workflow_id, OptOut.address == address)
    everywhere = sa.delete(Suppression).where(Suppression.address == address, Suppression.reason == UNSUBSCRIBED)
    gone = [session.scalar(here.returning(OptOut.address)), session.scalar(everywhere.returning(Suppression.address))]
    if any(gone):
        _record(session, "resubscribed", run, message_id, everywhere=gone[1] is not None)
    return address


def wishes(session: Session, message_id: int) -> tuple[str, str, bool, bool]:
    """Return address, workflow, and whether it gets no mail of this workflow, or of none."""
    address, run = message_of(session, message_id)
    name = session.scalar(sa.text("SELECT name FROM ontask.workflow WHERE id = :id"), {"id": run.workflow_id}) or ""
    here = session.get(OptOut, (run.workflow_id, address)) is not None
    return address, name, here, of(session, address) is not None


def _record(session: Session, event_type: str, run: Run, message_id: int, everywhere: bool) -> None:
    row_id = session.scalar(sa.select(Message.row_id).where(Message.id == message_id))
    audit.record(
        session, event_type, workflow_id=run.workflow_id, action_id=run.action_id, run_id=run.id,
        message_id=message_id, row_id=row_id, everywhere=everywhere,
    )  # fmt: skip
