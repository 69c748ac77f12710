"""What is open to a learner in all workflows, for their home page."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

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

#: What a learner's home page says of an action of these kinds, such as that it is answered.
Status = Callable[[Session, visiting.Visit], str]
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
            status = _statuses.get(Kind(visit.action.kind))
            notes = [status(session, visit)] if status else []
            if visit.link.open_until:
                local = visit.link.open_until.astimezone(ZoneInfo(user.time_zone))
                notes.append(f"until {local.day} {local:%B, %H:%M}")
            url = url_for("actions.show_served", token=token)
            offers.append(
                Offer(visit.workflow.name, visit.action.description or visit.action.name, url, ", ".join(notes))
            )
    return offers
