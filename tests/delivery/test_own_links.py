"""Links in mails that are a learner's own: who gets one, where it leads, and what is refused."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlsplit

import pytest

from chalicelib import database, errors
from chalicelib.accounts import personal_links
from chalicelib.actions.models import Action
from chalicelib.actions.serving.models import ServedLink
from chalicelib.workflows.models import Workflow
from tests.delivery.cloud import Cloud, FakeSes
from tests.delivery.conftest import Course, MakeCourse
from tests.delivery.test_sending import part
from tests.factories import make_action, make_link


@pytest.fixture
def course(make_course: MakeCourse) -> Course:
    """Two learners, and a message with a link to a survey that is open to them."""
    course = make_course(2)
    with database.scope() as session:
        survey = make_action(
            session, session.get_one(Workflow, course.workflow.id), "", 'How is "it" {going}?', "survey"
        )
        make_link(session, survey, course.columns["email"])
        action = session.get_one(Action, course.action.id)
        action.text = f'<p>Dear you, <a href="{{{{ @m{survey.id} }}}}">please answer</a>.</p>'
    return course


def test_every_mail_has_its_own_learner_s_link(course: Course, cloud: Cloud, ses: FakeSes) -> None:
    course.confirm(track_clicks=True)
    cloud.run(hours=1)
    owners = set()
    for request in ses.accepted:
        (address,) = request["Destination"]["ToAddresses"]
        (own,) = re.findall(r"\(([^)]+)\)", part(request, "text/plain"))
        opened = personal_links.read(urlsplit(own).path.rpartition("/")[2])
        assert (opened.email, opened.path[:3]) == (address, "/a/")
        owners.add(opened.email)
        (tracked,) = re.findall(r'href="([^"]+)"', part(request, "text/html"))
        assert "/c/" in unescape(tracked)
        assert "enter" in unescape(tracked)
    assert owners == {"s1@uni.example", "s2@uni.example"}


def test_who_is_in_copy_gets_no_link_of_somebody_else(course: Course, cloud: Cloud, ses: FakeSes) -> None:
    course.confirm(cc=("tutor@uni.example",))
    cloud.run(hours=1)
    for request in ses.accepted:
        assert re.search(r'href="[^"]+/a/link-of-\d+"', part(request, "text/html"))
        assert "/enter/" not in part(request, "text/html")


def test_nothing_is_sent_with_a_link_that_is_off(course: Course) -> None:
    with database.scope() as session:
        session.query(ServedLink).one().is_on = False
    with pytest.raises(errors.Invalid, match="link for learners is off"):
        course.confirm()
