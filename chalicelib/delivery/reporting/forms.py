"""The send form of a report, and from its fields to an order."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from chalicelib.accounts.models import User
from chalicelib.delivery import forms
from chalicelib.delivery.order import split_addresses
from chalicelib.web.request import Values


@dataclass(frozen=True, kw_only=True)
class ReportOrder:
    """A filled-in form. `subject` has names, as people see it; `due_at` is None for "now".

    `send_empty`: the report goes out even when it is about nobody. `as_links`: its files are not in the mail, which
    leads to them.
    """

    to: tuple[str, ...]
    subject: str = ""
    from_name: str = ""
    reply_to: str = ""
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    send_empty: bool = False
    as_links: bool = False
    due_at: datetime | None = None
    token: str = ""

    @property
    def cost(self) -> int:
        """Recipients of the mail."""
        return len(self.to) + len(self.cc) + len(self.bcc)


@dataclass(frozen=True, kw_only=True)
class ReportForm:
    """The fields as they are shown: text as typed, so that a refused form keeps it."""

    to: str = ""
    subject: str = ""
    from_name: str = ""
    reply_to: str = ""
    cc: str = ""
    bcc: str = ""
    send_empty: bool = False
    as_links: bool = False
    when: str = "now"
    due_at: str = ""
    token: str = ""

    def order(self, time_zone: str, *, with_time: bool = True) -> ReportOrder:
        """Return the order; `due_at` is read in the given zone.

        Raises errors.Invalid when the time is none.
        """
        is_later = with_time and self.when == forms.LATER
        return ReportOrder(
            to=split_addresses(self.to), subject=self.subject, from_name=self.from_name, reply_to=self.reply_to,
            cc=split_addresses(self.cc), bcc=split_addresses(self.bcc), send_empty=self.send_empty,
            as_links=self.as_links, due_at=forms.moment(self.due_at, time_zone) if is_later else None,
            token=self.token,
        )  # fmt: skip


def from_values(values: Values) -> ReportForm:
    """Return the form as somebody sent it."""
    return ReportForm(
        to=values.get("to"), subject=values.get("subject"), from_name=values.get("from_name"),
        reply_to=values.get("reply_to"), cc=values.get("cc"), bcc=values.get("bcc"),
        send_empty=values.checked("send_empty"), as_links=values.checked("as_links"),
        when=forms.LATER if values.get("when") == forms.LATER else "now", due_at=values.get("due_at"),
        token=values.get("token")[:64],
    )  # fmt: skip


def first(user: User, last: dict[str, Any]) -> ReportForm:
    """Return the form a page starts with: the choices of the last time (see queries.defaults), or to oneself."""
    form = ReportForm(
        to=", ".join(last.get("to", [user.email])), from_name=user.name, reply_to=user.email,
        cc=", ".join(last.get("cc", [])), bcc=", ".join(last.get("bcc", [])), token=secrets.token_urlsafe(18),
    )  # fmt: skip
    kept = {"subject", "from_name", "reply_to", "send_empty", "as_links"}
    return replace(form, **{name: value for name, value in last.items() if name in kept})
