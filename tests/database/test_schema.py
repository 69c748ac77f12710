from __future__ import annotations

from sqlalchemy import Connection

from chalicelib.database import migrate
from chalicelib.database.models import Base


def test_the_migrations_make_exactly_what_the_models_say(connection: Connection) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    options = {
        "version_table_schema": "ontask", "include_schemas": True, "compare_type": True,
        "include_name": lambda name, kind, _parents: kind != "schema" or name == "ontask",
    }  # fmt: skip
    assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []


def test_upgrading_twice_changes_nothing(connection: Connection) -> None:
    assert migrate.upgrade() == migrate.upgrade()
