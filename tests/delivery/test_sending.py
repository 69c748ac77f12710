"""From a confirmed run to mails: what leaves, to whom, how fast, and what does not."""

from __future__ import annotations

import email
from datetime import timedelta
from email.message import Message as Mime
from typing import Any

import pytest
from sqlalchemy import select, text

from chalicelib import database, errors
from chalicelib.delivery import service
from chalicelib.delivery.models import Message, Run
from chalicelib.settings import settings
from tests.delivery.cloud import Cloud, FakeSes, run_state, states
from tests.delivery.conftest import MakeCourse


def mime(request: dict[str, Any]) -> Mime:
    return email.message_from_bytes(request["Content"]["Raw"]["Data"])


def part(request: dict[str, Any], kind: str) -> str:
    (found,) = [one for one in mime(request).walk() if one.get_content_type() == kind]
    return found.get_payload(decode=True).decode()  # type: ignore[union-attr]


def test_every_learner_gets_one_mail_made_of_their_own_values(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes
) -> None:
    course = make_course([("s1", "ana@uni.example", "Ana", 40), ("s2", "ben@uni.example", "Ben", 90)])
    run = course.confirm(from_name="Inés Pérez", reply_to="ines@uni.example")
    cloud.run(hours=1)
    first, second = sorted(ses.accepted, key=lambda request: request["Destination"]["ToAddresses"])
    assert "Dear Ana, try harder." in part(first, "text/html")
    assert part(first, "text/plain").strip() == "Dear Ana, try harder."
    assert "Dear Ben, well done." in part(second, "text/html")
    assert mime(first)["Subject"] == "For Ana"
    assert mime(first)["Reply-To"] == "ines@uni.example"
    assert mime(first)["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mime(first)["X-OnTask-Message"] == first["EmailTags"][0]["Value"]
    assert states(run.id) == {"delivered": 2}
    assert run_state(run.id) == "done"


def test_nothing_leaves_before_the_undo_window_is_over(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    run = make_course(3).confirm()
    cloud.run(hours=9 / 3600)
    assert not ses.accepted
    assert (run_state(run.id), states(run.id)) == ("held", {"queued": 3})
    cloud.run(hours=1 / 60)
    assert len(ses.accepted) == 3


def test_an_undone_run_sends_nothing_and_can_be_undone_no_more_later(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes
) -> None:
    course = make_course(3)
    run = course.confirm()
    cloud.run(hours=5 / 3600)
    with database.scope() as session:
        service.undo(session, course.user.id, session.get_one(Run, run.id))
    with database.scope() as session:
        service.undo(session, course.user.id, session.get_one(Run, run.id))  # a second click
    cloud.run(hours=1)
    assert not ses.accepted
    assert (run_state(run.id), states(run.id)) == ("cancelled", {"cancelled": 3})
    other = course.confirm()
    cloud.run(hours=1)
    with database.scope() as session, pytest.raises(errors.Conflict):
        service.undo(session, course.user.id, session.get_one(Run, other.id))


def test_learners_without_a_usable_address_are_left_out_with_the_reason(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes
) -> None:
    course = make_course(
        [
            ("s1", " ana@uni.example\u00a0", "Ana", 1), ("s2", "not an address", "Ben", 1), ("s3", None, "Cy", 1),
            ("s4", "ANA@uni.example", "Ana", 2), ("s5", "eve@uni.example", "Eve", 1), ("s6", "  ", "Fay", 1),
            ("s7", "ana@uni.example", "Ana’s other course", 1),
        ]
    )  # fmt: skip
    with pytest.raises(errors.Invalid, match="3 learners"):
        course.confirm(leave_out_duplicates=True)
    run = course.confirm(leave_out_bad=True, leave_out_duplicates=True, skip_rows=(5,))
    cloud.run(hours=1)
    assert ses.mails() == {"ana@uni.example": 2}
    with database.scope() as session:
        reasons = session.scalars(select(Message.reason).order_by(Message.row_id)).all()
    assert reasons == ["", "bad", "empty", "duplicate", "excluded", "empty", ""]
    assert states(run.id) == {"delivered": 2, "skipped": 5}


def test_confirming_the_same_form_twice_is_one_run(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    course = make_course(3)
    assert course.confirm(token="form 1").id == course.confirm(token="form 1").id
    cloud.run(hours=1)
    assert len(ses.accepted) == 3


def test_every_wrong_field_of_the_form_is_named(make_course: MakeCourse) -> None:
    with pytest.raises(errors.Invalid) as caught:
        make_course(1).confirm(to_column_id=999, subject="{{ nobody }}", cc=("a@uni.example", "b@", "c"), reply_to="me")
    assert caught.value.fields.keys() == {"to_column_id", "subject", "cc", "reply_to"}
    assert "b@, c" in caught.value.fields["cc"]


def test_a_paused_run_waits_and_a_cancelled_one_ends(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    course = make_course(100)
    run = course.confirm()
    cloud.run(hours=12 / 3600)
    with database.scope() as session:
        service.pause(session, course.user.id, session.get_one(Run, run.id))
    before = len(ses.accepted)
    cloud.run(hours=1)
    assert len(ses.accepted) == before < 100
    with database.scope() as session:
        service.resume(session, course.user.id, session.get_one(Run, run.id))
    cloud.run(hours=1 / 3600)
    with database.scope() as session:
        service.cancel(session, course.user.id, session.get_one(Run, run.id))
    cloud.run(hours=1)
    assert before < len(ses.accepted) <= 100
    assert run_state(run.id) == "cancelled"


def test_a_small_run_overtakes_a_large_one(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    course = make_course(400)
    large = course.confirm()
    cloud.run(hours=10.5 / 3600)
    small = course.confirm(skip_rows=tuple(range(6, 401)))
    cloud.run(hours=12 / 3600)
    assert run_state(small.id) == "done"
    assert run_state(large.id) == "running"
    cloud.run(hours=1)
    assert set(ses.mails().values()) == {1, 2}


def test_a_scheduled_run_takes_the_table_as_it_is_then(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    course = make_course(3)
    run = course.confirm(due_at=cloud.time.time + timedelta(hours=20))
    cloud.run(hours=19)
    assert (run_state(run.id), ses.accepted) == ("scheduled", [])
    with database.scope() as session:
        session.execute(text(f"DELETE FROM learners.w{course.workflow.id} WHERE row_id = 2"))
    cloud.run(hours=2)
    assert ses.mails() == {"s1@uni.example": 1, "s3@uni.example": 1}
    assert run_state(run.id) == "done"


def test_copies_count_as_recipients(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    make_course(28).confirm(cc=("c@uni.example",), bcc=("b1@uni.example", "b2@uni.example"))
    begin = cloud.time.time
    cloud.run(hours=1)
    # 112 recipients at 14 a second; the undo window and the burst apart.
    assert 6.5 <= (ses.times[-1] - begin).total_seconds() - 10 <= 9
    assert ses.accepted[0]["Destination"]["CcAddresses"] == ["c@uni.example"]
    assert mime(ses.accepted[0])["Bcc"] is None


def test_safe_mode_sends_everything_to_the_safe_address(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAFE_MODE_ADDRESS", "safe@uni.example")
    settings.cache_clear()
    make_course(3).confirm(cc=("c@uni.example",))
    cloud.run(hours=1)
    assert ses.mails() == {"safe@uni.example": 3}
    assert "CcAddresses" not in ses.accepted[0]["Destination"]
    assert "c@uni.example" not in mime(ses.accepted[0]).as_string()
    assert mime(ses.accepted[0])["X-OnTask-Original-To"] == "s1@uni.example"


def test_a_test_mail_goes_to_the_user_as_that_learner(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    course = make_course(3)
    with database.scope() as session:
        service.send_test(session, course.user, course.workflow, course.action, 2, "Test for {{ name }}")
    cloud.run(hours=1 / 60)
    (request,) = ses.accepted
    assert request["Destination"] == {"ToAddresses": ["ines@uni.example"]}
    assert mime(request)["Subject"] == "[Test] Test for Name 2"
    assert mime(request)["List-Unsubscribe"] is None
