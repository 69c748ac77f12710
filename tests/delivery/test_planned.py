"""What can be planned beside mails to learners: reports, JSON, something that happens once, one thing after another."""

from __future__ import annotations

import re
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from chalicelib import clock, database
from chalicelib.actions.models import Action
from chalicelib.actions.serving.models import ServedLink
from chalicelib.delivery.models import Run
from chalicelib.schedules import occurrences
from chalicelib.schedules.models import Occurrence, Schedule
from tests.conftest import Browser, Clock, signed_in
from tests.delivery.cloud import Cloud, FakeSes
from tests.delivery.conftest import Course, MakeCourse

OWNER, DEAN = "ines@uni.example", "dean@uni.example"
DAILY = {
    "when": "again", "r_name": "Each evening", "r_every": "day", "r_times": "18:00", "r_only_new": "", "r_start": "",
    "r_until": "", "r_notify": "error", "r_max_failures": "3", "r_minutes": "", "r_days": "",
}  # fmt: skip


@pytest.fixture
def course(make_course: MakeCourse) -> Course:
    return make_course(3)


@pytest.fixture
def browser(course: Course) -> Browser:
    return sign_in(course)


def sign_in(course: Course) -> Browser:
    """A browser with a session of its own; an old one ends while days pass."""
    with database.scope() as session:
        return signed_in(session, course.user)


def become(course: Course, kind: str, text: str, **more: Any) -> None:
    """Make the course's action one of another kind."""
    with database.scope() as session:
        session.execute(update(Action).values(kind=kind, text=text, **more))


def send(course: Course) -> str:
    return f"/workflows/{course.workflow.id}/actions/{course.action.id}/send"


def mail(course: Course, **changed: Any) -> dict[str, Any]:
    return {
        "to_column_id": course.columns["email"], "subject": "For {{ name }}", "from_name": "Ines", "reply_to": OWNER,
        "leave_out_duplicates": "1", "opens_column": "", "due_at": "", "draft": "a form", **DAILY, **changed,
    }  # fmt: skip


def written(request: dict[str, Any]) -> str:
    """The text of a mail."""
    body = message_from_bytes(request["Content"]["Raw"]["Data"], policy=default).get_body(("plain",))
    return str(body.get_content()) if body else ""


def states() -> list[tuple[str, str]]:
    """State and message of all moments, the first one first."""
    with database.scope() as session:
        return [(one.state, one.message) for one in session.scalars(select(Occurrence).order_by(Occurrence.due_at))]


def test_a_report_is_sent_again_and_again_and_skipped_when_it_is_about_nobody(
    course: Course, browser: Browser, cloud: Cloud, ses: FakeSes
) -> None:
    become(course, "email_report", f"<p>{{% table @c{course.columns['name']} %}}</p>")
    fields = {"to": DEAN, "subject": "Names", "from_name": "Ines", "reply_to": OWNER, "cc": "", "draft": "f", **DAILY}
    assert "The next times" not in browser.post(f"{send(course)}/prepare", {**fields, "when": "now"}, htmx=True).body
    assert browser.post(f"{send(course)}/prepare", fields, htmx=True).body.count("<li><time") == 5
    page = browser.follow(browser.post(send(course), fields))
    assert "About nobody" in page.body
    cloud.run(hours=24)
    with database.scope() as session:
        rule = {"column": course.columns["key"], "op": "equal", "value": "gone"}
        session.execute(update(Action).values(filter={"all": [rule]}))
    cloud.run(hours=24)
    assert ses.mails() == {DEAN: 1}
    assert states() == [("done", "1 mail sent."), ("done", "There was nobody to send it to.")]


def test_json_of_each_learner_is_planned_again_and_again_and_its_token_is_never_shown(
    course: Course, browser: Browser, cloud: Cloud
) -> None:
    become(course, "personalised_json", '{"id": 1}', target={"url": "https://lms.example/in", "method": "POST"})
    fields = {"token": "secret-of-lms", "draft": "f", "to_column_id": course.columns["key"], "exclude": "1", **DAILY}
    browser.post(f"{send(course)}/prepare", {**fields, "do": "next"})
    chosen = {"draft": "f", "step": "who", "shown": ["s1", "s2", "s3"], "out": ["s1"]}
    browser.post(f"{send(course)}/prepare", chosen, htmx=True)
    answer = browser.post(send(course), {**fields, "r_only_new": "1"})
    page = browser.follow(answer)
    assert "https://lms.example/in" in page.body
    with database.scope() as session:
        assert "secret" not in str(session.scalars(select(Schedule)).one().payload)
    cloud.time.advance(hours=7)
    with database.scope() as session:
        occurrences.begin_due(session)
        session.flush()
    cloud.run(hours=0.1)
    with database.scope() as session:
        run = session.scalars(select(Run)).one()
        assert (run.lane, run.planned, run.only_new) == ("push:lms.example", 2, True)
    browser = sign_in(course)
    for place in (answer.location, browser.post(answer.location, {"action": "edit", "step": "0"}).location):
        assert "secret" not in browser.get(place).body


def test_what_is_planned_for_a_time_happens_once_with_the_data_of_then_and_can_have_another_time(
    course: Course, browser: Browser, cloud: Cloud, ses: FakeSes, frozen_clock: Clock
) -> None:
    later = frozen_clock.time + timedelta(hours=3)
    here = browser.post(send(course), mail(course, when="later", due_at=f"{later:%Y-%m-%dT%H:%M}")).location
    with database.scope() as session:
        session.execute(update(Action).values(text="<p>Newer</p>"))
    cloud.run(hours=48)
    assert set(ses.mails().values()) == {1}
    assert all("Newer" in written(one) for one in ses.accepted)
    browser = sign_in(course)
    page = browser.get(here)
    assert "Its last time is over" in page.body
    change = {**mail(course), "action": "save", "version": page_version(page.body), "r_every": "once"}
    assert browser.post(here, {**change, "r_every": "day", "do": "look"}).body.count("18:00</time>") == 5
    refused = browser.post(here, {**change, "r_start": f"{later - timedelta(days=1):%Y-%m-%dT%H:%M}"})
    assert refused.status == 422
    assert "This time is over" in refused.body
    again = frozen_clock.time + timedelta(hours=5)
    assert browser.post(here, {**change, "r_start": f"{again:%Y-%m-%dT%H:%M}"}).status == 303
    cloud.run(hours=48)
    assert set(ses.mails().values()) == {2}


def page_version(body: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', body)
    assert found is not None
    return found[1]


def test_what_is_sent_is_changed_in_the_form_it_was_made_in(course: Course, browser: Browser, cloud: Cloud) -> None:
    fields = mail(course, exclude="1")
    browser.post(f"{send(course)}/prepare", {**fields, "do": "next"})
    everybody = [f"s{n}@uni.example" for n in (1, 2, 3)]
    who = {"draft": "a form", "step": "who", "shown": everybody, "leave_out_duplicates": "1"}
    here = browser.post(send(course), {**who, "out": everybody[:1]}).location
    browser.post(f"{send(course)}/prepare", {**who, "out": everybody[:1]}, htmx=True)
    edit = browser.post(here, {"action": "edit", "step": "0"}).location
    page = browser.get(edit)
    assert 'value="For {{ name }}"' in page.body
    draft = edit.rpartition("draft=")[2]
    version = re.search(r'name="version" value="(\d+)"', page.body)
    assert version is not None
    change = {
        **fields, "when": "edit", "draft": draft, "schedule": here.rpartition("/")[2], "stage": "0",
        "subject": "Changed", "version": version[1],
    }  # fmt: skip
    assert browser.post(send(course), {**change, "subject": "{{ nobody }}"}).status == 422
    assert browser.follow(browser.post(send(course), change)).body.count("Changed") == 1
    stale = browser.post(send(course), change)
    assert "Somebody else changed this schedule" in stale.body


def test_what_follows_is_sent_when_all_before_went_well_and_only_then(
    course: Course, browser: Browser, cloud: Cloud, ses: FakeSes
) -> None:
    here = browser.post(send(course), mail(course)).location
    form = browser.post(here, {"action": "step", "message": course.action.id}).location
    assert "when all before it" in browser.get(form).body
    step = mail(
        course, when="edit", draft=form.rpartition("draft=")[2], schedule=here.rpartition("/")[2], stage="1",
        version="1", subject="Second",
    )  # fmt: skip
    browser.post(send(course), step)
    cloud.run(hours=24)
    assert set(ses.mails().values()) == {2}
    with database.scope() as session:
        assert [run.subject for run in session.scalars(select(Run).order_by(Run.id))][1] == "Second"

    def refuse(_request: dict[str, Any]) -> None:
        from botocore.exceptions import ClientError

        raise ClientError({"Error": {"Code": "MessageRejected", "Message": "no"}}, "SendEmail")

    ses.answer = refuse
    cloud.run(hours=24)
    ses.answer = lambda _request: None
    assert states()[0] == ("done", "3 mails sent.")
    assert states()[1][0] == "failed"
    with database.scope() as session:
        assert len(session.scalars(select(Run)).all()) == 3


def test_a_check_that_fails_at_its_time_makes_a_failed_run_with_the_reason(
    course: Course, browser: Browser, cloud: Cloud
) -> None:
    browser.post(send(course), mail(course))
    become(course, "personalised_text", " ")
    cloud.run(hours=24)
    with database.scope() as session:
        run = session.scalars(select(Run)).one()
        assert (run.state, run.pause_reason) == ("failed", "The message is empty. Write it first.")
    page = sign_in(course).get(f"/workflows/{course.workflow.id}/runs/{run.id}")
    assert "The message is empty" in page.body


def test_whom_to_tell_and_after_how_many_failures_it_rests_can_be_chosen(
    course: Course, browser: Browser, cloud: Cloud, ses: FakeSes
) -> None:
    here = browser.post(
        send(course), mail(course, r_notify="always", r_addresses=f"{DEAN}, tutor@uni.example", r_max_failures="1")
    ).location
    cloud.run(hours=24)
    assert (ses.mails()[OWNER], ses.mails()[DEAN], ses.mails()["tutor@uni.example"]) == (1, 1, 1)
    told = next(one for one in ses.accepted if one["Destination"]["ToAddresses"] == [DEAN])
    assert "3 mails sent" in written(told)
    become(course, "personalised_text", " ")
    cloud.run(hours=24)
    assert "It rests, because something went wrong: The message is empty." in sign_in(course).get(here).body


def test_the_list_of_those_who_have_got_it_can_be_emptied_and_that_undone(
    course: Course, browser: Browser, cloud: Cloud, ses: FakeSes
) -> None:
    here = browser.post(send(course), mail(course, r_only_new="1")).location
    cloud.run(hours=24)
    browser = sign_in(course)
    undo = re.search(
        r'action="([^"]*action=remember[^"]*)"', browser.follow(browser.post(here, {"action": "reset"})).body
    )
    assert undo is not None
    browser.post(undo[1].replace("&amp;", "&"), {})
    cloud.run(hours=24)
    assert set(ses.mails().values()) == {1}
    sign_in(course).post(here, {"action": "reset"})
    cloud.run(hours=24)
    assert set(ses.mails().values()) == {2}


def test_the_list_is_searched_sorted_and_switched(course: Course, browser: Browser) -> None:
    for name in ("Zebra", "ant"):
        browser.post(send(course), mail(course, r_name=name, draft=name))
    here = f"/workflows/{course.workflow.id}/schedules"
    assert "Zebra" not in browser.get(f"{here}?q=ant").body
    assert "No schedule has" in browser.get(f"{here}?q=cow").body
    by_name = browser.get(f"{here}?sort=name").body
    assert by_name.index("ant</a>") < by_name.index("Zebra</a>")
    change = re.search(r'action="([^"]*/schedules/\d+)"', by_name)
    assert change is not None
    assert "“ant” rests" in browser.follow(browser.post(change[1], {"action": "off", "back": "list"})).body


def test_links_and_the_list_of_learners_are_planned_too(course: Course, browser: Browser, cloud: Cloud) -> None:
    here = f"/workflows/{course.workflow.id}/schedules"
    with database.scope() as session:
        make_link(session, course)
    page = browser.get(f"{here}?add=1")
    assert "Open the link of “Reminder”" in page.body
    fields = {**DAILY, "r_name": "Opening", "what": f"links.open {course.action.id}"}
    assert "Choose what is to be done." in browser.post(here, {**fields, "what": ""}).body
    assert browser.post(here, {**fields, "r_name": ""}).status == 422
    looked = browser.post(here, {**fields, "do": "look", "r_times": "21:15"})
    assert (looked.status, looked.body.count("21:15</time>")) == (200, 5)
    assert "is opened" in browser.follow(browser.post(here, fields)).body
    browser.post(here, {**fields, "r_name": "Learners", "what": "workflows.learners 0"})
    browser.post(here, {**fields, "r_name": "Files", "what": f"delivery.archive {course.action.id}"})
    cloud.run(hours=24)
    with database.scope() as session:
        assert session.scalars(select(ServedLink.is_on)).one() is True
    assert sorted(state for state in states() if "files" not in state[1]) == [
        ("done", "It is open."), ("failed", "No learner may sign in: choose a column under Settings, Learners."),
    ]  # fmt: skip
    assert sum(message.startswith("3 files, ") for _, message in states()) == 1


def make_link(session: Session, course: Course) -> None:
    """Give the message a link that is off."""
    now = clock.now()
    session.add(
        ServedLink(
            action_id=course.action.id, token="t" * 22, is_on=False, column_id=course.columns["email"], created_at=now,
            changed_at=now,
        )
    )  # fmt: skip
