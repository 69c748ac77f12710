"""One mail for each of those in copy (cc, bcc) that holds all the mails of a run, instead of a copy of every mail.

These are messages of the run like the others, of nobody's row; what they hold is put together when they leave.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from html import escape

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import database
from chalicelib.delivery import sources
from chalicelib.delivery.compose import Attached, Head
from chalicelib.delivery.models import CANCELLED, HELD, RANKS, SKIPPED, Message, Run, Suppression
from chalicelib.delivery.outbox import Claimed
from chalicelib.delivery.render import Rendered, Renderer
from chalicelib.web.templates import plural

#: Marks the values of a message that is a copy; a learner's have names such as "c12".
COPY = "copy"
#: A mail box takes no more; the others can be seen on the page of the run.
MAX_BYTES = 5_000_000
FILE = "mails.html"
_PAGE = '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{}</title></head><body>{}</body></html>'
_MAIL = "<hr><p><strong>{}</strong><br>{}</p>{}"


def add(session: Session, run: Run) -> None:
    """Write a message for each person in copy, held; those who want no mail get none. They leave after the others."""
    people = list(dict.fromkeys([*run.cc, *run.bcc]))
    gone = set(session.scalars(sa.select(Suppression.address).where(Suppression.address.in_(map(str.lower, people)))))
    for number, address in enumerate(people, 1):
        if address.lower() not in gone:
            session.add(
                Message(
                    run_id=run.id, lane=run.lane, row_id=-number, recipient=address, values={COPY: True}, flags={},
                    state=HELD, rank=RANKS[HELD],
                )
            )  # fmt: skip


def is_copy(message: Message | Claimed) -> bool:
    """Tell whether the message is a copy."""
    return COPY in message.values


def head_of(head: Head) -> Head:
    """Return the head of a copy: nothing is counted, and there is nothing to unsubscribe from."""
    return replace(head, cc=(), bcc=(), track_opens=False, track_clicks=False, has_way_out=False)


class Collected:
    """The mails of a run, read when they are first asked for."""

    def __init__(self, run_id: int) -> None:
        self._run_id = run_id

    @cached_property
    def mail(self) -> Rendered:
        """The mail itself: what it is about, and that the mails are in its file."""
        return self._made[0]

    @cached_property
    def file(self) -> Attached:
        """The file with the mails."""
        return self._made[1]

    @cached_property
    def _made(self) -> tuple[Rendered, Attached]:
        with database.scope() as session:
            return collect(session, session.get_one(Run, self._run_id))


def collect(session: Session, run: Run) -> tuple[Rendered, Attached]:
    """Return the mail of those in copy, and its file."""
    name = sources.action_name(session, run.action_id)
    renderer, parts, size, count = Renderer(run), [], 0, 0
    learners = (Message.run_id == run.id) & (Message.row_id > 0) & Message.state.not_in([SKIPPED, CANCELLED])
    for message in session.scalars(sa.select(Message).where(learners).order_by(Message.id)).yield_per(500):
        count += 1
        if size < MAX_BYTES:
            mail = renderer.render(message.values, message.flags)
            parts.append(_MAIL.format(escape(message.recipient), escape(mail.subject), mail.html))
            size += len(parts[-1])
    rest = f" The file holds the first {plural(len(parts), 'mail')}." if len(parts) < count else ""
    text = (
        f"“{name}” goes to {plural(count, 'learner')}. You get this mail instead of a copy of each: "
        f"the mails are in the file that came with it.{rest}"
    )
    page = _PAGE.format(escape(name), f"<h1>{escape(name)}</h1><p>{plural(count, 'mail')}.{rest}</p>" + "".join(parts))
    return (
        Rendered(f"Copies of “{name}”", f"<p>{escape(text)}</p>", text),
        Attached(FILE, "text/html; charset=utf-8", page.encode()),
    )
