"""What differs between the kinds of actions on the send page: each way of sending is a module with the same parts."""

from __future__ import annotations

from typing import Any, Protocol

from chalicelib.actions.kinds import KINDS, Channel, Kind
from chalicelib.delivery import mails
from chalicelib.delivery.audience import Audience
from chalicelib.delivery.forms import SendForm
from chalicelib.delivery.models import Run
from chalicelib.delivery.push import pages as pushes
from chalicelib.delivery.repeats import Order
from chalicelib.delivery.reporting import pages as reports
from chalicelib.delivery.sources import Sources
from chalicelib.web.request import Request


class Way(Protocol):
    """`FIELDS`: the parts of the form that it has; `SUMMARY`: the template of what the form comes to."""

    FIELDS: frozenset[str]
    SUMMARY: str

    def confirm(self, request: Request, action: Any, form: SendForm) -> Run:
        """Start the run, or raise errors.Invalid with a message for each field that can't stay."""

    def order(self, request: Request, form: SendForm) -> Order:
        """Return the order, or raise errors.Invalid when the form makes none."""

    def check(self, request: Request, action: Any, found: Sources, form: SendForm) -> None:
        """Check the fields alone; raise errors.Invalid with a message for each that can't stay."""

    def audience(self, request: Request, action: Any, found: Sources, form: SendForm) -> Audience | None:
        """Return among whom some are left out; None while that can't be told."""

    def summary(self, request: Request, action: Any, found: Sources, form: SendForm) -> dict[str, Any]:
        """Return what the form comes to.

        For all ways: `count` (messages), `total` (learners of the filter), both None while they can't be told,
        `excluded` (learners left out by name), `noun` of a message, `obstacle` to sending; `is_report` where there is
        one message about all learners.
        """


def of(action: Any) -> Way:
    """Return the way by which an action is sent."""
    kind = Kind(action.kind)
    if kind is Kind.REPORT:
        return reports
    return pushes if KINDS[kind].channel is Channel.PUSH else mails
