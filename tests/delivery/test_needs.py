"""What schedules need: told before it is deleted; after that they rest, their owner knows, and all can be undone."""

from __future__ import annotations

import re

from sqlalchemy import select, update

from chalicelib import clock, database
from chalicelib.actions.models import Action, Condition
from chalicelib.actions.reports.models import Attachment
from chalicelib.schedules.models import Schedule
from chalicelib.tables.models import View
from tests.conftest import Browser
from tests.delivery.cloud import Cloud, FakeSes
from tests.delivery.conftest import MakeCourse
from tests.delivery.test_planned import OWNER, mail, send, sign_in


def schedule_state() -> tuple[str, str, bool]:
    with database.scope() as session:
        one = session.scalars(select(Schedule)).one()
        return one.state, one.problem, one.deleted_at is None


def undo(browser: Browser, page: str) -> None:
    found = re.search(r'<form[^>]*action="([^"]*)"[^>]*>(?:(?!</form>).)*Undo', page, re.S)
    assert found is not None
    browser.post(found[1].replace("&amp;", "&"), {})


def test_a_column_that_is_deleted_lets_a_schedule_rest_until_it_is_back(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes
) -> None:
    course = make_course(3)
    browser = sign_in(course)
    browser.post(send(course), mail(course))
    for name in ("email", "name"):  # the addresses, and what the text speaks of
        step = f"/workflows/{course.workflow.id}/columns/{course.columns[name]}/delete"
        page = browser.get(step)
        assert "the schedule “Each evening”" in page.body
        after = browser.follow(browser.post(step, {}))
        assert schedule_state()[:2] == ("blocked", f"The column “{name}” was deleted.")
        undo(browser, after.body)
        assert schedule_state()[0] == "active"
    cloud.run(hours=1)
    assert ses.mails()[OWNER] == 2


def test_a_message_takes_its_schedules_with_it_and_brings_them_back(make_course: MakeCourse, cloud: Cloud) -> None:
    course = make_course(3)
    browser = sign_in(course)
    browser.post(send(course), mail(course))
    here = f"/workflows/{course.workflow.id}/actions/{course.action.id}"
    assert "“Each evening” would not be done any more" in browser.get(f"{here}/settings").body
    gone = browser.follow(browser.post(f"{here}/delete", {}))
    assert "Its schedules “Each evening” go with it." in gone.body
    assert schedule_state()[2] is False
    undo(browser, gone.body)
    assert schedule_state() == ("active", "", True)


def test_a_message_that_only_follows_lets_the_schedule_rest(make_course: MakeCourse, cloud: Cloud) -> None:
    course = make_course(3)
    browser = sign_in(course)
    here = browser.post(send(course), mail(course)).location
    with database.scope() as session:
        first = session.get_one(Action, course.action.id)
        other = Action(
            workflow_id=first.workflow_id, name="Second", kind=first.kind, text="<p>Hi</p>",
            created_at=first.created_at, updated_at=first.updated_at,
        )  # fmt: skip
        session.add(other)
        session.flush()
        steps = [{"kind": "delivery.repeat", "action_id": other.id, "payload": _payload(session)}]
        session.execute(update(Schedule).values(steps=steps))
    gone = browser.follow(browser.post(f"/workflows/{course.workflow.id}/actions/{other.id}/delete", {}))
    assert "“Each evening” can’t do without it and rests." in gone.body
    assert "rests" in browser.get(here).body


def test_a_condition_and_a_view_that_a_schedule_needs_name_it_before_they_are_deleted(
    make_course: MakeCourse, cloud: Cloud
) -> None:
    course = make_course(3)
    browser = sign_in(course)
    browser.post(send(course), mail(course, subject="{% if low %}Soon{% else %}Well{% endif %}"))
    with database.scope() as session:
        low = session.scalars(select(Condition.id)).one()
        view = View(
            workflow_id=course.workflow.id, name="All", columns=[course.columns["name"]], filter=None,
            created_at=clock.now(), updated_at=clock.now(),
        )  # fmt: skip
        session.add(view)
        session.flush()
        file = Attachment(
            action_id=course.action.id, view_id=view.id, format="csv", position=1, created_at=clock.now()
        )  # fmt: skip
        session.add(file)
        seen = view.id
    here = f"/workflows/{course.workflow.id}"
    for page in (f"{here}/actions/{course.action.id}/conditions/{low}", f"{here}/views/{seen}"):
        assert "Without it “Each evening” can’t be done" in browser.get(page).body


def _payload(session: object) -> dict[str, object]:
    found = session.scalars(select(Schedule.payload)).one()  # type: ignore[attr-defined]
    return dict(found)


def test_a_workflow_in_the_trash_does_nothing_and_goes_on_when_it_is_back(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes
) -> None:
    course = make_course(3)
    browser = sign_in(course)
    browser.post(send(course), mail(course))
    assert "meanwhile: “Each evening”" in browser.get(f"/workflows/{course.workflow.id}/settings").body
    browser.post(f"/workflows/{course.workflow.id}/delete", {})
    cloud.run(hours=48)
    assert ses.mails() == {}
    sign_in(course).post(f"/trash/{course.workflow.id}/restore", {})
    assert schedule_state() == ("active", "", True)
    cloud.run(hours=24)
    assert set(ses.mails().values()) == {1}
