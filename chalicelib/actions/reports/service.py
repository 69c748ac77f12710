"""What goes with a report: attach views, choose the kind of file, take them off again."""

from __future__ import annotations

from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.actions.models import Action
from chalicelib.actions.reports import queries
from chalicelib.actions.reports.kinds import FORMATS, MAX_ATTACHMENTS
from chalicelib.actions.reports.models import Attachment
from chalicelib.audit import service as audit
from chalicelib.tables.views import queries as views


def get(session: Session, action: Action, attachment_id: int) -> Attachment:
    """Return an attached view of the report.

    Raises errors.NotFound when there is none.
    """
    attachment = session.get(Attachment, attachment_id)
    if attachment is None or attachment.action_id != action.id:
        raise errors.NotFound
    return attachment


def attach(session: Session, user_id: int, action: Action, view_id: int | None, kind: str) -> Attachment:
    """Have the report carry a view as a file. `action` must be locked; a view is attached once.

    Raises errors.Invalid (fields `view_id`, `format`) when there is no such view or kind, or too many are attached.
    """
    view = views.find(session, action.workflow_id, view_id)
    there = queries.attachments(session, action.id)
    problems: dict[str, str] = {}
    if view is None:
        problems["view_id"] = "Choose a view."
    elif any(one.view_id == view.id for one in there):
        problems["view_id"] = f"“{view.name}” is attached already."
    elif len(there) >= MAX_ATTACHMENTS:
        problems["view_id"] = f"A report can have {MAX_ATTACHMENTS} files. Take one off first."
    if kind not in FORMATS:
        problems["format"] = "Choose CSV or Excel."
    if problems or view is None:
        raise errors.Invalid(next(iter(problems.values())), problems)
    last = max((one.position for one in there), default=0)
    attachment = Attachment(
        action_id=action.id, view_id=view.id, format=kind, position=last + 1, created_at=clock.now()
    )  # fmt: skip
    session.add(attachment)
    session.flush()
    _record(session, "attachment_added", user_id, action, view.name)
    return attachment


def change(session: Session, user_id: int, action: Action, attachment: Attachment, kind: str) -> None:
    """Have the file be of another kind.

    Raises errors.Invalid when there is no such kind.
    """
    if kind not in FORMATS:
        raise errors.Invalid("Choose CSV or Excel.", {"format": "Choose CSV or Excel."})
    if attachment.format != kind:
        attachment.format = kind
        _record(session, "attachment_changed", user_id, action, _name(session, action, attachment.view_id))


def detach(session: Session, user_id: int, action: Action, attachment: Attachment) -> None:
    """Take the file off; the view stays."""
    session.delete(attachment)
    session.flush()
    _record(session, "attachment_removed", user_id, action, _name(session, action, attachment.view_id))


def copy_all(session: Session, original: Action, twin: Action) -> None:
    """Give the copy of a report its files."""
    for one in queries.attachments(session, original.id):
        session.add(
            Attachment(
                action_id=twin.id, view_id=one.view_id, format=one.format, position=one.position,
                created_at=twin.created_at,
            )
        )  # fmt: skip
    session.flush()


def _name(session: Session, action: Action, view_id: int) -> str:
    view = views.find(session, action.workflow_id, view_id)
    return view.name if view is not None else "a deleted view"


def _record(session: Session, event_type: str, user_id: int, action: Action, view: str) -> None:
    audit.record(
        session, event_type, workflow_id=action.workflow_id, user_id=user_id, action_id=action.id, name=action.name,
        view=view,
    )  # fmt: skip
