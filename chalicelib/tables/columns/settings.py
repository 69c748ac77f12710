"""What people say of a column: its name, who may type what, when learners are asked. Each change can be taken back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.actions.rubrics import queries as rubrics
from chalicelib.audit import service as audit
from chalicelib.tables import names, queries, store
from chalicelib.tables.columns import lists, naming, recipes, shape
from chalicelib.tables.models import Column
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow

#: So many values are named when something is wrong with them.
NAMED = 20
#: More values than this are rarely a list that somebody means.
MANY = 50
_LAST_KEY = "This is the only column that tells learners apart, so it has to stay one."
_KEPT_UP = "This column is kept up to date by a formula. Stop that first, on this page."


@dataclass(frozen=True)
class Settings:
    """Everything that can be said of a column; `allowed` as stored, None for any value."""

    name: str
    description: str
    position: int
    is_key: bool
    allowed: list[Any] | None
    active_from: datetime | None
    active_until: datetime | None
    in_charts: bool

    def stored(self) -> dict[str, Any]:
        """Return them as the event log keeps them."""
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in vars(self).items()}

    def seal(self) -> str:
        """Return a short text by which one notices that somebody else changed them."""
        return hashlib.sha256(json.dumps(self.stored(), sort_keys=True).encode()).hexdigest()[:20]


def of(session: Session, column: Column) -> Settings:
    """Return the column's settings; the position counts from 1."""
    ids = [other.id for other in queries.columns(session, column.workflow_id)]
    return Settings(
        column.name, column.description, ids.index(column.id) + 1, column.is_key, column.allowed_values,
        column.active_from, column.active_until, column.in_charts,
    )  # fmt: skip


def restored(kept: Mapping[str, Any]) -> Settings:
    """Return the settings that `stored` wrote."""
    moments = {name: kept[name] and datetime.fromisoformat(kept[name]) for name in ("active_from", "active_until")}
    return Settings(**{**kept, **moments})


def change(session: Session, workflow: Workflow, user_id: int, column: Column, wanted: Settings) -> int | None:
    """Give the column these settings; return the event by which that is taken back, None when nothing changed.

    Raises errors.Invalid with a message for each field that can't stay, errors.Conflict when the table is in use.
    """
    wanted = replace(wanted, name=names.tidy(wanted.name), description=wanted.description.strip())
    touches_values = wanted.is_key != column.is_key or wanted.allowed != column.allowed_values
    with shape.locked(session, workflow, rows=touches_values):
        session.refresh(column)
        if column.deleted_at is not None:
            raise errors.NotFound
        before = of(session, column)
        if not 1 <= wanted.position <= (last := len(queries.columns(session, workflow.id))):
            wanted = replace(wanted, position=last)
        if wanted == before:
            return None
        _check(session, workflow, column, wanted)
        if wanted.is_key != column.is_key:
            _switch_key(session, workflow.id, column, wanted.is_key)
        column.name, column.description, column.is_key = wanted.name, wanted.description, wanted.is_key
        column.allowed_values, column.in_charts = wanted.allowed, wanted.in_charts
        column.active_from, column.active_until = wanted.active_from, wanted.active_until
        session.flush()
        if wanted.position != before.position:
            naming.place(session, workflow.id, column, wanted.position)
        return _record(session, workflow, user_id, column, before, wanted)


def _record(
    session: Session, workflow: Workflow, user_id: int, column: Column, before: Settings, after: Settings
) -> int:
    workflows.touch(workflow)
    event = audit.record(
        session, "column_renamed" if after.name != before.name else "column_changed", workflow_id=workflow.id,
        user_id=user_id, column_id=column.id, name=column.name, old=before.name, before=before.stored(),
        after=after.stored(),
    )  # fmt: skip
    session.flush()
    return event.id


def _check(session: Session, workflow: Workflow, column: Column, wanted: Settings) -> None:
    problems = naming.details_problems(wanted.description, wanted.active_from, wanted.active_until)
    if wanted.name != column.name and (found := naming.name_problem(session, workflow.id, wanted.name, column.id)):
        problems["name"] = found
    if wanted.is_key != column.is_key and (found := _key_problem(session, workflow.id, column, wanted.is_key)):
        problems["is_key"] = found
    if wanted.allowed != column.allowed_values and (found := rubrics.refusal(session, column.id)):
        problems["allowed"] = found
    elif wanted.allowed != column.allowed_values and wanted.allowed is not None:
        if len(wanted.allowed) < lists.LEAST:
            problems["allowed"] = f"List at least {lists.LEAST} values, or none to allow any."
        elif _is_kept_up(column):
            problems["allowed"] = _KEPT_UP
        elif found := _outside(session, workflow.id, column, wanted.allowed):
            problems["allowed"] = f"The table has other values in this column: {found}. List them or change them first."
    if problems:
        raise errors.Invalid(next(iter(problems.values())), problems)


def _is_kept_up(column: Column) -> bool:
    recipe = recipes.formula(column.recipe)
    return recipe is not None and recipe.keep


def _key_problem(session: Session, workflow_id: int, column: Column, is_key: bool) -> str:
    if not is_key:
        keys = [other for other in queries.columns(session, workflow_id) if other.is_key]
        return _LAST_KEY if len(keys) == 1 else ""
    if _is_kept_up(column):
        return _KEPT_UP
    name = store.table(workflow_id)
    blanks = session.scalar(text(f"SELECT count(*) - count(c{column.id}) FROM {name}"))
    if blanks:
        who = "1 learner has" if blanks == 1 else f"{blanks:,} learners have"
        return f"{who} no value in this column, so it can't tell learners apart."
    shared = session.execute(
        text(f"""
            SELECT left(CAST(c{column.id} AS text), 80), count(*) FROM {name} GROUP BY c{column.id}
            HAVING count(*) > 1 ORDER BY count(*) DESC, c{column.id} LIMIT {NAMED}""")
    ).all()
    if shared:
        return f"Several learners share a value, so it can't tell them apart: {_told(shared)}."
    return ""


def _told(found: Sequence[Any]) -> str:
    return ", ".join(f"“{value}” ({count:,} times)" for value, count in found)


def _switch_key(session: Session, workflow_id: int, column: Column, is_key: bool) -> None:
    if not is_key:
        store.drop_key(session, workflow_id, column.id)
        return
    try:
        store.add_key(session, workflow_id, column.id)
    except errors.Invalid as error:
        raise errors.Invalid(error.message, {"is_key": error.message}) from error


def _outside(session: Session, workflow_id: int, column: Column, allowed: Sequence[Any]) -> str:
    """Return the values in the table that the list lacks, in words; empty when it has them all."""
    kind = store.TYPES[column.type]
    found = session.execute(
        text(f"""
            SELECT left(CAST(c{column.id} AS text), 80), count(*) FROM {store.table(workflow_id)}
            WHERE c{column.id} IS NOT NULL AND c{column.id} NOT IN (
                SELECT CAST(value AS {kind}) FROM jsonb_array_elements_text(CAST(:allowed AS jsonb)) AS a(value))
            GROUP BY c{column.id} ORDER BY count(*) DESC, c{column.id} LIMIT {NAMED}"""),
        {"allowed": json.dumps(list(allowed))},
    ).all()
    return _told(found)


def present(session: Session, workflow: Workflow, column: Column) -> list[Any]:
    """Return the different values that the column has, in their order, as a list of allowed values is stored.

    Raises errors.Invalid when they can't be such a list.
    """
    if workflow.row_count is None:
        raise errors.NotFound
    if column.is_key:
        raise errors.Invalid("This column tells learners apart: every learner has another value.")
    if _is_kept_up(column):
        raise errors.Invalid(_KEPT_UP)
    query = f"SELECT DISTINCT c{column.id} FROM {store.table(workflow.id)} WHERE c{column.id} IS NOT NULL"
    values = list(session.scalars(text(f"{query} ORDER BY 1 LIMIT {lists.MAX_VALUES + 1}")))
    if len(values) < lists.LEAST:
        have = "only one value" if values else "no value"
        raise errors.Invalid(f"This column has {have}; a list of allowed values has at least {lists.LEAST}.")
    if len(values) > lists.MAX_VALUES:
        raise errors.Invalid(f"This column has more than {lists.MAX_VALUES:,} different values: too many for a list.")
    return [value.isoformat() if isinstance(value, datetime) else value for value in values]


def seal_of(values: Sequence[Any]) -> str:
    """Return a short text by which one notices that the values are others by now."""
    return hashlib.sha256(json.dumps(list(values)).encode()).hexdigest()[:20]


def restrict(session: Session, workflow: Workflow, user_id: int, column: Column, seen: str) -> int | None:
    """Allow the values that the column has now, which were shown with the seal `seen`; return the event.

    Raises errors.Conflict when they are others by now, errors.Invalid as `present` does.
    """
    with shape.locked(session, workflow):
        values = present(session, workflow, column)
        if seal_of(values) != seen:
            raise errors.Conflict("The values in the table changed meanwhile. Please look at them again.")
        return change(session, workflow, user_id, column, replace(of(session, column), allowed=values))


def move(session: Session, workflow: Workflow, user_id: int, column: Column, position: int) -> int | None:
    """Put the column at the position, from 1; return the event, None when it was there."""
    return change(session, workflow, user_id, column, replace(of(session, column), position=position))


def take_back(session: Session, workflow: Workflow, user_id: int, detail: Mapping[str, Any]) -> str:
    """Give a column the settings it had before an event; return the words for what happened.

    Raises errors.Conflict when they were changed again meanwhile, errors.Invalid when they don't fit any more.
    """
    if "before" not in detail:
        raise errors.NotFound
    column = queries.column(session, workflow.id, detail["column_id"])
    before, after = restored(detail["before"]), restored(detail["after"])
    now = of(session, column)
    if replace(now, position=0) != replace(after, position=0):
        raise errors.Conflict(f"“{column.name}” was changed again meanwhile, so it was left as it is.")
    change(session, workflow, user_id, column, before)
    return f"“{column.name}” is what it was before."
