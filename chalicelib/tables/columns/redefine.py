"""Give a formula column another formula: first as numbers and samples to look at, then for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.actions.rubrics import queries as rubrics
from chalicelib.audit import service as audit
from chalicelib.formulas.columns import ColumnInfo
from chalicelib.tables import queries, store
from chalicelib.tables.columns import formulas, keeping, recipes, retype, shape
from chalicelib.tables.columns.recipes import Recipe
from chalicelib.tables.history.models import TableVersion
from chalicelib.tables.models import Column
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow

#: So many values are shown with what takes their place.
SHOWN = 10


@dataclass(frozen=True)
class Preview:
    """What another formula would do: cells with another value, cells that get or lose theirs; the others stay.

    `samples` are (learner, before, after). `refusal`: why it can't be done at all. `broken` are the filters, conditions
    and formulas that would be blocked, in words.
    """

    type: str
    changed: int = 0
    filled: int = 0
    emptied: int = 0
    same: int = 0
    samples: Sequence[tuple[str, str | None, str | None]] = ()
    refusal: str = ""
    broken: Sequence[str] = ()


def preview(session: Session, workflow: Workflow, column: Column, recipe: Recipe) -> Preview:
    """Return what the formula would do; nothing is changed.

    Raises errors.Invalid (field `sources`) when it can't be worked out of these columns.
    """
    infos = queries.infos(session, workflow.id)
    columns = queries.columns(session, workflow.id)
    if found := recipes.problem(recipe, infos) or _circle(column, recipe, columns):
        raise errors.Invalid(found, {"sources": found})
    kind = _type(column, recipe, infos)
    formulas.prepare(session, recipe, workflow.time_zone)
    wanted = f"CAST({formulas.expression(recipe, infos)} AS {store.TYPES[kind]})"
    label = retype.label(session, workflow.id, column)
    # As text two types can be compared; 5 and 5.0 are the same for people.
    query = f"""
        WITH worked_out AS MATERIALIZED (
            SELECT o.row_id, {label} AS label, CAST(o.c{column.id} AS text) AS old, CAST({wanted} AS text) AS new
            FROM {store.table(workflow.id)} AS o)
        SELECT count(*) FILTER (WHERE old <> new) AS changed, count(*) FILTER (WHERE old IS NULL AND new IS NOT NULL)
                   AS filled, count(*) FILTER (WHERE old IS NOT NULL AND new IS NULL) AS emptied,
               count(*) FILTER (WHERE old IS NOT DISTINCT FROM new) AS same,
               (SELECT coalesce(jsonb_agg(jsonb_build_array(label, left(old, 80), left(new, 80))), '[]') FROM (
                   SELECT label, old, new FROM worked_out WHERE old IS DISTINCT FROM new
                   ORDER BY row_id LIMIT {SHOWN}) AS listed) AS samples
        FROM worked_out"""
    try:
        with session.begin_nested():
            row = session.execute(text(query)).mappings().one()
    except DBAPIError as error:
        raise _too_large(error) from error
    return Preview(
        kind, row["changed"], row["filled"], row["emptied"], row["same"],
        [(sample[0] or "", sample[1], sample[2]) for sample in row["samples"]],
        _refusal(column) or rubrics.refusal(session, column.id), _broken(session, workflow, column, kind, columns),
    )  # fmt: skip


def _circle(column: Column, recipe: Recipe, columns: Sequence[Column]) -> str:
    """Say which source is itself worked out of the column; empty when none is."""
    made: list[Column] = [column]
    for one in made:  # grows while it is read
        made += [other for other in recipes.made_from(columns, one.id) if other not in made]
    found = next((one for one in made if one.id in recipe.sources), None)
    if found is None:
        return ""
    what = "is this column itself" if found is column else "is itself worked out of this column"
    return f"“{found.name}” {what}, so it can’t be part of the formula."


def _type(column: Column, recipe: Recipe, infos: dict[int, ColumnInfo]) -> str:
    """Return the type of the column afterwards: whole results stay decimals where the column has decimals."""
    kind = recipes.result_type(recipe, infos)
    return column.type if (kind, column.type) == ("integer", "double") else kind


def _refusal(column: Column) -> str:
    if column.is_key:
        return "This column tells learners apart, so its values can't be worked out. Take that off first."
    if column.allowed_values:
        return "This column takes certain values only, so others can't be worked out. Empty the list first."
    return ""


def _broken(
    session: Session, workflow: Workflow, column: Column, kind: str, columns: Sequence[Column]
) -> list[str]:  # fmt: skip
    if kind == column.type:
        return []
    infos = queries.infos(session, workflow.id)
    infos[column.id] = replace(infos[column.id], type=kind)
    formulas_of = [
        f"the column “{other.name}”, which is worked out of this one"
        for other in recipes.made_from(columns, column.id)
        if (recipe := recipes.formula(other.recipe)) is not None and recipes.problem(recipe, infos)
    ]
    return retype.broken(session, workflow, column, kind) + formulas_of


def carry_out(
    session: Session, workflow: Workflow, user_id: int, column: Column, recipe: Recipe, *, may_empty: int
) -> TableVersion:
    """Work the column out by another formula; return the version of the table that undoes it.

    Raises errors.NotFound for a column that people fill, errors.Conflict when more cells than `may_empty` would lose
    their value or the table is in use, errors.Invalid when it can't be done.
    """
    with shape.locked(session, workflow):
        if recipes.formula(column.recipe) is None:
            raise errors.NotFound
        found = preview(session, workflow, column, recipe)
        if found.refusal:
            raise errors.Invalid(found.refusal)
        if found.emptied > may_empty:
            raise errors.Conflict("The data changed meanwhile: other values would be lost. Please look at them again.")
        version = _rebuilt(session, workflow, user_id, column, recipe, found.type)
        old = recipes.words(column.recipe, _names(session, workflow.id))
        column.type, column.recipe = found.type, recipe.stored()
        session.flush()
        keeping.data_changed(session, workflow.id, column_ids=[column.id])
        workflows.touch(workflow)
        audit.record(
            session, "column_redefined", workflow_id=workflow.id, user_id=user_id, column_id=column.id,
            name=column.name, old=old, new=recipes.words(column.recipe, _names(session, workflow.id)),
            cells=found.changed + found.filled + found.emptied, version=version.id,
        )  # fmt: skip
        session.flush()
    return version


def _names(session: Session, workflow_id: int) -> dict[int, str]:
    return {column.id: column.name for column in queries.columns(session, workflow_id)}


def _rebuilt(
    session: Session, workflow: Workflow, user_id: int, column: Column, recipe: Recipe, kind: str
) -> TableVersion:  # fmt: skip
    wanted = f"CAST({formulas.expression(recipe, queries.infos(session, workflow.id))} AS {store.TYPES[kind]})"
    reason = f"Before “{column.name}” got another formula"
    try:
        with session.begin_nested():
            version = shape.rebuild(session, workflow, {column.id: wanted}, keep=reason, user_id=user_id)
    except DBAPIError as error:
        raise _too_large(error) from error
    assert version is not None, "a reason was given"
    return version


def _too_large(error: DBAPIError) -> Any:
    """Return what is said when a result does not fit its type; another error stays what it is."""
    if not store.sqlstate(error).startswith("22"):
        return error
    return errors.Invalid(keeping.TOO_LARGE, {"sources": f"{keeping.TOO_LARGE} Nothing was changed."})
