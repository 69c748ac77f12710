"""Put the rows of an upload and those of the table together: first as numbers to look at, then for good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
        _settle(pair, is_match=pair.column.id in plan.key_columns, replaces=plan.method == REPLACE)
    for wanted in plan.columns:
        if wanted.number in dict(plan.keys) and wanted.target not in plan.key_columns:
            # The same column of the file once more: it is read once, as the key.
            wanted.kind = plan.wanted(wanted.number).kind
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
    session: Session, workflow_id: int, upload_id: int, plan: Plan, existing: Sequence[Column],
    *, samples: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """Count in one statement what the import would do, with examples; see `_summary` for the answer's parts."""
    found = pairs(session, upload_id, plan, existing)
    _check_matching_keys(session, workflow_id, upload_id, plan, existing)
    others = _other_keys(plan, found, existing)
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


def _other_keys(plan: Plan, found: Sequence[Pair], existing: Sequence[Column]) -> list[Column]:
    """Return the keys of the table that could be lost: all but the one that is looked at to recognise learners."""
    alone = plan.key_columns if len(plan.keys) == 1 else set()
    others = [column for column in existing if column.is_key and column.id not in alone]
    if plan.method == REPLACE:
        carried = {pair.column.id for pair in found if pair.wanted.is_key}
        others = [column for column in others if column.id in carried]
    return others


def _compared(plan: Plan, expression: str) -> str:
    """Return SQL for what of a key is compared."""
    if plan.ignore_case:
        expression = f"lower(CAST({expression} AS text))"
    if plan.as_numbers:
        bare = f"regexp_replace(CAST({expression} AS text), '^([+-]?)0+(?=[0-9])', '\\1')"
        # Only a number may lose its end: not the point in a name or an address.
        expression = f"CASE WHEN {bare} ~ '^[+-]?[0-9]+[.]0+$' THEN split_part({bare}, '.', 1) ELSE {bare} END"
    return expression


def _check_matching_keys(
    session: Session, workflow_id: int, upload_id: int, plan: Plan, existing: Sequence[Column]
) -> None:  # fmt: skip
    """Raise errors.Invalid when two rows of the file, or of the table, are one learner by the chosen keys."""
    if not plan.keys or (plan.is_exact and _is_proven(plan)):
        return
    file_key = " || ' / ' || ".join(f"CAST({_compared(plan, f'n{number}')} AS text)" for number, _ in plan.keys)
    source = f"{staging.source(upload_id, plan.kinds(), plan.read_as)} AS n"
    if shared := staging.duplicates(session, source, file_key):
        name = "” and “".join(plan.wanted(number).name for number, _ in plan.keys)
        told = "; ".join(f"“{one['value']}” {one['count']:,} times" for one in shared)
        message = f"Each learner may be in the file once, but “{name}” has {told}. Remove the extra rows from the file."
        raise errors.Invalid(message, {"key_number": message})
    if plan.is_exact:
        return
    table_key = " || ' / ' || ".join(f"CAST({_compared(plan, f'c{one}')} AS text)" for _, one in plan.keys)
    table = f"(SELECT *, row_id AS line FROM {store.table(workflow_id)}) AS o"
    if shared := staging.duplicates(session, table, table_key):
        name = "” and “".join(column.name for column in existing if column.id in plan.key_columns)
        told = "; ".join(f"“{one['value']}” {one['count']:,} times" for one in shared)
        message = f"“{name}” of the table would not tell learners apart: it has {told}."
        raise errors.Invalid(message, {"key_column": message})


def _is_proven(plan: Plan) -> bool:
    """Tell whether an index has shown already that no two rows of the file share the key as it is read."""
    ((number, _),) = plan.keys
    return number in plan.unique and plan.wanted(number).kind == plan.read_as[number]


def _count_loosely(
    session: Session, workflow_id: int, upload_id: int, plan: Plan, found: Sequence[Pair], result: dict[str, Any]
) -> int:  # fmt: skip
    """Return how many would be recognised if case and leading zeros did not matter; 0 when that is not worth a word."""
    texts = any(pair.column.id in plan.key_columns and pair.type == "text" for pair in found)
    if not texts or 2 * result["matched"] >= result["in_file"] or (plan.ignore_case and plan.as_numbers):
        return 0
    loose = replace(plan, ignore_case=True, as_numbers=True)
    matched = session.scalar(text(f"SELECT count(*) FROM {_join(workflow_id, upload_id, loose, 'INNER')}")) or 0
    return matched if matched > result["matched"] else 0


def _join(workflow_id: int, upload_id: int, plan: Plan, kind: str) -> str:
    source = staging.source(upload_id, plan.kinds(), plan.read_as)
    if not plan.keys:
        return f"{store.table(workflow_id)} AS o RIGHT JOIN {source} AS n ON false"
    complete = " AND ".join(f"n{number} IS NOT NULL" for number, _ in plan.keys)
    same = " AND ".join(
        f"{_compared(plan, f'o.c{column_id}')} = {_compared(plan, f'n.n{number}')}" for number, column_id in plan.keys
    )
    return f"{store.table(workflow_id)} AS o {kind} JOIN (SELECT * FROM {source} AS f WHERE {complete}) AS n ON {same}"


def _outcome(pair: Pair, plan: Plan, old: str, new: str, line: str, row: str) -> str:
    """Return SQL for what a cell holds afterwards; `line` and `row` are null where the file or the table has no row."""
    kind = store.TYPES[pair.type]
    if pair.type != pair.wanted.type:
        new = f"CAST({new} AS {kind})"
    is_key = pair.column.id in plan.key_columns
    if plan.method == REPLACE and not is_key:
        return new
    if pair.type != pair.column.type:
        old = f"CAST({old} AS {kind})"
    if is_key:
        return f"coalesce({old}, {new})"
    if plan.rows == "append":
        return f"CASE WHEN {row} IS NULL THEN {new} ELSE {old} END"
    return {
        "keep": f"coalesce({new}, {old})",
        "fill": f"coalesce({old}, {new})",
        "erase": f"CASE WHEN {line} IS NULL THEN {old} ELSE {new} END",
    }[plan.rule(pair.wanted.number)]


def _kept(plan: Plan) -> str:
    return {
        "outer": "true", "append": "true", "left": "row_id IS NOT NULL", "right": "line IS NOT NULL",
        "inner": "row_id IS NOT NULL AND line IS NOT NULL",
    }[plan.rows]  # fmt: skip


BOTH = "row_id IS NOT NULL AND line IS NOT NULL"


def joined(
    workflow_id: int, upload_id: int, plan: Plan, found: Sequence[Pair], others: Sequence[Column]
) -> str:  # fmt: skip
    """Return SQL for all rows of table and file side by side: label, row_id, line, o<column id>, n<number>."""
    labels = [f"coalesce(CAST(o.c{one} AS text), CAST(n.n{number} AS text))" for number, one in plan.keys]
    label = f"concat_ws(' / ', {', '.join(labels)})" if labels else "''"
    cells = {"label": label, "row_id": "o.row_id", "line": "n.line"}
    for pair in found:
        cells[f"o{pair.column.id}"] = f"o.c{pair.column.id}"
        cells[f"n{pair.wanted.number}"] = f"n.n{pair.wanted.number}"
    for column in others:
        cells[f"o{column.id}"] = f"o.c{column.id}"
    shown = ", ".join(f"{expression} AS {name}" for name, expression in cells.items())
    return f"SELECT {shown} FROM {_join(workflow_id, upload_id, plan, 'FULL')}"


def changes(plan: Plan, found: Sequence[Pair]) -> list[tuple[Pair, str, str]]:
    """Return for each column that may change the SQL of what its cells hold afterwards and of whether that differs."""
    listed = []
    for pair in found:
        if pair.column.id in plan.key_columns:
            continue
        old, new = f"o{pair.column.id}", f"n{pair.wanted.number}"
        outcome = _outcome(pair, plan, old, new, "line", "row_id")
        before, after = (old, outcome)
        if pair.type != pair.column.type:
            # As text two types can be compared; 5 and 5.0 are the same for people.
            before, after = f"CAST({old} AS text)", f"CAST({outcome} AS text)"
        listed.append((pair, outcome, f"{BOTH} AND {after} IS DISTINCT FROM {before}"))
    return listed


def _dry_run_sql(
    workflow_id: int, upload_id: int, plan: Plan, found: Sequence[Pair], others: Sequence[Column], limit: int
) -> str:  # fmt: skip
    kept = _kept(plan)
    counts = [
        "count(*) FILTER (WHERE row_id IS NULL) AS new", f"count(*) FILTER (WHERE {BOTH}) AS matched",
        "count(*) FILTER (WHERE line IS NULL) AS missing", f"count(*) FILTER (WHERE {kept}) AS after",
        _sample("jsonb_build_array(label)", "row_id IS NULL", "new_samples", limit),
        _sample("jsonb_build_array(label)", "line IS NULL", "missing_samples", limit),
    ]  # fmt: skip
    outcomes = {column.id: f"o{column.id}" for column in others}
    written = {pair.column.id for pair in found}
    for pair, outcome, differs in changes(plan, found):
        old, new, key = f"o{pair.column.id}", f"n{pair.wanted.number}", pair.column.id
        outcomes[key] = outcome
        counts.append(f"count(*) FILTER (WHERE {differs}) AS changed_{key}")
        counts.append(f"count(*) FILTER (WHERE {BOTH} AND {new} IS NULL AND {old} IS NOT NULL) AS blank_{key}")
        shown = f"jsonb_build_array(label, left(CAST({old} AS text), 80), left(CAST({outcome} AS text), 80))"
        counts.append(_sample(shown, differs, f"samples_{key}", limit))
    for column in others:
        key, value = column.id, _key_outcome(column, plan, found, outcomes)
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
        WITH j AS MATERIALIZED ({joined(workflow_id, upload_id, plan, found, others)})
        SELECT {", ".join(counts)},
               (SELECT count(*) FROM {staging.typed(upload_id)}) AS in_file,
               (SELECT count(*) FROM {store.table(workflow_id)}) AS in_table
        FROM j"""


def _key_outcome(column: Column, plan: Plan, found: Sequence[Pair], outcomes: dict[int, str]) -> str:
    """Return SQL for what an existing key holds afterwards; one that recognises learners is filled from the file."""
    pair = next((one for one in found if one.column.id == column.id), None)
    if pair is not None and column.id in plan.key_columns:
        return _outcome(pair, plan, f"o{column.id}", f"n{pair.wanted.number}", "line", "row_id")
    return outcomes[column.id]


def detail(
    session: Session, workflow_id: int, upload_id: int, plan: Plan, existing: Sequence[Column]
) -> Iterator[tuple[str | None, ...]]:  # fmt: skip
    """Yield every change, as (learner, what, column, before, after): new learners, removed ones, then cells."""
    found = pairs(session, upload_id, plan, existing)
    parts = []
    if plan.rows in {"outer", "right", "append"}:
        parts.append("SELECT 1, line, label, 'new learner', NULL, NULL, NULL FROM j WHERE row_id IS NULL")
    if plan.rows in {"right", "inner"}:
        parts.append("SELECT 2, row_id, label, 'removed', NULL, NULL, NULL FROM j WHERE line IS NULL")
    names = {}
    for place, (pair, outcome, differs) in enumerate(changes(plan, found)):
        names[f"name{place}"] = pair.column.name
        before, after = f"CAST(o{pair.column.id} AS text)", f"CAST({outcome} AS text)"
        parts.append(f"SELECT 3, row_id, label, 'changed', :name{place}, {before}, {after} FROM j WHERE {differs}")
    if not parts:
        return
    joined_rows = joined(workflow_id, upload_id, plan, found, [])
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
    for pair, _, _ in changes(plan, found):
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
            outcome = _outcome(pair, plan, f"o.c{column.id}", f"n.n{pair.wanted.number}", "n.line", "o.row_id")
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
    join = _join(workflow_id, upload_id, plan, JOINS[plan.rows])
    session.execute(text(f"CREATE TABLE {name} AS SELECT {', '.join(cells)} FROM {join}"))
    rows, highest = session.execute(text(f"SELECT count(*), max(row_id) FROM {name}")).one()
    if not rows:
        raise errors.Invalid("No learner would be left. Nothing was changed.")
    store.finish_table(session, name, [], first_free=max(first_free, highest + 1))
    return name, rows
