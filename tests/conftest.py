"""Fixtures for all tests: a real PostgreSQL, the product's HTTP door, time that stands still."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

ROOT = Path(__file__).parent.parent
#: Databases and installations of tests; another folder lets two test runs go on beside each other.
TEST_DATA = Path(os.environ.get("ONTASK_TEST_DATA", ROOT / ".ontask" / "test"))

#: Each test starts with these and no other settings, whatever the machine's environment says.
ENVIRONMENT = {
    "ONTASK_STAGE": "test",
    "SECRET_KEY": "a key for tests, long enough for HMAC-SHA-256",
    "BASE_URL": "http://127.0.0.1:8910",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_EC2_METADATA_DISABLED": "true",
    "POWERTOOLS_TRACE_DISABLED": "true",
}
os.environ.update(ENVIRONMENT)

import chalicelib.functions  # noqa: E402, F401  the kinds of jobs
from chalicelib import clock, database  # noqa: E402
from chalicelib.accounts import sessions  # noqa: E402
from chalicelib.accounts.models import User  # noqa: E402
from chalicelib.accounts.roles import Role  # noqa: E402
from chalicelib.database import migrate  # noqa: E402
from chalicelib.settings import settings  # noqa: E402
from chalicelib.workflows import service as workflows  # noqa: E402
from chalicelib.workflows.models import Workflow  # noqa: E402
from local import postgres  # noqa: E402
from local.gateway import Gateway  # noqa: E402

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def server() -> str:
    """An embedded PostgreSQL shared by all test processes: `postgresql+pg8000://ontask@127.0.0.1:PORT`."""
    return postgres.start(TEST_DATA / "postgres", durable=False)


@pytest.fixture(scope="session")
def template(server: str, worker_id: str) -> str:
    """The name of a database with the schema and nothing in it."""
    name = f"template_{worker_id}"
    postgres.create_database(server, name, replace=True)
    engine = database.make(f"{server}/{name}", local=True)
    with engine.begin() as connection:
        database.use(connection)
        migrate.upgrade()
        database.use(None)
    engine.dispose()
    return name


@pytest.fixture(scope="session")
def engine(server: str, template: str, worker_id: str) -> Iterator[Engine]:
    """The engine of this process's own database."""
    name = f"test_{worker_id}"
    postgres.create_database(server, name, template=template, replace=True)
    made = database.make(f"{server}/{name}", local=True)
    yield made
    made.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A connection whose transaction is rolled back after the test; every session of the product uses it."""
    with engine.connect() as made:
        transaction = made.begin()
        database.use(made)
        yield made
        database.use(None)
        transaction.rollback()


@pytest.fixture
def session(connection: Connection) -> Iterator[Session]:
    """A session of the test's own, inside the transaction that is rolled back."""
    with Session(connection, expire_on_commit=False, join_transaction_mode="create_savepoint") as made:
        yield made


@pytest.fixture
def fresh_database(server: str, template: str, worker_id: str) -> Iterator[str]:
    """A database of the test's own, for work that commits or runs in several connections; its address."""
    name = f"fresh_{worker_id}"
    postgres.create_database(server, name, template=template, replace=True)
    url = f"{server}/{name}"
    os.environ["DATABASE_URL"] = url
    settings.cache_clear()
    yield url
    database.dispose()
    del os.environ["DATABASE_URL"]
    settings.cache_clear()
    postgres.drop_database(server, name)


class Clock:
    """Time that stands still until it is told to go on."""

    def __init__(self, start: datetime) -> None:
        self.time = start

    def __call__(self) -> datetime:
        return self.time

    def advance(self, **step: float) -> None:
        """Go on by e.g. `seconds=10`."""
        self.time += timedelta(**step)


@pytest.fixture
def frozen_clock() -> Iterator[Clock]:
    """Time for the product: noon of a Monday, advanced by the test."""
    made = Clock(NOON)
    clock.use(made, lambda seconds: made.advance(seconds=seconds))
    yield made
    clock.use(None)


@pytest.fixture(autouse=True)
def no_aws(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Outside:
    """Queues and alarms that only take notes, unless the test brings its own emulators (fixture `aws`)."""
    outside = Outside()
    if "aws" not in request.fixturenames:
        monkeypatch.setattr("chalicelib.aws.queue.send", outside.send)
        monkeypatch.setattr("chalicelib.aws.alarm.set_alarm", outside.set_alarm)
        monkeypatch.setattr("chalicelib.aws.queue.take_dead", lambda _queue: [])
    return outside


class Outside:
    """What the product told SQS and EventBridge Scheduler."""

    def __init__(self) -> None:
        self.wakeups: list[tuple[str, dict[str, Any], int]] = []
        self.alarms: list[datetime] = []

    def send(self, queue: str, body: dict[str, Any], delay_seconds: int = 0) -> None:
        """Note a wake-up."""
        self.wakeups.append((queue, body, delay_seconds))

    def set_alarm(self, due_at: datetime) -> str:
        """Note an alarm."""
        self.alarms.append(due_at)
        return f"due-{due_at:%Y%m%dT%H%M}"


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of an emulated AWS in this process."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    made = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    made.start()
    host, port = made.get_host_and_port()
    yield f"http://{host}:{port}"
    made.stop()


@pytest.fixture
def aws(moto: str) -> Iterator[str]:
    """An emulated AWS with our bucket, queues and alarm group, nothing in them; its address."""
    import boto3

    from chalicelib.aws import client, queue

    os.environ.update(AWS_ENDPOINT_URL=moto)
    client.forget()
    queue.forget_addresses()
    urlopen(Request(f"{moto}/moto-api/reset", method="POST")).close()
    config = settings()
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=config.bucket)
    s3.put_bucket_versioning(Bucket=config.bucket, VersioningConfiguration={"Status": "Enabled"})
    for name in (config.jobs_queue, config.outbox_queue, config.events_queue):
        boto3.client("sqs").create_queue(QueueName=name)
        boto3.client("sqs").create_queue(QueueName=f"{name}-dead")
    boto3.client("scheduler").create_schedule_group(Name=config.scheduler_group)
    yield moto
    del os.environ["AWS_ENDPOINT_URL"]
    client.forget()
    queue.forget_addresses()


def make_user(session: Session, email: str = "ines@uni.example", role: Role = Role.INSTRUCTOR) -> User:
    """Add an active user without a password."""
    name = email.split("@", maxsplit=1)[0].title()
    user = User(email=email, name=name, role=role, time_zone="UTC", is_active=True, created_at=clock.now())
    session.add(user)
    session.flush()
    return user


@pytest.fixture
def user(session: Session) -> User:
    """An instructor, Ines."""
    return make_user(session)


@pytest.fixture
def workflow(session: Session, user: User) -> Workflow:
    """An empty workflow of Ines's."""
    return workflows.create(session, user.id, "Biology 101")


@dataclass
class Page:
    """An answer of the product, as a browser would see it."""

    status: int
    headers: dict[str, str]
    body: str
    cookies: list[str]

    @property
    def location(self) -> str:
        """Where a redirect leads."""
        return self.headers.get("Location", "")

    def csrf_token(self) -> str:
        """The page's CSRF token."""
        found = re.search(r'"X-CSRF-Token": "([^"]+)"', self.body)
        assert found, "the page has no CSRF token"
        return found[1]


class Browser:
    """A visitor with cookies, talking to the app through API Gateway's events."""

    def __init__(self) -> None:
        from app import app

        self._gateway = Gateway(app)
        self.cookies: dict[str, str] = {}
        self.headers: dict[str, str] = {}

    def request(self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None) -> Page:
        """Send one request; follow nothing."""
        sent = {"accept": "*/*", **self.headers, **(headers or {})}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if method == "POST":
            sent.setdefault("content-type", "application/x-www-form-urlencoded")
        status, pairs, raw = self._gateway.handle(method, path, {k: [v] for k, v in sent.items()}, body.encode())
        set_cookies = [value for name, value in pairs if name == "Set-Cookie"]
        for line in set_cookies:
            # Python knows this attribute from 3.14 on, and reads nothing of a cookie that has it.
            for name, morsel in SimpleCookie(line.removesuffix("; Partitioned")).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return Page(status, dict(pairs), raw.decode("utf-8", "surrogateescape"), set_cookies)

    def get(self, path: str, *, htmx: bool = False, **query: Any) -> Page:
        """GET a page, or the part of it that HTMX would ask for."""
        target = path + ("?" + urlencode(query, doseq=True) if query else "")
        return self.request("GET", target, headers={"hx-request": "true"} if htmx else None)

    def post(self, path: str, fields: dict[str, Any] | None = None, *, htmx: bool = False) -> Page:
        """POST a form with a right CSRF token."""
        token = self.csrf_token()
        headers = {"hx-request": "true"} if htmx else None
        body = urlencode({"csrf_token": token, **(fields or {})}, doseq=True)
        return self.request("POST", path, body, headers)

    def follow(self, page: Page) -> Page:
        """GET the page that a redirect leads to."""
        assert page.status == 303, f"no redirect but {page.status}: {page.body[:500]}"
        return self.request("GET", page.location)

    def csrf_token(self) -> str:
        """Look the token up on a page that everybody may see."""
        known = {"ontask_session": "/help", "ontask_launch": "/home"}
        return self.get(next((known[name] for name in known if name in self.cookies), "/sign-in")).csrf_token()


@pytest.fixture
def visitor(connection: Connection) -> Browser:
    """Somebody who is not signed in."""
    return Browser()


def signed_in(session: Session, user: User) -> Browser:
    """A browser in which `user` is signed in."""
    from chalicelib import signing
    from chalicelib.web import cookies

    browser = Browser()
    session_id = sessions.begin(session, user, "a test")
    session.flush()
    browser.cookies[cookies.SESSION] = signing.sign("session", {"sid": session_id}, timedelta(days=1))
    return browser


def launched(session: Session, user: User) -> Browser:
    """A browser in which an LMS has signed `user` in, with the rights of a learner."""
    from chalicelib import signing
    from chalicelib.web import cookies

    browser = Browser()
    session_id = sessions.begin(session, user, "a test", sessions.Kind.LAUNCH, is_learner=True)
    browser.cookies[cookies.LAUNCH] = signing.sign("session", {"sid": session_id}, timedelta(days=1))
    return browser


@pytest.fixture
def client(session: Session, user: User) -> Browser:
    """A browser in which Ines is signed in."""
    return signed_in(session, user)


@pytest.fixture
def count_statements(connection: Connection) -> Iterator[Callable[[], int]]:
    """Call it to learn how many SQL statements ran since the last call, the product's own only."""
    from sqlalchemy import event

    with database.scope():
        pass  # the first transaction of a process looks at the schema's revision, too
    count = 0

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal count
        if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK", "SET LOCAL")):
            count += 1

    event.listen(connection, "before_cursor_execute", note)

    def taken() -> int:
        nonlocal count
        result, count = count, 0
        return result

    yield taken
    event.remove(connection, "before_cursor_execute", note)


SHARED_DATA = Path(os.environ.get("ONTASK_SHARED_DATA", ROOT.parent / "shared" / "data"))


def real_file(name: str) -> Path:
    """A real input such as `oulad/ccc_2014j_class.csv`; the test is skipped where it is absent."""
    path = SHARED_DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not on this machine")
    return path
