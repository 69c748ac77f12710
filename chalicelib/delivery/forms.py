"""The send form, one for all kinds of actions: what its fields start with, and from its fields to an order."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib import errors
from chalicelib.accounts.models import User
from chalicelib.delivery import repeat_forms
from chalicelib.delivery.order import EACH, ONE, SendOrder, split_addresses
from chalicelib.delivery.repeat_forms import RepeatForm
from chalicelib.delivery.sources import SourceColumn, Sources
from chalicelib.web.request import Values
from chalicelib.web.templates import zone

#: What people call the column of addresses, in the order in which we believe it.
ADDRESS_NAMES = ("email", "e-mail", "mail", "e_mail", "email address", "e-mail address")
#: How a browser writes a datetime-local field (HTML Standard, "local date and time"); seconds are optional.
LOCAL_FORMATS = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")
#: More values than this are a filter's work.
MAX_LEFT_OUT = 100_000
LATER, AGAIN = "later", "again"
#: The form changes what a schedule does.
EDIT = "edit"


@dataclass(frozen=True, kw_only=True)
class SendForm:
    """The fields as they are shown: text as typed, so that a refused form keeps it. No kind of action has all of them.

    `draft` names the form, so that it is kept under this name and sending it twice is one run. `left_out` comes from
    the list of values; it counts only with `exclude`. `also` are the columns that this list shows beside them. With
    `schedule` it changes what that does, at its `stage`, as it was at `version`.
    """

    draft: str = ""
    to_column_id: int | None = None
    to: str = ""
    subject: str = ""
    from_name: str = ""
    reply_to: str = ""
    cc: str = ""
    bcc: str = ""
    copies: str = EACH
    attached: tuple[dict[str, Any], ...] = ()
    wants_snapshot: bool = False
    exclude: bool = False
    left_out: tuple[str, ...] = ()
    also: tuple[int, ...] = ()
    track_opens: bool = True
    track_clicks: bool = False
    leave_out_bad: bool = False
    leave_out_duplicates: bool = True
    opens_column: str = ""
    send_empty: bool = False
    as_links: bool = False
    wants_notice: bool = False
    token: str = ""
    expected: int | None = None
    typed: str = ""
    when: str = "now"
    due_at: str = ""
    repeat: RepeatForm = field(default_factory=RepeatForm)
    schedule: int | None = None
    stage: int = 0
    version: int = 0

    @property
    def without(self) -> tuple[str, ...]:
        """The values whose learners get nothing."""
        return self.left_out if self.exclude else ()

    def moment(self, time_zone: str) -> datetime | None:
        """Return when it is to be sent, read in the given zone; None for now.

        Raises errors.Invalid when that is no time.
        """
        return moment(self.due_at, time_zone) if self.when == LATER else None

    def order(self, time_zone: str) -> SendOrder:
        """Return the order of mails; `due_at` is read in the given zone.

        Raises errors.Invalid when the column is not chosen, the time is none or too many are left out.
        """
        if self.to_column_id is None:
            message = "Choose the column that holds the e-mail addresses."
            raise errors.Invalid(message, {"to_column_id": message})
        return SendOrder(
            to_column_id=self.to_column_id, subject=self.subject, from_name=self.from_name, reply_to=self.reply_to,
            cc=split_addresses(self.cc), bcc=split_addresses(self.bcc), track_opens=self.track_opens,
            track_clicks=self.track_clicks, left_out=self.without, leave_out_bad=self.leave_out_bad,
            leave_out_duplicates=self.leave_out_duplicates, opens_column=self.opens_column if self.track_opens else "",
            due_at=self.moment(time_zone), token=self.draft, expected=self.expected, typed=self.typed,
            exclude=self.exclude, also=self.also, copies=self.copies, attached=self.attached,
            wants_snapshot=self.wants_snapshot,
        )  # fmt: skip


def from_values(
    values: Values, draft: str, left_out: Iterable[str] = (), attached: Iterable[dict[str, Any]] = ()
) -> SendForm:
    """Return the form as somebody sent it; what is no number counts as none."""
    also = (_number(values.get(name)) for name in ("also_1", "also_2"))
    return SendForm(
        draft=draft, to_column_id=_number(values.get("to_column_id")), to=values.get("to"),
        subject=values.get("subject"), from_name=values.get("from_name"), reply_to=values.get("reply_to"),
        cc=values.get("cc"), bcc=values.get("bcc"), exclude=values.checked("exclude"), left_out=tuple(left_out),
        copies=ONE if values.get("copies") == ONE else EACH, attached=tuple(attached),
        wants_snapshot=values.checked("wants_snapshot"),
        also=tuple(dict.fromkeys(key for key in also if key is not None)),
        track_opens=values.checked("track_opens"), track_clicks=values.checked("track_clicks"),
        leave_out_bad=values.checked("leave_out_bad"), leave_out_duplicates=values.checked("leave_out_duplicates"),
        opens_column=values.get("opens_column"), send_empty=values.checked("send_empty"),
        as_links=values.checked("as_links"), wants_notice=values.checked("wants_notice"),
        expected=_number(values.get("expected")), typed=values.get("typed"),
        when=values.get("when") if values.get("when") in {LATER, AGAIN, EDIT} else "now", due_at=values.get("due_at"),
        repeat=repeat_forms.from_values(values) if "r_every" in values else RepeatForm(),
        schedule=_number(values.get("schedule")), stage=_number(values.get("stage")) or 0,
        version=_number(values.get("version")) or 0,
    )  # fmt: skip


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def new_id() -> str:
    """Return a name for a form."""
    return secrets.token_urlsafe(18)


def first(user: User, found: Sources, last: dict[str, Any], *, of_mails: bool) -> SendForm:
    """Return the form a page starts with: the choices of the last time (see queries.defaults), or good guesses."""
    columns = found.columns
    known = {name: value for name, value in last.items() if name in _KEPT}
    if known.get("opens_column") not in {"", "new", *(str(column_id) for column_id in columns)}:
        known.pop("opens_column", None)
    to_column_id = last.get("to_column_id")
    guessed = guessed_column(columns.values()) if of_mails else None
    form = SendForm(
        draft=new_id(), to_column_id=to_column_id if to_column_id in columns else guessed,
        to=", ".join(last.get("to", [user.email])), from_name=user.name, reply_to=user.email,
        cc=", ".join(last.get("cc", [])), bcc=", ".join(last.get("bcc", [])),
        also=tuple(key for key in last.get("also", []) if key in columns),
    )  # fmt: skip
    return replace(form, **known)


#: Choices that are taken over as they were stored; the others need a look first.
_KEPT = {
    "subject", "from_name", "reply_to", "track_opens", "track_clicks", "opens_column", "leave_out_duplicates",
    "exclude", "send_empty", "as_links", "copies", "wants_snapshot",
}  # fmt: skip


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


def editing(form: SendForm, schedule: int, stage: int, version: int) -> SendForm:
    """Return the form as one that changes what a schedule does at a stage."""
    return replace(form, draft=new_id(), when=EDIT, schedule=schedule, stage=stage, version=version)


def without_time(form: SendForm) -> SendForm:
    """Return the form as if it were for now: who gets a mail can be told before the time is chosen."""
    return replace(form, when="now")
