"""The mail that tells who sent something that all of it is through, and the page on which it is written."""

from __future__ import annotations

import email
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import database
from chalicelib.accounts.roles import Role
from chalicelib.audit.models import Event
from chalicelib.aws.mailer import Mailer
from chalicelib.delivery.models import Run
from chalicelib.delivery.notices import jobs, service
from tests.conftest import Browser, make_user, signed_in
from tests.delivery.cloud import Cloud, FakeSes, Killed, run_state
from tests.delivery.conftest import Course, MakeCourse

PAGE = "/admin/notices"


@pytest.fixture
def admin(session: Session) -> Browser:
    """A browser in which an administrator is signed in."""
    return signed_in(session, make_user(session, "root@uni.example", Role.ADMIN))


def typed(**changes: str) -> dict[str, str]:
    return {
        "action": "save", "from_name": "Feedback office", "subject": "{{ action }} is out",
        "text": "<p>{{ messages }} sent, {{ failed }} failed.{% if filter %} Filtered.{% endif %}</p>", **changes,
    }  # fmt: skip


def test_an_administrator_writes_the_mail_and_sees_it(admin: Browser, session: Session) -> None:
    page = admin.get(PAGE)
    assert "{{ action }}: all messages are sent" in page.body
    assert "Week 3: all messages are sent" in page.body
    saved = admin.follow(admin.post(PAGE, typed(text=typed()["text"] + "<script>alert(1)</script>")))
    assert "From Feedback office: <strong>Week 3 is out</strong>" in saved.body
    assert "240 sent, 2 failed. Filtered." in admin.get(PAGE, sample=1).body
    assert "alert(1)" not in saved.body
    assert service.stored(session).subject == "{{ @c3 }} is out"
    original = admin.follow(admin.post(PAGE, {"action": "original"}))
    assert "Week 3: all messages are sent" in original.body
    assert "Back to the original words" in saved.body
    assert "Back to the original words" not in original.body
    assert (
        session.scalars(select(Event.type).where(Event.type == "notice_text_changed")).all()
        == ["notice_text_changed"] * 2
    )


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"text": "<p>{{ massages }}</p>"}, "text", "no value or test called “massages”"),
        ({"text": "<p>{% if filter %}never ends</p>"}, "text", "endif"),
        ({"text": " "}, "text", "Write a text"),
        ({"subject": "{{ action"}, "subject", "Line 1, column 1"),
        ({"subject": ""}, "subject", "Type a subject"),
        ({"from_name": "x" * 65}, "from_name", "at most 64"),
    ],
)
def test_a_mistake_is_refused_at_its_field_and_nothing_typed_is_lost(
    admin: Browser, session: Session, changes: dict[str, str], field: str, said: str
) -> None:
    before = service.stored(session)
    page = admin.post(PAGE, typed(**changes))
    assert page.status == 422
    problem = page.body.partition(f'id="h-{field}">')[2].partition("</div>")[0]
    assert said in problem
    assert "Feedback office" in page.body or field == "from_name"
    assert service.stored(session) == before


def notices(ses: FakeSes) -> list[Any]:
    """The mails to Ines."""
    mails = [request for request in ses.accepted if request["Destination"]["ToAddresses"] == ["ines@uni.example"]]
    return [email.message_from_bytes(request["Content"]["Raw"]["Data"]) for request in mails]


def asked(course: Course, **changes: Any) -> int:
    run = course.confirm(**changes)
    with database.scope() as session:
        session.get_one(Run, run.id).wants_notice = True
    return run.id


def events(run_id: int) -> list[str]:
    with database.scope() as session:
        found = session.scalars(select(Event.type).where(Event.run_id == run_id).order_by(Event.id)).all()
        return [one for one in found if one.startswith("notice")]


def test_who_asked_for_it_gets_one_mail_when_all_is_through(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "carrier", lambda: Mailer(ses))
    course = make_course(30)
    course.confirm()
    run_id = asked(course, skip_rows=(1, 2))
    cloud.run(hours=2)
    (mail,) = notices(ses)
    assert mail["Subject"] == "Reminder: all messages are sent"
    assert mail["From"].startswith("OnTask <")
    plain, shown = (part.get_payload(decode=True).decode() for part in mail.get_payload())
    for words in ("Dear Ines", "Biology 101", "Messages: 28", "left out: 2", "chosen: 30 of 30"):
        assert words in plain
    assert f"/workflows/{course.workflow.id}/runs/{run_id}" in shown
    assert events(run_id) == ["notice_sent"]


def test_a_notice_whose_worker_is_killed_is_not_sent_twice(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(request: dict[str, Any]) -> None:
        if request["Destination"]["ToAddresses"] == ["ines@uni.example"]:
            raise Killed

    monkeypatch.setattr(jobs, "carrier", lambda: Mailer(ses))
    run_id = asked(make_course(1))
    ses.on_accept = kill
    cloud.run(hours=1)
    assert (cloud.kills, len(notices(ses)), events(run_id)) == (1, 1, ["notice_failed"])


def test_a_notice_that_fails_leaves_the_run_as_it_is_and_is_noted(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "carrier", lambda: Mailer(ses))
    monkeypatch.setattr(jobs.service, "write", lambda *_: 1 / 0)
    run_id = asked(make_course(2))
    cloud.run(hours=1)
    assert (run_state(run_id), notices(ses), events(run_id)) == ("done", [], ["notice_failed"])
