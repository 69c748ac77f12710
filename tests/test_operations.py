"""What the operator's commands ask of an installation, through the function `migrate`."""

from __future__ import annotations

import re

import app
from local.gateway import Context
from tests.conftest import Browser, Clock, Outside


def ask(**event: object) -> dict[str, object]:
    """Invoke the function as a deployment does."""
    return app.migrate(event, Context())


def test_the_first_administrator_gets_a_link_until_there_is_a_password(fresh_database: str) -> None:
    first = ask(do="first admin", email="ana@uni.example")["link"]
    again = ask(do="first admin", email="ana@uni.example")["link"]
    assert first != again, "the first may never have been read: the deployment was cut off"
    browser = Browser()
    path = re.sub(r"https?://[^/]+", "", str(again))
    page = browser.get(path)
    assert page.status == 200
    words = "four words no robot guesses"
    fields = {"csrf_token": page.csrf_token(), "password": words, "again": words, "repeat": words}
    done = browser.post(path, fields)
    assert done.status == 303, done.body[:2000]
    assert ask(do="first admin", email="ana@uni.example") == {}


def test_a_try_is_done_when_the_queue_and_the_alarm_have_worked(
    fresh_database: str, frozen_clock: Clock, no_aws: Outside
) -> None:
    jobs = ask(do="try")["jobs"]
    assert ask(do="look", jobs=jobs) == {"queue": "queued", "alarm": "queued", "mail": None}
    ((queue, body, _),) = no_aws.wakeups
    assert queue.endswith("jobs")
    app.work_job({"Records": [{"messageId": "1", "body": str(body).replace("'", '"')}]}, Context())
    assert ask(do="look", jobs=jobs) == {"queue": "done", "alarm": "queued", "mail": None}
    frozen_clock.advance(minutes=2)
    app.run_due({}, Context())
    _, body, _ = no_aws.wakeups[-1]
    app.work_job({"Records": [{"messageId": "2", "body": str(body).replace("'", '"')}]}, Context())
    assert ask(do="look", jobs=jobs)["alarm"] == "done"
