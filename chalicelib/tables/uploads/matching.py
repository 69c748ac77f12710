"""By which columns the learners of a file are most likely those of the table: tried on the first rows of the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.tables import store
from chalicelib.tables.models import Column
from chalicelib.tables.uploads import staging
from chalicelib.tables.uploads.models import Upload
from chalicelib.tables.uploads.plan import Wanted, default_key, default_targets

#: So many rows of the file tell enough, and no more than so many pairs of columns are tried.
TRIED_ROWS, TRIED_PAIRS = 300, 12
#: What finds are worth whose other values can not be compared; from 0 (all of them differ) to 1 (all agree).
#: Marks happen to be other people's numbers, so whole numbers in columns of other names prove nothing then.
UNKNOWN_AGREEMENT = 0.5


def propose(
    session: Session, upload: Upload, columns: Sequence[Wanted], existing: Sequence[Column]
) -> dict[str, Any]:  # fmt: skip
    """Return the pair of columns that finds most learners and whose finds agree in the other columns.

    `pair` is (number, column id), `found` of `tried` rows of the file are in the table by it; empty when no pair finds
    anybody. Numbers of participants find somebody in any course: only the other columns tell that it is somebody else.
    """
    targets = default_targets(columns, existing)
    read_as = {column["number"]: column["kind"] for column in upload.understood["columns"]}
    unique = {column["number"] for column in upload.understood["columns"] if column["unique"]}
    pairs = [
        (column.number, key.id)
        for column, key in product(columns, existing)
        if key.is_key and key.type == column.type and column.number in unique
    ]
    # Names decide between pairs that are as good.
    first = default_key(columns, targets, existing)
    pairs.sort(key=lambda pair: (pair != first, targets.get(pair[0]) != pair[1]))
    best: dict[str, Any] = {}
    best_worth = 0.0
    for pair in pairs[:TRIED_PAIRS]:
        tried, found, agreement = _try(session, upload, columns, existing, pair, targets, read_as)
        if found * agreement > best_worth:
            best, best_worth = {"pair": list(pair), "found": found, "tried": tried}, found * agreement
    return best


def _try(
    session: Session, upload: Upload, columns: Sequence[Wanted], existing: Sequence[Column], pair: tuple[int, int],
    targets: Mapping[int, int], read_as: Mapping[int, str],
) -> tuple[int, int, float]:  # fmt: skip
    """Return how many rows were tried, how many are in the table, and how far their other values agree (0 to 1)."""
    number, key = pair
    types = {column.id: column.type for column in existing}
    others = [
        (f"n.n{column.number}", f"o.c{targets[column.number]}")
        for column in columns
        if column.number != number and targets[column.number] != key
        and types.get(targets[column.number]) == column.type
    ]  # fmt: skip
    alike = " + ".join(f"count(*) FILTER (WHERE {new} = {old})" for new, old in others) or "0"
    compared = " + ".join(f"count(*) FILTER (WHERE {new} IS NOT NULL AND {old} IS NOT NULL)" for new, old in others)
    source = staging.source(upload.id, {column.number: column.kind for column in columns}, read_as)
    row = session.execute(
        text(f"""
            SELECT count(DISTINCT n.line), count(DISTINCT o.row_id), {alike}, {compared or "0"}
            FROM (SELECT * FROM {source} AS s ORDER BY line LIMIT {TRIED_ROWS}) AS n
            LEFT JOIN {store.table(upload.workflow_id)} AS o ON o.c{key} = n.n{number}""")
    ).one()
    tried, found, agreeing, of = row
    if of:
        return tried, found, agreeing / of
    is_chance = types[key] != "text" and targets[number] != key
    return tried, found, 0 if is_chance else UNKNOWN_AGREEMENT
