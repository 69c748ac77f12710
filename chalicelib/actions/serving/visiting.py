"""Who may see what at a link: whether it is open, and which row is the visitor's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import clock, errors, signing
from chalicelib.accounts.models import User
from chalicelib.actions.models import Action
from chalicelib.actions.serving.models import ServedLink
from chalicelib.delivery.audience import BLANKS
from chalicelib.formulas import sql
from chalicelib.tables import queries as tables
from chalicelib.workflows import queries as workflows
from chalicelib.workflows.models import Workflow

#: The purpose of notes for frames, and how long they are good for: a slow phone has loaded the frame by then.
NOTE, NOTED = "own row", timedelta(minutes=5)
#: What was opened in time is taken for so long after the end.
NO_GRACE, GRACE = timedelta(0), timedelta(minutes=5)


class Answer(StrEnum):
    """What a visitor of a link is told; all but OPEN show nothing of the action."""

    OPEN = "open"
    OFF = "off"
    EARLY = "early"
    OVER = "over"
    NOT_FOR_YOU = "not for you"


@dataclass(frozen=True)
class Visit:
    """A visitor at a link: what they are told, and the row that is theirs when it is open to them.

    `closed_as` says for a member of the workflow, who may look all the same, what learners are told. `columns` are
    those of the table, where it was looked for the row.
    """

    workflow: Workflow
    action: Action
    link: ServedLink
    user: User
    answer: Answer
    row_id: int | None = None
    is_member: bool = False
    closed_as: Answer = Answer.OPEN
    columns: Sequence[Any] = ()


def at(session: Session, token: str) -> tuple[ServedLink, Action, Workflow]:
    """Return the link of this token with what it leads to.

    Raises errors.NotFound when there is none, or its action or workflow was deleted.
    """
    row = session.execute(
        sa.select(ServedLink, Action, Workflow)
        .join(Action, Action.id == ServedLink.action_id)
        .join(Workflow, Workflow.id == Action.workflow_id)
        .where(ServedLink.token == token, Action.deleted_at.is_(None), Workflow.deleted_at.is_(None))
    ).one_or_none()
    if row is None:
        raise errors.NotFound
    return row[0], row[1], row[2]


def visit(
    session: Session, token: str, user: User, *, is_learner: bool, grace: timedelta = NO_GRACE,
    row_id: int | None = None, known: str = "",
) -> Visit:  # fmt: skip
    """Return what the user may see at the link. `is_learner`: they came with a learner's rights only.

    Members of the workflow see it also while it is closed, and as the learner of `row_id`. `known` is what `note` gave
    for the page around: then the table is not searched again. Raises errors.NotFound as `at` does.
    """
    link, action, workflow = at(session, token)
    state = opened(link, grace)
    member = not is_learner and workflows.is_member(session, workflow.id, user.id)
    columns = _columns(session, workflow) if member or state is Answer.OPEN else []
    if member:
        row = (
            row_id
            or own_row(session, workflow, action, link, user, columns)
            or _first_row(session, workflow, action, columns)
        )
        answer = Answer.OPEN if row else Answer.NOT_FOR_YOU
        return Visit(
            workflow, action, link, user, answer, row, is_member=True, closed_as=state, columns=columns
        )  # fmt: skip
    if state is not Answer.OPEN:
        return Visit(workflow, action, link, user, state)
    row = None
    if _is_let_in(session, workflow, user):
        row = own_row(session, workflow, action, link, user, columns, _noted(known, token, user))
    answer = Answer.OPEN if row else Answer.NOT_FOR_YOU
    return Visit(workflow, action, link, user, answer, row, columns=columns)


def _columns(session: Session, workflow: Workflow) -> Sequence[Any]:
    return tables.columns(session, workflow.id) if workflow.row_count is not None else []


def note(visit: Visit) -> str:
    """Return a note for the frame of a page: whose row was found a moment ago."""
    claims = {"link": visit.link.token, "user": visit.user.id, "row": visit.row_id}
    return signing.sign(NOTE, claims, NOTED)


def _noted(known: str, token: str, user: User) -> int | None:
    claims = signing.read(NOTE, known) if known else None
    is_own = claims is not None and (claims["link"], claims["user"]) == (token, user.id)
    return int(claims["row"]) if claims and is_own else None


def _is_let_in(session: Session, workflow: Workflow, user: User) -> bool:
    """Tell whether the workflow lets the user in; where nobody chose its learners everybody with a row of their own."""
    return workflow.learner_column_id is None or workflows.is_learner(session, workflow.id, user.id)


def opened(link: ServedLink, grace: timedelta = NO_GRACE) -> Answer:
    """Return whether the link works now; after its end for `grace` longer."""
    now: datetime = clock.now()
    if not link.is_on:
        return Answer.OFF
    if link.open_from and now < link.open_from:
        return Answer.EARLY
    if link.open_until and now >= link.open_until + grace:
        return Answer.OVER
    return Answer.OPEN


def own_row(
    session: Session, workflow: Workflow, action: Action, link: ServedLink, user: User, columns: Sequence[Any],
    known: int | None = None,
) -> int | None:  # fmt: skip
    """Return the row of the user's address if the filter lets it through; None when several rows have the address.

    `columns` are those of the table; there are none where there is no table. That the row `known` is the only one was
    seen a moment ago; it is theirs only if it still has their address.
    """
    if all(column.id != link.column_id for column in columns):
        return None
    table, chosen = _chosen(workflow, action, columns)
    address = sa.func.lower(sa.func.btrim(sa.cast(table.c[f"c{link.column_id}"], sa.Text), BLANKS))
    # Whose row it is must be plain before the filter is asked: it could let through one of two with the same address.
    query = sa.select(table.c.row_id, chosen.label("holds")).where(address == user.email.strip().lower()).limit(2)
    rows = session.execute(query if known is None else query.where(table.c.row_id == known)).all()
    return rows[0].row_id if len(rows) == 1 and rows[0].holds else None


def _first_row(session: Session, workflow: Workflow, action: Action, columns: Sequence[Any]) -> int | None:
    if workflow.row_count is None:
        return None
    table, chosen = _chosen(workflow, action, columns)
    return session.scalar(sa.select(sa.func.min(table.c.row_id)).where(chosen))


def _chosen(workflow: Workflow, action: Action, columns: Sequence[Any]) -> tuple[Any, sa.ColumnElement[bool]]:
    """Return the table of learners and the test for the filter; a filter that can't be run lets nobody through."""
    infos = {column.id: tables.info(column) for column in columns}
    table = sql.learners(workflow.id, infos)
    try:
        return table, sql.condition(action.filter, infos, table, workflow.time_zone)
    except errors.Invalid:
        return table, sa.false()
