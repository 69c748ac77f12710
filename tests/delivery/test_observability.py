"""The whole path from a page to a mail, with everything going wrong that can: what its logs and metrics say."""

from __future__ import annotations

import email
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

import app
from chalicelib import database, errors, logs, metrics
from chalicelib.aws import alarm
from chalicelib.delivery.models import Message, Run
from chalicelib.schedules import jobs
from chalicelib.schedules import service as schedules
from chalicelib.schedules.models import Job
from chalicelib.settings import settings
from local.workers import daily_event
from tests.conftest import Browser, signed_in
from tests.delivery.cloud import Cloud, FakeSes, states
from tests.delivery.conftest import Course, MakeCourse
from tests.delivery.test_trouble import answered
from tests.handlers import Context, batch

LEARNERS: list[tuple[str, str | None, str, int | None]] = [
    ("sid-77001", "zacharias@uni.example", "Zacharias Quill", 771333),
    ("sid-77002", "yolanda@uni.example", "Yolanda Quill", 771444),
    ("sid-77003", "xaver@uni.example", "Xaver Quill", 771555),
    ("sid-77004", "wilma@uni.example", "Wilma Quill", 771666),
    ("sid-77005", "not an address of Viktor", "Viktor Quill", 771777),
]
#: What nobody may find in a log.
PERSONAL = (
    "uni.example", "Quill", "Viktor", "Biology", "771333", "771444", "771666", "sid-77", "try harder", "well done",
    "For Zacharias",
)  # fmt: skip


class Lines(logging.Handler):
    """Every line at INFO and above, as it is written in the cloud."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(logs.Formatter(utc=True, serialize_stacktrace=False))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.lines.append(self.format(record))

    def about(self, message: str) -> list[dict[str, Any]]:
        """The lines with this message."""
        return [line for line in map(json.loads, self.lines) if line["message"] == message]


@pytest.fixture
def log() -> Iterator[Lines]:
    """What is logged by anybody."""
    handler = Lines()
    logs.logger()
    found = [logging.getLogger(), logging.getLogger("ontask")]
    for one in found:
        one.addHandler(handler)
    yield handler
    for one in found:
        one.removeHandler(handler)


@pytest.fixture
def measured() -> Iterator[list[dict[str, Any]]]:
    """The metrics' lines."""
    lines: list[dict[str, Any]] = []
    metrics.listen(lines.append)
    yield lines
    metrics.listen(None)


def total(measured: list[dict[str, Any]], metric: metrics.Metric) -> float:
    """The sum of a metric."""
    return sum(sum(line.get(metric.name, [])) for line in measured)


class WholeCloud(Cloud):
    """The small cloud, with the functions called as Lambda calls them."""

    def _invoke(self, kind: str, body: Any) -> None:
        if kind == "alarm":
            app.run_due({"due": "now"}, Context())
        elif kind == settings().jobs_queue:
            app.work_job(batch(body), Context())
        elif kind == settings().events_queue:
            assert app.record_events(batch(*body), Context()) == {"batchItemFailures": []}
        else:
            super()._invoke(kind, body)


@pytest.fixture
def whole(cloud: Cloud, ses: FakeSes, monkeypatch: pytest.MonkeyPatch) -> WholeCloud:
    """The cloud of these tests."""
    made = WholeCloud(cloud.time, ses)
    made.install(monkeypatch)
    return made


def browser_of(course: Course) -> Browser:
    """The instructor's browser."""
    with database.scope() as session:
        return signed_in(session, course.user)


def confirm(course: Course, browser: Browser) -> str:
    """Send the form of the send page; the request's id."""
    fields = {
        "to_column_id": course.columns["email"], "subject": "For {{ name }}", "leave_out_duplicates": "1",
        "leave_out_bad": "1", "when": "now", "draft": "a form", "from_name": "", "reply_to": "", "cc": "", "bcc": "",
    }  # fmt: skip
    page = browser.post(f"/workflows/{course.workflow.id}/actions/{course.action.id}/send", fields)
    assert page.status == 303
    return page.headers["X-Request-Id"]


def refuse_and_doubt(ses: FakeSes) -> None:
    """Have SES refuse one learner, and say nothing certain about another; both times it quotes the address."""

    def answer(request: dict[str, Any]) -> None:
        (to,) = request["Destination"]["ToAddresses"]
        if to.startswith("yolanda"):
            raise answered("MessageRejected", 400, f"{to} is on a list")
        if to.startswith("xaver"):
            raise answered("InternalServiceError", 500, f"lost {to}")

    ses.answer = answer


@jobs.job("test.quote")
def quote(task: jobs.Task) -> None:
    """Break with the words of a learner, in all ways there are."""
    match task.payload["how"]:
        case "database":
            with database.scope() as session:
                session.execute(text("SELECT CAST(:mark AS int)"), {"mark": "zacharias@uni.example"})
        case "constraint":
            with database.scope() as session:
                session.execute(text('INSERT INTO ontask."user" SELECT * FROM ontask."user"'))
        case "python":
            int("771333 of Zacharias Quill")
        case "ours":
            raise errors.Invalid("Zacharias Quill is in the table twice.")


def test_nothing_personal_is_logged_whatever_goes_wrong(
    make_course: MakeCourse,
    whole: WholeCloud,
    ses: FakeSes,
    log: Lines,
    measured: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    course = make_course(LEARNERS)
    browser = browser_of(course)
    refuse_and_doubt(ses)
    confirm(course, browser)
    whole.run(hours=8 / 3600)
    with database.scope() as session:
        message = session.query(Message).filter_by(recipient="wilma@uni.example").one()
        message.values = {**message.values, f"c{course.columns['name']}": ["Wilma Quill"] * 3}
        for how in ("database", "constraint", "python", "ours"):
            schedules.enqueue(session, "test.quote", {"how": how})
    whole.put(whole.time.time, settings().events_queue, json.dumps({"hit": "open", "message": "zacharias@uni.example"}))
    whole.run(hours=3)
    app.tidy(daily_event(), Context())

    browser = browser_of(course)  # the session before has ended meanwhile

    def broken(_due_at: object) -> str:
        raise RuntimeError("no alarm for zacharias@uni.example")

    monkeypatch.setattr(alarm, "set_alarm", broken)
    with database.scope() as session:
        session.add(Job(kind="x", payload={}, state="queued", due_at=whole.time.time, created_at=whole.time.time))
    with pytest.raises(RuntimeError, match="see the log") as told:
        app.run_due({}, Context())
    assert told.value.__suppress_context__, "Lambda writes down what a function raises"
    assert browser.post(f"/workflows/{course.workflow.id}/downloads").status == 500
    happened = {json.loads(line)["message"] for line in log.lines}
    assert happened >= {
        "run started", "mails handed over", "mail in doubt", "job done", "job failed", "job broke",
        "record failed", "mail event dropped", "request failed", "an alarm failed",
    }  # fmt: skip
    for line in [*log.lines, *map(json.dumps, measured)]:
        for word in PERSONAL:
            assert word not in line


def test_nobody_else_writes_in_a_form_of_their_own() -> None:
    logs.logger()
    handlers = logging.getLogger(app.app.log.name).handlers
    assert handlers
    assert all(isinstance(handler.formatter, logs.Formatter) for handler in handlers)


def test_an_error_is_found_by_its_place_and_kind(make_course: MakeCourse, whole: WholeCloud, log: Lines) -> None:
    with database.scope() as session:
        schedules.enqueue(session, "test.quote", {"how": "database"})
    whole.run(hours=1 / 60)
    line = log.about("job broke")[0]
    assert line["kind"] == "test.quote"
    assert "sqlalchemy.exc.ProgrammingError 22P02" in line["exception"]
    assert "test_observability.py" in line["exception"]


def test_one_id_leads_from_the_page_to_the_mail(
    make_course: MakeCourse, whole: WholeCloud, ses: FakeSes, log: Lines, measured: list[dict[str, Any]]
) -> None:
    course = make_course(LEARNERS)
    refuse_and_doubt(ses)
    request_id = confirm(course, browser_of(course))
    whole.forget()  # its wake-ups are lost: only an alarm is left
    whole.set_alarm(whole.time.time)
    whole.run(hours=1)
    for message in ("job done", "run started", "mails handed over", "mail in doubt"):
        assert log.about(message)[0]["correlation_id"] == request_id
    mime = email.message_from_bytes(ses.accepted[0]["Content"]["Raw"]["Data"])
    assert mime["X-OnTask-Correlation"] == request_id
    assert measured[0]["correlation_id"] != request_id, "other requests have their own"
    lateness = [line for line in measured if "run" in line and "LatenessSeconds" in line]
    assert [line["correlation_id"] for line in lateness] == [request_id]


def test_the_mails_of_two_runs_keep_their_own_ids(make_course: MakeCourse, whole: WholeCloud, ses: FakeSes) -> None:
    course = make_course(LEARNERS[:2])
    for name in ("one", "two"):
        with logs.follow(name):
            course.confirm(subject=name)
    whole.run(hours=1)
    found = {
        (mime["Subject"], mime["X-OnTask-Correlation"])
        for request in ses.accepted
        for mime in [email.message_from_bytes(request["Content"]["Raw"]["Data"])]
    }
    assert found == {("one", "one"), ("two", "two")}


def test_an_id_that_somebody_made_up_does_not_reach_a_header() -> None:
    for bad in ("a\r\nBcc: all@uni.example", "x" * 65, "<b>"):
        with logs.follow("good"), logs.follow(bad):
            assert logs.correlation_id() == "good"


def test_wakeups_carry_the_id_through_the_queue(aws: str) -> None:
    import boto3

    from chalicelib.aws import queue

    with logs.follow("request-1"):
        queue.send(settings().jobs_queue, {"job": 1})
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=settings().jobs_queue)["QueueUrl"]
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert json.loads(message["Body"]) == {"job": 1, "correlation_id": "request-1"}


def test_the_id_of_a_wakeup_is_its_handlers(make_course: MakeCourse, whole: WholeCloud, log: Lines) -> None:
    app.work_job(batch({"job": "no number", "correlation_id": "request-1"}), Context())
    line = log.about("record failed")[0]
    assert line["correlation_id"] == "request-1"


def test_what_becomes_of_mails_jobs_and_due_work_is_counted(
    make_course: MakeCourse, whole: WholeCloud, ses: FakeSes, measured: list[dict[str, Any]]
) -> None:
    course = make_course(LEARNERS)
    refuse_and_doubt(ses)
    confirm(course, browser_of(course))
    whole.run(hours=1)
    assert total(measured, metrics.MAILS_SENT) == 2
    assert total(measured, metrics.MAILS_FAILED) == 1
    assert total(measured, metrics.MAILS_IN_DOUBT) >= 1
    assert total(measured, metrics.MAILS_DELIVERED) == 2
    assert total(measured, metrics.JOBS_BROKEN) == 0
    assert total(measured, metrics.JOBS_DONE) >= 1
    with database.scope() as session:
        run = session.query(Run).one()
        bounced = session.query(Message).filter_by(recipient="wilma@uni.example").one().id
        for how in ("python", "ours"):
            schedules.enqueue(session, "test.quote", {"how": how})
        schedules.enqueue(session, "test.quote", {"how": "not at all"})
    tell = {"eventType": "Bounce", "mail": {"timestamp": "2026-03-02T13:00:00Z", "tags": {"message": [str(bounced)]}},
            "bounce": {"timestamp": "2026-03-02T13:00:00Z", "bounceType": "Permanent"}}  # fmt: skip
    note = json.dumps({"TopicArn": settings().events_topic_arn, "Message": json.dumps(tell)})
    for _ in range(2):  # news that comes twice counts once
        assert app.record_events(batch(note), Context()) == {"batchItemFailures": []}
    assert total(measured, metrics.MAILS_BOUNCED) == 1
    whole.time.advance(minutes=7)
    before = total(measured, metrics.JOBS_DONE)
    whole.run(hours=30 / 3600)  # a broken job is tried again after a minute
    assert total(measured, metrics.JOBS_FAILED) == 1
    assert total(measured, metrics.JOBS_BROKEN) == 1
    assert total(measured, metrics.JOBS_DONE) == before + 1
    late = [line["LatenessSeconds"][0] for line in measured if line.get("kind") == "test.quote" and "JobsDone" in line]
    assert 420 <= late[0] < 500
    assert states(run.id)["bounced"] == 1


def test_a_closed_lane_is_counted(
    make_course: MakeCourse, whole: WholeCloud, ses: FakeSes, measured: list[dict[str, Any]]
) -> None:
    course = make_course(LEARNERS)

    def answer(_request: dict[str, Any]) -> None:
        raise answered("SendingPausedException", 400)

    ses.answer = answer
    confirm(course, browser_of(course))
    whole.run(hours=0.1)
    assert total(measured, metrics.LANES_CLOSED) == 1
    assert total(measured, metrics.MAILS_NOT_TAKEN) == 1
    assert total(measured, metrics.MAILS_SENT) == 0
