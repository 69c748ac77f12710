"""Reads for the workflow pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.workflows import models
from chalicelib.workflows.models import Learner, Member, Workflow
from chalicelib.workflows.service import TRASH


@dataclass(frozen=True)
class Card:
    """A workflow as a card of the list."""

    id: int
    name: str
    description: str
    role: str
    row_count: int | None
    column_count: int
    action_count: int
    updated_at: datetime
    deleted_at: datetime | None
    is_starred: bool
    is_new: bool
    shared_by: str


@dataclass(frozen=True)
class Person:
    """Somebody who works on a workflow."""

    user_id: int
    name: str
    email: str
    role: str
    is_new: bool


@dataclass(frozen=True)
class Attribute:
    """A name and a value of the workflow."""

    id: int
    name: str
    value: str


@dataclass(frozen=True)
class Happening:
    """A line of the activity list."""

    at: datetime
    type: str
    who: str
    detail: dict[str, object]
    action_id: int | None
    run_id: int | None


# One statement for all cards; the counts are over tables of other domains, which is why this is plain SQL.
_CARDS = text("""
    SELECT w.id, w.name, w.description, coalesce(m.role, 'administrator') AS role, w.row_count,
           (SELECT count(*) FROM ontask.column c WHERE c.workflow_id = w.id AND c.deleted_at IS NULL) AS column_count,
           (SELECT count(*) FROM ontask.action a WHERE a.workflow_id = w.id AND a.deleted_at IS NULL) AS action_count,
           coalesce((SELECT max(e.at) FROM ontask.event e WHERE e.workflow_id = w.id), w.updated_at) AS updated_at,
           w.deleted_at, coalesce(m.is_starred, false) AS is_starred, coalesce(m.is_new, false) AS is_new,
           coalesce(nullif(u.name, ''), u.email, '') AS shared_by
    FROM ontask.workflow w LEFT JOIN ontask.member m ON m.workflow_id = w.id AND m.user_id = :user_id
    LEFT JOIN ontask."user" u ON u.id = m.shared_by
    WHERE (m.user_id IS NOT NULL OR :everything) AND (w.deleted_at IS NOT NULL) = :in_trash
      AND (NOT :in_trash OR (w.deleted_at > :oldest AND m.role = 'owner'))
      AND (:only = 0 OR w.id = :only)
      AND strpos(lower(unaccent(w.name || ' ' || w.description)), lower(unaccent(CAST(:search AS text)))) > 0
    ORDER BY is_starred DESC, w.deleted_at DESC, lower(w.name), w.id
""")

_HAPPENINGS = text("""
    SELECT e.at, e.type, coalesce(nullif(u.name, ''), u.email, '') AS who, e.detail || e.personal, e.action_id, e.run_id
    FROM ontask.event e LEFT JOIN ontask."user" u ON u.id = e.user_id
    WHERE e.workflow_id = :workflow_id AND e.message_id IS NULL
    ORDER BY e.at DESC, e.id DESC LIMIT :limit
""")


def cards(
    session: Session, user_id: int, *, in_trash: bool = False, only: int = 0, search: str = "",
    everything: bool = False,
) -> list[Card]:  # fmt: skip
    """Return the user's workflows by name, starred ones first; or those in the trash, the latest first.

    `search` is part of a name or description, whatever its case and accents; `everything` adds the workflows of others,
    for administrators.
    """
    values = {
        "user_id": user_id, "in_trash": in_trash, "oldest": clock.now() - TRASH, "only": only, "search": search,
        "everything": everything,
    }  # fmt: skip
    return [Card(*row) for row in session.execute(_CARDS, values)]


def happenings(session: Session, workflow_id: int, limit: int = 12) -> list[Happening]:
    """Return the latest events of the workflow, newest first."""
    rows = session.execute(_HAPPENINGS, {"workflow_id": workflow_id, "limit": limit})
    return [Happening(*row) for row in rows]


def expired_in_trash(session: Session) -> list[int]:
    """Return the workflows whose time in the trash is over."""
    return list(session.scalars(select(Workflow.id).where(Workflow.deleted_at < clock.now() - TRASH)))


def people(session: Session, workflow_id: int) -> list[Person]:
    """Return everybody who works on the workflow: the owner first, then by address."""
    rows = session.execute(
        select(Member.user_id, User.name, User.email, Member.role, Member.is_new)
        .join(User, User.id == Member.user_id)
        .where(Member.workflow_id == workflow_id)
        .order_by(Member.role != WorkflowRole.OWNER, User.email)
    )
    return [Person(*row) for row in rows]


def attributes(session: Session, workflow_id: int) -> list[Attribute]:
    """Return the workflow's attributes by name."""
    one = models.Attribute
    query = select(one.id, one.name, one.value).where(one.workflow_id == workflow_id, one.deleted_at.is_(None))
    return [Attribute(*row) for row in session.execute(query.order_by(func.lower(one.name), one.id))]


def is_member(session: Session, workflow_id: int, user_id: int) -> bool:
    """Tell whether the user works on the workflow, in any role."""
    return session.get(Member, (workflow_id, user_id)) is not None


def is_learner(session: Session, workflow_id: int, user_id: int) -> bool:
    """Tell whether the user is one of the workflow's learners with access."""
    return session.get(Learner, (workflow_id, user_id)) is not None
