"""Sign in to the database with a secret that is rotated now and then."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, event

#: What PostgreSQL answers to a wrong password (PostgreSQL, appendix A: invalid_password).
WRONG_PASSWORD = "28P01"  # noqa: S105


def use_secret(engine: Engine, secret: str) -> None:
    """Have every new connection of `engine` sign in as the secret says; a refused password is read anew, once."""
    from chalicelib.aws import secrets

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, _record: Any, arguments: Any, options: dict[str, Any]) -> Any:
        def sign_in() -> Any:
            user, password = secrets.login(secret)
            return dialect.loaded_dbapi.connect(*arguments, **{**options, "user": user, "password": password})

        try:
            return sign_in()
        except dialect.loaded_dbapi.DatabaseError as error:
            if not _is_wrong_password(error):
                raise
        secrets.forget()
        return sign_in()


def _is_wrong_password(error: Exception) -> bool:
    """Tell whether the server refused the password; pg8000 gives its fields as a dict, the SQLSTATE under C."""
    fields = error.args[0] if error.args else None
    return isinstance(fields, dict) and fields.get("C") == WRONG_PASSWORD
