"""Changes of the table's shape that write every row: a new table beside the old one, then a short exchange.

Readers go on until the exchange; an ALTER TABLE with values would keep them waiting while the rows are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.tables import store
from chalicelib.tables.history import versions
from chalicelib.tables.history.models import TableVersion
from chalicelib.workflows.models import Workflow

UNIQUE_VIOLATION, QUERY_CANCELED = "23505", "57014"
IN_USE = "The table is in use just now. Nothing was changed; please try again in a moment."

TOO_LONG = "The table is so large that this took too long. Nothing was changed."


@contextmanager
def locked(session: Session, workflow: Workflow, *, rows: bool = True) -> Iterator[None]:
    """Let nobody else change columns (and with `rows` no cell either) until the transaction ends.

    Raises errors.NotFound where there is no table, errors.Conflict when it is in use for more than 2 s, errors.Limit
    when the work takes longer than a page may.
    """
    if workflow.row_count is None:
        raise errors.NotFound
    session.flush()
    session.execute(text(f"SET LOCAL lock_timeout = '{store.DDL_LOCK_SECONDS}s'"))
    try:
        # The workflow first, as uploads do: two who lock in another order would wait for each other.
        session.execute(select(Workflow.id).where(Workflow.id == workflow.id).with_for_update())
        if rows:
            store.lock_for_bulk(session, workflow.id)
        yield
    except DBAPIError as error:
        if store.sqlstate(error) == QUERY_CANCELED:
            raise errors.Limit(TOO_LONG) from error
        if store.sqlstate(error) not in {store.LOCK_NOT_AVAILABLE, store.DEADLOCK}:
            raise
        raise store.InUse(IN_USE) from error


def rebuild(
    session: Session, workflow: Workflow, values: Mapping[int, str], *, source: str = "", keep: str = "",
    user_id: int | None = None,
) -> TableVersion | None:  # fmt: skip
    """Write the table anew with SQL for some columns, by column id; columns it does not have yet come last.

    The SQL may speak of the row as `o`, and of what `source` joins to it. With `keep`, the reason in words, the table
    as it was becomes a version, and is returned. Needs `locked`; takes every index along.
    """
    name, made = store.table(workflow.id), f"learners.b{int(workflow.id)}"
    present = _present(session, name)
    cells = ["o.row_id"]
    cells += [f"{values[key]} AS c{key}" if key in values else f"o.c{key}" for key in present]
    cells += [f"{value} AS c{key}" for key, value in values.items() if key not in present]
    unique = [int(column[1:]) for column in store.unique_indexes(session, name)]
    first_free = store.first_free_row_id(session, workflow.id)
    store.drop(session, made)
    session.execute(text(f"CREATE TABLE {made} AS SELECT {', '.join(cells)} FROM {name} AS o {source}"))
    store.finish_table(session, made, unique, first_free=first_free)
    version = None
    if keep:
        version = versions.keep(session, workflow, user_id, keep)
    else:
        store.drop(session, name)
    store.rename(session, made, name)
    return version


def _present(session: Session, name: str) -> list[int]:
    """Return the ids of the columns in the table, those that were deleted but can come back among them."""
    found = session.scalars(
        text("""
            SELECT CAST(substr(attname, 2) AS bigint) FROM pg_attribute
            WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped AND attname <> 'row_id'
            ORDER BY attnum"""),
        {"name": name},
    )
    return list(found)
