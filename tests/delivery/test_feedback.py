"""What SES, pixels and links tell: in any order, doubled, forged, or about copies."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

import app
from chalicelib import clock, database, errors
from chalicelib.delivery import queries, suppression
from chalicelib.delivery.models import MailEvent, Message, Run, Suppression
from tests.delivery.cloud import Cloud, FakeSes, envelope, states
from tests.delivery.conftest import Course, MakeCourse

MINUTE = timedelta(minutes=1)


def sqs(*bodies: str) -> dict[str, Any]:
    """An SQS event with these records."""
    return {
        "Records": [
            {"messageId": f"m{n}", "receiptHandle": "r", "body": body, "eventSourceARN": "arn", "attributes": {}}
            for n, body in enumerate(bodies)
        ]
    }


def record(*bodies: str) -> None:
    assert app.record_events(sqs(*bodies), None) == {"batchItemFailures": []}


def hit(kind: str, message_id: int, **changes: Any) -> str:
    return json.dumps({"hit": kind, "message": message_id, "at": clock.now().isoformat(), **changes})


def first(run: Run) -> Message:
    with database.scope() as session:
        return session.query(Message).filter_by(run_id=run.id).order_by(Message.row_id).first()  # type: ignore[return-value]


@pytest.fixture
def sent(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> Run:
    """A run of two learners whose mails were accepted and of which nothing was heard yet."""
    cloud.events = "absent"
    run = make_course(2).confirm(cc=("chair@uni.example",))
    cloud.run(hours=1 / 60)
    assert states(run.id) == {"sent": 2}
    return run


def told(ses: FakeSes, *kinds: str) -> list[str]:
    """SES's events about the first mail, a minute apart."""
    details: dict[str, dict[str, Any]] = {
        "Bounce": {"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": "S1@uni.example"}]},
        "Soft": {"bounceType": "Transient", "bouncedRecipients": [{"emailAddress": "s1@uni.example"}]},
        "Complaint": {"complainedRecipients": [{"emailAddress": "s1@uni.example"}]},
    }
    order = ["Send", "Delivery", "Soft", "Bounce", "Complaint"]
    return [
        envelope(
            "Bounce" if kind == "Soft" else kind, ses.accepted[0], clock.now() + order.index(kind) * MINUTE,
            **details.get(kind, {}),
        )
        for kind in kinds
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        (("Send", "Delivery"), "delivered"),
        (("Send", "Delivery", "Soft"), "delivered"),
        (("Send", "Soft"), "bounced"),
        (("Send", "Delivery", "Bounce"), "bounced"),
        (("Send", "Delivery", "Complaint"), "complained"),
    ],
    ids=str,
)
def test_the_order_of_events_does_not_matter(
    sent: Run, ses: FakeSes, kinds: tuple[str, ...], state: str
) -> None:  # fmt: skip
    bodies = told(ses, *kinds)
    for order in itertools.permutations(bodies):
        with database.scope() as session:
            session.execute(text("UPDATE ontask.message SET state = 'sent', rank = 50"))
            session.execute(text("DELETE FROM ontask.mail_event"))
        for body in order:
            record(body)
        assert first(sent).state == state
    record(*bodies, *bodies)
    assert first(sent).state == state


def test_a_bounce_for_good_suppresses_the_address_until_it_is_cleared(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes
) -> None:
    cloud.events = "absent"
    course = make_course(2)
    course.confirm()
    cloud.run(hours=1 / 60)
    record(*told(ses, "Bounce"))
    with database.scope() as session:
        assert session.get_one(Suppression, "s1@uni.example").reason == "bounced"
    run = course.confirm()
    cloud.run(hours=1 / 60)
    assert states(run.id) == {"sent": 1, "skipped": 1}
    with database.scope() as session:
        suppression.release(session, None, "S1@uni.example")
    run = course.confirm()
    cloud.run(hours=1 / 60)
    assert states(run.id) == {"sent": 2}


def test_a_temporary_bounce_suppresses_nobody(sent: Run, ses: FakeSes) -> None:
    record(*told(ses, "Soft"))
    with database.scope() as session:
        assert session.query(Suppression).count() == 0


def test_a_bounced_copy_is_not_the_learners_bounce(sent: Run, ses: FakeSes) -> None:
    recipients = [{"emailAddress": "chair@uni.example"}]
    record(envelope("Bounce", ses.accepted[0], clock.now(), bounceType="Permanent", bouncedRecipients=recipients))
    assert first(sent).state == "sent"


def test_opens_and_clicks_are_counted_once_each(sent: Run) -> None:
    message = first(sent)
    later = (clock.now() + MINUTE).isoformat()
    bodies = [
        hit("open", message.id), hit("open", message.id), hit("open", message.id, at=later),
        hit("click", message.id, url="https://uni.example"),
    ]  # fmt: skip
    record(*bodies)
    record(*bodies)
    message = first(sent)
    assert (message.open_count, message.click_count) == (2, 1)
    assert message.opened_at == clock.now()
    with database.scope() as session:
        totals = queries.totals(session, sent.id)
    assert (totals.sent, totals.opened, totals.clicked) == (2, 1, 1)


def test_hits_on_a_mail_of_last_year_count_no_more(sent: Run, cloud: Cloud) -> None:
    cloud.time.advance(days=366)
    record(hit("open", first(sent).id))
    assert first(sent).open_count == 0


@pytest.mark.parametrize(
    "body",
    [
        "no json", "[]", "{}", '{"TopicArn": "arn:aws:sns:us-east-1:666:evil", "Message": "{}"}',
        '{"hit": "open"}', '{"hit": "explode", "message": 1, "at": "2026-01-01T00:00:00+00:00"}',
        '{"hit": "open", "message": 987654321, "at": "2026-01-01T00:00:00+00:00"}',
    ],
)  # fmt: skip
def test_what_is_not_ours_is_dropped_and_the_rest_recorded(sent: Run, body: str) -> None:
    record(body, hit("open", first(sent).id))
    assert first(sent).open_count == 1


def test_a_forged_topic_changes_nothing(sent: Run, ses: FakeSes) -> None:
    (body,) = told(ses, "Bounce")
    record(json.dumps({**json.loads(body), "TopicArn": "arn:aws:sns:us-east-1:666:evil"}))
    assert first(sent).state == "sent"


def test_an_event_that_comes_before_the_settling_wins(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    cloud.events = "before the settling"
    run = make_course(3).confirm()
    cloud.run(hours=1 / 60)
    assert states(run.id) == {"delivered": 3}
    with database.scope() as session:
        assert all(m.ses_id and m.sent_at and m.delivered_at for m in session.query(Message))


def test_a_batch_that_can_not_be_recorded_goes_back(sent: Run) -> None:
    with database.scope() as session:
        session.execute(text("ALTER TABLE ontask.mail_event RENAME TO elsewhere"))
    answer = app.record_events(sqs(hit("open", 1), hit("open", 2)), None)
    assert [item["itemIdentifier"] for item in answer["batchItemFailures"]] == ["m0", "m1"]


def test_a_large_batch_takes_a_handful_of_statements(sent: Run, ses: FakeSes) -> None:
    statements = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    bodies = [hit("open", first(sent).id, at=(clock.now() + n * MINUTE).isoformat()) for n in range(2, 202)]
    event.listen(database.engine(), "before_cursor_execute", note)
    record(*bodies, *told(ses, "Send", "Delivery"))
    event.remove(database.engine(), "before_cursor_execute", note)
    assert len(statements) <= 8
    assert first(sent).open_count == 200


def test_opens_become_a_column_of_the_table(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    course = make_course(2)
    run = course.confirm(track_opens=True, opens_column="new")
    cloud.run(hours=1 / 60)
    record(hit("open", first(run).id), hit("open", first(run).id, at=(clock.now() + MINUTE).isoformat()))
    with database.scope() as session:
        column_id = session.get_one(Run, run.id).opens_column_id
        name = session.scalar(text("SELECT name FROM ontask.column WHERE id = :id"), {"id": column_id})
        again = session.scalar(text("SELECT send_defaults ->> 'opens_column' FROM ontask.action"))
    assert (name, again) == ("EmailRead_1", str(column_id))
    assert opens(course, column_id) == [2, 0]
    second = course.confirm(track_opens=True, opens_column=str(column_id))
    cloud.run(hours=1 / 60)
    record(hit("open", first(second).id))
    assert opens(course, column_id) == [3, 0]


def test_a_deleted_column_of_opens_is_left_alone(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    course = make_course(2)
    run = course.confirm(track_opens=True, opens_column="new")
    cloud.run(hours=1 / 60)
    with database.scope() as session:
        column_id = session.get_one(Run, run.id).opens_column_id
        session.execute(text(f"ALTER TABLE learners.w{course.workflow.id} DROP c{column_id}"))
    record(hit("open", first(run).id))
    assert first(run).open_count == 1


@pytest.mark.parametrize("name", ["key", "mark"])
def test_opens_are_not_written_over_what_learners_have(make_course: MakeCourse, name: str) -> None:
    course = make_course(2)
    with pytest.raises(errors.Invalid) as caught:
        course.confirm(opens_column=str(course.columns[name]))
    assert "opens_column" in caught.value.fields


def opens(course: Course, column_id: int | None) -> list[int]:
    """The column of opens, learner by learner."""
    with database.scope() as session:
        found = session.scalars(text(f"SELECT c{column_id} FROM learners.w{course.workflow.id} ORDER BY row_id"))
        return list(found)


def test_every_event_is_kept_for_the_message_s_page(sent: Run, ses: FakeSes) -> None:
    record(*told(ses, "Send", "Delivery"), hit("click", first(sent).id, url="https://uni.example/x"))
    with database.scope() as session:
        events = queries.mail_events(session, first(sent).id)
    assert {one.type for one in events} == {"send", "delivery", "click"}
    assert isinstance(events[0], MailEvent)


def test_programs_that_open_mails_and_follow_links_are_counted_apart(sent: Run, ses: FakeSes, cloud: Cloud) -> None:
    delivered, message = clock.now(), first(sent)
    record(*told(ses, "Send", "Delivery"))
    later = [(delivered + (2 + n) * MINUTE).isoformat() for n in range(4)]
    record(
        hit("open", message.id),  # while the mail is on its way
        hit("open", message.id, at=later[0], machine=True),
        hit("click", message.id, at=later[1], url="https://uni.example/a"),
    )
    assert (first(sent).open_count, first(sent).click_count, first(sent).machine_count) == (0, 1, 2)
    second = (delivered + timedelta(minutes=3, milliseconds=300)).isoformat()
    record(hit("click", message.id, at=second, url="https://uni.example/b"))
    found = first(sent)
    assert (found.click_count, found.clicked_at, found.machine_count) == (0, None, 4)
    record(hit("open", message.id, at=later[2]), hit("click", message.id, at=later[3], url="https://uni.example/a"))
    found = first(sent)
    assert (found.open_count, found.click_count, found.machine_count) == (1, 1, 4)
    assert found.opened_at == delivered + 4 * MINUTE


def test_what_happens_to_each_mail_is_in_the_log_once_and_without_its_words(
    sent: Run, ses: FakeSes, cloud: Cloud
) -> None:
    read = text("SELECT type, row_id, message_id, outcome, detail, personal FROM ontask.event WHERE message_id > 0")
    soon = (clock.now() + 9 * MINUTE).isoformat()
    about = first(sent)
    for _ in range(2):
        record(*told(ses, "Send", "Delivery", "Bounce"), hit("open", about.id, at=soon))
        record(hit("click", about.id, at=soon, url="https://uni.example/?me=s1"))
    with database.scope() as session:
        found = session.execute(read).all()
        assert session.scalar(text("SELECT count(*) FROM ontask.event WHERE personal::text LIKE '%s1@%'")) == 0
    assert sorted((row.type, row.row_id, row.outcome) for row in found) == [
        ("link_clicked", 1, ""), ("message_bounced", 1, "failed"), ("message_opened", 1, ""),
        ("message_sent", 1, ""), ("message_sent", 2, ""),
    ]  # fmt: skip
    (clicked,) = [row for row in found if row.type == "link_clicked"]
    assert (clicked.detail, clicked.personal) == ({}, {"url": "https://uni.example/?me=s1"})
