"""New columns: with one value for everybody, with values worked out, and copies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.audit import service as audit
from chalicelib.tables import names, queries, store
from chalicelib.tables.columns import formulas, keeping, naming, recipes, shape
from chalicelib.tables.columns.recipes import Recipe
from chalicelib.tables.models import Column
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow


@dataclass(frozen=True)
class Details:
    """What is said of any new column; position 0 is the last one. `allowed` is as stored, None for any value."""

    name: str
    type: str = "text"
    description: str = ""
    position: int = 0
    active_from: datetime | None = None
    active_until: datetime | None = None
    allowed: list[Any] | None = None


def add(session: Session, workflow: Workflow, user_id: int, details: Details, initial: Any = None) -> Column:
    """Add a column with the same value for every learner, or none.

    Raises errors.Invalid with a message for each field that can't stay, errors.Conflict when the table is in use.
    """
    with shape.locked(session, workflow):
        column = _made(session, workflow, details)
        if initial is None:
            store.add_column(session, workflow.id, store.Field(column.id, column.type))
        else:
            _add_with(session, workflow.id, column, initial)
        _record(session, workflow, user_id, "column_added", column)
    return column


def _add_with(session: Session, workflow_id: int, column: Column, value: Any) -> None:
    """Add the column with a value for every learner: as a default of the rows that are there it writes none of them."""
    written = value.isoformat() if isinstance(value, datetime) else str(value)
    session.execute(text("SELECT set_config('ontask.initial', :value, true)"), {"value": written})
    name, kind = store.table(workflow_id), store.TYPES[column.type]
    default = f"DEFAULT CAST(current_setting('ontask.initial') AS {kind})"
    session.execute(text(f"ALTER TABLE {name} ADD COLUMN c{column.id} {kind} {default}"))
    session.execute(text(f"ALTER TABLE {name} ALTER c{column.id} DROP DEFAULT"))


def add_formula(session: Session, workflow: Workflow, user_id: int, details: Details, recipe: Recipe) -> Column:
    """Add a column that is worked out of others; its type follows from them.

    Raises errors.Invalid and errors.Conflict as `add` does.
    """
    with shape.locked(session, workflow):
        check_formula(session, workflow, details, recipe)
        columns = queries.infos(session, workflow.id)
        made = {**vars(details), "type": recipes.result_type(recipe, columns)}
        column = _made(session, workflow, Details(**made), recipe.stored())
        formulas.prepare(session, recipe, workflow.time_zone)
        _fill(session, workflow, {column.id: formulas.expression(recipe, columns)})
        _record(session, workflow, user_id, "column_computed", column)
    return column


def check_formula(session: Session, workflow: Workflow, details: Details, recipe: Recipe) -> None:
    """Raise errors.Invalid with a message for each field of a new formula column that can't stay."""
    if found := recipes.problem(recipe, queries.infos(session, workflow.id)):
        raise errors.Invalid(found, {"sources": found})
    check(session, workflow, details)


def check(session: Session, workflow: Workflow, details: Details) -> None:
    """Raise errors.Invalid with a message for each field of a new column that can't stay."""
    problems = naming.details_problems(details.description, details.active_from, details.active_until)
    if found := naming.name_problem(session, workflow.id, names.tidy(details.name)):
        problems["name"] = found
    if problems:
        raise errors.Invalid(next(iter(problems.values())), problems)


def _fill(session: Session, workflow: Workflow, values: Mapping[int, str], source: str = "") -> None:
    try:
        with session.begin_nested():
            shape.rebuild(session, workflow, values, source=source)
    except DBAPIError as error:
        if not store.sqlstate(error).startswith("22"):
            raise
        raise errors.Invalid(keeping.TOO_LARGE, {"sources": f"{keeping.TOO_LARGE} Nothing was added."}) from error


def add_dealt(
    session: Session, workflow: Workflow, user_id: int, details: Details, recipe: Mapping[str, Any], value: str,
    source: str,
) -> Column:  # fmt: skip
    """Add a column filled by SQL: `value` for each row of the table, joined with `source`. See `groups`."""
    column = _made(session, workflow, details, dict(recipe))
    _fill(session, workflow, {column.id: value}, source)
    _record(session, workflow, user_id, "column_dealt", column)
    return column


def clone(session: Session, workflow: Workflow, user_id: int, original: Column) -> Column:
    """Add a copy of a column with its values and settings as the last one; the copy of a key is a key.

    Raises errors.Conflict when the table is in use.
    """
    with shape.locked(session, workflow):
        column = Column(
            workflow_id=workflow.id, name=naming.copy_name(session, workflow.id, original.name), type=original.type,
            is_key=original.is_key, description=original.description, position=0, created_at=clock.now(),
            allowed_values=original.allowed_values, active_from=original.active_from,
            active_until=original.active_until, in_charts=original.in_charts, recipe=original.recipe,
        )  # fmt: skip
        _insert(session, workflow.id, column, 0)
        shape.rebuild(session, workflow, {column.id: f"o.c{original.id}"})
        if column.is_key:
            store.create_indexes(session, workflow.id, [column.id])
        _record(session, workflow, user_id, "column_copied", column)
    return column


def _made(
    session: Session, workflow: Workflow, details: Details, recipe: dict[str, Any] | None = None
) -> Column:  # fmt: skip
    check(session, workflow, details)
    column = Column(
        workflow_id=workflow.id, name=names.tidy(details.name), type=details.type, is_key=False, position=0,
        description=details.description.strip(), allowed_values=details.allowed, active_from=details.active_from,
        active_until=details.active_until, recipe=recipe, created_at=clock.now(),
    )  # fmt: skip
    _insert(session, workflow.id, column, details.position)
    return column


def _insert(session: Session, workflow_id: int, column: Column, position: int) -> None:
    if len(queries.columns(session, workflow_id)) >= naming.MAX_COLUMNS:
        message = f"A table can have {naming.MAX_COLUMNS:,} columns. Delete one that nobody needs first."
        raise errors.Invalid(message, {"name": message})
    session.add(column)
    session.flush()
    naming.place(session, workflow_id, column, position)


def _record(session: Session, workflow: Workflow, user_id: int, event_type: str, column: Column) -> None:
    workflows.touch(workflow)
    audit.record(
        session, event_type, workflow_id=workflow.id, user_id=user_id, column_id=column.id, name=column.name,
        type=column.type,
    )  # fmt: skip
    session.flush()
