"""Formula columns after a change of the data: `data_changed` is called wherever one is finished."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.audit import service as audit
from chalicelib.tables import queries, store
from chalicelib.tables.columns import formulas, recipes, shape
from chalicelib.tables.columns.recipes import Recipe
from chalicelib.tables.models import Column
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow

TOO_LARGE = "A result was too large for a number."
#: PostgreSQL's class of errors that are about values: out of range, too large, underflow.
_DATA = "22"


def data_changed(
    session: Session, workflow_id: int, *, column_ids: Collection[int] | None = None,
    row_ids: Collection[int] | None = None,
) -> list[int]:  # fmt: skip
    """Bring formula columns that are kept up to date in line with the data; return the ids of those worked out.

    Call it last in the transaction of every change to rows or cells: with the columns and rows that changed, or
    without for all of them. Needs the lock that the change itself took.
    """
    kept = _kept(session, workflow_id)
    if not kept:
        return []
    columns = queries.columns(session, workflow_id)
    changed = None if column_ids is None else set(column_ids)
    done = []
    for column, recipe in _in_order(kept):
        if changed is not None and not changed & {*recipe.sources, column.id}:
            continue
        if not problem(column, recipe, columns):
            work_out(session, workflow_id, column, recipe, columns, row_ids)
            done.append(column.id)
            if changed is not None:
                changed.add(column.id)
    return done


def _kept(session: Session, workflow_id: int) -> dict[int, tuple[Column, Recipe]]:
    query = select(Column).where(
        Column.workflow_id == workflow_id, Column.deleted_at.is_(None), Column.recipe["keep"].as_boolean()
    )
    found = ((column, recipes.formula(column.recipe)) for column in session.scalars(query))
    return {column.id: (column, recipe) for column, recipe in found if recipe is not None}


def _in_order(kept: Mapping[int, tuple[Column, Recipe]]) -> list[tuple[Column, Recipe]]:
    """Return the columns such that each comes after those it is worked out of."""
    ordered: dict[int, tuple[Column, Recipe]] = {}
    seen: set[int] = set()

    def add(key: int) -> None:
        if key in kept and key not in seen:
            seen.add(key)
            for source in kept[key][1].sources:
                add(source)
            ordered[key] = kept[key]

    for key in kept:
        add(key)
    return list(ordered.values())


def problem(column: Column, recipe: Recipe, columns: Collection[Column]) -> str:
    """Say why the column can't be worked out any more; empty when it can."""
    infos = {other.id: queries.info(other) for other in columns}
    if found := recipes.problem(recipe, infos):
        return found
    if (kind := recipes.result_type(recipe, infos)) not in {column.type, "integer" if column.type == "double" else ""}:
        return f"It would hold {recipes.HOLDS[kind]} now, and the column holds {recipes.HOLDS[column.type]}."
    return ""


def work_out(
    session: Session, workflow_id: int, column: Column, recipe: Recipe, columns: Collection[Column],
    row_ids: Collection[int] | None = None,
) -> None:  # fmt: skip
    """Work out the column of all rows, or of some; a result out of range leaves it as it is, with the reason."""
    infos = {other.id: queries.info(other) for other in columns}
    wanted = f"CAST({formulas.expression(recipe, infos)} AS {store.TYPES[column.type]})"
    which = "" if row_ids is None else "o.row_id = ANY(:row_ids) AND"
    statement = f"""
        UPDATE {store.table(workflow_id)} AS o SET c{column.id} = {wanted}
        WHERE {which} c{column.id} IS DISTINCT FROM {wanted}"""
    formulas.prepare(session, recipe, _time_zone(session, workflow_id))
    trouble = ""
    try:
        with session.begin_nested():
            session.execute(text(statement), {} if row_ids is None else {"row_ids": list(row_ids)})
    except DBAPIError as error:
        if not store.sqlstate(error).startswith(_DATA):
            raise
        trouble = TOO_LARGE
    if trouble != recipe.problem:
        column.recipe = replace(recipe, problem=trouble).stored()


def _time_zone(session: Session, workflow_id: int) -> str:
    return session.scalar(text("SELECT time_zone FROM ontask.workflow WHERE id = :id"), {"id": workflow_id}) or "UTC"


@dataclass(frozen=True)
class Recomputed:
    """What was done, in words, and the version of the table as it was before, when values may have changed."""

    message: str
    version_id: int | None = None


def recompute(
    session: Session, workflow: Workflow, user_id: int, column: Column, *, keep: bool | None = None
) -> Recomputed:  # fmt: skip
    """Work a formula column out again, and keep it up to date from now on (`keep`) or not any more.

    Without `keep` only the values change. Raises errors.NotFound for a column that people fill, errors.Invalid when it
    can't be worked out, errors.Conflict when the table is in use.
    """
    recipe = recipes.formula(column.recipe)
    if recipe is None:
        raise errors.NotFound
    with shape.locked(session, workflow):
        recipe = replace(recipe, keep=recipe.keep if keep is None else keep, problem="")
        done = Recomputed(f"“{column.name}” is not kept up to date any more; its values stay.")
        if keep is not False:
            columns = queries.columns(session, workflow.id)
            if found := problem(column, recipe, columns) or _hindrance(column, recipe):
                raise errors.Invalid(found)
            version_id = _rewritten(session, workflow, user_id, column, recipe, columns)
            words = f"“{column.name}” is up to date{' and stays so' if recipe.keep else ''}."
            done = Recomputed(words, version_id)
        column.recipe = recipe.stored()
        session.flush()
        if keep is not False:
            data_changed(session, workflow.id, column_ids=[column.id])
        workflows.touch(workflow)
        audit.record(
            session, "column_recomputed", workflow_id=workflow.id, user_id=user_id, column_id=column.id,
            name=column.name, keep=recipe.keep, version=done.version_id,
        )  # fmt: skip
        session.flush()
    return done


def _rewritten(
    session: Session, workflow: Workflow, user_id: int, column: Column, recipe: Recipe, columns: Collection[Column]
) -> int:  # fmt: skip
    """Write the table anew with the column worked out; return the version with what was there."""
    infos = {other.id: queries.info(other) for other in columns}
    wanted = f"CAST({formulas.expression(recipe, infos)} AS {store.TYPES[column.type]})"
    formulas.prepare(session, recipe, workflow.time_zone)
    reason = f"Before “{column.name}” was worked out again"
    try:
        with session.begin_nested():
            version = shape.rebuild(session, workflow, {column.id: wanted}, keep=reason, user_id=user_id)
    except DBAPIError as error:
        if not store.sqlstate(error).startswith(_DATA):
            raise
        raise errors.Invalid(f"{TOO_LARGE} Nothing was changed.") from error
    assert version is not None, "a reason was given"
    return version.id


def _hindrance(column: Column, recipe: Recipe) -> str:
    """Say why the column can't be worked out although the formula could: it takes certain values only."""
    if column.is_key:
        return "This column tells learners apart, so its values can't be worked out. Take that off first."
    if column.allowed_values and recipe.keep:
        return "This column takes certain values only, so it can't be kept up to date. Empty the list first."
    return ""
