"""What an instructor asks for on the send page: the order that becomes a run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

#: The longest subject, in characters of its text (not of a rendered one).
MAX_SUBJECT_LENGTH = 1024
#: SES takes 50 recipients a mail (Service quotas, "Recipients per message"); one of them is the learner.
MAX_COPIES = 49
#: A learner is left out of a ZIP by name; more than this is a filter's work.
MAX_LEFT_OUT = 1000
#: RFC 5321 §4.5.3.1: octets of the whole path and of the part before the @.
MAX_ADDRESS_LENGTH, MAX_LOCAL_LENGTH = 254, 64

#: What a browser's e-mail field takes (HTML Standard, "valid e-mail address"), with a dot in the domain: RFC 5322's
#: comments and quoted parts never occur in class lists, and SES refuses them. Good for PostgreSQL and Python alike.
#: No captures: with them PostgreSQL takes twelve times as long.
ADDRESS_PATTERN = (
    r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$"
)
_address = re.compile(ADDRESS_PATTERN)


#: What those in copy (cc, bcc) get: a copy of every mail, or one mail with all of them.
EACH, ONE = "each", "one"


class Sendable(Protocol):
    """What delivery needs to know of an action: the message with its text by ids."""

    id: int
    workflow_id: int
    kind: str
    name: str
    text: str
    filter: dict[str, Any] | None
    send_defaults: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class SendOrder:
    """A filled-in send form. `subject` has names, as people see it; `due_at` is None for "now".

    `leave_out_bad` is the instructor's word that learners with a bad or empty address get nothing;
    `leave_out_duplicates` sends once to an address that several rows share. `opens_column` is "" (count in the run
    only), "new" or the id of a whole-number column. `token` names the form, so that sending it twice is one run.
    With `schedule_id` a schedule asks for it, with `only_new` for those whom none of its runs has reached. `left_out`
    are values of the column of addresses whose learners get nothing. `expected` and `typed` are the number of mails as
    somebody saw it and, for many mails, typed it; None where nobody looked, as in schedules. `also` are the columns
    that were looked at beside the addresses, when `exclude` asked for that. `copies` says what those in copy get,
    `attached` are files for everybody (see RunDraft).
    """

    to_column_id: int
    subject: str = ""
    from_name: str = ""
    reply_to: str = ""
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    track_opens: bool = False
    track_clicks: bool = False
    skip_rows: tuple[int, ...] = ()
    leave_out_bad: bool = False
    leave_out_duplicates: bool = False
    opens_column: str = ""
    due_at: datetime | None = None
    token: str = ""
    schedule_id: int | None = None
    only_new: bool = False
    left_out: tuple[str, ...] = ()
    expected: int | None = None
    typed: str | None = None
    exclude: bool = False
    also: tuple[int, ...] = ()
    copies: str = EACH
    attached: tuple[dict[str, Any], ...] = ()
    wants_snapshot: bool = False

    @property
    def people_in_copy(self) -> int:
        """Those in cc and bcc."""
        return len({*self.cc, *self.bcc})

    @property
    def cost(self) -> int:
        """Recipients per message."""
        return 1 + (len(self.cc) + len(self.bcc) if self.copies == EACH else 0)

    def recipients(self, count: int) -> int:
        """Return the recipients of so many messages, those in copy counted each time."""
        return count * self.cost + (self.people_in_copy if self.copies == ONE and count else 0)


def split_addresses(text: str) -> tuple[str, ...]:
    """Return the addresses in `text`, which blanks, commas or semicolons separate; each once."""
    return tuple(dict.fromkeys(filter(None, re.split(r"[\s,;]+", text))))


def is_address(text: str) -> bool:
    """Tell whether mail can be sent to `text`."""
    return (
        len(text) <= MAX_ADDRESS_LENGTH
        and len(text.partition("@")[0]) <= MAX_LOCAL_LENGTH
        and _address.fullmatch(text) is not None
    )


def bad_addresses(addresses: Iterable[str]) -> list[str]:
    """Return those that are no addresses."""
    return [address for address in addresses if not is_address(address)]
