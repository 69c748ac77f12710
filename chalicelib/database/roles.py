"""The two roles of an installation: the owner changes the schema, the other one does the work.

The working role reads and writes the rows of schema `ontask` and owns the tables in schema `learners`; it can't alter
or drop a table of metadata.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.database.base import LEARNERS, SCHEMA

#: Run by the owner, in this order; everything can be repeated.
GRANTS = (
    "GRANT USAGE ON SCHEMA {schema} TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
    "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
    "GRANT USAGE, CREATE ON SCHEMA {learners} TO {role}",
)


def prepare(session: Session, name: str, password: str) -> None:
    """Make the working role, or give it its password of today, and all the rights it needs on what there is now."""
    if not session.scalar(text("SELECT count(*) FROM pg_roles WHERE rolname = :name"), {"name": name}):
        session.execute(text(_filled(session, "CREATE ROLE %I LOGIN", name)))
    session.execute(text(_filled(session, "ALTER ROLE %I PASSWORD %L", name, password)))
    role = _filled(session, "%I", name)
    for grant in GRANTS:
        session.execute(text(grant.format(schema=SCHEMA, learners=LEARNERS, role=role)))


def _filled(session: Session, pattern: str, *values: str) -> str:
    """Have PostgreSQL quote the values: statements about roles take no bound ones."""
    bound = {f"value_{number}": value for number, value in enumerate(values)}
    places = "".join(f", CAST(:{name} AS text)" for name in bound)
    filled = str(session.scalar(text(f"SELECT format(CAST(:pattern AS text){places})"), {"pattern": pattern, **bound}))
    return filled.replace(":", "\\:")  # a colon would name a bound value
