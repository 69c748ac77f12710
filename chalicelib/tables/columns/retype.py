"""Give a column another type: first as numbers and samples to look at, then for good. Both ask the same SQL."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
from chalicelib.tables.columns import keeping, lists, recipes, shape, uses
from chalicelib.tables.history.models import TableVersion
from chalicelib.tables.models import Column
from chalicelib.tables.uploads.kinds import BLANKS, KINDS
from chalicelib.workflows.models import Workflow

#: So many cells that would be lost are listed, with their learners.
LISTED = 20
#: Larger whole numbers are not exact in a column of decimals.
_EXACT = 2**53
_BIGGEST = "9223372036854774784"  # the largest double below 2⁶³

#: How the values of a type can be read: the key is sent by the form.
FROM_TEXT = {
    "integer_decimals": "whole number", "double": "decimal", "double_comma": "decimal, written 1.234,5",
    "double_grouped": "decimal, written 1,234.5", "double_percent": "decimal, written 85%",
    "boolean_words": "yes/no", "datetime": "date and time, written 2026-12-31",
    "datetime_day": "date and time, written 31/12/2026", "datetime_month": "date and time, written 12/31/2026",
}  # fmt: skip
_LABELS = {"integer": "whole number", "double": "decimal", "boolean": "yes/no", "text": "text"}
CHOICES: dict[str, dict[str, str]] = {
    "text": FROM_TEXT,
    "integer": {name: _LABELS[name] for name in ("double", "text", "boolean")},
    "double": {name: _LABELS[name] for name in ("integer", "text", "boolean")},
    "boolean": {name: _LABELS[name] for name in ("text", "integer", "double")},
    "datetime": {"text": "text"},
}
_MOMENT = """to_char({v} AT TIME ZONE current_setting('TimeZone'), CASE
    WHEN date_trunc('minute', {v}) = {v} THEN 'YYYY-MM-DD HH24:MI'
    WHEN date_trunc('second', {v}) = {v} THEN 'YYYY-MM-DD HH24:MI:SS' ELSE 'YYYY-MM-DD HH24:MI:SS.US' END)"""
#: Where {v} is no value of the other type the result is missing.
_CASTS: Mapping[tuple[str, str], str] = {
    ("integer", "double"): f"CASE WHEN {{v}} BETWEEN -{_EXACT} AND {_EXACT} THEN CAST({{v}} AS double precision) END",
    ("integer", "text"): "CAST({v} AS text)",
    ("integer", "boolean"): "CASE {v} WHEN 1 THEN true WHEN 0 THEN false END",
    (
        "double",
        "integer",
    ): (f"CASE WHEN {{v}} = trunc({{v}}) AND abs({{v}}) <= {_BIGGEST} THEN CAST({{v}} AS bigint) END"),
    ("double", "text"): "CAST({v} AS text)",
    ("double", "boolean"): "CASE {v} WHEN 1 THEN true WHEN 0 THEN false END",
    ("boolean", "text"): "CASE WHEN {v} THEN 'yes' WHEN NOT {v} THEN 'no' END",
    ("boolean", "integer"): "CAST({v} AS integer)",
    ("boolean", "double"): "CAST(CAST({v} AS integer) AS double precision)",
    ("datetime", "text"): _MOMENT,
}


@dataclass(frozen=True)
class Preview:
    """What a change of type would do. `lost` cells have no value of the new type; `samples` are (learner, value).

    `emptied` texts are blank and become missing. `refusal`: why it can't be done at all. `broken` are the filters and
    conditions that would be blocked, in words.
    """

    type: str
    total: int
    missing: int
    kept: int
    lost: int
    emptied: int
    samples: list[tuple[str, str]]
    refusal: str
    broken: list[str]


def type_of(column: Column, choice: str) -> str:
    """Return the type that a choice of the form means.

    Raises errors.Invalid (field `to`) when the column's values can't be read like this.
    """
    if choice not in CHOICES[column.type]:
        raise errors.Invalid("Choose a type.", {"to": "Choose what the column should hold."})
    return KINDS[choice].type if column.type == "text" else choice


def _read(column_type: str, choice: str) -> tuple[str, str]:
    """Return SQL for the value to convert, from {v}, and for what it becomes, from r.v."""
    if column_type != "text":
        return "{v}", _CASTS[column_type, choice].format(v="r.v")
    kind = KINDS[choice]
    return f"nullif(btrim({{v}}, {BLANKS}), '')", (
        f"CASE WHEN {kind.misfits('r.v')} THEN NULL ELSE {kind.value('r.v')} END"
    )


def _source(column: Column, choice: str) -> tuple[str, str]:
    """Return SQL that joins what is to be converted as `r` to each row `o`, and SQL for what it becomes."""
    value, made = _read(column.type, choice)
    # OFFSET 0 keeps PostgreSQL from writing the trimmed text out wherever it is asked for.
    return f"CROSS JOIN LATERAL (SELECT {value.format(v=f'o.c{column.id}')} AS v OFFSET 0) AS r", made


def preview(session: Session, workflow: Workflow, column: Column, choice: str) -> Preview:
    """Return what the change would do; nothing is changed.

    Raises errors.Invalid as `type_of` does.
    """
    if workflow.row_count is None:
        raise errors.NotFound
    new_type = type_of(column, choice)
    _use_time_zone(session, workflow)
    source, made = _source(column, choice)
    called = label(session, workflow.id, column)
    old = f"o.c{column.id}"
    found = session.execute(
        text(f"""
            WITH converted AS MATERIALIZED (
                SELECT o.row_id, {called} AS label, {old} AS old, r.v, {made} AS new
                FROM {store.table(workflow.id)} AS o {source})
            SELECT count(*) AS total, count(*) - count(old) AS missing, count(new) AS kept,
                   count(v) - count(new) AS lost, count(old) - count(v) AS emptied,
                   count(new) - count(DISTINCT new) AS shared,
                   (SELECT coalesce(jsonb_agg(jsonb_build_array(label, shown)), '[]') FROM (
                       SELECT label, left(CAST(old AS text), 80) AS shown FROM converted
                       WHERE v IS NOT NULL AND new IS NULL ORDER BY row_id LIMIT {LISTED}) AS listed) AS samples
            FROM converted""")
    ).mappings().one()  # fmt: skip
    return Preview(
        new_type, found["total"], found["missing"], found["kept"], found["lost"], found["emptied"],
        [(sample[0] or "", sample[1]) for sample in found["samples"]],
        _refusal(column, found["lost"] + found["emptied"], found["shared"]) or rubrics.refusal(session, column.id),
        broken(session, workflow, column, new_type),
    )  # fmt: skip


def label(session: Session, workflow_id: int, column: Column) -> str:
    """Return SQL for what a learner is called: the value of the first key, of another column if there is one."""
    keys = [key for key in queries.columns(session, workflow_id) if key.is_key]
    key = next((key for key in keys if key.id != column.id), column)
    return f"CAST(o.c{key.id} AS text)"


def _refusal(column: Column, gaps: int, shared: int) -> str:
    recipe = recipes.formula(column.recipe)
    if recipe is not None and recipe.keep:
        return "This column is kept up to date by a formula. Stop that first, on its page."
    if column.is_key and gaps:
        return "This column tells learners apart, so no value of it may be lost."
    if column.is_key and shared:
        return "Learners could not be told apart any more: some values would become the same."
    return ""


def broken(session: Session, workflow: Workflow, column: Column, new_type: str) -> list[str]:
    """Return the filters, conditions and views that a column of another type would block, in words."""
    infos: dict[int, ColumnInfo] = queries.infos(session, workflow.id)
    infos[column.id] = replace(infos[column.id], type=new_type, allowed_values=None)
    return uses.blocked(session, workflow, infos, [column.id])


def _use_time_zone(session: Session, workflow: Workflow) -> None:
    session.execute(text("SELECT set_config('TimeZone', :zone, true)"), {"zone": workflow.time_zone})


def carry_out(
    session: Session, workflow: Workflow, user_id: int, column: Column, choice: str, *, may_lose: int
) -> TableVersion:
    """Change the type; return the version of the table that undoes it.

    Raises errors.Conflict when more cells than `may_lose` would be lost, or the table is in use; errors.Invalid when
    it can't be done.
    """
    with shape.locked(session, workflow):
        found = preview(session, workflow, column, choice)
        if found.refusal:
            raise errors.Invalid(found.refusal)
        if found.lost > may_lose:
            raise errors.Conflict("The data changed meanwhile: other values would be lost. Please look at them again.")
        allowed = _allowed(session, column, choice)
        source, made = _source(column, choice)
        kind = store.TYPES[found.type]
        version = _rebuilt(session, workflow, column, f"CAST({made} AS {kind})", source, user_id)
        old, column.type, column.allowed_values = column.type, found.type, allowed
        session.flush()
        keeping.data_changed(session, workflow.id, column_ids=[column.id])
        audit.record(
            session, "column_retyped", workflow_id=workflow.id, user_id=user_id, column_id=column.id,
            name=column.name, old=old, new=found.type, kept=found.kept, lost=found.lost, version=version.id,
        )  # fmt: skip
        session.flush()
    return version


def _rebuilt(
    session: Session, workflow: Workflow, column: Column, value: str, source: str, user_id: int
) -> TableVersion:  # fmt: skip
    reason = f"Before “{column.name}” got another type"
    try:
        version = shape.rebuild(session, workflow, {column.id: value}, source=source, keep=reason, user_id=user_id)
    except DBAPIError as error:
        if store.sqlstate(error) not in {shape.UNIQUE_VIOLATION, "54000"}:
            raise
        raise errors.Invalid("The column could not tell learners apart any more. Nothing was changed.") from error
    assert version is not None, "a reason was given"
    return version


def _allowed(session: Session, column: Column, choice: str) -> list[Any] | None:
    """Return the list of allowed values in the new type; None when there was none or nothing of it is left."""
    if not column.allowed_values:
        return None
    value, made = _read(column.type, choice)
    old = f"CAST(a.value AS {store.TYPES[column.type]})"
    found = session.scalars(
        text(f"""
            SELECT to_jsonb({made})
            FROM jsonb_array_elements_text(CAST(:allowed AS jsonb)) WITH ORDINALITY AS a(value, n)
            CROSS JOIN LATERAL (SELECT {value.format(v=old)} AS v OFFSET 0) AS r ORDER BY a.n"""),
        {"allowed": json.dumps(column.allowed_values)},
    )
    converted = list(dict.fromkeys(value for value in found if value is not None))
    return converted if len(converted) >= lists.LEAST else None
