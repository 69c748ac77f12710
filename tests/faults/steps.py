"""The steps of the path that a message takes, and what may go wrong at each of them.

A step is the moment before a statement, before a commit and after it, and before and after each call of AWS or of the
other system. Steps are found by looking, so that code which is written later has its steps too; a step is known by the
functions on the way to it. Work that is done here dies by an exception that nothing of ours catches: its connection is
closed without a commit, and nothing after it happens.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from chalicelib import database
from chalicelib.aws import files
from chalicelib.database.prepared import Prepared
from chalicelib.delivery.push.pusher import Pusher
from tests.conftest import ROOT
from tests.delivery.cloud import FakeSes

#: What a step is the moment of. While one of the first two is waited for a transaction is open.
STATEMENT, COMMIT, COMMITTED = "statement", "commit", "committed"
HERE = str(ROOT / "chalicelib") + "/"
#: They are on every way and tell nothing.
DULL = ("database/", "web/", "metrics", "logs")


def name(kind: str) -> str:
    """What the present step is called: the last functions of ours on the way to it, the line, and its kind."""
    frame, way, line = sys._getframe(2), [], 0
    while frame is not None and len(way) < 4:
        path = frame.f_code.co_filename
        if path.startswith(HERE) and not (inner := path[len(HERE) :]).startswith(DULL):
            line = line or frame.f_lineno
            way.append(f"{Path(inner).stem}.{frame.f_code.co_name}")
        frame = frame.f_back  # type: ignore[assignment]
    return f"{' < '.join(way)}, line {line}: {kind}"


@contextmanager
def watched(note: Callable[[str, str, Any], None]) -> Iterator[None]:
    """Tell `note` of every step: its name, its kind, and the connection to the database if there is one."""
    engine: Any = database.engine()
    with pytest.MonkeyPatch.context() as patch:

        def around(owner: Any, attribute: str, kind: str) -> None:
            call = getattr(owner, attribute)

            def wrapped(*args: Any, **more: Any) -> Any:
                note(name(f"before {kind}"), f"before {kind}", None)
                result = call(*args, **more)
                note(name(f"after {kind}"), f"after {kind}", None)
                return result

            patch.setattr(owner, attribute, wrapped)

        def before(connection: Any, *_: Any) -> None:
            note(name(STATEMENT), STATEMENT, connection.connection.dbapi_connection)

        def prepared(self: Prepared, session: Any, values: dict[str, Any]) -> Any:
            note(name(STATEMENT), STATEMENT, session.connection().connection.dbapi_connection)
            return run(self, session, values)

        def commit(connection: Any) -> None:
            raw = getattr(connection, "dbapi_connection", connection)
            note(name(COMMIT), COMMIT, raw)
            do_commit(connection)
            note(name(COMMITTED), COMMITTED, raw)

        run, do_commit = Prepared._run, engine.dialect.do_commit
        patch.setattr(Prepared, "_run", prepared)
        patch.setattr(engine.dialect, "do_commit", commit)
        around(FakeSes, "send_email", "mail")
        around(Pusher, "push", "object")
        around(files, "put", "file")
        around(sys.modules["chalicelib.aws.queue"], "send", "wake-up")
        around(sys.modules["chalicelib.aws.alarm"], "set_alarm", "alarm")
        event.listen(engine, "before_cursor_execute", before)
        try:
            yield
        finally:
            event.remove(engine, "before_cursor_execute", before)
