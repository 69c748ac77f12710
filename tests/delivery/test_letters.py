"""Queue messages that failed too often: on the page of the run or of the administrators, sent again by a button."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

import app
from chalicelib import clock, database
from chalicelib.accounts.roles import Role
from chalicelib.delivery.letters.models import DeadLetter
from chalicelib.delivery.models import Message, Run
from chalicelib.schedules import due
from chalicelib.schedules import service as schedules
from tests.conftest import Browser, Clock, Page, make_user, signed_in
from tests.delivery.cloud import envelope
from tests.delivery.conftest import Course, a_course
from tests.handlers import Context


def url_of(queue: str) -> str:
    return str(boto3.client("sqs").get_queue_url(QueueName=f"ontask-{queue}")["QueueUrl"])


def give_up(queue: str, body: Any) -> str:
    """Put a message where a queue puts what has failed for the fifth time; return its id."""
    said = body if isinstance(body, str) else json.dumps(body)
    return str(boto3.client("sqs").send_message(QueueUrl=url_of(f"{queue}-dead"), MessageBody=said)["MessageId"])


def waiting(queue: str) -> list[Any]:
    """What is on a queue."""
    found = boto3.client("sqs").receive_message(QueueUrl=url_of(queue), MaxNumberOfMessages=10, VisibilityTimeout=0)
    return [json.loads(message["Body"]) for message in found.get("Messages", [])]


@pytest.fixture
def course(fresh_database: str, aws: str, frozen_clock: Clock) -> Course:
    assert aws
    return a_course(3)


@pytest.fixture
def run(course: Course) -> Run:
    """A run whose mails are planned."""
    made = course.confirm()
    with database.scope() as session:
        (job_id,) = schedules.due_jobs(session)
    app.work_job({"Records": [{"messageId": "m", "body": json.dumps({"job": job_id})}]}, Context())
    return made


def opened(course: Course, role: Role = Role.INSTRUCTOR) -> Browser:
    with database.scope() as session:
        who = course.user if role is Role.INSTRUCTOR else make_user(session, "root@uni.example", role)
        return signed_in(session, who)


def words(page: Page) -> str:
    return " ".join(page.body.split())


def test_what_failed_too_often_is_on_the_page_of_its_run_and_can_be_sent_again(course: Course, run: Run) -> None:
    with database.scope() as session:
        message = session.query(Message).filter_by(run_id=run.id).first()
        assert message is not None
        tags = [{"Name": "message", "Value": str(message.id)}]
    news = envelope("Delivery", {"EmailTags": tags, "MessageId": "ses-1"}, clock.now())
    failed = give_up("outbox", {"lane": "ses"})
    give_up("events", news)
    # The third is of another lane, the fourth of nothing that can be told.
    give_up("outbox", {"lane": "push:other.example"})
    give_up("jobs", "nonsense")
    app.send_batch({"Records": [{"messageId": failed, "body": "{}"}]}, Context())  # as it failed the last time
    due.run_due()
    due.run_due()  # what was fetched is not there any more
    browser, path = opened(course), f"/workflows/{course.workflow.id}/runs/{run.id}"
    page = words(browser.get(path))
    assert "2 queue messages about this run failed again and again and were set aside." in page
    assert "tried 1 time: Something unforeseen: KeyError." in page
    assert "News of a mail" in page
    assert "the function was ended, or the database could not be reached" in page
    before = len(waiting("outbox"))
    after = words(browser.follow(browser.post(f"{path}/letters")))
    assert "2 messages back in the queue." in after
    assert "set aside" not in after
    assert len(waiting("outbox")) == before + 1
    assert [one["Message"] for one in waiting("events")] == [json.loads(news)["Message"]]
    with database.scope() as session:
        ended = session.query(DeadLetter).filter(DeadLetter.ended_at.is_not(None))
        assert [(one.body, one.ended_by) for one in ended] == [("", course.user.id)] * 2


def test_administrators_see_all_that_was_set_aside(course: Course, run: Run) -> None:
    browser, path = opened(course, Role.ADMIN), "/admin/dead-letters"
    assert all(path in browser.get(page).body for page in ("/admin/log", "/me"))
    assert "Nothing was set aside" in browser.get(path).body
    give_up("jobs", {"job": 4711})
    give_up("jobs", "nonsense")
    due.run_due()
    page = words(browser.get(path))
    assert "Job 4711" in page
    assert "Nothing that can be told" in page
    assert "1 message sent again." in words(browser.follow(browser.post(path, {"action": "again"})))
    assert {"job": 4711} in [{"job": one.get("job")} for one in waiting("jobs")]
    page = words(browser.get(path))
    assert "Job 4711" not in page
    with database.scope() as session:
        (left,) = session.query(DeadLetter).filter(DeadLetter.ended_at.is_(None))
    assert "1 message put away." in words(browser.follow(browser.post(path, {"action": "away", "letter": left.id})))
    assert "Nothing was set aside" in browser.get(path).body
    assert browser.post(path, {"action": "look"}).status == 303
    assert browser.post(path, {"action": "burn"}).status == 404


def test_one_piece_of_news_that_can_not_be_recorded_keeps_no_other_back(course: Course, run: Run) -> None:
    with database.scope() as session:
        first, second, _ = session.query(Message).filter_by(run_id=run.id).order_by(Message.id)
        ids = [first.id, second.id]
    bodies = [
        envelope("Delivery", {"EmailTags": [{"Name": "message", "Value": str(one)}], "MessageId": "x"}, clock.now())
        for one in [ids[0], 10**30, ids[1]]
    ]
    records = [{"messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)]
    answer = app.record_events({"Records": records}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    with database.scope() as session:
        found = session.query(Message).filter(Message.id.in_(ids))
        assert {one.state for one in found} == {"delivered"}
