"""The order of a report, from a send form."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chalicelib.delivery.forms import SendForm
from chalicelib.delivery.order import split_addresses


@dataclass(frozen=True, kw_only=True)
class ReportOrder:
    """A filled-in form. `subject` has names, as people see it; `due_at` is None for "now".

    `send_empty`: the report goes out even when it is about nobody. `as_links`: its files are not in the mail, which
    leads to them. `attached` are files of whoever sends it (see RunDraft).
    """

    to: tuple[str, ...]
    subject: str = ""
    from_name: str = ""
    reply_to: str = ""
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    send_empty: bool = False
    as_links: bool = False
    attached: tuple[dict[str, Any], ...] = ()
    wants_snapshot: bool = False
    due_at: datetime | None = None
    token: str = ""
    schedule_id: int | None = None

    @property
    def cost(self) -> int:
        """Recipients of the mail."""
        return len(self.to) + len(self.cc) + len(self.bcc)


def order_of(form: SendForm, time_zone: str, *, with_time: bool = True) -> ReportOrder:
    """Return the order; `due_at` is read in the given zone.

    Raises errors.Invalid when the time is none.
    """
    return ReportOrder(
        to=split_addresses(form.to), subject=form.subject, from_name=form.from_name, reply_to=form.reply_to,
        cc=split_addresses(form.cc), bcc=split_addresses(form.bcc), send_empty=form.send_empty,
        as_links=form.as_links, due_at=form.moment(time_zone) if with_time else None, token=form.draft,
        attached=form.attached, wants_snapshot=form.wants_snapshot,
    )  # fmt: skip
