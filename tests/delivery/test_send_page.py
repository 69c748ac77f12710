"""The send page: what it says before anything is sent, and what it refuses."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib.accounts.models import User
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions.models import Action
from chalicelib.delivery.models import Message, Run
from chalicelib.schedules.models import Schedule
from chalicelib.settings import settings
from chalicelib.workflows.models import Member, Workflow
from tests.conftest import NOON, Browser, Clock, Page, make_user, signed_in
from tests.factories import make_action, make_table

LEARNERS = [
    ("s1", "ada@uni.example", "Ada", 55),
    ("s2", "bob@uni.example", "Bob", 80),
    ("s3", "not an address", "Cy", 70),
    ("s4", None, "Di", 60),
    ("s5", "ADA@uni.example", "Ada", 40),
]


@pytest.fixture
def columns(session: Session, workflow: Workflow, frozen_clock: Clock) -> dict[str, int]:
    kinds = {"sid": "text", "Email": "text", "first name": "text", "mark": "integer"}
    return make_table(session, workflow, kinds, LEARNERS)


@pytest.fixture
def action(session: Session, workflow: Workflow, columns: dict[str, int]) -> Action:
    return make_action(session, workflow, f"<p>Dear {{{{ @c{columns['first name']} }}}}, well done.</p>")


def path(action: Action, part: str = "") -> str:
    return f"/workflows/{action.workflow_id}/actions/{action.id}/send{part}"


def fields(columns: dict[str, int], **changed: Any) -> dict[str, Any]:
    """What a browser would send."""
    start = {
        "to_column_id": columns["Email"], "subject": "About quiz 1", "from_name": "Ines", "cc": "", "bcc": "",
        "reply_to": "ines@uni.example", "track_opens": "1", "leave_out_duplicates": "1", "opens_column": "",
        "when": "now", "due_at": "", "draft": "a form",
    }  # fmt: skip
    return {**start, **changed}


def words(page: Page) -> str:
    """The text of the page without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page.body))


def problem(page: Page, name: str) -> str:
    """What stands at a field."""
    found = re.search(rf'id="p-{name}"[^>]*>([^<]*)<', page.body)
    assert found, f"there is no place for problems of {name}"
    return found[1].strip()


def test_what_is_switched_off_here_can_be_read_but_not_sent(
    client: Browser, action: Action, columns: dict[str, int], monkeypatch: pytest.MonkeyPatch, session: Session
) -> None:
    monkeypatch.setenv("DISABLED_KINDS", "survey, personalised_text")
    settings.cache_clear()
    try:
        assert "can be read and changed, but not sent" in words(client.get(path(action).removesuffix("/send")))
        page = client.post(path(action), fields(columns, leave_out_bad="1"))
        assert page.status == 422
        assert "switched off in this installation" in words(page)
        assert 'value="About quiz 1"' in page.body
        assert not session.scalars(select(Run)).all()
    finally:
        settings.cache_clear()


def test_the_page_opens_with_good_guesses(client: Browser, action: Action, columns: dict[str, int]) -> None:
    page = client.get(path(action))
    assert page.status == 200
    assert f'<option value="{columns["Email"]}" selected>' in page.body
    assert 'value="ines@uni.example"' in page.body
    assert "no-reply@ontask.example" in page.body
    assert problem(page, "subject") == "", "nobody is scolded for what they had no time to type"


def test_the_receipt_says_who_gets_it_and_who_not(client: Browser, action: Action) -> None:
    said = words(client.get(path(action)))
    assert "2 of 5 learners get a mail" in said
    assert "1 with an address that cannot be right" in said
    assert "1 without an address" in said
    assert "1 with the same address and the same text as another learner" in said
    assert "Leave out 2 learners without a usable address" in said
    assert "Send 2 messages" in said


def test_the_receipt_follows_the_form(client: Browser, action: Action, columns: dict[str, int]) -> None:
    page = client.post(path(action, "/prepare"), fields(columns, leave_out_duplicates=""), htmx=True)
    assert "3 of 5 learners get a mail" in words(page)
    copied = client.post(path(action, "/prepare"), fields(columns, cc="a@uni.example, b@uni.example"), htmx=True)
    assert "Recipients with copies6" in words(copied)


def test_the_first_mails_are_shown_as_they_will_arrive(
    client: Browser, action: Action, columns: dict[str, int]
) -> None:
    page = client.post(path(action, "/prepare"), fields(columns, subject="For {{ first name }}"), htmx=True)
    assert "For Ada" in page.body
    sources = re.findall(r'<iframe [^>]*src="([^"]+)"[^>]*sandbox="allow-popups"', page.body)
    mail = client.get(sources[0])
    assert "Dear Ada, well done." in mail.body
    assert "sandbox" in mail.headers["Content-Security-Policy"]
    assert client.get(path(action, "/sample/999999")).status == 404


def test_a_bad_subject_is_said_at_the_field_while_typing(
    client: Browser, action: Action, columns: dict[str, int]
) -> None:
    page = client.post(path(action, "/prepare"), fields(columns, subject="Dear {{ nobody }}"), htmx=True)
    assert page.status == 200
    assert "nobody" in problem(page, "subject")
    empty = client.post(path(action, "/prepare"), fields(columns, subject=""), htmx=True)
    assert problem(empty, "subject") == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("subject", ""),
        ("subject", "Dear {{ nobody }}"),
        ("reply_to", "ines"),
        ("cc", "a@uni.example nonsense"),
        ("bcc", "@"),
        ("to_column_id", ""),
        ("to_column_id", "999999"),
    ],
)
def test_a_refused_form_keeps_what_was_typed(
    session: Session, client: Browser, action: Action, columns: dict[str, int], name: str, value: str
) -> None:
    page = client.post(path(action), fields(columns, from_name="Dr. Ines", leave_out_bad="1", **{name: value}))
    assert page.status == 422
    assert problem(page, name)
    assert 'value="Dr. Ines"' in page.body
    assert session.scalars(select(Run)).all() == []


def test_bad_addresses_must_be_left_out_knowingly(
    session: Session, client: Browser, action: Action, columns: dict[str, int]
) -> None:
    page = client.post(path(action), fields(columns))
    assert page.status == 422
    assert "2 learners have no usable address" in problem(page, "leave_out_bad")
    assert client.post(path(action), fields(columns, leave_out_bad="1")).status == 303


def test_sending_makes_one_run_however_often_the_form_is_sent(
    session: Session, client: Browser, action: Action, columns: dict[str, int]
) -> None:
    sent = fields(columns, leave_out_bad="1", wants_notice="1")
    first, second = client.post(path(action), sent), client.post(path(action), sent)
    run = session.scalars(select(Run)).one()
    assert first.location == second.location == f"/workflows/{action.workflow_id}/runs/{run.id}"
    assert run.wants_notice, "a mail when it is through"


def test_a_time_is_read_in_the_zone_of_the_user(
    session: Session, client: Browser, user: User, action: Action, columns: dict[str, int]
) -> None:
    user.time_zone = "Australia/Sydney"
    session.flush()
    client.post(path(action), fields(columns, leave_out_bad="1", when="later", due_at="2026-03-03T09:00"))
    assert session.scalars(select(Schedule)).one().next_at == datetime(2026, 3, 2, 22, 0, tzinfo=UTC)


@pytest.mark.parametrize("due_at", ["", "tomorrow", "2026-03-02T11:59", "0001-01-01T00:00", "9999-99-99T00:00"])
def test_a_time_that_is_none_or_over_is_refused(
    client: Browser, action: Action, columns: dict[str, int], due_at: str
) -> None:
    assert f"{NOON:%Y-%m-%dT%H:%M}" > "2026-03-02T11:59"
    page = client.post(path(action), fields(columns, leave_out_bad="1", when="later", due_at=due_at))
    assert page.status == 422
    assert problem(page, "due_at")
    assert "receipt-total" in page.body, "the receipt does not depend on the time"


def test_the_choices_of_the_last_time_come_back(client: Browser, action: Action, columns: dict[str, int]) -> None:
    changed = {"subject": "For {{ first name }}", "cc": "a@uni.example", "track_opens": "", "from_name": "Dr. Ines"}
    client.post(path(action), fields(columns, leave_out_bad="1", **changed))
    page = client.get(path(action))
    assert 'value="For {{ first name }}"' in page.body or 'value="For {{ &#34;first name&#34; }}"' in page.body
    assert 'value="Dr. Ines"' in page.body
    assert 'value="a@uni.example"' in page.body
    assert not re.search(r'name="track_opens" value="1" checked', page.body)


def test_nothing_can_be_sent_when_nobody_would_get_it(
    session: Session, client: Browser, workflow: Workflow, columns: dict[str, int]
) -> None:
    empty = make_action(session, workflow, "", "Empty")
    page = client.get(path(empty))
    assert "The message is empty" in page.body
    assert re.search(r'id="send" disabled', page.body)
    everybody = client.post(
        path(make_action(session, workflow), "/prepare"), fields(columns, to_column_id=columns["sid"]), htmx=True
    )
    assert "Every learner of this message is left out." in everybody.body
    assert "Look at the filter" not in everybody.body


def test_a_workflow_without_learners_says_what_to_do(session: Session, client: Browser, workflow: Workflow) -> None:
    page = client.get(path(make_action(session, workflow)))
    assert page.status == 200
    assert "Choose the column" in page.body


def test_an_editor_may_prepare_but_not_send(
    session: Session, workflow: Workflow, action: Action, columns: dict[str, int]
) -> None:
    editor = make_user(session, "ed@uni.example")
    session.add(Member(workflow_id=workflow.id, user_id=editor.id, role=WorkflowRole.EDITOR, created_at=NOON))
    session.flush()
    browser = signed_in(session, editor)
    page = browser.get(path(action))
    assert page.status == 200
    assert "Somebody with the role sender or owner" in page.body
    assert browser.post(path(action), fields(columns, leave_out_bad="1")).status == 403


def test_the_page_needs_few_statements(client: Browser, action: Action, count_statements: Any) -> None:
    client.get(path(action))
    count_statements()
    client.get(path(action))
    assert count_statements() <= 11


def test_a_message_that_went_out_lately_says_so_before_it_goes_again(
    session: Session, client: Browser, frozen_clock: Clock, action: Action, columns: dict[str, int]
) -> None:
    assert "get it again" not in words(client.get(path(action)))
    client.post(path(action), fields(columns, leave_out_bad="1"))
    run = session.scalars(select(Run)).one()
    mail = {"recipient": "ada@uni.example", "values": {}, "flags": {}, "state": "sent", "rank": 20, "sent_at": NOON}
    session.add(Message(run_id=run.id, lane="mail", row_id=99, **mail))
    run.started_at = NOON
    session.flush()
    frozen_clock.advance(minutes=10)
    shown = words(client.get(path(action)))
    assert "This message went to 1 learner 10 minutes ago. Those who are chosen below get it again." in shown
    frozen_clock.advance(days=8)
    assert "get it again" not in words(client.get(path(action)))
