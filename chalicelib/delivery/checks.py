"""What is looked at before a run of mails is confirmed: the fields of its form, who gets it, and their number."""

from __future__ import annotations

import re

from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.delivery import attachments, plan, sources
from chalicelib.delivery.audience import Audience, only_new
from chalicelib.delivery.models import BAD, EMPTY
from chalicelib.delivery.order import MAX_COPIES, Sendable, SendOrder, bad_addresses, is_address
from chalicelib.settings import settings
from chalicelib.workflows.models import Workflow

#: The choice "make a new column for the opens".
NEW = "new"
MAX_NAME_LENGTH = 200


class Nobody(errors.Invalid):
    """Raised when a run would have no recipient."""


def check(found: sources.Sources, order: SendOrder) -> None:
    """Check a form against the workflow.

    Raises errors.Invalid with every field that is wrong.
    """
    problems: dict[str, str] = {}
    if order.to_column_id not in found.columns:
        problems["to_column_id"] = "Choose the column that holds the e-mail addresses."
    if len(order.from_name) > MAX_NAME_LENGTH:
        problems["from_name"] = f"Use at most {MAX_NAME_LENGTH} characters."
    if order.reply_to.strip() and not is_address(order.reply_to.strip()):
        problems["reply_to"] = "This is not an e-mail address."
    for name, addresses in (("cc", order.cc), ("bcc", order.bcc)):
        if bad := bad_addresses(addresses):
            problems[name] = "Not an e-mail address: " + ", ".join(bad)
    if len(order.cc) + len(order.bcc) > MAX_COPIES:
        problems["cc"] = f"A mail can have at most {MAX_COPIES} copies."
    if problem := attachments.check(order.attached):
        problems["files"] = problem
    if order.opens_column not in {"", NEW, *(str(column.id) for column in found.counters)}:
        problems["opens_column"] = "Choose a column that counts opens already, or a new one."
    if order.due_at and order.due_at <= clock.now():
        problems["due_at"] = "Choose a time that is still to come."
    try:
        sources.subject_by_ids(found, order.subject)
    except errors.Invalid as error:
        problems |= error.fields
    if problems:
        raise errors.Invalid("Some fields need another look.", problems)


def audience(
    session: Session, workflow: Workflow, found: sources.Sources, action: Sendable, order: SendOrder,
    draft: sources.DraftText,
) -> int:  # fmt: skip
    """Return how many get a mail.

    Raises errors.Invalid (fields `leave_out_bad`, `typed`) when somebody has to decide first, Nobody when no one does.
    """
    chosen = Audience(
        workflow_id=workflow.id, time_zone=workflow.time_zone, to_column_id=order.to_column_id,
        columns=found.columns, filter=action.filter, skip_rows=order.skip_rows,
        left_out=order.left_out, leave_out_duplicates=order.leave_out_duplicates,
        not_reached_by=only_new(order, action.id), conditions=draft.conditions,
        values=draft.value_ids, with_content=False,
    )  # fmt: skip
    counts = plan.tally(session, chosen)
    bad = counts.get(BAD, 0) + counts.get(EMPTY, 0)
    if bad and not order.leave_out_bad:
        what = f"{bad} learners have no usable address." if bad > 1 else "One learner has no usable address."
        raise errors.Invalid(what, {"leave_out_bad": f"{what} Tick this to leave them out, or repair the table."})
    if not counts.get("", 0) and not order.due_at:
        raise Nobody("Nobody would get this message. Look at the filter and at who is left out.")
    check_number(counts.get("", 0), order.expected, order.typed)
    return counts.get("", 0)


def check_number(count: int, expected: int | None, typed: str | None) -> None:
    """Check that somebody knows how many messages leave: the number they saw, and where it is large the one they typed.

    Raises errors.Invalid.
    """
    if expected is not None and expected != count:
        saw = f"The number of messages is {count:,} by now; you saw {expected:,}. Look once more, then send."
        raise errors.Invalid(saw)
    if typed is not None and asks_number(count) and re.sub(r"\D", "", typed) != str(count):
        what = f"Type {count} here: so many messages would leave."
        raise errors.Invalid("This goes to many. Type their number to confirm it.", {"typed": what})


def asks_number(count: int) -> bool:
    """Tell whether so many messages are confirmed by typing their number."""
    return 0 < settings().confirm_above < count
