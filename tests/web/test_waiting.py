"""A database that sleeps, wakes up and breaks off: a real PostgreSQL that is stopped and started."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import Engine, event

from chalicelib import clock, database, errors
from chalicelib.database import migrate
from chalicelib.schedules import jobs
from chalicelib.schedules import service as schedules
from chalicelib.schedules.models import Job
from chalicelib.settings import settings
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow
from local import postgres
from tests.accounts.lms import LEARNER, SECRET, signed
from tests.conftest import TEST_DATA, Browser, Clock, Outside, make_user, signed_in
from tests.factories import make_table
from tests.handlers import ALL_BACK, BATCHES, MOMENTS, Context, batch

NOTHING_BACK: dict[str, list[Any]] = {"batchItemFailures": []}


class Database:
    """A PostgreSQL of the tests' own, always at the same address."""

    def __init__(self, worker: str) -> None:
        self._base = TEST_DATA / f"waking-{worker}"
        self._server = postgres.start(self._base, durable=False)
        self._port = int(self._server.rpartition(":")[2])

    def make(self) -> str:
        """An empty database with the schema; its address."""
        postgres.create_database(self._server, "waking", replace=True)
        return f"{self._server}/waking"

    def sleep(self) -> None:
        """Go away."""
        postgres.stop(self._base)

    def wake(self) -> None:
        """Come back."""
        postgres.start(self._base, durable=False, port=self._port)

    def break_off(self) -> None:
        """End every connection of the product."""
        postgres._sql(
            self._server,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'ontask'",
        )


@pytest.fixture(scope="module")
def own_server(worker_id: str) -> Iterator[Database]:
    """The server, started once."""
    made = Database(worker_id)
    yield made
    made.sleep()


@pytest.fixture
def asleep(own_server: Database) -> Iterator[Database]:
    """The server, awake, with an empty database that the product uses."""
    own_server.wake()
    os.environ["DATABASE_URL"] = own_server.make()
    settings.cache_clear()
    migrate.upgrade()
    yield own_server
    database.dispose()
    del os.environ["DATABASE_URL"]
    settings.cache_clear()


@pytest.fixture
def ines(asleep: Database) -> Browser:
    """An instructor's browser."""
    with database.scope() as session:
        return signed_in(session, make_user(session))


class Fields(HTMLParser):
    """The fields of the waiting page's form, as a browser would send them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of the inputs in the form that is repeated."""
        named = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = "data-repeat" in named
        elif tag == "input" and self._inside:
            assert named["type"] == "hidden"
            self.found.append((named["name"], named["value"]))


def names() -> list[str]:
    """The workflows' names."""
    with database.scope() as session:
        return [workflow.name for workflow in session.query(Workflow)]


def test_a_page_waits_for_the_database_and_then_opens(asleep: Database, ines: Browser) -> None:
    assert ines.get("/workflows", sort="name").status == 200
    asleep.sleep()
    page = ines.get("/workflows", sort="name")
    assert page.status == 503
    assert int(page.headers["Retry-After"]) > 0
    assert page.headers["Cache-Control"] == "no-store"
    assert "waking up" in page.body
    assert "js/waiting.js" in page.body
    assert '<noscript><meta http-equiv="refresh"' in page.body
    assert Fields(page.body).found == [("sort", "name")]
    asleep.wake()
    assert ines.get("/workflows", sort="name").status == 200


def test_a_form_is_sent_again_whole_and_done_once(asleep: Database, ines: Browser) -> None:
    token = ines.csrf_token()
    sent = [
        ("csrf_token", token), ("name", 'Biology "101" & <b>more</b>'), ("note", "line one\r\nline two\t."),
        ("twice", "1"), ("other", ""), ("twice", "Zoë – 学"),
    ]  # fmt: skip
    asleep.sleep()
    page = ines.request("POST", "/workflows", urlencode(sent))
    assert page.status == 503
    assert Fields(page.body).found == sent
    assert '<button class="btn btn-primary">Send it again now</button>' in page.body
    again = ines.request("POST", "/workflows", urlencode(Fields(page.body).found))
    assert Fields(again.body).found == sent, "the second try found it asleep, too"
    asleep.wake()
    assert ines.request("POST", "/workflows", urlencode(Fields(again.body).found)).status == 303
    assert names() == ['Biology "101" & <b>more</b>']


def test_a_launch_of_an_lms_waits_in_its_frame_and_is_let_in_once(
    asleep: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = {"canvas": {"secret": SECRET, "origins": ["https://canvas.uni.example"]}}
    monkeypatch.setenv("LTI_CREDENTIALS", json.dumps(credentials))
    settings.cache_clear()
    browser, sent = Browser(), list(signed(LEARNER).items())
    asleep.sleep()
    page = browser.request("POST", "/lti_entry", urlencode(sent))
    assert page.status == 503
    assert Fields(page.body).found == sent
    assert "frame-ancestors 'self' https://canvas.uni.example;" in page.headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in page.headers
    asleep.wake()
    again = urlencode(Fields(page.body).found)
    assert browser.follow(browser.request("POST", "/lti_entry", again)).location == "/home"
    assert browser.request("POST", "/lti_entry", again).status == 403


def test_signing_in_waits_too(asleep: Database) -> None:
    browser = Browser()
    asleep.sleep()
    page = browser.get("/sign-in")
    assert page.status == 503
    asleep.wake()
    assert browser.get("/sign-in").status == 200


def test_a_form_too_long_for_a_page_is_not_lost_silently(asleep: Database, ines: Browser) -> None:
    asleep.sleep()
    page = ines.request("POST", "/workflows", urlencode({"name": "x" * 1_100_000}))
    assert page.status == 503
    assert "data-repeat" not in page.body
    assert "go back in your browser" in page.body


def test_what_the_last_page_had_to_say_is_said_when_the_database_is_awake(asleep: Database, ines: Browser) -> None:
    made = ines.post("/workflows", {"name": "Biology 101"})
    with database.scope() as session:
        (workflow,) = session.query(Workflow)
    deleted = ines.post(f"/workflows/{workflow.id}/delete")
    assert (made.status, deleted.status) == (303, 303)
    asleep.sleep()
    ines.follow(deleted)
    asleep.wake()
    assert "Undo" in ines.follow(deleted).body


def test_parts_of_pages_and_programs_get_a_plain_503(asleep: Database, ines: Browser) -> None:
    asleep.sleep()
    part = ines.get("/workflows", htmx=True)
    assert (part.status, part.headers["HX-Retarget"], part.headers["HX-Reswap"]) == (503, "#toasts", "innerHTML")
    assert "<html" not in part.body
    for method in ("GET", "POST"):
        data = ines.request(method, "/workflows", headers={"accept": "application/json"})
        assert (data.status, data.headers["Content-Type"]) == (503, "application/json")
        assert "waking up" in json.loads(data.body)["message"]
        assert int(data.headers["Retry-After"]) > 0


def test_only_the_deep_health_check_asks_the_database(asleep: Database, ines: Browser) -> None:
    asleep.sleep()
    assert ines.get("/healthz").status == 200
    deep = ines.get("/healthz", deep=1)
    assert (deep.status, deep.headers["Retry-After"]) == (503, "5")
    asleep.wake()
    assert ines.get("/healthz", deep=1).status == 200


def test_connections_that_the_server_ended_meanwhile_are_replaced_unseen(asleep: Database, ines: Browser) -> None:
    assert ines.get("/workflows").status == 200
    asleep.break_off()
    assert ines.get("/workflows").status == 200
    asleep.sleep()
    asleep.wake()
    assert ines.post("/workflows", {"name": "Biology 101"}).status == 303


def test_a_form_whose_connection_breaks_says_that_nothing_was_changed(asleep: Database, ines: Browser) -> None:
    token = ines.csrf_token()
    engine = database.engine()
    assert isinstance(engine, Engine)

    def break_off(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO ontask.workflow"):
            asleep.break_off()

    event.listen(engine, "before_cursor_execute", break_off)
    page = ines.request("POST", "/workflows", urlencode({"csrf_token": token, "name": "Biology 101"}))
    event.remove(engine, "before_cursor_execute", break_off)
    assert page.status == 503
    assert "Nothing was changed" in page.body
    assert "data-repeat" not in page.body
    assert names() == []


def test_a_form_whose_commit_broke_is_never_repeated_and_nothing_is_promised(
    asleep: Database, no_aws: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.scope() as session:
        user = make_user(session)
        workflow = workflows.create(session, user.id, "Biology 101")
        make_table(session, workflow, {"sid": "text"}, [("s1",)])
        browser = signed_in(session, user)
    token = browser.csrf_token()
    # The alarm is set just before the commit.
    monkeypatch.setattr("chalicelib.aws.alarm.set_alarm", lambda _due_at: asleep.break_off())
    page = browser.request("POST", f"/workflows/{workflow.id}/downloads", urlencode({"csrf_token": token}))
    assert page.status == 503
    assert "Nobody can say whether it was" in page.body
    assert "data-repeat" not in page.body
    assert no_aws.wakeups == []


@pytest.mark.parametrize("name", BATCHES)
def test_queue_handlers_wait_for_a_minute_and_give_the_whole_batch_back(
    asleep: Database, frozen_clock: Clock, name: str
) -> None:
    asleep.sleep()
    began = clock.now()
    assert BATCHES[name](Context()) == ALL_BACK
    assert 55 <= (clock.now() - began).total_seconds() <= 60


def test_a_handler_with_little_time_gives_its_batch_back_before_it_is_stopped(
    asleep: Database, frozen_clock: Clock
) -> None:
    asleep.sleep()
    began = clock.now()
    assert BATCHES["record_events"](Context(seconds=30)) == ALL_BACK
    assert (clock.now() - began).total_seconds() <= 20


@pytest.mark.parametrize("name", MOMENTS)
def test_an_alarm_that_finds_no_database_sets_itself_again(
    asleep: Database, frozen_clock: Clock, no_aws: Outside, name: str
) -> None:
    asleep.sleep()
    with pytest.raises(errors.Asleep):
        MOMENTS[name](Context())
    assert no_aws.alarms == [clock.now()]
    asleep.wake()
    MOMENTS[name](Context())


@jobs.job("test.greet")
def greet(task: jobs.Task) -> dict[str, str]:
    return {"said": "hello"}


def test_a_handler_does_its_work_when_the_database_wakes_up_in_time(asleep: Database, frozen_clock: Clock) -> None:
    with database.scope() as session:
        job = schedules.enqueue(session, "test.greet", {})
    asleep.sleep()
    naps = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        frozen_clock.advance(seconds=seconds)
        if len(naps) == 3:
            asleep.wake()

    clock.use(frozen_clock, nap)
    from app import work_job

    assert work_job(batch({"job": job.id}), Context()) == NOTHING_BACK
    with database.scope() as session:
        assert session.get_one(Job, job.id).result == {"said": "hello"}
    assert len(naps) == 3


def test_migrating_waits_for_the_database_as_well(asleep: Database, frozen_clock: Clock) -> None:
    asleep.sleep()
    clock.use(frozen_clock, lambda _seconds: asleep.wake())
    assert migrate.upgrade()["revision"]
