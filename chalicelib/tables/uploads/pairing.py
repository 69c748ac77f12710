"""Which columns of a file and of the table belong together, how they are read, and whether keys recognise learners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.tables import store
from chalicelib.tables.models import Column
from chalicelib.tables.uploads import joining, staging
from chalicelib.tables.uploads.kinds import KINDS
from chalicelib.tables.uploads.plan import REPLACE, Plan, Wanted

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


def other_keys(plan: Plan, found: Sequence[Pair], existing: Sequence[Column]) -> list[Column]:
    """Return the keys of the table that could be lost: all but the one that is looked at to recognise learners."""
    alone = plan.key_columns if len(plan.keys) == 1 else set()
    others = [column for column in existing if column.is_key and column.id not in alone]
    if plan.method == REPLACE:
        carried = {pair.column.id for pair in found if pair.wanted.is_key}
        others = [column for column in others if column.id in carried]
    return others


def check_matching_keys(
    session: Session, workflow_id: int, upload_id: int, plan: Plan, existing: Sequence[Column]
) -> None:  # fmt: skip
    """Raise errors.Invalid when two rows of the file, or of the table, are one learner by the chosen keys."""
    if not plan.keys or (plan.is_exact and _is_proven(plan)):
        return
    file_key = " || ' / ' || ".join(f"CAST({joining.compared(plan, f'n{number}')} AS text)" for number, _ in plan.keys)
    source = f"{staging.source(upload_id, plan.kinds(), plan.read_as)} AS n"
    if shared := staging.duplicates(session, source, file_key):
        name = "” and “".join(plan.wanted(number).name for number, _ in plan.keys)
        told = "; ".join(f"“{one['value']}” {one['count']:,} times" for one in shared)
        message = f"Each learner may be in the file once, but “{name}” has {told}. Remove the extra rows from the file."
        raise errors.Invalid(message, {"key_number": message})
    if plan.is_exact:
        return
    table_key = " || ' / ' || ".join(f"CAST({joining.compared(plan, f'c{one}')} AS text)" for _, one in plan.keys)
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
