"""Put the rows of an upload and those of the table together: first as numbers to look at, then for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.tables import store
from chalicelib.tables.models import Column
from chalicelib.tables.uploads import staging
from chalicelib.tables.uploads.kinds import KINDS
from chalicelib.tables.uploads.plan import JOINS, REPLACE, Plan, Wanted

SAMPLES = 3
#: How an existing column's type is read from a file that was understood otherwise.
_USUAL_KIND = {
    "integer": "integer_decimals", "double": "double", "boolean": "boolean_words", "datetime": "datetime",
    "text": "text",
}  # fmt: skip


@dataclass
class Pair:
    """An existing column and the column of the file that goes into it; `type` is the column's type afterwards."""

    column: Column
    wanted: Wanted
    type: str


def pairs(session: Session, upload_id: int, plan: Plan, existing: Sequence[Column]) -> list[Pair]:
    """Match the plan's columns with existing ones and settle how they are read, so that the types fit.

    A whole-number column takes decimals by becoming a number. Raises errors.Invalid with a message for the field
    `target-<number>` of each column that holds something which the existing column can't.
    """
    by_id = {column.id: column for column in existing}
    found = [Pair(by_id[wanted.target], wanted, "") for wanted in plan.columns if wanted.target]
    for pair in found:
        _settle(pair, is_match=pair.column.id == plan.key_column, replaces=plan.method == REPLACE)
    anew = {
        pair.wanted.number: pair.wanted.kind
        for pair in found
        if pair.wanted.kind != plan.read_as[pair.wanted.number]
    }  # fmt: skip
    counts = staging.count_misfits(session, upload_id, anew)
    problems = {}
    for pair in found:
        if count := counts.get(pair.wanted.number, 0):
            examples = staging.example_misfits(session, upload_id, pair.wanted.number, pair.wanted.kind)
            line, value = examples[0]
            problems[f"target-{pair.wanted.number}"] = (
                f"“{pair.column.name}” holds values of the type {KINDS[_plain(pair.column.type)].label.split(',')[0]}. "
                f"{count:,} values of the file are none, such as “{value}” in row {line:,}."
            )
    if problems:
        raise errors.Invalid("Some values of the file don't fit into the table.", problems)
    return found


def _plain(column_type: str) -> str:
    return next(name for name, kind in KINDS.items() if kind.type == column_type)


def _settle(pair: Pair, *, is_match: bool, replaces: bool) -> None:
    old, new = pair.column.type, pair.wanted.type
    pair.type = old
    if old == new or (old == "double" and new == "integer"):
        return
    if replaces and not is_match:
        pair.type = new
    elif old == "integer" and new == "double" and not (is_match or pair.column.is_key or pair.wanted.empty):
        pair.type = "double"
    else:
        pair.wanted.kind = _USUAL_KIND[old]


def dry_run(
    session: Session, workflow_id: int, upload_id: int, plan: Plan, existing: Sequence[Column]
) -> dict[str, Any]:  # fmt: skip
    """Count in one statement what the import would do; see `_summary` for the answer's parts."""
    found = pairs(session, upload_id, plan, existing)
    _check_matching_key(session, upload_id, plan)
    others = [column for column in existing if column.is_key and column.id != plan.key_column]
    if plan.method == REPLACE:
        carried = {pair.column.id for pair in found if pair.wanted.is_key}
        others = [column for column in others if column.id in carried]
    query = _dry_run_sql(workflow_id, upload_id, plan, found, others)
    session.execute(text("SET LOCAL work_mem = '64MB'"))
    row = session.execute(text(query)).mappings().one()
    result = _summary(dict(row), plan, found, others)
    kept = {pair.column.id for pair in found}
    result["lost_columns"] = (
        [column.name for column in existing if column.id not in kept] if plan.method == REPLACE else []
    )
    result["disallowed"] = _disallowed(session, upload_id, plan, found)
    return result


def _check_matching_key(session: Session, upload_id: int, plan: Plan) -> None:
    if not plan.key_number:
        return
    source = f"{staging.source(upload_id, plan.kinds(), plan.read_as)} AS n"
    if shared := staging.duplicates(session, source, f"n{plan.key_number}"):
        name = plan.wanted(plan.key_number).name
        told = "; ".join(f"“{one['value']}” {one['count']:,} times" for one in shared)
        message = f"Each learner may be in the file once, but “{name}” has {told}. Remove the extra rows from the file."
        raise errors.Invalid(message, {"key_number": message})


def _join(workflow_id: int, upload_id: int, plan: Plan, kind: str) -> str:
    source = staging.source(upload_id, plan.kinds(), plan.read_as)
    if not plan.key_number:
        return f"{store.table(workflow_id)} AS o RIGHT JOIN {source} AS n ON false"
    known = f"(SELECT * FROM {source} AS f WHERE n{plan.key_number} IS NOT NULL)"
    condition = f"o.c{plan.key_column} = n.n{plan.key_number}"
    return f"{store.table(workflow_id)} AS o {kind} JOIN {known} AS n ON {condition}"


def _outcome(pair: Pair, plan: Plan, old: str, new: str, line: str) -> str:
    """Return SQL for what a cell holds afterwards."""
    kind = store.TYPES[pair.type]
    if pair.type != pair.wanted.type:
        new = f"CAST({new} AS {kind})"
    if plan.method == REPLACE and pair.column.id != plan.key_column:
        return new
    if pair.type != pair.column.type:
        old = f"CAST({old} AS {kind})"
    if pair.column.id == plan.key_column:
        return f"coalesce({old}, {new})"
    return {
        "keep": f"coalesce({new}, {old})",
        "fill": f"coalesce({old}, {new})",
        "erase": f"CASE WHEN {line} IS NULL THEN {old} ELSE {new} END",
    }[plan.wins]


def _kept(plan: Plan) -> str:
    return {
        "outer": "true", "left": "row_id IS NOT NULL", "right": "line IS NOT NULL",
        "inner": "row_id IS NOT NULL AND line IS NOT NULL",
    }[plan.rows]  # fmt: skip


def _dry_run_sql(
    workflow_id: int, upload_id: int, plan: Plan, found: Sequence[Pair], others: Sequence[Column]
) -> str:  # fmt: skip
    keyed = bool(plan.key_number)
    label = f"coalesce(CAST(o.c{plan.key_column} AS text), CAST(n.n{plan.key_number} AS text))" if keyed else "''"
    cells = [f"{label} AS label", "o.row_id", "n.line"]
    changes = []
    for pair in found:
        number = pair.wanted.number
        cells += [f"o.c{pair.column.id} AS o{number}", f"n.n{number} AS n{number}"]
        if pair.column.id != plan.key_column:
            changes.append((number, _outcome(pair, plan, f"o{number}", f"n{number}", "line"), pair))
    present = {pair.column.id for pair in found}
    cells += [f"o.c{column.id} AS k{column.id}" for column in others if column.id not in present]
    both = "row_id IS NOT NULL AND line IS NOT NULL"
    counts = [
        "count(*) FILTER (WHERE row_id IS NULL) AS new", f"count(*) FILTER (WHERE {both}) AS matched",
        "count(*) FILTER (WHERE line IS NULL) AS missing", f"count(*) FILTER (WHERE {_kept(plan)}) AS after",
        _sample("jsonb_build_array(label)", "row_id IS NULL", "new_samples"),
        _sample("jsonb_build_array(label)", "line IS NULL", "missing_samples"),
    ]  # fmt: skip
    for number, outcome, pair in changes:
        same_type = pair.type == pair.column.type
        before, after = (
            (f"o{number}", outcome) if same_type else (f"CAST(o{number} AS text)", f"CAST({outcome} AS text)")
        )
        differs = f"{both} AND {after} IS DISTINCT FROM {before}"
        counts.append(f"count(*) FILTER (WHERE {differs}) AS changed_{number}")
        counts.append(
            f"count(*) FILTER (WHERE {both} AND n{number} IS NULL AND o{number} IS NOT NULL) AS blank_{number}"
        )
        shown = f"jsonb_build_array(label, left(CAST(o{number} AS text), 80), left(CAST({outcome} AS text), 80))"
        counts.append(_sample(shown, differs, f"samples_{number}"))
    for column in others:
        value = next((outcome for _, outcome, pair in changes if pair.column.id == column.id), f"k{column.id}")
        counts.append(f"count(*) FILTER (WHERE {_kept(plan)} AND {value} IS NULL) AS blanks_k{column.id}")
        counts.append(
            f"count({value}) FILTER (WHERE {_kept(plan)}) - count(DISTINCT {value}) FILTER (WHERE {_kept(plan)}) "
            f"AS shared_k{column.id}"
        )
    return f"""
        WITH j AS MATERIALIZED (SELECT {", ".join(cells)} FROM {_join(workflow_id, upload_id, plan, "FULL")})
        SELECT {", ".join(counts)},
               (SELECT count(*) FROM {staging.typed(upload_id)}) AS in_file,
               (SELECT count(*) FROM {store.table(workflow_id)}) AS in_table
        FROM j"""


def _sample(shown: str, condition: str, name: str) -> str:
    picked = f"SELECT {shown} AS x FROM j WHERE {condition} ORDER BY line, row_id LIMIT {SAMPLES}"
    return f"(SELECT coalesce(jsonb_agg(x), '[]') FROM ({picked}) AS picked) AS {name}"


def _summary(row: dict[str, Any], plan: Plan, found: Sequence[Pair], others: Sequence[Column]) -> dict[str, Any]:
    adds, drops = plan.rows in {"outer", "right"}, plan.rows in {"right", "inner"}
    changed = []
    for pair in found:
        number = pair.wanted.number
        if pair.column.id == plan.key_column:
            continue
        changed.append({
            "name": pair.column.name, "changed": row[f"changed_{number}"], "samples": row[f"samples_{number}"],
            "blanks_kept": row[f"blank_{number}"] if plan.wins != "erase" else 0,
            "erased": row[f"blank_{number}"] if plan.wins == "erase" else 0,
            "becomes": pair.type if pair.type != pair.column.type else "",
        })  # fmt: skip
    missing = row["missing"] if plan.key_number else row["in_table"]
    matched_lines = row["new"] + row["matched"]
    return {
        "new": row["new"] if adds else 0, "left_out": 0 if adds else row["new"], "matched": row["matched"],
        "untouched": 0 if drops else missing, "dropped": missing if drops else 0, "after": row["after"],
        "in_file": row["in_file"], "in_table": row["in_table"], "without_key": row["in_file"] - matched_lines,
        "cells": sum(one["changed"] for one in changed), "columns": changed,
        "new_columns": [wanted.name for wanted in plan.columns if not wanted.target],
        "new_samples": [one[0] for one in row["new_samples"]],
        "dropped_samples": [one[0] for one in row["missing_samples"]] if drops else [],
        "risks": [
            {"id": column.id, "name": column.name, "blanks": row[f"blanks_k{column.id}"],
             "shared": row[f"shared_k{column.id}"]}
            for column in others
            if row[f"blanks_k{column.id}"] or row[f"shared_k{column.id}"]
        ],
    }  # fmt: skip


def _disallowed(session: Session, upload_id: int, plan: Plan, found: Sequence[Pair]) -> list[dict[str, Any]]:
    """Return the columns whose list of allowed values lacks some of the file's."""
    problems = []
    for pair in found:
        if pair.column.allowed_values is None:
            continue
        number = pair.wanted.number
        source = staging.source(upload_id, {number: pair.wanted.kind}, plan.read_as)
        allowed = [_as_text(value) for value in pair.column.allowed_values]
        query = f"SELECT DISTINCT CAST(n{number} AS text) FROM {source} AS n WHERE n{number} IS NOT NULL"
        wrong = [value for value in session.scalars(text(query)) if value not in allowed]
        if wrong:
            problems.append({"name": pair.column.name, "values": sorted(wrong)[:SAMPLES], "count": len(wrong)})
    return problems


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def build(
    session: Session, workflow_id: int, upload_id: int, plan: Plan, existing: Sequence[Column],
    found: Sequence[Pair], new_ids: dict[int, int],
) -> tuple[str, int]:  # fmt: skip
    """Make the table that is to take the place of the workflow's; return its name and its number of rows.

    `new_ids` maps the numbers of additional columns to the ids of their rows. Needs `store.lock_for_bulk`.
    """
    name = f"learners.n{int(upload_id)}"
    first_free = store.first_free_row_id(session, workflow_id)
    by_column = {pair.column.id: pair for pair in found}
    cells = [f"coalesce(o.row_id, {first_free - 1} + n.line) AS row_id"]
    for column in existing:
        if pair := by_column.get(column.id):
            outcome = _outcome(pair, plan, f"o.c{column.id}", f"n.n{pair.wanted.number}", "n.line")
            cells.append(f"{outcome} AS c{column.id}")
        elif plan.method != REPLACE:
            cells.append(f"o.c{column.id}")
    for wanted in plan.columns:
        if not wanted.target:
            cells.append(f"n.n{wanted.number} AS c{new_ids[wanted.number]}")
    store.drop(session, name)
    join = _join(workflow_id, upload_id, plan, JOINS[plan.rows])
    session.execute(text(f"CREATE TABLE {name} AS SELECT {', '.join(cells)} FROM {join}"))
    rows, highest = session.execute(text(f"SELECT count(*), max(row_id) FROM {name}")).one()
    if not rows:
        raise errors.Invalid("No learner would be left. Nothing was changed.")
    store.finish_table(session, name, [], first_free=max(first_free, highest + 1))
    return name, rows
