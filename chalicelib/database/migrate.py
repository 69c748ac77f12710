"""Bring the schema up to date. Two at once are safe: the second waits and finds nothing to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, text

from chalicelib import database
from chalicelib.database.base import LEARNERS, SCHEMA

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parent / "migrations"
#: Any number, as long as nobody else uses it for an advisory lock.
LOCK = 7_203_114_522


def config(connection: Connection) -> Config:
    """Return Alembic's configuration for work on `connection`."""
    from alembic.config import Config as AlembicConfig

    made = AlembicConfig()
    made.set_main_option("script_location", str(FOLDER))
    made.attributes["connection"] = connection
    return made


def upgrade() -> dict[str, Any]:
    """Apply every migration that is missing, all or none; return the schema's revision."""
    engine = database.engine()
    if isinstance(engine, Engine):
        with engine.begin() as connection:
            return _upgrade(connection)
    return _upgrade(engine)


def _upgrade(connection: Connection) -> dict[str, Any]:
    from alembic import command
    from alembic.migration import MigrationContext

    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    for schema in (SCHEMA, LEARNERS):
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
    command.upgrade(config(connection), "head")
    context = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
    return {"revision": context.get_current_revision()}
