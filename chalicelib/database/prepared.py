"""Statements that a sender runs thousands of times: parsed and planned once a connection, then one round trip each.

Only for tables of schema `ontask`: the learners' tables change their shape, and a prepared statement does not like
that. SQLAlchemy has no way to ask pg8000 for this, so its connection is asked directly.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.database.problems import is_disconnect

_NAME = re.compile(r"(?<!:):([a-z_]+)")


class Prepared:
    """A statement with values to bind, written `:name`; whole-number `constants` become part of its text."""

    def __init__(self, statement: str, **constants: int) -> None:
        self._names: list[str] = []

        def number(match: re.Match[str]) -> str:
            name = match[1]
            if name in constants:
                return str(int(constants[name]))
            if name not in self._names:
                self._names.append(name)
            return f"${self._names.index(name) + 1}"

        self._statement = _NAME.sub(number, statement)

    def run(self, session: Session, **values: Any) -> list[list[Any]]:
        """Execute it in the session's transaction and return the rows.

        Raises errors.Lost when the connection breaks, otherwise pg8000's own errors.
        """
        try:
            return self._run(session, values)
        except Exception as error:
            if is_disconnect(error):
                raise errors.Lost(is_undone=True) from error
            raise

    def _run(self, session: Session, values: dict[str, Any]) -> list[list[Any]]:
        from pg8000.core import make_params

        connection: Any = session.connection().connection.dbapi_connection
        known: dict[str, tuple[Any, Any, Any]] = connection.__dict__.setdefault("ontask_prepared", {})
        if self._statement not in known:
            known[self._statement] = connection.prepare_statement(self._statement, ())
        name, columns, readers = known[self._statement]
        params = make_params(connection.py_types, tuple(values[key] for key in self._names))
        return connection.execute_named(name, params, columns, readers, self._statement).rows or []
