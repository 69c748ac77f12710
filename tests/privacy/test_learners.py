"""All that is known of one learner: as a file, and gone from every table."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text, update
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.accounts import service as accounts
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import Role
from chalicelib.actions.surveys.models import Answer, Draft
from chalicelib.audit import service as audit
from chalicelib.audit.models import Event
from chalicelib.delivery import feedback, outbox, plan, service, suppression
from chalicelib.delivery.models import Message, Run, RunDraft
from chalicelib.delivery.news import News
from chalicelib.delivery.order import SendOrder
from chalicelib.schedules import service as schedules
from chalicelib.schedules.models import Schedule
from chalicelib.tables import service as tables
from chalicelib.tables.models import RowChange
from chalicelib.workflows import learners
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, Clock, make_user, signed_in
from tests.factories import make_action, make_table

ADA = "ada.planted@uni.example"
KEY = "key-planted"
TUTOR = "tutor@uni.example"


@pytest.fixture
def learner(session: Session, user: User, workflow: Workflow, frozen_clock: Clock) -> Workflow:
    """A workflow in which one of two learners left traces everywhere."""
    rows = [(KEY, ADA, "Ada", "good", TUTOR), ("s2", "ben@uni.example", "Ben", None, TUTOR)]
    kinds = {"sid": "text", "email": "text", "name": "text", "mood": "text", "tutor": "text"}
    columns = make_table(session, workflow, kinds, rows)
    text_ = f"<p>Dear {{{{ @c{columns['name']} }}}}, write to {{{{ @c{columns['tutor']} }}}}</p>"
    action = make_action(session, workflow, text_, "Reminder")
    workflow.learner_column_id = columns["email"]
    learners.refresh_by_id(session, workflow.id)
    account = accounts.find_by_email(session, ADA)
    assert account is not None
    accounts.make_link(session, account)
    audit.record(session, "action_served", workflow_id=workflow.id, user_id=account.id, action_id=action.id, row_id=1,
                 name="Reminder", outcome="open", as_member=False)  # fmt: skip
    run = service.confirm(
        session, user.id, workflow, action,
        SendOrder(to_column_id=columns["email"], subject="For {{ name }} at {{ email }}", track_clicks=True),
    )  # fmt: skip
    session.flush()
    plan.plan(session, run.id)
    frozen_clock.advance(minutes=5)
    session.execute(update(Message).values(state="sending", claimed_at=clock.now(), lease_until=clock.now()))
    ids = [message.id for message in session.query(Message).order_by(Message.row_id)]
    outbox.settle(session, [outbox.Outcome(one, "sent", clock.now()) for one in ids], clock.now())
    frozen_clock.advance(minutes=5)
    feedback.record(session, [
        News(ids[0], "click", clock.now(), detail={"url": f"https://x.example/?me={ADA}"}),
        News(ids[0], "bounce", clock.now(), state="bounced", rank=70, reason=f"<{ADA}> is unknown",
             suppress="bounced", addresses=[ADA]),
    ])  # fmt: skip
    suppression.stop(session, ids[0], everywhere=False)
    tables.add_row(session, workflow, user.id, list(tables.queries.columns(session, workflow.id)),
                   {columns["sid"]: "s3", columns["email"]: "cy@uni.example"})  # fmt: skip
    mood = tables.queries.column(session, workflow.id, columns["mood"])
    seen = tables.cells.seal("good")
    event = tables.change_cell(session, workflow, user.id, 1, mood, f"mail {ADA}", seen=seen)
    session.add(RowChange(event_id=event, row_id=1, old={f"c{columns['email']}": ADA}))
    session.add(Answer(workflow_id=workflow.id, action_id=action.id, row_id=1, user_id=account.id, origin="page",
                       values={f"c{columns['mood']}": f"ask {ADA}"}, created_at=clock.now()))  # fmt: skip
    session.add(Draft(action_id=action.id, row_id=1, user_id=account.id, typed={"q1": [ADA]}, page=1,
                      updated_at=clock.now()))  # fmt: skip
    session.execute(text("INSERT INTO ontask.dead_letter (sqs_id, body, failed_at) VALUES ('1', :body, now())"),
                    {"body": json.dumps({"to": ADA})})  # fmt: skip
    left_out = {"to_column_id": columns["sid"], "left_out": [KEY, "s2"]}
    run.to_column_id, run.left_out = columns["sid"], left_out["left_out"]
    session.add(RunDraft(
        id="a form", workflow_id=workflow.id, action_id=action.id, user_id=user.id,
        fields={"to_column_id": [str(columns["sid"])]}, left_out=[KEY, "s2"], created_at=clock.now(),
        updated_at=clock.now(),
    ))  # fmt: skip
    step = {"kind": "delivery.push", "action_id": action.id, "payload": {"left_out": [KEY, "s2"], "cc": [ADA]}}
    step["payload"]["item_column_id"] = columns["sid"]
    session.add(Schedule(
        workflow_id=workflow.id, action_id=action.id, user_id=user.id, kind="delivery.repeat", name="Weekly",
        payload=left_out, steps=[step], crontab="0 5 * * 0", time_zone="UTC", notify="error", state="off",
        created_at=clock.now(),
    ))  # fmt: skip
    schedules.enqueue(session, "delivery.note", {"to": ADA.upper()}, workflow_id=workflow.id)
    version = session.scalar(
        text("INSERT INTO ontask.table_version (workflow_id, reason, columns, row_count, created_at)"
             " VALUES (:id, 'merge', '[]', 3, now()) RETURNING id"), {"id": workflow.id}
    )  # fmt: skip
    session.execute(text(f"CREATE TABLE learners.v{version} AS SELECT * FROM learners.w{workflow.id}"))
    session.execute(text(f"UPDATE learners.v{version} SET row_id = 99 WHERE row_id = 1"))
    session.flush()
    return workflow


def traces(session: Session, word: str) -> dict[str, int]:
    """In how many rows of which tables a word stands, in any column."""
    session.flush()
    names = session.scalars(text(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('ontask', 'learners')"
    ))  # fmt: skip
    count = "SELECT count(*) FROM {} t WHERE CAST(t AS text) ILIKE '%' || :word || '%'"
    found = {name: session.scalar(text(count.format(name)), {"word": word}) or 0 for name in names}
    return {name: number for name, number in found.items() if number}


def test_a_file_holds_all_that_is_known(client: Browser, learner: Workflow) -> None:
    page = client.get(f"/workflows/{learner.id}/runs", row=1)
    assert f"/workflows/{learner.id}/personal?row=1" in page.body
    answer = client.get(f"/workflows/{learner.id}/personal", row=1, file=1)
    assert "attachment" in answer.headers["Content-Disposition"]
    found = json.loads(answer.body)
    assert found["addresses"] == [ADA], "a tutor's address is nobody's own"
    assert found["table"][0]["name"] == "Ada"
    (mail,) = found["sent"]
    assert (mail["to"], mail["state"], mail["subject"]) == (ADA, "bounced", f"For Ada at {ADA}")
    assert mail["events"][0]["url"].endswith(ADA)
    assert found["answers"] == [{"form": "Reminder", "at": clock.now().isoformat(), "values": {"mood": f"ask {ADA}"}}]
    assert {"cell_changed", "message_sent", "link_clicked", "action_served"} <= {one["what"] for one in found["events"]}
    assert "Ben" not in answer.body


def test_nothing_of_an_erased_learner_is_left_anywhere(client: Browser, session: Session, learner: Workflow) -> None:
    path = f"/workflows/{learner.id}/personal"
    before = set(traces(session, ADA)) | set(traces(session, KEY))
    assert {"ontask.message", "ontask.event", "ontask.answer", 'ontask."user"', "ontask.job", "ontask.opt_out",
            "ontask.suppression", "ontask.row_change", "ontask.mail_event",
            f"learners.w{learner.id}"} <= before  # fmt: skip
    refused = client.post(path, {"row": 1, "typed": "somebody"})
    assert (refused.status, "Type one of these" in refused.body, "somebody" in refused.body) == (422, True, True)
    assert KEY in refused.body
    events = session.query(Event).count()
    done = client.post(path, {"row": 1, "typed": KEY})
    told = client.follow(done).body
    assert "Erased: 1 row of the table, the content of 1 message, 1 answer" in told
    assert ", 0 " not in told
    session.expire_all()
    assert traces(session, ADA) == {}
    assert traces(session, KEY) == {}
    run, form, plan_ = session.query(Run).one(), session.query(RunDraft).one(), session.query(Schedule).one()
    assert [run.left_out, form.left_out, plan_.payload["left_out"]] == [["s2"]] * 3, "others stay left out"
    assert plan_.steps[0]["payload"]["left_out"] == ["s2"]
    assert session.query(Event).count() == events + 1
    assert [m.state for m in session.query(Message).order_by(Message.id)] == ["bounced", "sent"]
    assert set(traces(session, "ben@uni.example")) >= {"ontask.message", f"learners.w{learner.id}"}
    assert learner.row_count == 2
    assert client.get(path, row=1).status == 404
    message = session.query(Message).order_by(Message.id).first()
    assert message is not None
    for part in ("", "/body"):
        shown = client.get(f"/workflows/{learner.id}/runs/{message.run_id}/messages/{message.id}{part}")
        assert (shown.status, "erased" in shown.body) == (200 if not part else 404, not part)


def test_administrators_find_an_address_in_all_workflows_and_erase_it_everywhere(
    session: Session, user: User, learner: Workflow
) -> None:
    admin = signed_in(session, make_user(session, "admin@uni.example", Role.ADMIN))
    other = workflows.create(session, user.id, "Physics")
    make_table(session, other, {"sid": "text", "email": "text"}, [("p1", ADA.upper()), ("p2", "ben@uni.example")])
    session.flush()
    page = admin.get("/admin/addresses", address=ADA)
    assert "a mail came back for good" in page.body
    assert "Known in 2 workflows" in page.body
    assert len(json.loads(admin.get("/admin/addresses", address=ADA, file=1).body)) == 2
    assert admin.post("/admin/addresses", {"address": ADA, "step": "erase", "typed": "no"}).status == 422
    done = admin.post("/admin/addresses", {"address": ADA, "step": "erase", "typed": ADA})
    assert "Erased in 2 workflows" in admin.follow(done).body
    session.expire_all()
    assert traces(session, ADA) == {}
    assert traces(session, "p2")[f"learners.w{other.id}"] == 1


def test_an_address_is_kept_from_mail_with_a_note_and_let_go_again(session: Session, workflow: Workflow) -> None:
    admin = signed_in(session, make_user(session, "admin@uni.example", Role.ADMIN))
    bad = admin.post("/admin/addresses", {"address": "nobody", "note": "asked by phone", "step": "suppress"})
    assert (bad.status, "Write an e-mail address" in bad.body, "asked by phone" in bad.body) == (422, True, True)
    for number in range(52):
        fields = {"address": f"a{number:02}@uni.example", "note": "asked by phone", "step": "suppress"}
        assert admin.post("/admin/addresses", fields).status == 303
    first = admin.get("/admin/addresses")
    assert first.body.count("asked by phone") == 50
    older = admin.get(
        "/admin/addresses", before=first.body.rpartition("before=")[2].partition('"')[0].replace("%40", "@")
    )
    assert older.body.count("asked by phone") == 2
    admin.post("/admin/addresses", {"address": "A00@uni.example", "step": "release"})
    assert suppression.of(session, "a00@uni.example") is None
    log = admin.get("/admin/log").body
    assert ("had an address get no more mail" in log, "let an address get mail again" in log) == (True, True)
    assert admin.post("/admin/addresses", {"address": "a00@uni.example", "step": "release"}).status == 404
