"""One request or one queue record = one session = one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from chalicelib import errors, metrics
from chalicelib.database import schema
from chalicelib.database.engine import STATEMENT_TIMEOUT_SECONDS, engine
from chalicelib.database.problems import is_disconnect

Call = Callable[[], None]


def before_commit(session: Session, call: Call) -> None:
    """Run `call` just before the scope commits: for alarms, which must exist before the row that needs them."""
    session.info.setdefault("before_commit", []).append(call)


def after_commit(session: Session, call: Call) -> None:
    """Run `call` once the scope has committed: for wake-ups, which must not outrun their row."""
    session.info.setdefault("after_commit", []).append(call)


@contextmanager
def scope(*, statement_timeout_seconds: int = STATEMENT_TIMEOUT_SECONDS) -> Iterator[Session]:
    """Open a session; commit when the block ends, roll back on any exception.

    Raises errors.Asleep or errors.Updating before the block when the database is not ready, errors.Lost when its
    connection breaks later.
    """
    session = Session(engine(), expire_on_commit=False, join_transaction_mode="create_savepoint")
    is_committing = False
    try:
        with session:
            _begin(session, statement_timeout_seconds)
            yield session
            session.flush()  # what fails does so before an alarm is set for it
            _run(session, "before_commit")
            session.flush()
            is_committing = True
            session.commit()
        _run(session, "after_commit")
    except DBAPIError as error:
        if not is_lost(error):
            raise
        raise errors.Lost(is_undone=not is_committing) from error


def _begin(session: Session, statement_timeout_seconds: int) -> None:
    try:
        session.connection()
        if statement_timeout_seconds != STATEMENT_TIMEOUT_SECONDS:  # connections are opened with that one
            # Bound to the transaction: a pooled connection must not keep another scope's limit.
            session.execute(text(f"SET LOCAL statement_timeout = '{int(statement_timeout_seconds)}s'"))
        schema.check(session)
    except (DBAPIError, OSError) as error:
        if not is_lost(error):
            raise
        metrics.put({metrics.DATABASE_WAITS: 1})
        raise errors.Asleep from error


def _run(session: Session, moment: str) -> None:
    # A call may register further ones (a job enqueued by a hook), so the list is emptied first.
    while calls := session.info.pop(moment, []):
        for call in calls:
            call()


def is_lost(error: Exception) -> bool:
    """Tell whether `error` means that the connection is gone, not that the statement was wrong."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or (error.orig is not None and is_disconnect(error.orig))
    return is_disconnect(error)
