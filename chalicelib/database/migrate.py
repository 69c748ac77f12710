"""Bring the schema up to date. Two at once are safe: the second waits and finds nothing to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from chalicelib import clock, database
from chalicelib.database.base import LEARNERS, SCHEMA
from chalicelib.database.problems import is_disconnect, sqlstate

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parent / "migrations"
#: Any number, as long as nobody else uses it for an advisory lock.
LOCK = 7_203_114_522
#: A waiting change of shape blocks every later reader of its table, so it gives up soon and tries again.
LOCK_SECONDS = 3
ATTEMPTS = 10
#: How soon the server gives up when the function that migrates is killed.
CHECK_SECONDS = 1
LOCK_NOT_AVAILABLE = "55P03"


def config(connection: Connection, folder: Path = FOLDER) -> Config:
    """Return Alembic's configuration for work on `connection` with the migrations in `folder`."""
    from alembic.config import Config as AlembicConfig

    made = AlembicConfig()
    made.set_main_option("script_location", str(folder))
    made.attributes["connection"] = connection
    return made


def upgrade(folder: Path = FOLDER) -> dict[str, Any]:
    """Apply every migration that is missing, all or none; return the schema's revision.

    Begins again when somebody uses a table that is to be changed, or while the database wakes up.
    """
    engine = database.engine()
    if not isinstance(engine, Engine):
        return _upgrade(engine, folder)
    attempt = 1
    while True:
        try:
            with engine.begin() as connection:
                return _upgrade(connection, folder)
        except (DBAPIError, OSError) as error:
            if attempt == ATTEMPTS or not _passes(error):
                raise
        clock.sleep(attempt)
        attempt += 1


def _passes(error: DBAPIError | OSError) -> bool:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return is_disconnect(cause) or sqlstate(cause) == LOCK_NOT_AVAILABLE


def _upgrade(connection: Connection, folder: Path) -> dict[str, Any]:
    from alembic import command
    from alembic.migration import MigrationContext

    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text(f"SET LOCAL client_connection_check_interval = '{CHECK_SECONDS}s'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
    for schema in (SCHEMA, LEARNERS):
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
    command.upgrade(config(connection, folder), "head")
    context = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
    return {"revision": context.get_current_revision()}
