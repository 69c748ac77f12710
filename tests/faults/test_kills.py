"""Workers die, events and wake-ups get lost: nobody gets two mails, and with SES's events everybody gets one."""

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
MOMENTS = tuple(f"{when} {step}" for step in STEPS for when in ("before", "after"))
TRAVEL = ("on time", "late", "out of order", "doubled", "before the settling")


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


def nth_of(moment: str) -> int:
    """Die in the middle of the second slice: each has ten calls."""
    return 14 if moment.endswith("hand_over") else 2


@pytest.mark.parametrize("events", TRAVEL)
@pytest.mark.parametrize("moment", MOMENTS)
def test_with_events_none_is_lost_and_none_doubled(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes, moment: str, events: str
) -> None:
    cloud.events, cloud.sender = events, mortal(moment, nth_of(moment))
    run = make_course(LEARNERS).confirm()
    cloud.run(hours=6)
    assert cloud.kills == 1
    assert ses.mails() == {f"s{n}@uni.example": 1 for n in range(1, LEARNERS + 1)}
    assert (run_state(run.id), states(run.id)) == ("done", {"delivered": LEARNERS})


@pytest.mark.parametrize("wakeups", ["lost", "doubled", "stale"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_lost_doubled_and_stale_wakeups_change_nothing(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes, moment: str, wakeups: str
) -> None:
    cloud.wakeups, cloud.sender = wakeups, mortal(moment, nth_of(moment))
    run = make_course(LEARNERS).confirm()
    cloud.run(hours=12)
    assert ses.mails() == {f"s{n}@uni.example": 1 for n in range(1, LEARNERS + 1)}
    assert (run_state(run.id), states(run.id)) == ("done", {"delivered": LEARNERS})


@pytest.mark.parametrize("moment", MOMENTS)
def test_without_events_none_is_doubled_and_the_doubtful_are_listed(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes, moment: str
) -> None:
    cloud.events, cloud.sender = "absent", mortal(moment, nth_of(moment))
    run = make_course(LEARNERS).confirm()
    cloud.run(hours=6)
    assert cloud.kills == 1
    assert set(ses.mails().values()) == {1}
    with database.scope() as session:
        unknown = {m.recipient for m in session.query(Message).filter_by(run_id=run.id, state="unknown")}
        sent = {m.recipient for m in session.query(Message).filter_by(run_id=run.id, state="sent")}
    assert len(unknown) <= MAX_MESSAGES
    assert sent <= ses.mails().keys() <= sent | unknown
    assert len(sent | unknown) == LEARNERS
    assert run_state(run.id) == "done"


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
