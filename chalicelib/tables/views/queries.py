"""Reads of views."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.tables.models import View


def listed(session: Session, workflow_id: int) -> list[View]:
    """Return the live views by name."""
    query = select(View).where(View.workflow_id == workflow_id, View.deleted_at.is_(None))
    return list(session.scalars(query.order_by(View.name, View.id)))


def get(session: Session, workflow_id: int, view_id: int, *, in_trash: bool = False, lock: bool = False) -> View:
    """Return the workflow's view, with `lock` so that nobody else changes it in the meantime.

    Raises errors.NotFound when there is none.
    """
    query = (
        select(View)
        .where(View.id == view_id, View.workflow_id == workflow_id)
        .where(View.deleted_at.is_not(None) if in_trash else View.deleted_at.is_(None))
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    view = session.scalar(query)
    if view is None:
        raise errors.NotFound("There is no such view any more.")
    return view


def find(session: Session, workflow_id: int, view_id: int | None) -> View | None:
    """Return the workflow's view, None when there is none any more."""
    view = None if view_id is None else session.get(View, view_id)
    return view if view and view.workflow_id == workflow_id and view.deleted_at is None else None


@dataclass(frozen=True)
class Follower:
    """A message that uses the view: for its rules, or as a file."""

    id: int
    name: str


# Messages are another domain's, which is why this is plain SQL.
_FOLLOWERS = text("""
    SELECT id, name FROM ontask.action WHERE view_id = :view_id AND deleted_at IS NULL ORDER BY name, id
""")


_REPORTS = text("""
    SELECT a.id, a.name FROM ontask.action a JOIN ontask.attachment f ON f.action_id = a.id
    WHERE f.view_id = :view_id AND a.deleted_at IS NULL ORDER BY a.name, a.id
""")


def reports(session: Session, view_id: int) -> list[Follower]:
    """Return the reports that have the view as a file."""
    return [Follower(*row) for row in session.execute(_REPORTS, {"view_id": view_id})]


def followers(session: Session, view_id: int) -> list[Follower]:
    """Return the messages that go to the learners of the view."""
    return [Follower(*row) for row in session.execute(_FOLLOWERS, {"view_id": view_id})]
