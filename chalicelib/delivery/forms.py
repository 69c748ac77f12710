"""The send form: what its fields start with, and from its fields to an order."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib import errors
from chalicelib.accounts.models import User
from chalicelib.delivery.order import SendOrder, split_addresses
from chalicelib.delivery.sources import SourceColumn, Sources
from chalicelib.web.request import Values
from chalicelib.web.templates import zone

#: What people call the column of addresses, in the order in which we believe it.
ADDRESS_NAMES = ("email", "e-mail", "mail", "e_mail", "email address", "e-mail address")
#: How a browser writes a datetime-local field (HTML Standard, "local date and time"); seconds are optional.
LOCAL_FORMATS = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")
#: A learner is left out by name; more than this is a filter's work.
MAX_LEFT_OUT = 1000
LATER, AGAIN = "later", "again"


@dataclass(frozen=True, kw_only=True)
class SendForm:
    """The fields as they are shown: text as typed, so that a refused form keeps it."""

    to_column_id: int | None = None
    subject: str = ""
    from_name: str = ""
    reply_to: str = ""
    cc: str = ""
    bcc: str = ""
    track_opens: bool = True
    track_clicks: bool = False
    skip_rows: tuple[int, ...] = ()
    leave_out_bad: bool = False
    leave_out_duplicates: bool = True
    opens_column: str = ""
    when: str = "now"
    due_at: str = ""
    token: str = ""

    def order(self, time_zone: str) -> SendOrder:
        """Return the order; `due_at` is read in the given zone.

        Raises errors.Invalid when the column is not chosen, the time is none or too many learners are left out.
        """
        if self.to_column_id is None:
            message = "Choose the column that holds the e-mail addresses."
            raise errors.Invalid(message, {"to_column_id": message})
        if len(self.skip_rows) > MAX_LEFT_OUT:
            message = f"At most {MAX_LEFT_OUT:,} learners can be left out by name; use the message's filter for more."
            raise errors.Invalid(message, {"skip_rows": message})
        return SendOrder(
            to_column_id=self.to_column_id, subject=self.subject, from_name=self.from_name, reply_to=self.reply_to,
            cc=split_addresses(self.cc), bcc=split_addresses(self.bcc), track_opens=self.track_opens,
            track_clicks=self.track_clicks, skip_rows=self.skip_rows, leave_out_bad=self.leave_out_bad,
            leave_out_duplicates=self.leave_out_duplicates, opens_column=self.opens_column if self.track_opens else "",
            due_at=moment(self.due_at, time_zone) if self.when == LATER else None, token=self.token,
        )  # fmt: skip


def from_values(values: Values) -> SendForm:
    """Return the form as somebody sent it.

    Raises errors.Invalid when a number is none.
    """
    return SendForm(
        to_column_id=values.whole("to_column_id"), subject=values.get("subject"), from_name=values.get("from_name"),
        reply_to=values.get("reply_to"), cc=values.get("cc"), bcc=values.get("bcc"),
        track_opens=values.checked("track_opens"), track_clicks=values.checked("track_clicks"),
        skip_rows=tuple(dict.fromkeys(values.wholes("skip_rows"))), leave_out_bad=values.checked("leave_out_bad"),
        leave_out_duplicates=values.checked("leave_out_duplicates"), opens_column=values.get("opens_column"),
        when=values.get("when") if values.get("when") in {LATER, AGAIN} else "now", due_at=values.get("due_at"),
        token=values.get("token")[:64],
    )  # fmt: skip


def first(user: User, found: Sources, last: dict[str, Any]) -> SendForm:
    """Return the form a page starts with: the choices of the last time (see queries.defaults), or good guesses."""
    columns = found.columns
    known = {name: value for name, value in last.items() if name in _KEPT}
    if known.get("opens_column") not in {"", "new", *(str(column_id) for column_id in columns)}:
        known.pop("opens_column", None)
    to_column_id = last.get("to_column_id")
    form = SendForm(
        to_column_id=to_column_id if to_column_id in columns else guessed_column(columns.values()),
        from_name=user.name, reply_to=user.email, token=secrets.token_urlsafe(18),
        cc=", ".join(last.get("cc", [])), bcc=", ".join(last.get("bcc", [])),
    )  # fmt: skip
    return replace(form, **known)


#: Choices that are taken over as they were stored; the others need a look first.
_KEPT = {"subject", "from_name", "reply_to", "track_opens", "track_clicks", "opens_column", "leave_out_duplicates"}


def guessed_column(columns: Iterable[SourceColumn]) -> int | None:
    """Return the column that is named like one of addresses, in any letter case."""
    texts = [column for column in columns if column.type == "text"]
    for name in ADDRESS_NAMES:
        for column in texts:
            if column.name.strip().lower() == name:
                return column.id
    return next((column.id for column in texts if "mail" in column.name.lower()), None)


def moment(text: str, time_zone: str) -> datetime:
    """Return the point in time that a browser's field says, read in the given zone.

    Raises errors.Invalid (field `due_at`) when it says none.
    """
    here: ZoneInfo = zone(time_zone)
    for pattern in LOCAL_FORMATS:
        try:
            local = datetime.strptime(text, pattern).replace(tzinfo=here)
            return local.astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    message = "Choose the day and the time."
    raise errors.Invalid(message, {"due_at": message})


def without_time(form: SendForm) -> SendForm:
    """Return the form as if it were for now: who gets a mail can be told before the time is chosen."""
    return replace(form, when="now")
