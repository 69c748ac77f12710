"""Reads of what goes with a report: its views, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.actions.reports.models import Attachment
from chalicelib.formulas.check import Columns, check
from chalicelib.tables.views import queries as views


@dataclass(frozen=True)
class File:
    """An attached view, None when it was deleted; `problem` says why the report can't have it as it is."""

    attachment: Attachment
    view: Any
    columns: tuple[Any, ...] = ()
    problem: str = ""

    @property
    def id(self) -> int:
        """The attachment's id."""
        return self.attachment.id

    @property
    def name(self) -> str:
        """What the view is called."""
        return self.view.name if self.view is not None else "A deleted view"


def attachments(session: Session, action_id: int) -> list[Attachment]:
    """Return what is attached to a report, in its order."""
    query = sa.select(Attachment).where(Attachment.action_id == action_id)
    return list(session.scalars(query.order_by(Attachment.position, Attachment.id)))


def with_view(session: Session, view_id: int) -> list[int]:
    """Return the ids of the reports that have the view as a file."""
    return list(session.scalars(sa.select(Attachment.action_id).where(Attachment.view_id == view_id)))


def files(
    session: Session, action_id: int, workflow_id: int, columns: Columns, time_zone: str
) -> list[File]:  # fmt: skip
    """Return the attached views of a report with their columns."""
    rows = attachments(session, action_id)
    by_id = {view.id: view for view in views.listed(session, workflow_id)} if rows else {}
    return [_file(row, by_id.get(row.view_id), columns, time_zone) for row in rows]


def _file(row: Attachment, view: Any, columns: Columns, time_zone: str) -> File:
    if view is None:
        return File(row, None, problem="This view was deleted. Bring it back, or take it off the report.")
    shown = tuple(columns[key] for key in view.columns if key in columns)
    return File(row, view, shown, _problem(view, columns, time_zone))


def _problem(view: Any, columns: Columns, time_zone: str) -> str:
    gone = sum(key not in columns for key in view.columns)
    if gone:
        lost = "One of its columns was" if gone == 1 else f"{gone} of its columns were"
        return f"{lost} deleted. Open the view and save it with the columns it should have."
    if view.filter is not None:
        try:
            check(view.filter, columns, time_zone)
        except errors.Invalid as error:
            return f"Its rules can’t be used any more. {error.message}"
    return ""


def unattached(session: Session, workflow_id: int, found: Iterable[File]) -> list[Any]:
    """Return the views that can be attached still."""
    taken = {file.attachment.view_id for file in found}
    return [view for view in views.listed(session, workflow_id) if view.id not in taken]
