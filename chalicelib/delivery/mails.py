"""Messages and rubric feedback on the send page: what a form comes to, and its run."""

from __future__ import annotations

from typing import Any

from chalicelib import errors
from chalicelib.actions.kinds import Kind
from chalicelib.actions.rubrics import queries as rubrics
from chalicelib.actions.rubrics import unknown
from chalicelib.delivery import attachments, checks, forms, queries, service
from chalicelib.delivery.audience import Audience
from chalicelib.delivery.forms import SendForm
from chalicelib.delivery.models import BAD, DUPLICATE, EMPTY, Run
from chalicelib.delivery.order import Sendable, SendOrder
from chalicelib.delivery.sources import Sources
from chalicelib.delivery.words import COUNTED, spoken
from chalicelib.tables import queries as tables
from chalicelib.web.request import Request

FIELDS = frozenset(
    {"to_column_id", "subject", "from_name", "reply_to", "cc", "bcc", "files", "exclude", "track", "due_at", "again"}
)  # fmt: skip
SUMMARY = "delivery/_summary.html"


def confirm(request: Request, action: Sendable, form: SendForm) -> Run:
    """Start the run.

    Raises errors.Invalid with a message for each field that can't stay.
    """
    return service.confirm(request.session, request.user.id, request.workflow, action, order(request, form))


def order(request: Request, form: SendForm) -> SendOrder:
    """Return the order.

    Raises errors.Invalid when the column is not chosen, the time is none or too many are left out.
    """
    return form.order(request.user.time_zone)


def check(request: Request, action: Sendable, found: Sources, form: SendForm) -> None:
    """Check the fields alone.

    Raises errors.Invalid with a message for each that can't stay.
    """
    del action
    checks.check(found, order(request, form))


def audience(request: Request, action: Sendable, found: Sources, form: SendForm) -> Audience | None:
    """Return among whom some are left out; None while that can't be told."""
    if form.to_column_id not in found.columns or form.to_column_id is None:
        return None
    return Audience(
        workflow_id=request.workflow.id, to_column_id=form.to_column_id, columns=found.columns,
        time_zone=request.workflow.time_zone, filter=action.filter, leave_out_duplicates=False,
    )  # fmt: skip


def summary(request: Request, action: Sendable, found: Sources, form: SendForm) -> dict[str, Any]:
    """Return what the form comes to; where that is nothing yet, `obstacle` says why."""
    context: dict[str, Any] = {
        "receipt": None, "obstacle": "", "reasons": COUNTED, "unusable": 0, "duplicates": 0, "spoken": spoken,
        "groups": [], "unknown": [], "count": None, "total": None, "excluded": 0, "noun": "message",
    }  # fmt: skip
    if not action.text.strip():
        return context | {"obstacle": "The message is empty. Write it first."}
    try:
        wanted = forms.without_time(form).order(request.user.time_zone)
        receipt = queries.receipt(request.session, request.workflow, action, wanted, found)
    except errors.Invalid as error:
        return context | {"obstacle": error.message}
    groups = [
        (reason, count, [one for one in receipt.left_out if one.reason == reason])
        for reason, count in receipt.counts.items()
    ]
    unusable = receipt.counts.get(BAD, 0) + receipt.counts.get(EMPTY, 0)
    return context | {
        "receipt": receipt, "groups": groups, "unusable": unusable, "obstacle": _nobody(receipt),
        "duplicates": receipt.counts.get(DUPLICATE, 0), "unknown": _unknown(request, action, found),
        "count": receipt.recipients, "total": receipt.total, "excluded": receipt.excluded,
        "people_in_copy": wanted.people_in_copy, "mail_size": _size(receipt, form),
    }  # fmt: skip


def _unknown(request: Request, action: Sendable, found: Sources) -> list[Any]:
    """Return the criteria of a rubric in which some learners have a value that is no level."""
    if action.kind != Kind.RUBRIC:
        return []
    columns = tables.columns(request.session, request.workflow.id)
    grid = rubrics.grid(request.session, action.id, columns)
    return unknown.among(
        request.session, request.workflow, grid, found.columns, action.filter, found.label_column_id
    )  # fmt: skip


def _size(receipt: queries.Receipt, form: SendForm) -> int:
    """Return the bytes of a mail with its files, about."""
    text = max((len(mail.html.encode()) + len(mail.text.encode()) for mail in receipt.samples), default=0)
    return int((text + attachments.total(form.attached)) * attachments.BASE64)


def _nobody(receipt: queries.Receipt) -> str:
    if receipt.recipients:
        return ""
    if not receipt.total:
        return "The message's filter lets nobody through."
    return "Every learner of this message is left out."
