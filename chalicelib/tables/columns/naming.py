"""The checks that hold for a column however it is made: its name, its description, its window, its place."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from chalicelib.tables import names, queries
from chalicelib.tables.models import Column
from chalicelib.workflows import namespace

MAX_DESCRIPTION_LENGTH = 2048
#: PostgreSQL has room for 1,600 columns, those that were deleted but can come back among them.
MAX_COLUMNS = 1200


def name_problem(session: Session, workflow_id: int, name: str, but: int = 0) -> str:
    """Say why a tidied name can't be a column's; empty when it can."""
    return names.problem(name) or namespace.taken(session, workflow_id, name, but=f"c{but}" if but else "")


def details_problems(description: str, active_from: datetime | None, active_until: datetime | None) -> dict[str, str]:
    """Return what is wrong with a description and an active window, by field."""
    problems = {}
    if len(description) > MAX_DESCRIPTION_LENGTH:
        problems["description"] = f"Use at most {MAX_DESCRIPTION_LENGTH:,} characters; this has {len(description):,}."
    if active_from and active_until and active_from >= active_until:
        problems["active_until"] = "The end must come after the beginning."
    return problems


def copy_name(session: Session, workflow_id: int, name: str) -> str:
    """Return the name of a copy: "Copy of …", as often as it takes."""
    while name_problem(session, workflow_id, name := f"Copy of {name}"[: names.MAX_NAME_LENGTH]):
        if len(name) == names.MAX_NAME_LENGTH:
            taken = {column.name for column in queries.columns(session, workflow_id)}
            return names.unused(name, taken)
    return name


def place(session: Session, workflow_id: int, column: Column, position: int) -> None:
    """Put the column at a position from 1 on (0, or one beyond the last: at the end); the others make room."""
    others = [other for other in queries.columns(session, workflow_id) if other.id != column.id]
    at = position - 1 if 1 <= position <= len(others) else len(others)
    number([*others[:at], column, *others[at:]])


def number(columns: list[Column]) -> None:
    """Give the columns the positions 1 to n."""
    for position, column in enumerate(columns, 1):
        if column.position != position:
            column.position = position
