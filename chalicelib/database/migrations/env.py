"""Alembic's way in: it runs on the connection that `migrate` gives it."""

from __future__ import annotations

from alembic import context

from chalicelib.database.base import SCHEMA
from chalicelib.database.models import Base


def ours(name: str | None, kind: str, _parents: object) -> bool:
    """Leave out the learners' tables: uploads make them, not migrations."""
    return kind != "schema" or name == SCHEMA


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table_schema=SCHEMA,
    include_schemas=True,
    include_name=ours,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
