"""Rubrics: insert and create criteria, put them in order, remove them; write what a level says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import clock, errors, seals
from chalicelib.actions import html
from chalicelib.actions.language import Names, TemplateError, names_to_ids, references, renumber
from chalicelib.actions.language.rubric import is_blank
from chalicelib.actions.models import Action
from chalicelib.actions.rubrics import queries
from chalicelib.actions.rubrics.models import Criterion, RubricCell
from chalicelib.actions.rubrics.queries import Line
from chalicelib.audit import service as audit
from chalicelib.tables import queries as tables
from chalicelib.tables.columns import create as table_columns
from chalicelib.tables.columns.create import Details
from chalicelib.workflows.models import Workflow

MAX_CRITERIA = 50
#: The longest description or feedback, in characters of its HTML.
MAX_LENGTH = 20_000
EVENTS = ("rubric_cell_changed",)


@dataclass(frozen=True)
class Writing:
    """What somebody wrote into a cell, with names; `seen` is the seal of what was shown."""

    description: str
    feedback: str
    seen: str = ""


def get(session: Session, action: Action, criterion_id: int, *, in_trash: bool = False) -> Criterion:
    """Return a criterion of the rubric.

    Raises errors.NotFound when there is none.
    """
    criterion = session.get(Criterion, criterion_id)
    if criterion is None or criterion.action_id != action.id or (criterion.deleted_at is not None) != in_trash:
        raise errors.NotFound
    return criterion


def insert(session: Session, user_id: int, action: Action, column_ids: Sequence[int]) -> list[Criterion]:
    """Make criteria of columns that are there, in the order given. `action` must be locked.

    Raises errors.Invalid (field `columns`) when there is none, or one can't be a criterion here, with the reason.
    """
    columns = {column.id: column for column in tables.columns(session, action.workflow_id)}
    made: list[Criterion] = []
    for column_id in dict.fromkeys(column_ids):
        grid = queries.grid(session, action.id, columns.values())
        column = columns.get(column_id)
        first = next((line.column for line in grid.lines if line.levels), None)
        reason = queries.problem(column, first)
        if column is None:
            reason = "One of these columns is not there any more."
        elif any(line.criterion.column_id == column_id for line in grid.lines):
            reason = f"“{column.name}” is a criterion already."
        elif reason:
            reason = f"“{column.name}”: {reason}"
        if reason:
            raise errors.Invalid(reason, {"columns": reason})
        made.append(_add(session, user_id, action, column_id))
    if not made:
        message = "Tick at least one column."
        raise errors.Invalid(message, {"columns": message})
    return made


def create(session: Session, workflow: Workflow, user_id: int, action: Action, details: Details) -> Criterion:
    """Add a column, whose values are the levels, and make it a criterion. `action` must be locked.

    Beside other criteria the type and the levels are theirs. Raises errors.Invalid with a message for each field that
    can't stay, errors.Conflict when the table is in use.
    """
    grid = queries.grid(session, action.id, tables.columns(session, workflow.id))
    if first := next((line.column for line in grid.lines if line.levels), None):
        details = Details(**{**vars(details), "type": first.type, "allowed": list(first.allowed_values)})
    if not details.allowed:
        message = "List the levels, such as: excellent, good, weak."
        raise errors.Invalid(message, {"levels": message})
    _check_room(session, action)
    column = table_columns.add(session, workflow, user_id, details)
    return _add(session, user_id, action, column.id)


def _add(session: Session, user_id: int, action: Action, column_id: int) -> Criterion:
    _check_room(session, action)
    last = max((one.position for one in queries.criteria(session, action.id)), default=0)
    criterion = Criterion(action_id=action.id, column_id=column_id, position=last + 1, created_at=clock.now())
    session.add(criterion)
    session.flush()
    record(session, "criterion_added", user_id, action, criterion)
    return criterion


def _check_room(session: Session, action: Action) -> None:
    if len(queries.criteria(session, action.id)) >= MAX_CRITERIA:
        message = f"A rubric can have {MAX_CRITERIA} criteria. Remove one first."
        raise errors.Invalid(message, {"columns": message, "name": message})


def remove(session: Session, user_id: int, action: Action, criterion: Criterion) -> None:
    """Take a criterion out with what its levels say; the column stays. `restore` brings it back."""
    criterion.deleted_at = clock.now()
    record(session, "criterion_removed", user_id, action, criterion)


def restore(session: Session, user_id: int, action: Action, criterion: Criterion) -> None:
    """Bring a criterion back with what its levels said.

    Raises errors.Conflict when its column is a criterion again.
    """
    if any(one.column_id == criterion.column_id for one in queries.criteria(session, action.id)):
        raise errors.Conflict("Its column is a criterion again already.")
    criterion.deleted_at = None
    record(session, "criterion_restored", user_id, action, criterion)


def move(session: Session, user_id: int, action: Action, criterion: Criterion, step: int) -> None:
    """Put the criterion before the one above it (-1) or behind the one below (1). `action` must be locked."""
    order = queries.criteria(session, action.id)
    at = order.index(criterion)
    order.insert(max(0, at + step), order.pop(at))
    for position, one in enumerate(order, 1):
        one.position = position
    record(session, "criterion_moved", user_id, action, criterion)


def shown(cell: RubricCell | None) -> dict[str, str]:
    """Return what the form of a cell shows, as it is stored."""
    return {"description": cell.description if cell else "", "feedback": cell.feedback if cell else ""}


def write(
    session: Session, user_id: int, action: Action, line: Line, key: str, wanted: Writing, names: Names,
    time_zone: str = "UTC",
) -> list[str]:  # fmt: skip
    """Store what a level of a criterion says; return what was taken out because it can't be in a mail.

    `action` must be locked. Raises errors.NotFound when the criterion has no such level, errors.Invalid with a message
    for each field that can't be used, seals.Stale when somebody else changed the cell meanwhile.
    """
    if all(level.key != key for level in line.levels):
        raise errors.NotFound("The rubric does not have this level any more.")
    problems: dict[str, str] = {}
    removed: list[str] = []
    made = {
        "description": _cleaned(wanted.description, "description", None, problems, removed),
        "feedback": _cleaned(wanted.feedback, "feedback", names, problems, removed),
    }
    if problems:
        raise errors.Invalid(next(iter(problems.values())), problems)
    cell = session.scalar(select(RubricCell).where(RubricCell.criterion_id == line.id, RubricCell.level == key))
    before = shown(cell)
    if made == before:
        return removed
    who = audit.who_last(
        session, action.workflow_id, EVENTS, time_zone=time_zone, action_id=action.id, criterion_id=line.id, level=key
    )
    seals.check(wanted.seen, before, made, who=who)
    if cell is None:
        cell = RubricCell(criterion_id=line.id, level=key)
        session.add(cell)
    cell.description, cell.feedback = made["description"], made["feedback"]
    action.updated_at = clock.now()
    record(session, "rubric_cell_changed", user_id, action, line.criterion, criterion_id=line.id, level=key)
    return removed


def _cleaned(source: str, field: str, names: Names | None, problems: dict[str, str], removed: list[str]) -> str:
    """Return a text of a cell as it is stored; without `names` its tags are words like others."""
    if len(source) > MAX_LENGTH:
        problems[field] = f"Use at most {MAX_LENGTH:,} characters; this has {len(source):,}."
        return ""
    try:
        stored = names_to_ids(source, names) if names is not None else source
        cleaned, gone = html.clean(stored)
        if names is not None:
            references(cleaned)
    except TemplateError as error:
        problems[field] = error.fields["text"]
        return ""
    if outside := html.displaced(stored):
        problems[field] = f"“{outside[:60]}” stands in a table but in none of its cells. Put it into a cell."
    removed += gone
    return "" if is_blank(cleaned) else cleaned


def copy_all(session: Session, original: Action, twin: Action, conditions: dict[str, str]) -> None:
    """Give the copy of an action the criteria and cells of the original; `conditions` maps references to new ones."""
    for criterion in queries.criteria(session, original.id):
        made = Criterion(
            action_id=twin.id, column_id=criterion.column_id, position=criterion.position, created_at=twin.created_at
        )  # fmt: skip
        session.add(made)
        session.flush()
        for cell in session.scalars(select(RubricCell).where(RubricCell.criterion_id == criterion.id)).all():
            session.add(
                RubricCell(
                    criterion_id=made.id, level=cell.level, description=cell.description,
                    feedback=renumber(cell.feedback, conditions),
                )
            )  # fmt: skip


def record(
    session: Session, event_type: str, user_id: int, action: Action, criterion: Criterion | None = None, **detail: Any
) -> int:
    """Add an event of the rubric; return its id."""
    if criterion is not None:
        detail["column_id"] = criterion.column_id
    event = audit.record(
        session, event_type, workflow_id=action.workflow_id, user_id=user_id, action_id=action.id, name=action.name,
        **detail,
    )  # fmt: skip
    session.flush()
    return event.id
