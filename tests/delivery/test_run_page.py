"""The page of a run and the time line: what they show, and what their buttons do."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib.accounts.models import User
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.audit import service as audit
from chalicelib.delivery import models, plan, service
from chalicelib.delivery.models import MailEvent, Message, Run
from chalicelib.delivery.order import SendOrder
from chalicelib.workflows.models import Member, Workflow
from tests.conftest import NOON, Browser, Clock, Page, make_user, signed_in
from tests.factories import make_action, make_table

COUNT = 60


@pytest.fixture
def columns(session: Session, workflow: Workflow, frozen_clock: Clock) -> dict[str, int]:
    rows = [(f"s{number:02}", f"learner{number:02}@uni.example", f"Name {number}") for number in range(COUNT)]
    rows[7] = ("s07", "nonsense", "Name 7")
    return make_table(session, workflow, {"sid": "text", "email": "text", "name": "text"}, rows)


@pytest.fixture
def run(session: Session, user: User, workflow: Workflow, columns: dict[str, int]) -> Run:
    """A planned run, held for the undo window."""
    action = make_action(session, workflow, f"<p>Dear {{{{ @c{columns['name']} }}}}</p>", "Quiz reminder")
    order = SendOrder(
        to_column_id=columns["email"], subject="Quiz for {{ name }}", leave_out_bad=True, track_opens=True
    )  # fmt: skip
    made = service.confirm(session, user.id, workflow, action, order)
    session.flush()
    plan.plan(session, made.id)
    session.flush()
    return made


def path(run: Run, part: str = "") -> str:
    return f"/workflows/{run.workflow_id}/runs/{run.id}{part}"


def words(page: Page) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.body))


def mails(session: Session, run: Run) -> list[Message]:
    """The messages of those who get one."""
    chosen = select(Message).where(Message.run_id == run.id, Message.state != models.SKIPPED)
    return list(session.scalars(chosen.order_by(Message.id)))


def become(session: Session, run: Run, state: str, messages: list[Message], **changed: Any) -> None:
    """Bring messages and their run into a state, as the senders would."""
    run.state, run.started_at = models.RUNNING, NOON
    for message in messages:
        message.state, message.rank = state, models.RANKS[state]
        for name, value in changed.items():
            setattr(message, name, value)
    session.flush()


def test_the_undo_window_counts_down_and_undo_stops_everything(
    session: Session, client: Browser, run: Run, frozen_clock: Clock
) -> None:
    page = client.get(path(run))
    assert page.status == 200
    assert re.search(r'id="countdown" data-seconds="10"', page.body)
    frozen_clock.advance(seconds=4)
    assert 'data-seconds="6"' in client.get(path(run, "/live"), htmx=True).body
    after = client.follow(client.post(path(run, "/undo")))
    assert "Nothing was sent" in after.body
    session.expire_all()
    assert run.state == models.CANCELLED
    assert {message.state for message in mails(session, run)} == {models.CANCELLED}


def test_undo_after_the_start_is_refused_with_a_reason(session: Session, client: Browser, run: Run) -> None:
    become(session, run, models.SENT, mails(session, run)[:1], sent_at=NOON)
    refused = client.post(path(run, "/undo"))
    assert refused.status == 409
    assert "has started" in refused.body


def test_the_numbers_are_those_of_the_messages(session: Session, client: Browser, run: Run) -> None:
    everybody = mails(session, run)
    become(session, run, models.QUEUED, everybody[20:])
    become(session, run, models.SENT, everybody[:20], sent_at=NOON)
    become(session, run, models.DELIVERED, everybody[:10], delivered_at=NOON + timedelta(minutes=1))
    for message in everybody[:4]:
        message.opened_at, message.open_count = NOON + timedelta(minutes=2), 2
    become(session, run, models.BOUNCED, everybody[10:11], reason="mailbox full", ended_at=NOON)
    become(session, run, models.FAILED, everybody[11:12], reason="Illegal address", sent_at=None)
    said = words(client.get(path(run)))
    for expected in ("Queued 39", "Sent 19", "Delivered 10", "Opened 4", "1 bounced", "1 failed", "1 left out"):
        assert expected in said, expected


def test_the_page_looks_again_only_while_something_can_happen(
    session: Session, client: Browser, run: Run, frozen_clock: Clock
) -> None:
    become(session, run, models.QUEUED, mails(session, run))
    assert 'hx-trigger="every 2s"' in client.get(path(run, "/live"), htmx=True).body
    run.state, run.ended_at = models.DONE, frozen_clock()
    session.flush()
    # The last mails have left, but nobody has heard yet that they arrived.
    assert 'hx-trigger="every 10s"' in client.get(path(run, "/live"), htmx=True).body
    assert 'hx-trigger="every 10s"' in client.get(path(run, "/learners"), htmx=True).body
    frozen_clock.advance(minutes=11)
    assert 'hx-trigger="every' not in client.get(path(run)).body


def test_the_chart_is_drawn_by_the_server_with_a_table_beside_it(session: Session, client: Browser, run: Run) -> None:
    assert "<svg viewBox" not in client.get(path(run)).body.replace('<svg class="icon"', "")
    everybody = mails(session, run)
    become(session, run, models.SENT, everybody[:30], sent_at=NOON)
    become(session, run, models.SENT, everybody[30:], sent_at=NOON + timedelta(minutes=5))
    page = client.get(path(run))
    assert 'aria-label="Totals over time: sent 59."' in page.body
    assert re.search(r'<path class="draw draw-sent" d="M[\d. L]+"/>', page.body)
    assert re.search(r'<td class="num">30</td>.*<td class="num">59</td>', page.body, re.DOTALL)
    assert "style=" not in page.body


def test_the_list_is_paged_and_narrowed(session: Session, client: Browser, run: Run) -> None:
    first = client.get(path(run))
    assert first.body.count("See the mail") == 49
    following = re.search(r'href="([^"]*after=\d+[^"]*)">Next learners', first.body)
    assert following
    assert client.get(following[1].replace("&amp;", "&").partition("#")[0]).body.count("See the mail") == 10
    found = client.get(path(run, "/learners"), htmx=True, search="learner42")
    assert "learner42@uni.example" in found.body
    assert "s42" in found.body
    assert "learner41" not in found.body
    by_name = client.get(path(run, "/learners"), htmx=True, search="name 42")
    assert "learner42@uni.example" in by_name.body
    assert "learner41" not in by_name.body
    left_out = client.get(path(run, "/learners"), htmx=True, state="skipped")
    assert "nonsense" in left_out.body
    assert "the address cannot be right" in left_out.body
    assert client.get(path(run), state="nonsense").status == 404


def test_a_mail_opens_as_it_was_sent(session: Session, client: Browser, run: Run) -> None:
    message = mails(session, run)[0]
    become(session, run, models.SENT, [message], sent_at=NOON)
    session.add(MailEvent(message_id=message.id, type="bounce", at=NOON, detail={"reason": "no such mailbox"}))
    session.flush()
    page = client.get(path(run, f"/messages/{message.id}"))
    assert "Quiz for Name 0" in page.body
    assert "no such mailbox" in page.body
    body = client.get(path(run, f"/messages/{message.id}/body"))
    assert "Dear Name 0" in body.body
    assert "sandbox" in body.headers["Content-Security-Policy"]


def test_a_message_of_another_run_is_not_shown(session: Session, client: Browser, run: Run, user: User) -> None:
    message = mails(session, run)[0]
    action = make_action(session, session.get_one(Workflow, run.workflow_id), name="Another")
    other = service.confirm(
        session, user.id, session.get_one(Workflow, run.workflow_id), action,
        SendOrder(to_column_id=run.to_column_id, subject="x", leave_out_bad=True),
    )  # fmt: skip
    session.flush()
    assert client.get(path(other, f"/messages/{message.id}")).status == 404
    assert client.get(path(other, f"/messages/{message.id}/body")).status == 404


def test_pause_resume_cancel(session: Session, client: Browser, run: Run) -> None:
    become(session, run, models.QUEUED, mails(session, run))
    assert "Resume" in client.follow(client.post(path(run, "/pause"))).body
    session.expire_all()
    assert run.state == models.PAUSED
    assert client.post(path(run, "/pause")).status == 409
    client.post(path(run, "/resume"))
    session.expire_all()
    assert run.state == models.RUNNING
    client.post(path(run, "/cancel"))
    session.expire_all()
    assert run.state == models.CANCELLED
    assert client.post(path(run, "/explode")).status == 404


def test_failed_mails_are_queued_again(session: Session, client: Browser, run: Run) -> None:
    become(session, run, models.SENT, mails(session, run), sent_at=NOON)
    become(session, run, models.FAILED, mails(session, run)[:3], reason="Illegal address", sent_at=None)
    run.state = models.DONE
    session.flush()
    page = client.get(path(run))
    assert "Finished with errors" in page.body
    assert "Retry 3 failed mails" in page.body
    assert "3 mails queued again" in client.follow(client.post(path(run, "/retry"))).body
    session.expire_all()
    assert [message.state for message in mails(session, run)[:4]] == [models.QUEUED] * 3 + [models.SENT]


def test_a_mail_in_doubt_says_that_it_is_settled_by_itself(session: Session, client: Browser, run: Run) -> None:
    become(session, run, models.SENT, mails(session, run), sent_at=NOON)
    become(session, run, models.SENDING, mails(session, run)[:2], lease_until=NOON - timedelta(minutes=1))
    said = words(client.get(path(run)))
    assert "2 mails in doubt: the sender stopped while they were handed over." in said
    assert "within half an hour" in said
    assert "Sending again may give a learner the same mail twice" not in said


def test_a_mail_in_doubt_is_sent_again_only_when_somebody_says_so(session: Session, client: Browser, run: Run) -> None:
    become(session, run, models.SENT, mails(session, run), sent_at=NOON)
    doubtful = mails(session, run)[0]
    become(session, run, models.UNKNOWN, [doubtful], in_doubt_at=NOON)
    page = client.get(path(run), state="in_doubt")
    assert "1 mail in doubt" in words(page)
    assert "Send again" in page.body
    assert "Send it again" in page.body
    client.post(path(run, f"/messages/{doubtful.id}/again"))
    session.expire_all()
    assert doubtful.state == models.QUEUED
    assert client.post(path(run, f"/messages/{doubtful.id}/again")).status == 409


def test_all_mails_in_doubt_can_be_sent_again_at_once(session: Session, client: Browser, run: Run) -> None:
    everybody = mails(session, run)
    become(session, run, models.SENT, everybody, sent_at=NOON)
    become(session, run, models.UNKNOWN, everybody[:55], in_doubt_at=NOON)
    assert "55 mails queued again" in client.follow(client.post(path(run, "/again"))).body
    session.expire_all()
    assert [message.state for message in everybody] == [models.QUEUED] * 55 + [models.SENT] * 4


def test_a_viewer_sees_the_run_without_buttons(session: Session, workflow: Workflow, run: Run) -> None:
    viewer = make_user(session, "vi@uni.example")
    session.add(Member(workflow_id=workflow.id, user_id=viewer.id, role=WorkflowRole.VIEWER, created_at=NOON))
    session.flush()
    browser = signed_in(session, viewer)
    page = browser.get(path(run))
    assert page.status == 200
    assert "/undo" not in page.body
    assert browser.post(path(run, "/undo")).status == 403


def test_a_scheduled_run_says_when_and_can_be_taken_back(
    session: Session, client: Browser, user: User, workflow: Workflow, columns: dict[str, int]
) -> None:
    order = SendOrder(
        to_column_id=columns["email"], subject="Later", leave_out_bad=True, due_at=NOON + timedelta(days=1)
    )  # fmt: skip
    run = service.confirm(session, user.id, workflow, make_action(session, workflow), order)
    session.flush()
    assert "Will be sent" in client.get(path(run)).body
    assert "in 24 hours" in words(client.get(f"/workflows/{workflow.id}/runs")) or "in 1 day" in words(
        client.get(f"/workflows/{workflow.id}/runs")
    )
    client.post(path(run, "/undo"))
    session.expire_all()
    assert run.state == models.CANCELLED


def test_the_time_line_is_filtered_and_leads_on(
    session: Session, client: Browser, workflow: Workflow, run: Run
) -> None:
    page = client.get(f"/workflows/{workflow.id}/runs")
    assert page.status == 200
    assert f'href="{path(run)}"' in page.body
    assert "created the workflow" in page.body
    only = client.get(f"/workflows/{workflow.id}/runs", kind="people")
    assert "created the workflow" in only.body
    assert f'href="{path(run)}">Quiz reminder</a>' not in only.body.partition("<h2>What happened</h2>")[2]
    assert client.get(f"/workflows/{workflow.id}/runs", kind="nonsense").status == 404


def test_the_time_line_goes_back_page_by_page(session: Session, client: Browser, workflow: Workflow) -> None:
    for number in range(50):
        audit.record(session, "upload_finished", workflow_id=workflow.id, name=f"file {number}.csv")
    session.flush()
    first = client.get(f"/workflows/{workflow.id}/runs")
    older = re.search(r'href="([^"]*before=\d+[^"]*)">Older', first.body)
    assert older
    second = client.get(older[1].replace("&amp;", "&"))
    for number in range(50):
        assert (f"file {number}.csv" in first.body) != (f"file {number}.csv" in second.body)
    assert "Older" not in second.body


def test_an_empty_time_line_teaches(session: Session, client: Browser, workflow: Workflow) -> None:
    assert "show up here" in client.get(f"/workflows/{workflow.id}/runs", kind="mail").body


def test_the_run_page_needs_few_statements(client: Browser, run: Run, count_statements: Any) -> None:
    client.get(path(run))
    count_statements()
    client.get(path(run))
    assert count_statements() <= 10


@pytest.mark.parametrize("columns", [{"id": "integer", "email": "text"}, {"name": "text", "email": "text"}])
def test_learners_are_told_apart_in_any_table(
    session: Session, user: User, workflow: Workflow, client: Browser, frozen_clock: Clock, columns: dict[str, str]
) -> None:
    first = next(iter(columns))
    rows = [(7 if first == "id" else "Ada", "ada@uni.example"), (8 if first == "id" else "Bob", "bob@uni.example")]
    ids = make_table(session, workflow, columns, rows)
    action = make_action(session, workflow, "<p>Hello</p>")
    made = service.confirm(session, user.id, workflow, action, SendOrder(to_column_id=ids["email"], subject="Hello"))
    session.flush()
    plan.plan(session, made.id)
    session.flush()
    shown = words(client.get(path(made)))
    assert str(rows[0][0]) in shown
    found = words(client.get(path(made, "/learners"), search=str(rows[1][0])))
    assert "bob@uni.example" in found
    assert "ada@uni.example" not in found
