"""A worker that dies twice, and a message that is lost twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from chalicelib import database
from chalicelib.delivery.models import Message
from chalicelib.delivery.send import Sender
from chalicelib.delivery.throttle import MAX_MESSAGES
from tests.delivery.cloud import Cloud, FakeSes, Killed, run_state, states
from tests.delivery.conftest import MakeCourse

pytestmark = pytest.mark.faults

LEARNERS = 35
STEPS = ("reserve", "claim", "hand_over", "settle")


def mortal(moment: str, nth: int) -> Callable[..., Sender]:
    """Return a kind of sender the first of which dies before or after the nth time of a step."""
    when, _, step = moment.partition(" ")
    count = 0

    def wrapped(name: str) -> Callable[..., Any]:
        def do(self: Sender, *args: Any) -> Any:
            nonlocal count
            count += name == step
            if when == "before" and count == nth and name == step:
                raise Killed
            result = getattr(Sender, name)(self, *args)
            if when == "after" and count == nth and name == step:
                raise Killed
            return result

        return do

    return type("MortalSender", (Sender,), {name: wrapped(name) for name in STEPS})


def test_two_kills_cost_two_slices_at_most(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    cloud.events = "absent"
    cloud.sender = mortal("after claim", 1)
    run = make_course(LEARNERS).confirm()
    cloud.run(hours=0.05)
    cloud.sender = mortal("before settle", 1)
    cloud.run(hours=6)
    assert cloud.kills == 2
    assert set(ses.mails().values()) == {1}
    assert states(run.id)["unknown"] <= 2 * MAX_MESSAGES
    assert run_state(run.id) == "done"


def test_a_message_that_is_lost_twice_is_listed_and_not_sent_a_third_time(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes
) -> None:
    def late(request: dict[str, Any]) -> None:
        if request["Destination"]["ToAddresses"] == ["s1@uni.example"]:
            raise ReadTimeoutError(endpoint_url="https://email")

    ses.answer = late
    run = make_course(3).confirm()
    cloud.run(hours=6)
    assert states(run.id) == {"delivered": 2, "unknown": 1}
    with database.scope() as session:
        (message,) = session.query(Message).filter_by(run_id=run.id, state="unknown")
    assert message.attempts == 2
