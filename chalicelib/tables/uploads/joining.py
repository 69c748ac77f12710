"""The rows of a file and those of the table side by side, in SQL, and what each cell holds afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chalicelib.tables import store
from chalicelib.tables.models import Column
from chalicelib.tables.uploads import staging
from chalicelib.tables.uploads.plan import REPLACE, Plan

if TYPE_CHECKING:
    from chalicelib.tables.uploads.pairing import Pair

BOTH = "row_id IS NOT NULL AND line IS NOT NULL"


def compared(plan: Plan, expression: str) -> str:
    """Return SQL for what of a key is compared."""
    if plan.ignore_case:
        expression = f"lower(CAST({expression} AS text))"
    if plan.as_numbers:
        bare = f"regexp_replace(CAST({expression} AS text), '^([+-]?)0+(?=[0-9])', '\\1')"
        # Only a number may lose its end: not the point in a name or an address.
        expression = f"CASE WHEN {bare} ~ '^[+-]?[0-9]+[.]0+$' THEN split_part({bare}, '.', 1) ELSE {bare} END"
    return expression


def join(workflow_id: int, upload_id: int, plan: Plan, kind: str) -> str:
    """Return SQL of a join of the table, as `o`, and the rows of the file that have a key, as `n`."""
    source = staging.source(upload_id, plan.kinds(), plan.read_as)
    if not plan.keys:
        return f"{store.table(workflow_id)} AS o RIGHT JOIN {source} AS n ON false"
    complete = " AND ".join(f"n{number} IS NOT NULL" for number, _ in plan.keys)
    same = " AND ".join(
        f"{compared(plan, f'o.c{column_id}')} = {compared(plan, f'n.n{number}')}" for number, column_id in plan.keys
    )
    return f"{store.table(workflow_id)} AS o {kind} JOIN (SELECT * FROM {source} AS f WHERE {complete}) AS n ON {same}"


def afterwards(pair: Pair, plan: Plan, old: str, new: str, line: str, row: str) -> str:
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


def kept(plan: Plan) -> str:
    """Return SQL for which rows there are afterwards."""
    return {
        "outer": "true", "append": "true", "left": "row_id IS NOT NULL", "right": "line IS NOT NULL",
        "inner": "row_id IS NOT NULL AND line IS NOT NULL",
    }[plan.rows]  # fmt: skip


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
    return f"SELECT {shown} FROM {join(workflow_id, upload_id, plan, 'FULL')}"


def changes(plan: Plan, found: Sequence[Pair]) -> list[tuple[Pair, str, str]]:
    """Return for each column that may change the SQL of what its cells hold afterwards and of whether that differs."""
    listed = []
    for pair in found:
        if pair.column.id in plan.key_columns:
            continue
        old, new = f"o{pair.column.id}", f"n{pair.wanted.number}"
        outcome = afterwards(pair, plan, old, new, "line", "row_id")
        before, after = (old, outcome)
        if pair.type != pair.column.type:
            # As text two types can be compared; 5 and 5.0 are the same for people.
            before, after = f"CAST({old} AS text)", f"CAST({outcome} AS text)"
        listed.append((pair, outcome, f"{BOTH} AND {after} IS DISTINCT FROM {before}"))
    return listed


def key_outcome(column: Column, plan: Plan, found: Sequence[Pair], outcomes: dict[int, str]) -> str:
    """Return SQL for what an existing key holds afterwards; one that recognises learners is filled from the file."""
    pair = next((one for one in found if one.column.id == column.id), None)
    if pair is not None and column.id in plan.key_columns:
        return afterwards(pair, plan, f"o{column.id}", f"n{pair.wanted.number}", "line", "row_id")
    return outcomes[column.id]
