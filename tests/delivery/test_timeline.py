"""The time lines of a workflow, of one message and of one learner."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.accounts.models import User
from chalicelib.audit import service as audit
from chalicelib.delivery import feedback, outbox, plan, service
from chalicelib.delivery.models import Message, Run
from chalicelib.delivery.news import News
from chalicelib.delivery.order import SendOrder
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, Clock, Page
from tests.factories import make_action, make_table


@pytest.fixture
def run(session: Session, user: User, workflow: Workflow, frozen_clock: Clock) -> Run:
    """A run whose two mails went out; the first learner opened it, a scanner followed its links, an answer came."""
    rows = [("s1", "ada@uni.example", "Ada", "good"), ("s2", "ben@uni.example", "Ben", None)]
    columns = make_table(session, workflow, {"sid": "text", "email": "text", "name": "text", "mood": "text"}, rows)
    action = make_action(session, workflow, "<p>Hello</p>", "Reminder")
    make_action(session, workflow, "<p>Other</p>", "Another")
    made = service.confirm(
        session, user.id, workflow, action, SendOrder(to_column_id=columns["email"], subject="Hello")
    )
    session.flush()
    plan.plan(session, made.id)
    frozen_clock.advance(minutes=1)
    session.execute(update(Message).values(state="sending", claimed_at=clock.now(), lease_until=clock.now()))
    first, second = (message.id for message in session.query(Message).order_by(Message.row_id))
    outbox.settle(session, [outbox.Outcome(first, "sent", clock.now()), outbox.Outcome(second, "failed", clock.now(),
                  "Mailbox of ben@uni.example is full")], clock.now())  # fmt: skip
    frozen_clock.advance(minutes=1)
    feedback.record(session, [News(first, "open", clock.now())])
    news = [News(first, "click", clock.now(), detail={"url": f"https://uni.example/{n}"}) for n in range(2)]
    feedback.record(session, [News(n.message_id, n.type, n.at + timedelta(seconds=60, milliseconds=k), detail=n.detail)
                              for k, n in enumerate(news)])  # fmt: skip
    audit.record(session, "survey_answered", workflow_id=workflow.id, action_id=action.id, row_id=1,
                 values={str(columns["mood"]): ["good", "better"]})  # fmt: skip
    audit.record(session, "column_added", workflow_id=workflow.id, user_id=user.id, name="mood")
    session.flush()
    return made


def lines(page: Page) -> list[str]:
    """The events on the page, in words."""
    found = re.findall(
        r"<li><span>((?:(?!</li>).)*?)</span>\s*<a class=\"text-secondary small moment", page.body, re.DOTALL
    )
    return [re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", line)).strip() for line in found]


def test_everything_with_one_learner_is_told_and_nothing_of_others(client: Browser, run: Run) -> None:
    page = client.get(f"/workflows/{run.workflow_id}/runs", row=1)
    told = lines(page)
    assert told[:2] == [
        "Followed a link of by a program · Reminder https://uni.example/1",
        "Followed a link of by a program · Reminder https://uni.example/0",
    ]
    assert "Opened the mail · Reminder" in told
    assert "Got the mail · Reminder" in told
    assert [line for line in told if line.startswith("A learner answered Reminder")] == [
        "A learner answered Reminder mood: good → better"
    ]
    assert len(told) == 5
    other = lines(client.get(f"/workflows/{run.workflow_id}/runs", row=2))
    assert other == ["A mail could not be sent · Reminder"]
    assert "runs?row=1" in client.get(f"/workflows/{run.workflow_id}/runs", learner="ada").body
    assert "No learner is called" in client.get(f"/workflows/{run.workflow_id}/runs", learner="Zoe").body
    assert "row=1" in client.get(f"/workflows/{run.workflow_id}/runs/{run.id}").body
    assert "row=1" in client.get(f"/workflows/{run.workflow_id}/table/rows/1").body


def test_a_message_has_its_own_time_line_and_single_mails_bury_nothing(client: Browser, run: Run) -> None:
    path = f"/workflows/{run.workflow_id}/runs"
    whole = lines(client.get(path))
    assert any("added the column" in line for line in whole)
    assert not any("a mail of" in line for line in whole)
    page = client.get(path, action=run.action_id)
    assert lines(page) == ["A learner answered Reminder", "Ines asked to send · Reminder"]
    assert f"/actions/{run.action_id}" in page.body
    assert lines(client.get(path, action=run.action_id, kind="answers")) == ["A learner answered Reminder"]
    assert lines(client.get(path, user=run.user_id, kind="mail")) == ["Ines asked to send · Reminder"]
    assert lines(client.get(path, until="2026-03-01")) == []
    assert client.get(path, since="soon").status == 422
    assert client.get(path, row=10**20).status == 422
    assert client.get(path, action=10**6).status == 404


def test_the_log_finds_mails_by_address_and_by_how_it_went(client: Browser, run: Run) -> None:
    path = f"/workflows/{run.workflow_id}/log"
    assert client.get(path, text="ADA@uni").body.count("<tr><td>") == 4
    failed = client.get(path, outcome="not")
    assert (failed.body.count("<tr><td>"), "could not send a mail of" in failed.body) == (1, True)
    number = re.findall(r"/log/(\d+)", failed.body)[0]
    event = client.get(f"{path}/{number}")
    assert "Mailbox of ben@uni.example is full" in event.body
    assert json.dumps("row=2")[1:-1] in event.body
