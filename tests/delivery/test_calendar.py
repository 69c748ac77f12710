"""The calendar: what is planned in all workflows of a person, and who would get too much in a week."""

from __future__ import annotations

from chalicelib import database
from chalicelib.schedules import plans
from tests.conftest import NOON, Clock
from tests.delivery.cloud import Cloud
from tests.delivery.conftest import MakeCourse
from tests.delivery.test_planned import mail, send, sign_in


def test_it_shows_what_was_and_what_comes_and_names_weeks_with_too_much(
    make_course: MakeCourse, cloud: Cloud, frozen_clock: Clock
) -> None:
    course = make_course(3)
    browser = sign_in(course)
    browser.post(send(course), mail(course, draft="daily"))
    browser.post(send(course), mail(course, draft="once", r_name="Only once", r_only_new="1"))
    cloud.run(hours=24)
    browser = sign_in(course)
    month = browser.get(f"/calendar?month={NOON:%Y-%m}&most=4").body
    assert month.count("18:00 Each evening") == 35  # from the second of March to the end of its last week
    assert "Biology 101" in month
    assert "<strong>3 learners</strong> get more than 4 mails: s1@uni.example, s2@uni.example" in month
    with database.scope() as session:
        for schedule in plans.of_workflow(session, course.workflow.id):
            plans.switch(session, course.user.id, schedule, on=False)
    assert "get more than 4 mails" not in browser.get(f"/calendar?month={NOON:%Y-%m}&most=4").body
    assert "Nothing is planned in this month" in browser.get("/calendar?month=2031-01").body
    assert "March 2026" in browser.get("/calendar?month=0001-01").body
