"""The tables `learners.w<workflow id>` themselves: everything that changes their shape, and their locks.

Columns are `c<column id>`; `row_id` is the primary key. Identifiers come from ids only. Index and sequence names
are left to PostgreSQL, because a table keeps them when it is renamed to a kept version.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from chalicelib import database, errors

TYPES = {
    "integer": "bigint",
    "double": "double precision",
    "boolean": "boolean",
    "datetime": "timestamptz",
    "text": "text",
}
#: PostgreSQL can't index longer texts (a B-tree entry fits in a third of a page).
MAX_KEY_BYTES = 2600
#: A waiting change of shape blocks every later reader, so it gives up soon and tries again.
DDL_LOCK_SECONDS = 2
DDL_ATTEMPTS = 6
#: People's own edits wait a little longer for a bulk change to end, then say so.
ROW_LOCK_SECONDS = 3
#: Bulk work may take as long as its job.
BULK_SECONDS = 600
#: Of how many values a new table's statistics speak. PostgreSQL's own 100 reads 30,000 rows: a third of the time that a
#: merge into 100,000 × 20 takes. Its daemon reads them later, when nobody waits.
STATISTICS = 20

LOCK_NOT_AVAILABLE, DEADLOCK = "55P03", "40P01"
Result = TypeVar("Result")


class InUse(errors.Conflict):
    """Raised when somebody else holds the table; the same again may go well in a moment."""


@dataclass(frozen=True)
class Field:
    """One column of a table: its id, its type (a key of TYPES) and whether it tells learners apart."""

    id: int
    type: str
    is_key: bool = False


def table(workflow_id: int) -> str:
    """Return the name of the workflow's table."""
    return f"learners.w{int(workflow_id)}"


def version_table(version_id: int) -> str:
    """Return the name of a kept version."""
    return f"learners.v{int(version_id)}"


def sqlstate(error: DBAPIError) -> str:
    """Return PostgreSQL's five-character code of the error, empty when there is none."""
    details = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return str(details.get("C", "")) if isinstance(details, dict) else ""


def exists(session: Session, name: str) -> bool:
    """Tell whether there is a table of this name."""
    return session.scalar(text("SELECT to_regclass(:name) IS NOT NULL"), {"name": name}) is True


def columns_in(session: Session, name: str) -> list[str]:
    """Return the names of a table's columns; those that were deleted but can come back are among them."""
    query = """
        SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped
        ORDER BY attnum"""
    return list(session.scalars(text(query), {"name": name}))


def in_bulk(work: Callable[[Session], Result]) -> Result:
    """Run `work` in a transaction of its own that waits 2 s for a lock; when it gets none, begin again.

    Raises errors.Unavailable when somebody holds the table all the time.
    """
    for attempt in range(DDL_ATTEMPTS):
        if attempt:
            time.sleep(0.1 * attempt)
        try:
            with database.scope(statement_timeout_seconds=BULK_SECONDS) as session:
                session.execute(text(f"SET LOCAL lock_timeout = '{DDL_LOCK_SECONDS}s'"))
                return work(session)
        except DBAPIError as error:
            if sqlstate(error) not in {LOCK_NOT_AVAILABLE, DEADLOCK}:
                raise
    raise errors.Unavailable("The table is in use just now. This is tried again in a minute.")


def lock_for_bulk(session: Session, workflow_id: int) -> None:
    """Let nobody write until the transaction ends; readers go on. Waits as long as `lock_timeout` says."""
    session.execute(text(f"LOCK TABLE {table(workflow_id)} IN SHARE ROW EXCLUSIVE MODE"))


def lock_for_rows(session: Session, workflow_id: int) -> None:
    """Take the lock that writing rows needs: first thing in a transaction that changes cells or rows.

    Raises InUse when a bulk change holds the table for more than 3 s.
    """
    session.execute(text(f"SET LOCAL lock_timeout = '{ROW_LOCK_SECONDS}s'"))
    try:
        with session.begin_nested():
            session.execute(text(f"LOCK TABLE {table(workflow_id)} IN ROW EXCLUSIVE MODE"))
    except DBAPIError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        message = "New data is being added to the table just now. Nothing was changed; please try again in a moment."
        raise InUse(message) from error


def create_table(session: Session, workflow_id: int, fields: Iterable[Field], *, first_free: int = 1) -> None:
    """Create an empty table with its indexes; its first row gets the id `first_free`."""
    fields = list(fields)
    columns = "".join(f", c{field.id} {TYPES[field.type]}" for field in fields)
    session.execute(text(f"CREATE TABLE {table(workflow_id)} (row_id bigint NOT NULL{columns})"))
    finish_table(session, table(workflow_id), [field.id for field in fields if field.is_key], first_free=first_free)


def finish_table(session: Session, name: str, key_ids: Iterable[int], *, first_free: int) -> None:
    """Give a filled table its primary key, new row ids from `first_free` on, and an index for each key."""
    session.execute(text(f"ALTER TABLE {name} ADD PRIMARY KEY (row_id)"))
    session.execute(
        text(f"ALTER TABLE {name} ALTER row_id ADD GENERATED BY DEFAULT AS IDENTITY (START WITH {int(first_free)})")
    )
    for column_id in key_ids:
        session.execute(text(f"CREATE UNIQUE INDEX ON {name} (c{int(column_id)})"))
    session.execute(text(f"SET LOCAL default_statistics_target = {STATISTICS}"))
    session.execute(text(f"ANALYZE {name}"))


def copy_table(session: Session, origin_id: int, twin_id: int, fields: Mapping[int, Field]) -> int:
    """Copy the learners of one workflow to another and return their number; `fields` maps columns to those of the copy.

    Columns that the table does not have are left out. Needs the lock of `lock_shape`.
    """
    shape = text("SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(:name) AND NOT attisdropped")
    present = set(session.scalars(shape, {"name": table(origin_id)}))
    there = {old: field for old, field in fields.items() if f"c{old}" in present}
    cells = "".join(f", c{int(old)} AS c{field.id}" for old, field in there.items())
    first_free = first_free_row_id(session, origin_id)
    session.execute(text(f"CREATE TABLE {table(twin_id)} AS SELECT row_id{cells} FROM {table(origin_id)}"))
    keys = [field.id for field in there.values() if field.is_key]
    finish_table(session, table(twin_id), keys, first_free=first_free)
    return int(session.scalar(text(f"SELECT count(*) FROM {table(twin_id)}")) or 0)


def lock_shape(session: Session, workflow_id: int) -> None:
    """Let nobody change the columns of the table until the transaction ends; readers and writers go on."""
    session.execute(text(f"LOCK TABLE {table(workflow_id)} IN ACCESS SHARE MODE"))


def first_free_row_id(session: Session, workflow_id: int) -> int:
    """Return a row id that no learner of this table has or ever had."""
    name = table(workflow_id)
    return int(
        session.scalar(
            text(f"""
                SELECT 1 + greatest(coalesce(max(row_id), 0),
                                    coalesce(pg_sequence_last_value(pg_get_serial_sequence('{name}', 'row_id')), 0))
                FROM {name}""")
        )
        or 1
    )


def add_column(session: Session, workflow_id: int, field: Field) -> None:
    """Add an empty column; a key gets its index by `add_key` once it is filled."""
    session.execute(text(f"ALTER TABLE {table(workflow_id)} ADD COLUMN c{field.id} {TYPES[field.type]}"))


def add_counter(session: Session, workflow_id: int, column_id: int) -> None:
    """Add a column of whole numbers that starts at 0 for every learner."""
    session.execute(text(f"ALTER TABLE {table(workflow_id)} ADD COLUMN c{int(column_id)} bigint DEFAULT 0"))


def add_key(session: Session, workflow_id: int, column_id: int) -> None:
    """Make the column one that tells learners apart.

    Raises errors.Invalid when two learners share a value, one has none, or one is too long for an index.
    """
    name, column = table(workflow_id), f"c{int(column_id)}"
    blanks, longest = session.execute(
        text(f"SELECT count(*) - count({column}), max(octet_length(CAST({column} AS text))) FROM {name}")
    ).one()
    if blanks:
        raise errors.Invalid(f"{blanks:,} learners have no value in this column, so it can't tell learners apart.")
    if (longest or 0) > MAX_KEY_BYTES:
        raise errors.Invalid("The texts in this column are too long to tell learners apart.")
    try:
        with session.begin_nested():
            session.execute(text(f"CREATE UNIQUE INDEX ON {name} ({column})"))
    except DBAPIError as error:
        if sqlstate(error) != "23505":
            raise
        raise errors.Invalid("Two learners share a value in this column, so it can't tell learners apart.") from error


def drop_key(session: Session, workflow_id: int, column_id: int) -> None:
    """Let the column hold equal values again."""
    for index in unique_indexes(session, table(workflow_id)).get(f"c{int(column_id)}", []):
        session.execute(text(f"DROP INDEX {index}"))


def unique_indexes(session: Session, name: str) -> dict[str, list[str]]:
    """Return the unique indexes over one column, by column; the primary key is not among them."""
    rows = session.execute(
        text("""
            SELECT a.attname, CAST(CAST(i.indexrelid AS regclass) AS text)
            FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
            WHERE i.indrelid = to_regclass(:name) AND i.indisunique AND NOT i.indisprimary AND i.indnatts = 1"""),
        {"name": name},
    )
    found: dict[str, list[str]] = {}
    for column, index in rows:
        found.setdefault(column, []).append(index)
    return found


def create_indexes(session: Session, workflow_id: int, key_ids: Iterable[int]) -> None:
    """Create the index of each key that has none yet."""
    present = unique_indexes(session, table(workflow_id))
    for column_id in key_ids:
        if f"c{int(column_id)}" not in present:
            session.execute(text(f"CREATE UNIQUE INDEX ON {table(workflow_id)} (c{int(column_id)})"))


def rename(session: Session, old: str, new: str) -> None:
    """Rename a table of the schema `learners`; both names are given in full."""
    session.execute(text(f"ALTER TABLE {old} RENAME TO {new.removeprefix('learners.')}"))


def drop(session: Session, name: str) -> None:
    """Drop a table; one that is not there is fine."""
    session.execute(text(f"DROP TABLE IF EXISTS {name}"))


def drop_workflow(session: Session, workflow_id: int) -> None:
    """Drop the workflow's table, its kept versions and what its uploads left, before its rows are deleted."""
    drop(session, table(workflow_id))
    values = {"workflow_id": workflow_id}
    for version_id in session.scalars(
        text("SELECT id FROM ontask.table_version WHERE workflow_id = :workflow_id"), values
    ):
        drop(session, version_table(version_id))
    for upload_id in session.scalars(text("SELECT id FROM ontask.upload WHERE workflow_id = :workflow_id"), values):
        drop(session, f"learners.u{int(upload_id)}")
        drop(session, f"learners.t{int(upload_id)}")
