"""What goes along with a run or is kept with it: files for everybody, one copy of all mails, the workflow as it was."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zipfile import ZipFile

import pytest
import sqlalchemy as sa

from chalicelib import clock, database
from chalicelib.actions.models import Action
from chalicelib.aws import files as store
from chalicelib.aws.client import client as aws_client
from chalicelib.delivery import attachments
from chalicelib.delivery.models import Message, Run
from chalicelib.schedules import due, jobs
from chalicelib.schedules.models import Job, Schedule
from chalicelib.settings import settings
from chalicelib.tables import store as tables
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, signed_in
from tests.delivery.cloud import Cloud, FakeSes, run_state
from tests.delivery.conftest import Course, MakeCourse
from tests.delivery.test_report_runs import files, read


@pytest.fixture
def course(aws: str, make_course: MakeCourse) -> Course:
    assert aws
    return make_course(3)


@pytest.fixture
def browser(course: Course) -> Browser:
    with database.scope() as session:
        return signed_in(session, course.user)


def path(course: Course, part: str = "") -> str:
    return f"/workflows/{course.workflow.id}/actions/{course.action.id}/send{part}"


def form(course: Course, **changed: Any) -> dict[str, Any]:
    start = {"draft": "d", "to_column_id": course.columns["email"], "subject": "For {{ name }}", "when": "now"}
    return {**start, "leave_out_duplicates": "1", **changed}


def attach(browser: Browser, course: Course, name: str, body: bytes) -> dict[str, Any]:
    """Send a file as the page's script does; the answer to the last step that went well."""
    begun = browser.post(path(course, "/prepare"), form(course, do="attach", filename=name, size=len(body)))
    answer: dict[str, Any] = json.loads(begun.body)
    if begun.status != 200:
        return answer
    store.put(answer["key"], body, "text/plain")
    arrived = browser.post(path(course, "/prepare"), form(course, do="arrived", key=answer["key"]))
    return {**json.loads(arrived.body), "key": answer["key"]}


def run_page(browser: Browser, run: Run, query: str = "") -> Any:
    return browser.get(f"/workflows/{run.workflow_id}/runs/{run.id}{query}")


def only_run() -> Run:
    with database.scope() as session:
        return session.scalars(sa.select(Run)).one()


def test_files_go_along_with_every_mail_under_safe_names(
    course: Course, browser: Browser, cloud: Cloud, ses: FakeSes
) -> None:
    page = attach(browser, course, "C:\\notes\\week 1: <plan>.txt", b"first")["page"]
    attach(browser, course, "week 1 plan .txt", b"second")
    unwanted = attach(browser, course, "other.txt", b"third")["key"]
    assert "week 1 plan.txt" in browser.get(page).body
    browser.post(path(course, "/prepare"), form(course, detach=unwanted))
    for name, problem in (("virus.EXE", "could be programs"), ("empty.txt", "is empty")):
        refused = attach(browser, course, name, b"" if name == "empty.txt" else b"x")
        assert problem in refused["message"]
    large = browser.post(path(course, "/prepare"), form(course, do="attach", filename="a.pdf", size=99_000_000))
    assert "a mail takes 14.5 MB" in json.loads(large.body)["message"]
    assert browser.post(path(course), form(course)).status == 303
    cloud.run(hours=0.2)
    assert len(ses.accepted) == 3
    for request in ses.accepted:
        assert files(read(request)) == {"week 1 plan.txt": b"first", "week 1 plan (2).txt": b"second"}
    run = only_run()
    assert "went along with every mail" in run_page(browser, run).body
    assert f"/{attachments.FOLDER}/" in run_page(browser, run, "?attached=2").location
    assert run_page(browser, run, "?attached=3").status == 404
    assert [kept(days) for days in (29, 31)] == [3, 2], "the one that was taken off goes after a while"
    with database.scope() as session:
        payload = {"attached": [run.attached[0]]}
        session.add(
            Schedule(
                workflow_id=run.workflow_id, action_id=run.action_id, kind="delivery.repeat", name="Weekly",
                payload=payload, crontab="0 5 * * 0", time_zone="UTC", notify="error", state="off",
                created_at=clock.now(),
            )
        )  # fmt: skip
    assert kept(402) == 1, "a schedule needs its files as long as it is there"


def kept(days: int) -> int:
    """How many files are left after the daily round so many days from now."""
    with database.scope() as session:
        session.execute(sa.update(Run).values(created_at=datetime.now(UTC)))
    clock.use(lambda: datetime.now(UTC) + timedelta(days=days))
    due.tidy()
    with database.scope() as session:
        waiting = session.scalars(
            sa.select(Job.id).where(Job.kind == attachments.SWEEP, Job.state == "queued")
        ).all()  # fmt: skip
    for job_id in waiting:
        jobs.run(job_id)
    return len(list(store.listed(attachments.FOLDER)))


def test_files_that_a_setting_made_too_large_are_told_and_nothing_is_lost(
    course: Course, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    attach(browser, course, "a.txt", b"first")
    monkeypatch.setenv("MAX_MAIL_MB", "0")
    settings.cache_clear()
    page = browser.post(path(course), form(course))
    assert page.status == 422
    assert "a mail takes 0.0 MB of them" in page.body
    assert "a.txt" in page.body


def test_those_in_copy_get_one_mail_with_all_mails_when_that_was_asked(
    course: Course, browser: Browser, cloud: Cloud, ses: FakeSes
) -> None:
    people = {"cc": "dean@uni.example", "bcc": "me@uni.example"}
    each = browser.post(path(course, "/prepare"), form(course, **people), htmx=True).body
    assert "Each of the 2 people in copy gets 3 mails." in each
    one = browser.post(path(course, "/prepare"), form(course, **people, copies="one"), htmx=True).body
    assert "Each of the 2 people in copy gets one mail with all 3 in a file." in one
    assert re.search(r"Recipients with copies</dt><dd>5<", one)
    browser.post(path(course), form(course, **people, copies="one"))
    cloud.run(hours=0.2)
    assert ses.mails() == {
        **{f"s{n}@uni.example": 1 for n in (1, 2, 3)}, "dean@uni.example": 1, "me@uni.example": 1,
    }  # fmt: skip
    (mail,) = (read(one) for one in ses.accepted if one["Destination"]["ToAddresses"] == ["dean@uni.example"])
    assert (mail["Subject"], mail["Cc"], mail["List-Unsubscribe"]) == ("Copies of “Reminder”", None, None)
    held = files(mail)["mails.html"].decode()
    assert "s2@uni.example</strong><br>For Name 2" in held
    assert "Dear Name 3, try harder." in held
    run = only_run()
    assert (run.planned, run_state(run.id)) == (3, "done")
    shown = run_page(browser, run).body
    assert "copy with all mails" in shown
    link = re.search(r'href="([^"]*messages/\d+)"[^>]*>See the mail<span[^>]*> to dean', shown)
    assert link
    assert "Copies of “Reminder”" in browser.get(link[1]).body


def table_of(body: bytes) -> str:
    with ZipFile(io.BytesIO(body)) as archive:
        assert "Reminder" in archive.read("workflow.json").decode()
        return archive.read("table.csv").decode()


@pytest.mark.parametrize("kind", ["personalised_text", "email_report", "json_report"])
def test_a_snapshot_is_of_the_same_moment_as_the_rows_of_the_run(course: Course, cloud: Cloud, kind: str) -> None:
    with database.scope() as session:
        action = session.get_one(Action, course.action.id)
        action.kind, action.target = kind, {"url": "https://other.example/", "method": "POST"}
        if "json" in kind:
            action.text = '{"all": 1}'
        elif kind == "email_report":
            action.text = f"{{% table @c{course.columns['name']} %}}"
    fields = {"draft": "d", "to": "dean@uni.example", "token": "s3cret", "to_column_id": course.columns["email"]}
    with database.scope() as session:
        browser = signed_in(session, course.user)
    bucket = aws_client("s3")
    bucket.delete_bucket(Bucket=settings().bucket)  # the store is away for a while
    sent = browser.post(path(course), {**fields, "subject": "Hello", "when": "now", "wants_snapshot": "1"})
    assert sent.status == 303
    cloud.run(hours=1 / 120)
    run = only_run()
    assert (run.planned_at, run.snapshot_size) == (None, None)
    write(course, "UPDATE {table} SET c{name} = 'Earlier'")
    bucket.create_bucket(Bucket=settings().bucket)
    cloud.run(hours=1 / 40)
    run = only_run()
    assert run.planned_at is not None
    write(course, "UPDATE {table} SET c{name} = 'Later'")
    link = run_page(browser, run, "?snapshot=1").location
    table = table_of(store.read(f"reports/{run.id}/snapshot"))
    assert "snapshot" in link
    assert (table.count("Earlier"), table.count("Later")) == (3, 0)
    with database.scope() as session:
        messages = session.scalars(sa.select(Message).where(Message.run_id == run.id)).all()
        assert len(messages) == (1 if "report" in kind else 3), "a second attempt writes no second row"
    if "json" not in kind:  # nobody takes objects here
        assert "The workflow as it was then" in run_page(browser, run).body


def write(course: Course, statement: str) -> None:
    """Change the table."""
    with database.scope() as session:
        session.execute(sa.text(statement.format(table=tables.table(course.workflow.id), **course.columns)))


def test_edits_while_a_run_can_still_be_undone_change_nothing_of_it(course: Course, cloud: Cloud, ses: FakeSes) -> None:
    with database.scope() as session:
        session.get_one(Workflow, course.workflow.id).formats = {"decimals": 1}
    course.confirm()
    cloud.run(hours=3 / 3600)
    assert not ses.accepted
    write(course, "UPDATE {table} SET c{name} = 'Later', c{mark} = 99, c{email} = 'other@uni.example'")
    with database.scope() as session:
        session.get_one(Workflow, course.workflow.id).formats = {}
        action = session.get_one(Action, course.action.id)
        action.text, action.filter = (
            "<p>Other</p>",
            {"all": [{"column": course.columns["mark"], "op": "equal", "value": "1"}]},
        )
    cloud.run(hours=1)
    assert set(ses.mails()) == {"s1@uni.example", "s2@uni.example", "s3@uni.example"}
    bodies = [read(one).get_body(("plain",)) for one in ses.accepted]
    assert all(body is not None and "try harder" in body.get_content() for body in bodies)
    assert only_run().details["formats"] == {"decimals": 1}
