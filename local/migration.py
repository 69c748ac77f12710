"""Write a migration from the models: `python -m local.migration "Add the colour of a view"`.

Until the first release there is one migration: `python -m local.migration` without words rewrites it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from local import postgres

BASE = Path(__file__).parent.parent / ".ontask" / "test" / "postgres"


def main(message: str) -> None:
    """Compare the models with an empty database brought up to date, and write what is missing."""
    from alembic import command
    from sqlalchemy import text

    from chalicelib import database
    from chalicelib.database import migrate

    versions = migrate.FOLDER / "versions"
    if not message:
        for old in versions.glob("*.py"):
            old.unlink()
    with database.make(os.environ["DATABASE_URL"], local=True).begin() as connection:
        for schema in ("ontask", "learners"):
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
        config = migrate.config(connection)
        command.upgrade(config, "head")
        number = len(list(versions.glob("*.py"))) + 1
        command.revision(config, message=message or "Initial schema", autogenerate=True, rev_id=f"{number:04}")
    (written,) = versions.glob(f"{number:04}_*.py")
    if not message:
        first = '"""Apply the change."""\n'
        extension = '    op.execute("CREATE EXTENSION IF NOT EXISTS unaccent")\n'
        written.write_text(written.read_text().replace(first, first + extension, 1))
    subprocess.run([sys.executable, "-m", "ruff", "format", "-q", str(written)], check=True)
    print(f"Wrote {written.relative_to(Path.cwd())}; read it before you commit it.")


if __name__ == "__main__":
    server = postgres.start(BASE, durable=False)
    postgres.create_database(server, "migration", replace=True)
    os.environ.update(ONTASK_STAGE="test", DATABASE_URL=f"{server}/migration")
    main(" ".join(sys.argv[1:]))
