"""One request or one queue record = one session = one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.database.engine import STATEMENT_TIMEOUT_SECONDS, engine

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

    Raises errors.Unavailable when the database can't be reached or its connection is lost.
    """
    session = Session(engine(), expire_on_commit=False, join_transaction_mode="create_savepoint")
    try:
        with session:
            # Bound to the transaction: a pooled connection must not keep another scope's limit.
            session.execute(text(f"SET LOCAL statement_timeout = '{int(statement_timeout_seconds)}s'"))
            yield session
            _run(session, "before_commit")
            session.commit()
        _run(session, "after_commit")
    except (OperationalError, InterfaceError) as error:
        if is_disconnect(error):
            raise errors.Unavailable("The database can't be reached just now. Please try again.") from error
        raise


def _run(session: Session, moment: str) -> None:
    # A call may register further ones (a job enqueued by a hook), so the list is emptied first.
    while calls := session.info.pop(moment, []):
        for call in calls:
            call()


def is_disconnect(error: DBAPIError) -> bool:
    """Tell whether `error` means that the connection is gone, not that the statement was wrong."""
    return error.connection_invalidated or isinstance(error, InterfaceError) or "connect" in str(error.orig)
