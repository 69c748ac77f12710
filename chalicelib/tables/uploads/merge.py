"""Put the rows of an upload and those of the table together: first as numbers to look at, then for good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.tables import store
from chalicelib.tables.models import Column
from chalicelib.tables.uploads import joining, pairing, staging
from chalicelib.tables.uploads.pairing import Pair
from chalicelib.tables.uploads.plan import JOINS, REPLACE, Plan

SAMPLES = 3
#: So many of the values that a column takes are named when the file has others.
LISTED = 20


def dry_run(
    session: Session, workflow_id: int, upload_id: int, plan: Plan, existing: Sequence[Column],
    *, samples: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """Count in one statement what the import would do, with examples; see `_summary` for the answer's parts."""
    found = pairing.pairs(session, upload_id, plan, existing)
    pairing.check_matching_keys(session, workflow_id, upload_id, plan, existing)
    others = pairing.other_keys(plan, found, existing)
    query = _dry_run_sql(workflow_id, upload_id, plan, found, others, SAMPLES if samples else 0)
    session.execute(text("SET LOCAL work_mem = '64MB'"))
    row = session.execute(text(query)).mappings().one()
    result = _summary(dict(row), plan, found, others)
    kept = {pair.column.id for pair in found}
    result["lost_columns"] = (
        [column.name for column in existing if column.id not in kept] if plan.method == REPLACE else []
    )
    result["disallowed"] = _disallowed(session, upload_id, plan, found)
    result["loosely"] = _count_loosely(session, workflow_id, upload_id, plan, found, result)
    return result


def _count_loosely(
    session: Session, workflow_id: int, upload_id: int, plan: Plan, found: Sequence[Pair], result: dict[str, Any]
) -> int:  # fmt: skip
    """Return how many would be recognised if case and leading zeros did not matter; 0 when that is not worth a word."""
    texts = any(pair.column.id in plan.key_columns and pair.type == "text" for pair in found)
    if not texts or 2 * result["matched"] >= result["in_file"] or (plan.ignore_case and plan.as_numbers):
        return 0
    loose = replace(plan, ignore_case=True, as_numbers=True)
    matched = session.scalar(text(f"SELECT count(*) FROM {joining.join(workflow_id, upload_id, loose, 'INNER')}")) or 0
    return matched if matched > result["matched"] else 0


def _dry_run_sql(
    workflow_id: int, upload_id: int, plan: Plan, found: Sequence[Pair], others: Sequence[Column], limit: int
) -> str:  # fmt: skip
    kept = joining.kept(plan)
    counts = [
        "count(*) FILTER (WHERE row_id IS NULL) AS new", f"count(*) FILTER (WHERE {joining.BOTH}) AS matched",
        "count(*) FILTER (WHERE line IS NULL) AS missing", f"count(*) FILTER (WHERE {kept}) AS after",
        _sample("jsonb_build_array(label)", "row_id IS NULL", "new_samples", limit),
        _sample("jsonb_build_array(label)", "line IS NULL", "missing_samples", limit),
    ]  # fmt: skip
    outcomes = {column.id: f"o{column.id}" for column in others}
    written = {pair.column.id for pair in found}
    for pair, outcome, differs in joining.changes(plan, found):
        old, new, key = f"o{pair.column.id}", f"n{pair.wanted.number}", pair.column.id
        outcomes[key] = outcome
        counts.append(f"count(*) FILTER (WHERE {differs}) AS changed_{key}")
        counts.append(f"count(*) FILTER (WHERE {joining.BOTH} AND {new} IS NULL AND {old} IS NOT NULL) AS blank_{key}")
        shown = f"jsonb_build_array(label, left(CAST({old} AS text), 80), left(CAST({outcome} AS text), 80))"
        counts.append(_sample(shown, differs, f"samples_{key}", limit))
    for column in others:
        key, value = column.id, joining.key_outcome(column, plan, found, outcomes)
        counts.append(f"count(*) FILTER (WHERE {kept} AND {value} IS NULL) AS blanks_k{key}")
        if column.id in written:
            counts.append(
                f"count({value}) FILTER (WHERE {kept}) - count(DISTINCT {value}) FILTER (WHERE {kept}) AS shared_k{key}"
            )
            counts.append(
                f"(SELECT coalesce(jsonb_agg(v), '[]') FROM (SELECT CAST({value} AS text) AS v FROM j WHERE {kept} AND "
                f"{value} IS NOT NULL GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT {SAMPLES}) AS s) "
                f"AS shared_values_k{key}"
            )
        else:  # what nobody writes to stays different
            counts += [f"0 AS shared_k{key}", f"CAST('[]' AS jsonb) AS shared_values_k{key}"]
        counts.append(_sample("jsonb_build_array(label)", f"{kept} AND {value} IS NULL", f"blank_rows_k{key}"))
    return f"""
        WITH j AS MATERIALIZED ({joining.joined(workflow_id, upload_id, plan, found, others)})
        SELECT {", ".join(counts)},
               (SELECT count(*) FROM {staging.typed(upload_id)}) AS in_file,
               (SELECT count(*) FROM {store.table(workflow_id)}) AS in_table
        FROM j"""


def detail(
    session: Session, workflow_id: int, upload_id: int, plan: Plan, existing: Sequence[Column]
) -> Iterator[tuple[str | None, ...]]:  # fmt: skip
    """Yield every change, as (learner, what, column, before, after): new learners, removed ones, then cells."""
    found = pairing.pairs(session, upload_id, plan, existing)
    parts = []
    if plan.rows in {"outer", "right", "append"}:
        parts.append("SELECT 1, line, label, 'new learner', NULL, NULL, NULL FROM j WHERE row_id IS NULL")
    if plan.rows in {"right", "inner"}:
        parts.append("SELECT 2, row_id, label, 'removed', NULL, NULL, NULL FROM j WHERE line IS NULL")
    names = {}
    for place, (pair, outcome, differs) in enumerate(joining.changes(plan, found)):
        names[f"name{place}"] = pair.column.name
        before, after = f"CAST(o{pair.column.id} AS text)", f"CAST({outcome} AS text)"
        parts.append(f"SELECT 3, row_id, label, 'changed', :name{place}, {before}, {after} FROM j WHERE {differs}")
    if not parts:
        return
    joined_rows = joining.joined(workflow_id, upload_id, plan, found, [])
    query = f"WITH j AS MATERIALIZED ({joined_rows}) {' UNION ALL '.join(parts)} ORDER BY 1, 2"
    for row in session.execute(text(query), names):
        yield tuple(row[2:])


def _sample(shown: str, condition: str, name: str, limit: int = SAMPLES) -> str:
    if not limit:
        return f"CAST('[]' AS jsonb) AS {name}"
    picked = f"SELECT {shown} AS x FROM j WHERE {condition} ORDER BY line, row_id LIMIT {limit}"
    return f"(SELECT coalesce(jsonb_agg(x), '[]') FROM ({picked}) AS picked) AS {name}"


def _summary(row: dict[str, Any], plan: Plan, found: Sequence[Pair], others: Sequence[Column]) -> dict[str, Any]:
    adds, drops = plan.rows in {"outer", "right", "append"}, plan.rows in {"right", "inner"}
    changed = []
    for pair, _, _ in joining.changes(plan, found):
        key, erases = pair.column.id, plan.rule(pair.wanted.number) == "erase"
        blanks = row[f"blank_{key}"] if plan.rows != "append" else 0
        changed.append({
            "name": pair.column.name, "changed": row[f"changed_{key}"], "samples": row[f"samples_{key}"],
            "blanks_kept": 0 if erases else blanks, "erased": blanks if erases else 0,
            "becomes": pair.type if pair.type != pair.column.type else "",
        })  # fmt: skip
    missing = row["missing"] if plan.keys else row["in_table"]
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
             "shared": row[f"shared_k{column.id}"],
             "rows": [one[0] for one in row[f"blank_rows_k{column.id}"]], "values": row[f"shared_values_k{column.id}"]}
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
            problems.append(
                {"name": pair.column.name, "values": sorted(wrong)[:SAMPLES], "count": len(wrong),
                 "allowed": allowed[:LISTED], "more": len(allowed) > LISTED}
            )  # fmt: skip
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
            outcome = joining.afterwards(
                pair, plan, f"o.c{column.id}", f"n.n{pair.wanted.number}", "n.line", "o.row_id"
            )
            cells.append(f"{outcome} AS c{column.id}")
        elif plan.method != REPLACE:
            cells.append(f"o.c{column.id}")
    for wanted in plan.columns:
        if not wanted.target:
            value = f"n.n{wanted.number}"
            if plan.rows == "append":  # those who are here already stay as they are
                value = f"CASE WHEN o.row_id IS NULL THEN {value} END"
            cells.append(f"{value} AS c{new_ids[wanted.number]}")
    store.drop(session, name)
    join = joining.join(workflow_id, upload_id, plan, JOINS[plan.rows])
    session.execute(text(f"CREATE TABLE {name} AS SELECT {', '.join(cells)} FROM {join}"))
    rows, highest = session.execute(text(f"SELECT count(*), max(row_id) FROM {name}")).one()
    if not rows:
        raise errors.Invalid("No learner would be left. Nothing was changed.")
    store.finish_table(session, name, [], first_free=max(first_free, highest + 1))
    return name, rows
