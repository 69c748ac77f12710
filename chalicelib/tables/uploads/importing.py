"""Carry out a plan: the first table, or a new one in the place of the old. All or nothing, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.audit import service as audit
from chalicelib.tables import queries, store
from chalicelib.tables.columns import keeping
from chalicelib.tables.history import versions
from chalicelib.tables.models import Column
from chalicelib.tables.uploads import merge, pairing, staging
from chalicelib.tables.uploads.kinds import KEY_TYPES
from chalicelib.tables.uploads.models import Upload
from chalicelib.tables.uploads.plan import CREATE, NUMBER_NAME, REPLACE, Plan, Wanted
from chalicelib.workflows import namespace
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow


def check_names(session: Session, workflow_id: int, columns: Sequence[Wanted]) -> None:
    """Raise errors.Invalid, a message for each field `name-<number>`, when texts speak of something else by that name.

    Looked at are the columns that would be new.
    """
    added = [wanted for wanted in columns if not wanted.target]
    taken = namespace.taken_by_others(session, workflow_id, [wanted.name for wanted in added])
    problems = {f"name-{wanted.number}": taken[wanted.name] for wanted in added if wanted.name in taken}
    if problems:
        raise errors.Invalid("Some columns need another name.", problems)


def check_keys(session: Session, upload: Upload, plan: Plan) -> None:
    """Raise errors.Invalid, a message for each field `key-<number>`, when rows share a value of a chosen key."""
    known = {column["number"]: column for column in upload.understood["columns"]}
    problems = {}
    for wanted in plan.columns:
        if not wanted.is_key or (known[wanted.number]["unique"] and wanted.kind == plan.read_as[wanted.number]):
            continue
        source = staging.source(upload.id, {wanted.number: wanted.kind}, plan.read_as)
        if shared := staging.duplicates(session, f"{source} AS n", f"n{wanted.number}"):
            told = "; ".join(f"“{one['value']}” is in {one['count']:,} rows" for one in shared)
            problems[f"key-{wanted.number}"] = f"“{wanted.name}” can't tell learners apart: {told}."
    if problems:
        raise errors.Invalid("A key must have another value for every learner.", problems)


def left_out(session: Session, upload: Upload, plan: Plan) -> int:
    """Return how many rows of the file have no value in one of the chosen keys; a first import leaves them out."""
    keys = [wanted for wanted in plan.columns if wanted.is_key]
    if not keys:
        return 0
    source = staging.source(upload.id, {key.number: key.kind for key in keys}, plan.read_as)
    return session.scalar(text(f"SELECT count(*) FROM {source} AS n WHERE {_has_no_key(keys, 'n')}")) or 0


def _has_no_key(keys: Sequence[Wanted], prefix: str) -> str:
    return " OR ".join(f"{prefix}{key.number} IS NULL" for key in keys)


def carry_out(session: Session, workflow: Workflow, upload: Upload, plan: Plan) -> dict[str, Any]:
    """Import the upload as planned; return what came of it, with the id of the version that undoes it.

    Raises errors.Invalid when the data does not allow it; the transaction must then be rolled back.
    """
    staging.require_tables(session, upload.id)
    check_names(session, workflow.id, plan.columns)
    staging.use_time_zone(session, upload.understood["time_zone"])
    # The table first, as whoever changes a cell does: in the other order both would wait for each other.
    if store.exists(session, store.table(workflow.id)):
        store.lock_for_bulk(session, workflow.id)
    # One bulk change at a time: the second waits here and then meets the table the first one made.
    session.execute(select(Workflow.id).where(Workflow.id == workflow.id).with_for_update())
    if (plan.method == CREATE) == store.exists(session, store.table(workflow.id)):
        raise errors.Conflict("Somebody else changed the table meanwhile. Please look at your choices again.")
    result = (
        _first(session, workflow, upload, plan) if plan.method == CREATE else _merge(session, workflow, upload, plan)
    )
    workflow.row_count = result["rows"]
    workflows.touch(workflow)
    staging.remove(session, upload.id)
    session.flush()
    keeping.data_changed(session, workflow.id)
    return result


def _add_columns(session: Session, workflow_id: int, columns: Sequence[Wanted], keys: set[int]) -> dict[int, int]:
    last = session.scalar(select(func.max(Column.position)).where(Column.workflow_id == workflow_id)) or 0
    rows = {
        wanted.number: Column(
            workflow_id=workflow_id, name=wanted.name, type=wanted.type, is_key=wanted.number in keys,
            position=last + position, created_at=clock.now(),
        )
        for position, wanted in enumerate(columns, 1)
    }  # fmt: skip
    session.add_all(rows.values())
    session.flush()
    return {number: column.id for number, column in rows.items()}


def _first(session: Session, workflow: Workflow, upload: Upload, plan: Plan) -> dict[str, Any]:
    version = versions.keep(session, workflow, upload.user_id, f"Before “{upload.filename}” was added")
    keys = [wanted for wanted in plan.columns if wanted.is_key]
    ids = _add_columns(session, workflow.id, plan.columns, {key.number for key in keys})
    name = store.table(workflow.id)
    if _can_rename(session, upload, plan):
        _take_over(session, upload, keys, ids, name)
    else:
        _select_anew(session, upload, plan, keys, ids, name)
    rows, highest = session.execute(text(f"SELECT count(*), max(row_id) FROM {name}")).one()
    if not rows:
        raise errors.Invalid("No learner would be left: every row lacks a value in one of the keys.")
    key_ids = [ids[key.number] for key in keys]
    if plan.add_number:
        key_ids.append(_number(session, workflow.id, name))
    store.finish_table(session, name, [], first_free=highest + 1)
    _index(session, workflow.id, key_ids)
    audit.record(
        session, "data_uploaded", workflow_id=workflow.id, user_id=upload.user_id, name=upload.filename,
        source=upload.source, rows=rows, columns=len(ids),
        types={wanted.name: wanted.type for wanted in plan.columns},
        keys=[key.name for key in keys], version=version.id,
    )  # fmt: skip
    return {"rows": rows, "columns": len(ids), "version": version.id}


def _can_rename(session: Session, upload: Upload, plan: Plan) -> bool:
    """Whether the table of values is what is wanted, so that no row has to be written again."""
    wanted = {column.number: column.kind for column in plan.columns}
    logged = text("SELECT relpersistence = 'p' FROM pg_class WHERE oid = to_regclass(:name)")
    width = len(upload.understood["sample"][0]) if upload.understood["sample"] else 0
    all_columns = wanted == plan.read_as and len(wanted) == width
    return all_columns and session.scalar(logged, {"name": staging.typed(upload.id)}) is True


def _take_over(session: Session, upload: Upload, keys: Sequence[Wanted], ids: dict[int, int], name: str) -> None:
    source = staging.typed(upload.id)
    if keys:
        session.execute(text(f"DELETE FROM {source} WHERE {_has_no_key(keys, 't')}"))
    wanted = {f"t{key.number}" for key in keys}
    for column, indexes in store.unique_indexes(session, source).items():
        if column not in wanted:
            for index in indexes:
                session.execute(text(f"DROP INDEX {index}"))
    store.rename(session, source, name)
    for number, column_id in ids.items():
        session.execute(text(f"ALTER TABLE {name} RENAME COLUMN t{number} TO c{column_id}"))


def _select_anew(
    session: Session, upload: Upload, plan: Plan, keys: Sequence[Wanted], ids: dict[int, int], name: str
) -> None:  # fmt: skip
    columns = ", ".join(["line AS row_id", *(f"n{number} AS c{column_id}" for number, column_id in ids.items())])
    source = staging.source(upload.id, plan.kinds(), plan.read_as)
    complete = f"WHERE NOT ({_has_no_key(keys, 'n')})" if keys else ""
    try:
        session.execute(text(f"CREATE TABLE {name} AS SELECT {columns} FROM {source} AS n {complete}"))
    except DBAPIError as error:
        if not store.sqlstate(error).startswith("22"):
            raise
        raise errors.Invalid("Some values can't be read as you chose. Please look at your choices again.") from error


def _number(session: Session, workflow_id: int, name: str) -> int:
    wanted = Wanted(0, NUMBER_NAME, "integer", is_key=True)
    column_id = _add_columns(session, workflow_id, [wanted], {0})[0]
    session.execute(text(f"ALTER TABLE {name} ADD COLUMN c{column_id} bigint"))
    session.execute(
        text(f"""
            UPDATE {name} AS t SET c{column_id} = n.number
            FROM (SELECT row_id, row_number() OVER (ORDER BY row_id) AS number FROM {name}) AS n
            WHERE n.row_id = t.row_id""")
    )
    return column_id


def _index(session: Session, workflow_id: int, key_ids: Sequence[int]) -> None:
    try:
        store.create_indexes(session, workflow_id, key_ids)
    except DBAPIError as error:
        if store.sqlstate(error) not in {"23505", "54000"}:
            raise
        message = "A key would have the same value for two learners, or a text too long to tell learners apart by."
        raise errors.Invalid(f"{message} Nothing was changed.") from error


def _merge(session: Session, workflow: Workflow, upload: Upload, plan: Plan) -> dict[str, Any]:
    existing = queries.columns(session, workflow.id)
    summary = merge.dry_run(session, workflow.id, upload.id, plan, existing, samples=False)
    refuse(summary, plan)
    found = pairing.pairs(session, upload.id, plan, existing)
    additional = [wanted for wanted in plan.columns if not wanted.target]
    complete = {wanted.number for wanted in additional if wanted.is_key} if plan.method == REPLACE else set()
    replaced = {pair.column.id for pair in found} if plan.method == REPLACE else None
    before = versions.snapshot(existing)
    new_ids = _add_columns(session, workflow.id, additional, complete)
    name, rows = merge.build(session, workflow.id, upload.id, plan, existing, found, new_ids)
    version = versions.keep(session, workflow, upload.user_id, f"Before “{upload.filename}” was added", existing=before)
    store.rename(session, name, store.table(workflow.id))
    for pair in found:
        pair.column.type = pair.type
        if plan.method == REPLACE and pair.column.id not in plan.key_columns:
            pair.column.is_key = pair.wanted.is_key
    for column in existing:
        if column.id in plan.unmark:
            column.is_key = False
        if replaced is not None and column.id not in replaced:
            column.deleted_at = clock.now()
    session.flush()
    _mark_new_keys(session, workflow.id, plan, new_ids)
    keys = [column.id for column in queries.columns(session, workflow.id) if column.is_key]
    _index(session, workflow.id, keys)
    told = {name: summary[name] for name in ("new", "matched", "dropped", "cells")}
    audit.record(
        session, "data_merged", workflow_id=workflow.id, user_id=upload.user_id, name=upload.filename,
        source=upload.source, rows=rows, rows_before=workflow.row_count, columns_before=len(existing),
        method=plan.method, version=version.id, **told,
        **versions.differences(before, versions.snapshot(queries.columns(session, workflow.id))),
    )  # fmt: skip
    return {"rows": rows, "version": version.id, "added_columns": len(new_ids), **told}


def _mark_new_keys(session: Session, workflow_id: int, plan: Plan, new_ids: dict[int, int]) -> None:
    """Make keys of those new columns that were ticked and have another value for every learner after all."""
    ticked = [new_ids[one.number] for one in plan.columns if one.is_key and not one.target and one.type in KEY_TYPES]
    if plan.method == REPLACE or not ticked:
        return
    counts = ", ".join(f"count(DISTINCT c{key})" for key in ticked)
    rows, *different = session.execute(text(f"SELECT count(*), {counts} FROM {store.table(workflow_id)}")).one()
    for key, count in zip(ticked, different, strict=True):
        if count == rows:
            session.get_one(Column, key).is_key = True
    session.flush()


def refuse(summary: dict[str, Any], plan: Plan) -> None:
    """Raise errors.Invalid when the outcome of a dry run must not be carried out."""
    for problem in summary["disallowed"]:
        values, listed = (", ".join(f"“{value}”" for value in problem[which]) for which in ("values", "allowed"))
        count = f"{problem['count']:,} of the file are none of them"
        more = ", …" if problem["more"] else ""
        raise errors.Invalid(
            f"“{problem['name']}” takes certain values only; {count}: {values}. It takes {listed}{more}."
        )
    if not summary["after"]:
        raise errors.Invalid("No learner would be left. Nothing was changed.")
    for risk in summary["risks"]:
        if risk["id"] in plan.unmark:
            continue
        problem = _risk(risk)
        raise errors.Invalid(problem, {f"unmark-{risk['id']}": f"{problem} Tick the box to stop using it as a key."})


def _risk(risk: dict[str, Any]) -> str:
    count = risk["blanks"] or risk["shared"]
    what = "have no value in it" if risk["blanks"] else "share a value with another"
    learners = "1 learner" if count == 1 else f"{count:,} learners"
    named = ", ".join(f"“{one}”" for one in (risk["rows"] if risk["blanks"] else risk["values"]) if one)
    examples = f" ({named}{', …' if count > merge.SAMPLES else ''})" if named else ""
    return f"“{risk['name']}” could no longer tell learners apart: {learners} would {what}{examples}."
