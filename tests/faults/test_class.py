"""A class as large as a real one, five conditions and a filter, the worker killed half-way: one right mail each."""

from __future__ import annotations

import email
import random
from email.message import Message as Mime
from typing import Any

import pytest

from chalicelib import database
from chalicelib.actions.models import Action
from tests.delivery.cloud import Cloud, FakeSes, run_state, states
from tests.delivery.conftest import Course, MakeCourse
from tests.factories import make_condition
from tests.faults.test_kills import mortal

pytestmark = pytest.mark.faults

LEARNERS = 2498
BANDS = {"lost": (0, 20), "weak": (20, 40), "fair": (40, 60), "good": (60, 80), "strong": (80, 101)}


def give_text(course: Course) -> None:
    """Five conditions, one for each band of marks, and a filter: only those who have a mark."""
    mark, name = course.columns["mark"], course.columns["name"]
    with database.scope() as session:
        action = session.get_one(Action, course.action.id)
        parts = [f"<p>Dear {{{{ @c{name} }}}}</p>"]
        for word, (low, high) in BANDS.items():
            rules = [
                {"column": mark, "op": "greater_or_equal", "value": str(low)},
                {"column": mark, "op": "less", "value": str(high)},
            ]
            condition = make_condition(session, action, word, {"all": rules})
            parts.append(f"{{% if @k{condition.id} %}}<p>You are {word}.</p>{{% endif %}}")
        action.text = "".join(parts)
        action.filter = {"all": [{"column": mark, "op": "is_not_null"}]}


def words(request: dict[str, Any]) -> str:
    """What the learner reads."""
    mime: Mime = email.message_from_bytes(request["Content"]["Raw"]["Data"])
    (plain,) = [part for part in mime.walk() if part.get_content_type() == "text/plain"]
    return " ".join(plain.get_payload(decode=True).decode().split())  # type: ignore[union-attr]


def test_a_whole_class_gets_one_right_mail_each(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    lots = random.Random(2014)
    marks = [None if lots.random() < 0.25 else lots.randint(0, 100) for _ in range(LEARNERS)]
    rows = [(f"s{n}", f"s{n}@uni.example", f"Learner {n}", mark) for n, mark in enumerate(marks, 1)]
    course = make_course(rows)
    give_text(course)
    ses.rate = 400.0
    cloud.sender = mortal("after hand_over", 900)
    run = course.confirm()
    cloud.run(hours=3)
    expected = {
        f"s{n}@uni.example": next(word for word, (low, high) in BANDS.items() if low <= mark < high)
        for n, mark in enumerate(marks, 1)
        if mark is not None
    }
    assert cloud.kills == 1
    assert ses.mails() == dict.fromkeys(expected, 1)
    assert (run_state(run.id), states(run.id)) == ("done", {"delivered": len(expected)})
    for request in ses.accepted:
        (to,) = request["Destination"]["ToAddresses"]
        number = to[1:].partition("@")[0]
        if to in expected:
            assert words(request) == f"Dear Learner {number} You are {expected[to]}."
