"""One learner through all rooms: what is known of them, and the end of it.

A learner is a row of a table and the addresses that stand in that row alone: one that other rows have too, such as a
tutor's, is nobody's own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.accounts import service as accounts
from chalicelib.actions.surveys import personal as answers
from chalicelib.audit import queries as log
from chalicelib.audit import service as audit
from chalicelib.database.base import SCHEMA
from chalicelib.delivery import personal as mails
from chalicelib.tables import personal as tables
from chalicelib.workflows import learners
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow

#: Events in an export; nobody has more of their own.
MAX_EVENTS = 10_000
ERASED = "erased"


@dataclass(frozen=True)
class Person:
    """A learner in one workflow; `row_ids` are more than one where an address stands in several rows."""

    row_ids: tuple[int, ...]
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Erased:
    """What went: rows of the table, messages without content now, answers, events that say nothing of them any more."""

    rows: int
    messages: int
    answers: int
    events: int
    accounts: int


def person(session: Session, workflow_id: int, row_id: int) -> Person:
    """Return who is in this row.

    Raises errors.NotFound when nothing is known of such a learner.
    """
    here = tables.values(session, workflow_id, row_id)
    sent = mails.addresses_of(session, workflow_id, [row_id])
    if not here and not sent and not _is_in_log(session, workflow_id, row_id):
        raise errors.NotFound
    told = {value.strip().lower() for value in here.values() if isinstance(value, str) and _is_address(value)}
    own = [one for one in sorted(told | sent) if set(tables.rows_with(session, workflow_id, one)) <= {row_id}]
    return Person((row_id,), tuple(own))


def person_at(session: Session, workflow_id: int, address: str) -> Person | None:
    """Return who has this address in the workflow; None when nobody has or had."""
    here = tables.rows_with(session, workflow_id, address)
    found = sorted({*here, *mails.row_ids_of(session, workflow_id, address)})
    return Person(tuple(found), (address.lower(),)) if found else None


def export(session: Session, workflow: Workflow, who: Person) -> dict[str, Any]:
    """Return everything that is known of a learner, as JSON can hold it."""
    events = [
        {"at": line.at.isoformat(), "what": line.type, "action": line.action, **line.detail}
        for row_id in who.row_ids
        for line in log.lines(session, log.Search(workflow.id, row_id=row_id), limit=MAX_EVENTS)
    ]
    return {
        "workflow": workflow.name,
        "made_at": clock.now().isoformat(timespec="seconds"),
        "addresses": list(who.addresses),
        "table": [tables.values(session, workflow.id, row_id) for row_id in who.row_ids],
        "earlier_tables": tables.earlier(session, workflow.id, who.row_ids),
        "sent": mails.messages(session, workflow.id, who.row_ids),
        "answers": answers.answers(session, workflow.id, who.row_ids),
        "events": events,
    }


def erase(session: Session, user_id: int, workflow: Workflow, who: Person) -> Erased:
    """Erase a learner from the workflow; what is left are numbers and events without a name.

    Raises errors.Conflict when a mail to them is on its way or the table is locked for more than 3 s.
    """
    mails.forget_choices(
        session, workflow.id, lambda column_id: tables.own_values(session, workflow.id, column_id, who.row_ids),
        who.addresses,
    )  # fmt: skip
    rows = tables.erase(session, workflow, who.row_ids, who.addresses)
    messages, gone = mails.erase(session, workflow.id, who.row_ids, who.addresses)
    row_ids = sorted({*who.row_ids, *gone})
    given = answers.erase(session, workflow.id, row_ids)
    people = learners.forget(session, workflow.id, who.addresses)
    audit.forget_person(session, workflow.id, people)
    session.flush()
    events = audit.forget_learners(session, workflow.id, row_ids)
    for address in who.addresses:
        _scrub(session, workflow.id, address)
    closed = accounts.forget(session, who.addresses)
    mails.forget_suppression(session, who.addresses)
    found = Erased(rows, messages, given, events, closed)
    audit.record(session, "personal_erased", workflow_id=workflow.id, user_id=user_id, **vars(found))
    return found


def workflows_with(session: Session, address: str) -> Sequence[tuple[Workflow, Person]]:
    """Return where an address is known, in all workflows, those in the trash included."""
    found = ((workflow, person_at(session, workflow.id, address)) for workflow in workflows.every(session))
    return [(workflow, who) for workflow, who in found if who is not None]


def _is_address(value: str) -> bool:
    return re.fullmatch(r"\s*[^\s@]+@[^\s@]+\s*", value) is not None


def _is_in_log(session: Session, workflow_id: int, row_id: int) -> bool:
    return bool(log.lines(session, log.Search(workflow_id, row_id=row_id), limit=1))


#: What may hold an address by the way: choices and results of jobs and uploads, reports about many learners.
_PLACES = {
    "job": ("payload", "result"),
    "run_draft": ("fields", "left_out"),
    "run": ("left_out",),
    "schedule": ("payload", "steps", "addresses"),
    "upload": ("understood", "choices", "result"),
    "event": ("detail", "personal"),
    "message": ("values",),
}


def _scrub(session: Session, workflow_id: int, address: str) -> None:
    """Write over the address where it stands among other things."""
    pattern = r"(?<![\w.+-])" + re.escape(address) + r"(?![\w-])"
    run = sa.table("run", sa.column("id"), sa.column("workflow_id"), schema=SCHEMA)
    runs = sa.select(run.c.id).where(run.c.workflow_id == workflow_id)
    for name, columns in _PLACES.items():
        parts: list[sa.ColumnClause[Any]] = [sa.column(part) for part in ("workflow_id", "run_id", *columns)]
        place = sa.table(name, *parts, schema=SCHEMA)
        here = place.c.run_id.in_(runs) if name == "message" else place.c.workflow_id == workflow_id
        for column in columns:
            found = sa.cast(place.c[column], sa.Text)
            clean = sa.cast(sa.func.regexp_replace(found, pattern, ERASED, "gi"), JSONB)
            session.execute(sa.update(place).where(here, found.op("~*")(pattern)).values({column: clean}))
    # News that could not be written down, of whatever workflow: who bounced stands in it.
    letter = sa.table("dead_letter", sa.column("body", sa.Text), schema=SCHEMA)
    body = sa.func.regexp_replace(letter.c.body, pattern, ERASED, "gi")
    session.execute(sa.update(letter).where(letter.c.body.op("~*")(pattern)).values(body=body))


def names_match(typed: str, wanted: Collection[str]) -> bool:
    """Tell whether somebody typed one of the names by which a learner is known."""
    return typed.strip().casefold() in {name.strip().casefold() for name in wanted if name.strip()}
