"""The link of an action: switch it, set when it works, choose who a visitor is, give it another address."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import clock, errors, seals
from chalicelib.actions.models import Action
from chalicelib.actions.serving.models import ServedLink
from chalicelib.audit import service as audit
from chalicelib.database.base import LEARNERS
from chalicelib.delivery.audience import BLANKS
from chalicelib.tables import queries as tables
from chalicelib.workflows.models import Workflow

#: 128 bits: nobody guesses one (RFC 6749 §10.10 asks for as much of what must not be guessed).
TOKEN_BYTES = 16
#: What people call a column of addresses.
_ADDRESS_NAMES = ("email", "e-mail", "mail", "email address", "e-mail address")


@dataclass(frozen=True)
class LinkForm:
    """What somebody filled in."""

    is_on: bool
    open_from: datetime | None
    open_until: datetime | None
    column_id: int | None


def find(session: Session, action_id: int, *, lock: bool = False) -> ServedLink | None:
    """Return the action's link; None while it has never been asked for."""
    query = select(ServedLink).where(ServedLink.action_id == action_id)
    return session.scalar(query.with_for_update() if lock else query)


def candidates(session: Session, workflow: Workflow) -> list[Any]:
    """Return the columns that can hold addresses: texts, those that tell learners apart first."""
    found = tables.columns(session, workflow.id) if workflow.row_count is not None else []
    return sorted((column for column in found if column.type == "text"), key=lambda column: not column.is_key)


def guessed(columns: Sequence[Any], workflow: Workflow) -> int | None:
    """Return the column to begin with: that of the learners with access, or one that is called like addresses."""
    if any(column.id == workflow.learner_column_id for column in columns):
        return workflow.learner_column_id
    named = [column for column in columns if column.name.strip().lower() in _ADDRESS_NAMES]
    return named[0].id if named else None


def shown(link: ServedLink | None) -> dict[str, object]:
    """Return what the form of a link shows, for its seal."""
    if link is None:
        return {"is_on": False, "open_from": None, "open_until": None, "column": None}
    return {
        "is_on": link.is_on, "open_from": _text(link.open_from), "open_until": _text(link.open_until),
        "column": link.column_id,
    }  # fmt: skip


def change(
    session: Session, user_id: int, workflow: Workflow, action: Action, form: LinkForm, *, seen: str = ""
) -> ServedLink:  # fmt: skip
    """Switch the link, set its window and its column; makes it when there is none. `action` must be locked.

    Raises errors.Invalid with a message for each field that can't stay, seals.Stale when somebody else changed it.
    """
    link = find(session, action.id, lock=True)
    before = shown(link)
    _check(session, workflow, form)
    asked = {
        "is_on": form.is_on, "open_from": _text(form.open_from), "open_until": _text(form.open_until),
        "column": form.column_id,
    }  # fmt: skip
    who = audit.who_last(session, workflow.id, ["link_changed", "link_renewed"], action_id=action.id)
    seals.check(seen, before, asked, who=who)
    if link is None:
        now = clock.now()
        link = ServedLink(action_id=action.id, token=_new_token(), created_at=now, changed_at=now)
        session.add(link)
    link.is_on, link.open_from, link.open_until = form.is_on, form.open_from, form.open_until
    link.column_id, link.changed_at = form.column_id, clock.now()
    session.flush()
    if before != asked:
        _record(session, "link_changed", user_id, action, old=before, new=asked)
    return link


def switch(session: Session, user_id: int, workflow: Workflow, action: Action, *, on: bool) -> None:
    """Switch the link on or off and leave the rest. `action` must be locked.

    Raises errors.Invalid when there is no link yet, or it can't be on.
    """
    link = find(session, action.id)
    if link is None:
        raise errors.Invalid("There is no link yet. Make one first.")
    opens = link.open_from, link.open_until
    change(session, user_id, workflow, action, LinkForm(on, *opens, link.column_id))


def renew(session: Session, user_id: int, action: Action, token: str = "") -> str:
    """Give the link another address, or the old one back; return the one it had."""
    link = find(session, action.id, lock=True)
    if link is None:
        raise errors.NotFound
    old, link.token = link.token, token or _new_token()
    link.changed_at = clock.now()
    _record(session, "link_renewed", user_id, action)
    return old


def _new_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)


def _check(session: Session, workflow: Workflow, form: LinkForm) -> None:
    problems: dict[str, str] = {}
    if form.open_from and form.open_until and form.open_from >= form.open_until:
        problems["open_from"] = "It begins after its end."
        problems["open_until"] = "It ends before its beginning."
    if form.column_id is None:
        if form.is_on:
            problems["column"] = "Choose the column that holds the learners’ e-mail addresses."
    elif form.column_id not in {column.id for column in candidates(session, workflow)}:
        problems["column"] = "Choose a column of texts."
    elif form.is_on and (shared := _shared(session, workflow, form.column_id)):
        problems["column"] = f"Several learners have the same value here, such as {shared}. Choose another column."
    if problems:
        raise errors.Invalid("Some fields need another look.", problems)


def _shared(session: Session, workflow: Workflow, column_id: int) -> str:
    """Return a value that more than one row has, in small letters; "" when there is none."""
    value = sa.func.lower(sa.func.btrim(sa.column(f"c{column_id}", sa.Text), BLANKS)).label("value")
    values = sa.select(value).select_from(sa.table(f"w{workflow.id}", schema=LEARNERS)).subquery()
    query = sa.select(values.c.value).where(values.c.value != "").group_by(values.c.value)
    query = query.having(sa.func.count() > 1).limit(1)
    return session.scalar(query) or ""


def _record(session: Session, event_type: str, user_id: int, action: Action, **detail: Any) -> None:
    audit.record(
        session, event_type, workflow_id=action.workflow_id, user_id=user_id, action_id=action.id, name=action.name,
        **detail,
    )  # fmt: skip


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
