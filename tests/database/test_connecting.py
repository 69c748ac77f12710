"""What connecting and losing a connection mean for whoever opens a transaction."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from chalicelib import database, errors, metrics
from chalicelib.database import schema
from chalicelib.database.prepared import Prepared
from local import postgres


@pytest.fixture
def impatient(fresh_database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The database, with less patience for connecting; its address."""
    # The package has a function of the module's name.
    monkeypatch.setattr(sys.modules["chalicelib.database.engine"], "CONNECT_TIMEOUT_SECONDS", 0.2)
    return fresh_database


@pytest.fixture
def mute() -> Iterator[str]:
    """The address of a server that takes connections and says nothing, as a proxy in front of a waking database."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"postgresql+pg8000://ontask@127.0.0.1:{server.getsockname()[1]}/ontask"


def end_all(url: str) -> None:
    """End every connection to this database."""
    server, _, name = url.rpartition("/")
    postgres._sql(server, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", name)


def test_a_server_that_says_nothing_is_asleep_soon(impatient: str, mute: str) -> None:
    lines: list[dict[str, object]] = []
    metrics.listen(lines.append)
    silent = database.make(mute, local=True)
    database.use(silent)
    try:
        with pytest.raises(errors.Asleep), database.scope():
            raise AssertionError("nothing is done without a connection")
    finally:
        database.use(None)
        metrics.listen(None)
    assert [line["DatabaseWaits"] for line in lines] == [[1.0]]


def test_a_statement_may_take_longer_than_connecting(impatient: str) -> None:
    with database.scope() as session:
        assert session.scalar(text("SELECT 1 FROM pg_sleep(0.4)")) == 1


def test_a_full_server_is_asked_again_later(server: str, fresh_database: str, worker_id: str) -> None:
    role = f"narrow_{worker_id}"
    postgres._sql(server, f"DROP ROLE IF EXISTS {role}")
    postgres._sql(server, f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 0")
    narrow = database.make(fresh_database.replace("//ontask@", f"//{role}@"), local=True)
    database.use(narrow)
    try:
        with pytest.raises(errors.Asleep), database.scope():
            raise AssertionError("there is no connection left")
    finally:
        database.use(None)
        narrow.dispose()
        postgres._sql(server, f"DROP ROLE {role}")


def test_a_wrong_setting_is_no_sleep(server: str, fresh_database: str) -> None:
    wrong = database.make(f"{server}/there_is_no_such_database", local=True)
    database.use(wrong)
    try:
        with pytest.raises(ProgrammingError), database.scope():
            pass
    finally:
        database.use(None)


@pytest.mark.parametrize("kind", ["plain", "prepared", "socket"])
def test_a_connection_that_breaks_before_the_commit_has_changed_nothing(fresh_database: str, kind: str) -> None:
    def work() -> None:
        with database.scope() as session:
            session.execute(text("CREATE TABLE ontask.pet ()"))
            if kind == "socket":  # pg8000 lets the socket's own error through
                session.connection().connection.dbapi_connection._usock.settimeout(0.05)  # type: ignore[union-attr]
                session.execute(text("SELECT pg_sleep(5)"))
            end_all(fresh_database)
            if kind == "plain":
                session.execute(text("SELECT 1"))
            else:
                Prepared("SELECT 1").run(session)

    with pytest.raises(errors.Lost) as lost:
        work()
    assert lost.value.is_undone
    with database.scope() as session:
        assert session.scalar(text("SELECT to_regclass('ontask.pet')")) is None


def test_nobody_knows_about_a_connection_that_breaks_at_the_commit(fresh_database: str) -> None:
    def work() -> None:
        with database.scope() as session:
            session.execute(text("SELECT 1"))
            database.before_commit(session, lambda: end_all(fresh_database))

    with pytest.raises(errors.Lost) as lost:
        work()
    assert not lost.value.is_undone


def test_a_wrong_statement_is_our_fault_and_not_the_databases(fresh_database: str) -> None:
    with pytest.raises(ProgrammingError), database.scope() as session:
        session.execute(text("SELECT nonsense"))


def test_threads_may_look_at_the_schema_at_once(fresh_database: str) -> None:
    schema.forget()
    engine = database.engine()
    assert isinstance(engine, Engine)
    answers: list[int] = []

    def look() -> None:
        with database.scope() as session:
            answers.append(session.scalar(text("SELECT 1")) or 0)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [1] * 4
