"""How a function in the cloud signs in: over TLS, with a rotated secret, as a role that may only do its work."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import certifi
import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from chalicelib import database, errors
from chalicelib.aws import secrets
from chalicelib.database import credentials, roles
from chalicelib.database.engine import _ssl_context
from chalicelib.settings import settings
from local import postgres
from tests.conftest import TEST_DATA

NAME = "ontask_rotated"
SECRET = "ontask-test-app"


@pytest.fixture
def set_password(server: str) -> Iterator[Callable[[str], None]]:
    """Gives the role a password; for it alone the server insists on the right one."""
    rules = postgres.home(TEST_DATA / "postgres") / "data" / "pg_hba.conf"
    line = f"host all {NAME} 127.0.0.1/32 scram-sha-256\n"
    if not rules.read_text().startswith(line):
        rules.write_text(line + rules.read_text())
    owner = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT", connect_args={"ssl_context": False})
    with owner.connect() as connection:
        connection.execute(text("SELECT pg_reload_conf()"))
        connection.execute(text(f"DROP ROLE IF EXISTS {NAME}"))
        connection.execute(text(f"CREATE ROLE {NAME} LOGIN"))
        yield lambda password: connection.execute(text(f"ALTER ROLE {NAME} PASSWORD '{password}'"))
        connection.execute(text(f"DROP ROLE {NAME}"))
    owner.dispose()


@pytest.fixture
def secret(aws: str) -> Iterator[Any]:
    """Secrets Manager with our secret in it."""
    client = boto3.client("secretsmanager")
    client.create_secret(Name=SECRET, SecretString=f'{{"username": "{NAME}", "password": "first"}}')
    secrets.forget()
    yield client
    secrets.forget()


def who(url: str) -> str:
    """Open a new connection as the product does, and say who it is."""
    made = database.make(url, local=True)
    credentials.use_secret(made, SECRET)
    try:
        with made.connect() as connection:
            return str(connection.scalar(text("SELECT current_user")))
    finally:
        made.dispose()


def test_the_password_comes_from_the_secret(server: str, secret: Any, set_password: Callable[[str], None]) -> None:
    set_password("first")
    assert who(f"{server}/postgres".replace("ontask@", "")) == NAME


def test_a_rotated_password_is_read_again(server: str, secret: Any, set_password: Callable[[str], None]) -> None:
    set_password("first")
    url = f"{server}/postgres".replace("ontask@", "")
    assert who(url) == NAME
    set_password("second")
    secret.put_secret_value(SecretId=SECRET, SecretString=f'{{"username": "{NAME}", "password": "second"}}')
    assert secrets.login(SECRET) == (NAME, "first"), "it is read once a process"
    assert who(url) == NAME


def test_a_password_that_stays_wrong_is_an_error(server: str, secret: Any, set_password: Callable[[str], None]) -> None:
    set_password("another")
    with pytest.raises(Exception, match="password authentication failed"):
        who(f"{server}/postgres")


def test_a_secret_out_of_reach_is_said_to_pass(aws: str) -> None:
    secrets.forget()
    with pytest.raises(errors.Unavailable, match="secrets can't be read"):
        secrets.text("no-such-secret")


def test_the_cloud_checks_the_database_s_certificate_once_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_CA", certifi.where())
    settings.cache_clear()
    _ssl_context.cache_clear()
    seen: list[Any] = []
    for _ in range(2):
        made = database.make("postgresql+pg8000://cluster.example:5432/ontask", local=False)
        monkeypatch.setattr(made.dialect, "connect", lambda *_, **options: seen.append(options) or 1 / 0)
        with pytest.raises(ZeroDivisionError):
            made.connect()
    first, second = (options["ssl_context"] for options in seen)
    assert first is second
    assert first.check_hostname
    assert first.verify_mode is ssl.CERT_REQUIRED
    assert first.cert_store_stats()["x509_ca"] == Path(certifi.where()).read_text().count("BEGIN CERTIFICATE")
    monkeypatch.undo()
    settings.cache_clear()
    _ssl_context.cache_clear()


def test_the_working_role_does_its_work_and_no_more(connection: Connection, session: Session) -> None:
    for _ in range(2):  # every deployment does it
        roles.prepare(session, "ontask_worker", "a 'quoted' :password")
    session.execute(text("SET LOCAL ROLE ontask_worker"))
    session.execute(text('INSERT INTO ontask."user" (email, name, role, time_zone, is_active, created_at) '
                         "VALUES ('ana@uni.example', 'Ana', 'learner', 'UTC', true, now())"))  # fmt: skip
    session.execute(text("UPDATE ontask.\"user\" SET name = 'Ana Ruiz'"))
    session.execute(text("CREATE TABLE learners.w1 (row_id bigint)"))
    session.execute(text("ALTER TABLE learners.w1 ADD COLUMN c1 text"))
    session.execute(text("DROP TABLE learners.w1"))
    for statement in ('DROP TABLE ontask."user" CASCADE', 'ALTER TABLE ontask."user" ADD COLUMN x int',
                      "CREATE TABLE ontask.mine (id int)", "CREATE TABLE public.mine (id int)"):  # fmt: skip
        with pytest.raises(ProgrammingError, match=r"must be owner|permission denied"), session.begin_nested():
            session.execute(text(statement))
