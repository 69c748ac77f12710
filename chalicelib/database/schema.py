"""The schema that this release needs, and whether the database has it.

Migrations are numbered in one line and only add what the release before can ignore, or remove what it has stopped
using. So any schema at least as new as the newest migration of this release will do.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sqlalchemy import String, column, func, select, table
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.database.base import SCHEMA
from chalicelib.database.problems import sqlstate

VERSIONS = Path(__file__).parent / "migrations" / "versions"
#: PostgreSQL's codes for a table, or its schema, that does not exist.
NEVER_MIGRATED = {"42P01", "3F000"}

_VERSIONS = table("alembic_version", column("version_num", String), schema=SCHEMA)

_is_there = False


@cache
def needed() -> int:
    """Return the number of this release's newest migration, read from the file names: Alembic is slow to import."""
    return max(int(path.name[:4]) for path in VERSIONS.glob("[0-9][0-9][0-9][0-9]_*.py"))


def check(session: Session) -> None:
    """Look at the database's revision until it is new enough; afterwards, in this process, no more.

    Raises errors.Updating when the database still waits for its migration.
    """
    global _is_there
    if _is_there:
        return
    try:
        found = session.scalar(select(func.max(_VERSIONS.c.version_num)))
    except ProgrammingError as error:
        if error.orig is None or sqlstate(error.orig) not in NEVER_MIGRATED:
            raise
        raise errors.Updating from error
    if found is None or int(found) < needed():
        raise errors.Updating
    _is_there = True


def forget() -> None:
    """Look again at the next use: it may be another database. For tests and tools."""
    global _is_there
    _is_there = False
