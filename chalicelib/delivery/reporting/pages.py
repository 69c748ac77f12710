"""Reports on the send page: who gets one, what is in it, how large it is, said before it happens."""

from __future__ import annotations

from typing import Any

from chalicelib import errors
from chalicelib.delivery import attachments, learners
from chalicelib.delivery.forms import SendForm
from chalicelib.delivery.models import Run
from chalicelib.delivery.order import Sendable
from chalicelib.delivery.reporting import service
from chalicelib.delivery.reporting.forms import ReportOrder, order_of
from chalicelib.delivery.sources import Sources
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, document

FIELDS = frozenset(
    {
        "to", "subject", "from_name", "reply_to", "cc", "bcc", "files", "as_links", "send_empty", "due_at", "again",
    }
)  # fmt: skip
SUMMARY = "delivery/reporting/_summary.html"


def confirm(request: Request, action: Sendable, form: SendForm) -> Run:
    """Start the run.

    Raises errors.Invalid with a message for each field that can't stay.
    """
    return service.confirm(request.session, request.user.id, request.workflow, action, order(request, form))


def order(request: Request, form: SendForm) -> ReportOrder:
    """Return the order.

    Raises errors.Invalid when its time is none.
    """
    return order_of(form, request.user.time_zone)


def check(request: Request, action: Sendable, found: Sources, form: SendForm) -> None:
    """Check the fields alone.

    Raises errors.Invalid with a message for each that can't stay.
    """
    del action
    service.check(request.session, found, order(request, form))


def audience(request: Request, action: Sendable, found: Sources, form: SendForm) -> None:
    """Nobody is left out of a report: it goes to few, and its filter says who it is about."""


def sample(request: Request, action: Sendable) -> Answer:
    """Show the report as a page, for a frame."""
    return document(learners.framed(service.draft(request.session, request.workflow, action).mail.html))


def summary(request: Request, action: Sendable, found: Sources, form: SendForm) -> dict[str, Any]:
    """Return what the form comes to; where that is nothing yet, `obstacle` says why."""
    del found
    context: dict[str, Any] = {
        "draft": None, "obstacle": "", "size_total": 0, "is_too_large": False,
        "limit": service.max_bytes(), "to": order_of(form, request.user.time_zone, with_time=False),
        "count": None, "total": None, "excluded": 0, "noun": "report", "is_report": True,
    }  # fmt: skip
    try:
        draft = service.draft(request.session, request.workflow, action)
    except errors.Invalid as error:
        return context | {"obstacle": error.message}
    size_total = service.size_of(draft.mail, [] if form.as_links else draft.files, attachments.total(form.attached))
    is_too_large = size_total > service.max_bytes()
    obstacle = service.too_large(size_total) if is_too_large else ""
    return context | {
        "draft": draft, "size_total": size_total, "is_too_large": is_too_large, "obstacle": obstacle, "count": 1,
    }  # fmt: skip
