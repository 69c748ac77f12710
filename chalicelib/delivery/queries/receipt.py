"""What a send order comes to, before it is confirmed."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.delivery import details, plan, sources, throttle, turns
from chalicelib.delivery.audience import Audience, rows
from chalicelib.delivery.models import BAD, EMPTY, EXCLUDED, MAIL, Message, Run
from chalicelib.delivery.order import Sendable, SendOrder
from chalicelib.delivery.render import Renderer
from chalicelib.workflows.models import Workflow

#: Whose runs take turns with a form that is no run yet: everybody's.
NOBODY_YET = 0
#: Learners left out are listed up to this number; the counts are of all.
MAX_LISTED = 500
#: A Lambda function answers with 6 MB at most.
MAX_IN_FILE = 50_000
SAMPLES = 3
#: A message that went out this lately may have been meant to go out once.
LATELY = timedelta(days=7)


@dataclass(frozen=True)
class LeftOut:
    """A learner who would get no mail; `label` is the key, `value` what stands in the e-mail column."""

    row_id: int
    label: str
    reason: str
    value: str


@dataclass(frozen=True)
class Before:
    """An earlier run of the same message: when it began and how many of its mails have left."""

    run_id: int
    at: datetime
    sent: int


@dataclass(frozen=True)
class Sample:
    """A real mail as it would leave."""

    row_id: int
    recipient: str
    subject: str
    html: str
    text: str


@dataclass(frozen=True)
class Receipt:
    """What a send order comes to. `cost` counts copies too; `quota_left` is None where there is no quota."""

    total: int
    recipients: int
    cost: int
    counts: dict[str, int]
    left_out: list[LeftOut]
    seconds: float
    quota_left: int | None
    samples: list[Sample]
    lane_closed_reason: str

    @property
    def excluded(self) -> int:
        """Learners left out by whoever sends it."""
        return self.counts.get(EXCLUDED, 0)


def receipt(
    session: Session, workflow: Workflow, action: Sendable, order: SendOrder, found: sources.Sources
) -> Receipt:
    """Return who would get the mail, who not and why, how long it takes, and three real mails.

    A subject with a mistake leaves the samples' subjects empty. Raises errors.Invalid for an unknown e-mail column
    and for a text that can't be used.
    """
    if order.to_column_id not in found.columns:
        raise errors.Invalid("Choose the e-mail column.", {"to_column_id": "Choose the column with the addresses."})
    own = details.of(session, action, found)
    text = sources.DraftText(found, _subject(found, order), action.text, workflow.time_zone, own)
    audience = _audience(found, action, order, text)
    counts = plan.tally(session, audience)
    recipients = counts.get("", 0)
    lane, closed_reason = throttle.look_closely(session, MAIL)
    cost = order.recipients(recipients)
    served = turns.before_end(session, MAIL, NOBODY_YET, cost)
    return Receipt(
        total=sum(counts.values()),
        recipients=recipients,
        cost=cost,
        counts={reason: count for reason, count in counts.items() if reason},
        left_out=_left_out(session, audience) if sum(counts.values()) > recipients else [],
        seconds=throttle.seconds_for(lane, clock.now(), served, throttle.limits(MAIL)),
        quota_left=lane.quota_left(),
        samples=_samples(session, _audience(found, action, order, text, full=True), text) if recipients else [],
        lane_closed_reason=closed_reason,
    )


def _audience(
    found: sources.Sources, action: Sendable, order: SendOrder, text: sources.DraftText, *, full: bool = False
) -> Audience:
    """Return whom it is for; `full` with the values and flags of `text`."""
    return Audience(
        workflow_id=action.workflow_id, to_column_id=order.to_column_id, columns=found.columns, filter=action.filter,
        conditions=text.conditions, values=text.value_ids, with_content=full,
        skip_rows=order.skip_rows, left_out=order.left_out, leave_out_duplicates=order.leave_out_duplicates,
        label_column_id=found.label_column_id, time_zone=text.time_zone,
    )  # fmt: skip


def _samples(session: Session, audience: Audience, text: sources.DraftText) -> list[Sample]:
    """Return the first mails. Whose they are is found first, without the values of all the others."""
    chosen = rows(replace(audience, with_content=False))
    first = select(chosen.c.row_id).where(chosen.c.reason == "").order_by(chosen.c.row_id).limit(SAMPLES)
    found = rows(replace(audience, only_rows=first, leave_out_duplicates=False))
    columns = (found.c.row_id, found.c.address, found.c["values"], found.c.flags)
    renderer = Renderer(text)
    samples = []
    for row_id, address, values, flags in session.execute(select(*columns).order_by(found.c.row_id)):
        mail = renderer.render(values, flags)
        samples.append(Sample(row_id, address, mail.subject, mail.html, mail.text))
    return samples


def _subject(found: sources.Sources, order: SendOrder) -> str:
    try:
        return sources.subject_by_ids(found, order.subject)
    except errors.Invalid:
        return ""


def _left_out(session: Session, audience: Audience) -> list[LeftOut]:
    found = rows(audience)
    columns = (found.c.row_id, found.c.label, found.c.reason, found.c.address)
    # Whoever was left out on purpose comes last: addresses to repair are to be seen.
    order = (found.c.reason == EXCLUDED, found.c.row_id)
    chosen = select(*columns).where(found.c.reason != "").order_by(*order).limit(MAX_LISTED)
    return [LeftOut(*row) for row in session.execute(chosen)]


def bad_addresses(
    session: Session, workflow: Workflow, action: Sendable, to_column_id: int | None, found: sources.Sources
) -> str:
    """Return all learners of the filter without a usable address as CSV: key and value.

    Raises errors.NotFound when the column is none of the table.
    """
    if to_column_id is None or to_column_id not in found.columns:
        raise errors.NotFound
    audience = Audience(
        workflow_id=workflow.id, to_column_id=to_column_id, columns=found.columns, filter=action.filter,
        leave_out_duplicates=False, label_column_id=found.label_column_id, time_zone=workflow.time_zone,
    )  # fmt: skip
    among = rows(audience)
    chosen = select(among.c.label, among.c.address).where(among.c.reason.in_([BAD, EMPTY])).order_by(among.c.row_id)
    target = io.StringIO()
    writer = csv.writer(target)
    key = found.columns.get(found.label_column_id or 0)
    writer.writerow([key.name if key else "row", found.columns[to_column_id].name])
    writer.writerows(map(_guarded, row) for row in session.execute(chosen.limit(MAX_IN_FILE)))
    return target.getvalue()


def _guarded(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def defaults(
    session: Session, action: Sendable, workflow_id: int, found: sources.Sources | None = None
) -> dict[str, Any]:
    """Return what the action's last send form held (keys as in SendOrder, subject with names); empty at first."""
    if not action.send_defaults:
        return {}
    found = found or sources.read(session, workflow_id, action.id)
    return {
        **action.send_defaults,
        "subject": sources.subject_by_names(found, action.send_defaults.get("subject", "")),
    }


def sent_lately(session: Session, action_id: int) -> Before | None:
    """Return the message's last run if mails of it left within a week."""
    left = func.count().filter(Message.sent_at.is_not(None), Message.row_id >= 0)  # copies are nobody's
    query = (
        select(Run.id, func.coalesce(Run.started_at, Run.created_at), left)
        .join(Message, Message.run_id == Run.id)
        .where(Run.action_id == action_id, Run.started_at > clock.now() - LATELY)
        .group_by(Run.id)
        .order_by(Run.id.desc())
        .limit(1)
    )
    row = session.execute(query).one_or_none()
    return Before(*row) if row is not None and row[2] else None
