"""When SES says no: whose fault it is decides who waits, who fails, and what is in doubt."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions as boto
from botocore.exceptions import ClientError

from chalicelib import database, errors
from chalicelib.aws.mailer import Closed, Envelope, InDoubt, Mailer, MailError, NotSent, Refused
from chalicelib.delivery import service, suppression
from chalicelib.delivery.models import Lane, Message, Run
from chalicelib.settings import settings
from tests.delivery.cloud import Cloud, FakeSes, run_state, states
from tests.delivery.conftest import MakeCourse

URL = "https://email.us-east-1.amazonaws.com"


def answered(code: str, status: int, message: str = "") -> ClientError:
    response = {"Error": {"Code": code, "Message": message or code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "SendEmail")  # type: ignore[arg-type]


def failing(ses: FakeSes, error: Exception, times: int = 10**6, address: str = "") -> None:
    """Have SES fail so often, for one address or all."""
    left = times

    def answer(request: dict[str, Any]) -> None:
        nonlocal left
        if left > 0 and (not address or request["Destination"]["ToAddresses"] == [address]):
            left -= 1
            raise error

    ses.answer = answer


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (answered("TooManyRequestsException", 429), NotSent),
        (answered("Throttling", 400, "Maximum sending rate exceeded."), NotSent),
        (boto.EndpointConnectionError(endpoint_url=URL), NotSent),
        (boto.ConnectTimeoutError(endpoint_url=URL), NotSent),
        (boto.SSLError(endpoint_url=URL, error="handshake"), NotSent),
        (answered("MessageRejected", 400, "Virus"), Refused),
        (answered("BadRequestException", 400, "Missing final '@domain'"), Refused),
        (answered("MessageRejected", 400, "Email address is not verified."), Closed),
        (answered("AccountSuspendedException", 400), Closed),
        (answered("SendingPausedException", 400), Closed),
        (answered("MailFromDomainNotVerifiedException", 400), Closed),
        (answered("LimitExceededException", 400), Closed),
        (answered("Throttling", 400, "Daily message quota exceeded."), Closed),
        (answered("NotFoundException", 404), Closed),
        (answered("AccessDeniedException", 403), Closed),
        (boto.NoCredentialsError(), Closed),
        (answered("InternalServiceError", 500), InDoubt),
        (answered("ServiceUnavailable", 503), InDoubt),
        (boto.ReadTimeoutError(endpoint_url=URL), InDoubt),
        (boto.ConnectionClosedError(endpoint_url=URL), InDoubt),
    ],
    ids=str,
)
def test_each_error_says_what_is_known(ses: FakeSes, error: Exception, kind: type[MailError]) -> None:
    failing(ses, error)
    with pytest.raises(kind):
        Mailer(ses).send(Envelope("a@uni.example", "b@uni.example"), b"", "ontask", {})


def test_a_refused_message_fails_alone_and_can_be_tried_again(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes
) -> None:
    course = make_course(5)
    failing(ses, answered("MessageRejected", 400, "Virus"), address="s2@uni.example")
    run = course.confirm()
    cloud.run(hours=1)
    assert (run_state(run.id), states(run.id)) == ("done", {"delivered": 4, "failed": 1})
    failing(ses, answered("MessageRejected", 400), times=0)
    with database.scope() as session:
        assert service.retry_failed(session, course.user.id, session.get_one(Run, run.id)) == 1
    cloud.run(hours=1)
    assert (run_state(run.id), states(run.id)) == ("done", {"delivered": 5})
    assert set(ses.mails().values()) == {1}


def test_a_closed_account_pauses_the_runs_and_nobody_fails(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    course = make_course(20)
    failing(ses, answered("SendingPausedException", 400))
    run = course.confirm()
    cloud.run(hours=1)
    assert (run_state(run.id), states(run.id)) == ("paused", {"queued": 20})
    with database.scope() as session:
        found = session.get_one(Run, run.id)
        assert (found.paused_by, found.pause_reason) == ("lane", "Sending is paused in Amazon SES.")
        assert {m.attempts for m in session.query(Message)} == {0}
    failing(ses, answered("x", 400), times=0)
    with database.scope() as session:
        service.resume(session, course.user.id, session.get_one(Run, run.id))
    cloud.run(hours=1)
    assert states(run.id) == {"delivered": 20}


def test_a_run_confirmed_while_the_account_is_closed_waits_with_the_others(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes
) -> None:
    course = make_course(3)
    failing(ses, answered("SendingPausedException", 400))
    course.confirm()
    cloud.run(hours=1)
    run = course.confirm()
    cloud.run(hours=1)
    assert run_state(run.id) == "paused"


def test_what_failed_waits_with_the_others_when_it_is_tried_again_while_the_account_is_closed(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes
) -> None:
    course = make_course(3)
    failing(ses, answered("MessageRejected", 400, "Virus"), times=1)
    run = course.confirm()
    cloud.run(hours=1)
    failing(ses, answered("SendingPausedException", 400))
    course.confirm()
    cloud.run(hours=1)
    with database.scope() as session:
        assert service.retry_failed(session, course.user.id, session.get_one(Run, run.id)) == 1
    with database.scope() as session:
        found = session.get_one(Run, run.id)
        assert (found.state, found.pause_reason) == ("paused", "Sending is paused in Amazon SES.")
    failing(ses, answered("x", 400), times=0)
    with database.scope() as session:
        service.resume(session, course.user.id, session.get_one(Run, run.id))
    cloud.run(hours=1)
    assert (run_state(run.id), states(run.id)) == ("done", {"delivered": 3})


def test_a_used_up_daily_quota_is_tried_again_every_hour(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    failing(ses, answered("LimitExceededException", 400), times=2)
    run = make_course(20).confirm()
    cloud.run(hours=0.5)
    assert run_state(run.id) == "paused"
    cloud.run(hours=3)
    assert (run_state(run.id), states(run.id)) == ("done", {"delivered": 20})


def test_too_fast_slows_the_lane_down_and_uses_no_attempt(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    failing(ses, answered("TooManyRequestsException", 429), times=1)
    run = make_course(30).confirm()
    cloud.run(hours=1)
    assert states(run.id) == {"delivered": 30}
    assert set(ses.mails().values()) == {1}
    with database.scope() as session:
        assert session.get_one(Lane, "ses").pace < ses.rate
        assert {m.attempts for m in session.query(Message)} == {1}


def test_an_unreachable_service_is_tried_again_soon(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    failing(ses, boto.EndpointConnectionError(endpoint_url=URL), times=3)
    run = make_course(5).confirm()
    cloud.run(hours=0.1)
    assert (run_state(run.id), states(run.id)) == ("done", {"delivered": 5})


def test_a_lost_answer_is_settled_by_the_event(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    def lost(request: dict[str, Any]) -> None:
        if request["Destination"]["ToAddresses"] == ["s2@uni.example"] and not ses.mails()["s2@uni.example"]:
            request["MessageId"] = "ses-lost"
            ses.accepted.append(request)
            ses.on_accept(request)
            raise boto.ReadTimeoutError(endpoint_url=URL)

    ses.answer = lost
    run = make_course(5).confirm()
    cloud.run(hours=3)
    assert (run_state(run.id), states(run.id)) == ("done", {"delivered": 5})
    assert set(ses.mails().values()) == {1}


def test_an_unknown_message_is_sent_again_at_the_instructors_word(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes
) -> None:
    cloud.events = "absent"
    course = make_course(3)
    failing(ses, boto.ReadTimeoutError(endpoint_url=URL), times=1, address="s2@uni.example")
    run = course.confirm()
    cloud.run(hours=3)
    assert states(run.id) == {"sent": 2, "unknown": 1}
    with database.scope() as session:
        (message,) = session.query(Message).filter_by(state="unknown")
        service.send_again(session, course.user.id, message)
    cloud.run(hours=1)
    assert (run_state(run.id), states(run.id)) == ("done", {"sent": 3})


def test_a_pause_of_hours_needs_no_worker(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMAIL_BURST", "10")
    monkeypatch.setenv("EMAIL_BURST_PAUSE", "7200")
    settings.cache_clear()
    course = make_course(25)
    run = course.confirm()
    cloud.run(hours=0.5)
    assert len(ses.accepted) == 10
    assert set(cloud.waiting()) == {"alarm"}, "no queue keeps a wake-up for hours, and no worker waits"
    with database.scope() as session:
        service.send_test(session, course.user, course.workflow, course.action, 2, "Test")
    cloud.run(hours=0.5)
    assert ses.mails()["ines@uni.example"] == 1, "a mail that somebody waits for goes through the pause"
    assert len(ses.accepted) == 11
    cloud.run(hours=2)
    assert len(ses.accepted) == 21
    cloud.run(hours=2)
    assert states(run.id) == {"delivered": 25}


def test_the_quota_of_24_hours_rolls(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    ses.quota, ses.sent_24h = 30, 10
    run = make_course(45).confirm()
    cloud.run(hours=23)
    assert len(ses.accepted) == 20
    cloud.run(hours=4)
    assert len(ses.accepted) >= 40
    cloud.run(hours=30)
    assert states(run.id) == {"delivered": 45}
    assert not states(run.id)["failed"]
    assert cloud.invoked["alarm"] < 12  # the database sleeps while all wait


def test_never_more_than_the_rate_leaves_in_any_second(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    cloud.wakeups = "doubled"
    make_course(150).confirm()
    cloud.run(hours=1)
    times = sorted(ses.times)
    for span in (1, 3, 8):
        most = max(sum(1 for t in times[i:] if (t - at).total_seconds() <= span) for i, at in enumerate(times))
        assert most <= ses.rate * span + ses.rate + 1


def test_what_failed_is_not_tried_again_for_somebody_who_wants_no_mail(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes
) -> None:
    course = make_course(2)
    failing(ses, answered("MessageRejected", 400, "Virus"))
    run = course.confirm()
    cloud.run(hours=1)
    with database.scope() as session:
        message = session.query(Message).filter_by(row_id=1).one()
        suppression.stop(session, message.id, everywhere=False)
    failing(ses, answered("MessageRejected", 400), times=0)
    with database.scope() as session:
        assert service.retry_failed(session, course.user.id, session.get_one(Run, run.id)) == 1
    cloud.run(hours=1)
    assert ses.mails() == {"s2@uni.example": 1}


def test_a_text_that_can_not_be_written_is_refused_at_the_confirmation(make_course: MakeCourse) -> None:
    with pytest.raises(errors.Invalid):
        make_course(2, text="<p>{% if @k1 %}no end</p>").confirm()
