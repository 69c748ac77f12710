"""What is open to a learner in all workflows, for their home page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.accounts.home import Offer
from chalicelib.accounts.models import User
from chalicelib.actions.kinds import Kind
from chalicelib.actions.serving import visiting
from chalicelib.web.urls import url_for

# Which rows are theirs is asked action by action: each has a filter of its own.
_LINKS = sa.text("""
    SELECT s.token FROM ontask.served_link s
    JOIN ontask.action a ON a.id = s.action_id AND a.deleted_at IS NULL
    JOIN ontask.workflow w ON w.id = a.workflow_id AND w.deleted_at IS NULL
    WHERE s.is_on AND EXISTS (SELECT FROM ontask.learner l WHERE l.workflow_id = w.id AND l.user_id = :user_id)
    ORDER BY s.action_id
""")


@dataclass(frozen=True)
class Standing:
    """How an action stands for a learner, such as that it is answered, and what of it is still to be done and when."""

    note: str
    open: tuple[tuple[str, datetime | None], ...] = ()


#: What a learner's home page says of an action of these kinds.
Status = Callable[[Session, visiting.Visit], Standing]
_statuses: dict[Kind, Status] = {}


def status_of(*kinds: Kind) -> Callable[[Status], Status]:
    """Declare what the home page says of the actions of these kinds."""

    def register(status: Status) -> Status:
        _statuses.update(dict.fromkeys(kinds, status))
        return status

    return register


def open_to(session: Session, user_id: int) -> list[Offer]:
    """Return the actions whose links are open to the user, with how they stand and until when."""
    user = session.get_one(User, user_id)
    offers = []
    for token in session.scalars(_LINKS, {"user_id": user_id}).all():
        visit = visiting.visit(session, token, user, is_learner=True)
        if visit.answer is visiting.Answer.OPEN:
            offers.append(_offer(session, visit, ZoneInfo(user.time_zone)))
    return offers


def _offer(session: Session, visit: visiting.Visit, zone: ZoneInfo) -> Offer:
    status = _statuses.get(Kind(visit.action.kind))
    standing = status(session, visit) if status else Standing("")
    notes = [standing.note] if standing.note else []
    if visit.link.open_until:
        notes.append(f"until {_moment(visit.link.open_until, zone)}")
    parts = tuple((words, _due(due, zone) if due else "") for words, due in standing.open)
    name, url = visit.action.description or visit.action.name, url_for("actions.show_served", token=visit.link.token)
    return Offer(visit.workflow.name, name, url, ", ".join(notes), parts)


def _due(due: datetime, zone: ZoneInfo) -> str:
    return f"{'overdue since' if due < clock.now() else 'due'} {_moment(due, zone)}"


def _moment(moment: datetime, zone: ZoneInfo) -> str:
    local = moment.astimezone(zone)
    return f"{local.day} {local:%B, %H:%M}"
