"""A worker dies while rubric feedback goes out: everybody gets their own feedback once."""

from __future__ import annotations

import email
import email.policy
from collections import Counter
from email.message import EmailMessage

import pytest

from chalicelib import clock, database
from chalicelib.actions.models import Action
from chalicelib.actions.rubrics.models import Criterion, RubricCell
from chalicelib.tables.models import Column
from tests.delivery.cloud import Cloud, FakeSes
from tests.delivery.conftest import Course, MakeCourse
from tests.faults.test_kills import LEARNERS, MOMENTS, mortal, nth_of

pytestmark = pytest.mark.faults


def rubric(course: Course) -> None:
    """Make the course's message rubric feedback on the mark, of which everybody has 0 or 1."""
    with database.scope() as session:
        column = session.get_one(Column, course.columns["mark"])
        column.allowed_values = [0, 1]
        action = session.get_one(Action, course.action.id)
        action.kind, action.text = "rubric_text", "<p>Hello</p><p>{% rubric %}</p>"
        criterion = Criterion(action_id=action.id, column_id=column.id, position=1, created_at=clock.now())
        session.add(criterion)
        session.flush()
        for level, says in (("0", "Try harder"), ("1", "Well done")):
            text = f"<p>{says}, {{{{ @c{course.columns['name']} }}}}.</p>"
            session.add(RubricCell(criterion_id=criterion.id, level=level, description="", feedback=text))


@pytest.mark.parametrize("moment", MOMENTS)
def test_everybody_gets_their_own_feedback_once(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes, moment: str
) -> None:
    rows = [(f"s{n}", f"s{n}@uni.example", f"Name {n}", n % 2) for n in range(1, LEARNERS + 1)]
    course = make_course(rows)
    rubric(course)
    cloud.sender = mortal(moment, nth_of(moment))
    course.confirm()
    cloud.run(hours=6)
    assert cloud.kills == 1
    assert ses.mails() == Counter({address: 1 for _, address, _, _ in rows})
    for request in ses.accepted:
        mail = email.message_from_bytes(request["Content"]["Raw"]["Data"], policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        number = int(mail["To"].partition("@")[0][1:]) if mail["To"].startswith("s") else 0
        body = mail.get_body(("html",))
        assert body is not None
        if number:
            says = "Well done" if number % 2 else "Try harder"
            assert f"<li><strong>mark:</strong> {says}, Name {number}.</li>" in body.get_content()
