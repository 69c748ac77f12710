"""What becomes of a report: frozen when it is planned, one mail with its files, sent once whoever dies on the way."""

from __future__ import annotations

import csv
import email
import email.policy
import io
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any
from zipfile import ZipFile

import pytest
import sqlalchemy as sa

from chalicelib import clock, database, errors
from chalicelib.actions.models import Action
from chalicelib.actions.reports.models import Attachment
from chalicelib.aws import files as store
from chalicelib.delivery import jobs as delivery_jobs
from chalicelib.delivery import service as runs
from chalicelib.delivery.models import Message, Run
from chalicelib.delivery.reporting import service
from chalicelib.delivery.reporting.forms import ReportOrder
from chalicelib.tables import store as tables
from chalicelib.tables.models import View
from chalicelib.workflows.models import Workflow
from tests.delivery.cloud import Cloud, FakeSes, Killed
from tests.delivery.conftest import Course, MakeCourse


@dataclass
class Report:
    """A course with a report about all learners, and a view of low marks as a file."""

    course: Course

    def confirm(self, **changes: Any) -> Run:
        """Confirm a run, in a transaction of its own."""
        fields = {"to": ("dean@uni.example", "vice@uni.example"), "subject": "Marks", "cc": ("archive@uni.example",)}
        with database.scope() as session:
            workflow = session.get_one(Workflow, self.course.workflow.id)
            action = session.get_one(Action, self.course.action.id)
            return service.confirm(session, self.course.user.id, workflow, action, ReportOrder(**{**fields, **changes}))

    def write(self, statement: str) -> None:
        """Change the table."""
        table = tables.table(self.course.workflow.id)
        with database.scope() as session:
            session.execute(sa.text(statement.format(table=table, **self.course.columns)))

    def filter(self, key: str) -> None:
        """Have the report be about one learner."""
        rule = {"column": self.course.columns["key"], "op": "equal", "value": key}
        with database.scope() as session:
            session.get_one(Action, self.course.action.id).filter = {"all": [rule]}

    def run(self, run_id: int) -> tuple[str, str, int]:
        """The state of a run, its reason, and how many messages it has."""
        with database.scope() as session:
            run = session.get_one(Run, run_id)
            count = session.scalar(sa.select(sa.func.count()).where(Message.run_id == run_id))
            return run.state, run.pause_reason, count or 0


@pytest.fixture
def report(aws: str, make_course: MakeCourse) -> Report:
    assert aws
    course = make_course([("s1", "s1@uni.example", "Ada", 40), ("s2", "s2@uni.example", "Bo", 80)])
    with database.scope() as session:
        action = session.get_one(Action, course.action.id)
        action.kind, action.name = "email_report", "Marks"
        action.text = f"<p>{{% table @c{course.columns['name']}, @c{course.columns['mark']} %}}</p>"
        low = {"all": [{"column": course.columns["mark"], "op": "less", "value": "50"}]}
        shown = [course.columns["key"], course.columns["mark"]]
        view = View(
            workflow_id=course.workflow.id, name="Low: marks/now", columns=shown, sort=[], filter=low,
            created_at=clock.now(), updated_at=clock.now(),
        )  # fmt: skip
        session.add(view)
        session.flush()
        for position, kind in enumerate(("csv", "xlsx"), 1):
            other = view
            if kind == "xlsx":
                other = View(
                    workflow_id=course.workflow.id, name="All", columns=[course.columns["name"]], sort=[],
                    created_at=clock.now(), updated_at=clock.now(),
                )  # fmt: skip
                session.add(other)
                session.flush()
            session.add(
                Attachment(
                    action_id=action.id, view_id=other.id, format=kind, position=position, created_at=clock.now()
                )
            )
    return Report(course)


def read(request: dict[str, Any]) -> EmailMessage:
    made = email.message_from_bytes(request["Content"]["Raw"]["Data"], policy=email.policy.default)
    assert isinstance(made, EmailMessage)
    return made


def files(mail: EmailMessage) -> dict[str, bytes]:
    return {str(part.get_filename()): part.get_payload(decode=True) for part in mail.iter_attachments()}  # type: ignore[misc]


def test_one_mail_with_its_tables_and_files_goes_to_all_recipients(report: Report, cloud: Cloud, ses: FakeSes) -> None:
    report.confirm(from_name="Ines", bcc=("me@uni.example",))
    cloud.run()
    (request,) = ses.accepted
    assert request["Destination"] == {
        "ToAddresses": ["dean@uni.example", "vice@uni.example"], "CcAddresses": ["archive@uni.example"],
        "BccAddresses": ["me@uni.example"],
    }  # fmt: skip
    mail = read(request)
    assert mail["To"] == "dean@uni.example, vice@uni.example"
    assert mail["Subject"] == "Marks"
    assert mail["List-Unsubscribe"] is None
    body = mail.get_body(("html",))
    plain = mail.get_body(("plain",))
    assert body is not None
    assert plain is not None
    assert "<td>Ada</td>" in body.get_content()
    assert "Bo    80" in plain.get_content()
    found = files(mail)
    assert list(found) == ["Low marks now.csv", "All.xlsx"]
    low = io.StringIO(found["Low marks now.csv"].decode("utf-8-sig"))
    assert list(csv.reader(low)) == [["key", "mark"], ["s1", "40"]]
    with ZipFile(io.BytesIO(found["All.xlsx"])) as book:
        assert b"Ada" in book.read("xl/worksheets/sheet1.xml")


def test_a_file_has_the_learners_of_its_view_that_the_report_is_about(
    report: Report, cloud: Cloud, ses: FakeSes
) -> None:
    report.filter("s2")
    report.confirm()
    cloud.run()
    low = files(read(ses.accepted[0]))["Low marks now.csv"].decode("utf-8-sig")
    assert low.splitlines() == ["key,mark"]


def test_what_happens_after_the_planning_changes_nothing(report: Report, cloud: Cloud, ses: FakeSes) -> None:
    run = report.confirm()
    delivery_jobs.reporting.plan_run(run.id)
    report.write("UPDATE {table} SET c{mark} = 7")
    with database.scope() as session:
        session.get_one(Action, report.course.action.id).text = "<p>Other</p>"
        for view in session.scalars(sa.select(View)):
            view.deleted_at = clock.now()
    cloud.run()
    mail = read(ses.accepted[0])
    body = mail.get_body(("html",))
    assert body is not None
    assert '<td align="right">80</td>' in body.get_content()
    assert b"s1,40" in files(mail)["Low marks now.csv"]


def test_a_form_that_is_sent_twice_and_a_plan_made_twice_make_one_mail(
    report: Report, cloud: Cloud, ses: FakeSes
) -> None:
    first, second = report.confirm(token="one"), report.confirm(token="one")
    assert first.id == second.id
    assert service.plan_run(first.id) == 1
    assert service.plan_run(first.id) is None
    cloud.run()
    assert len(ses.accepted) == 1
    assert report.run(first.id) == ("done", "", 1)


@pytest.mark.parametrize("moment", ["before the files", "between the files", "after the files"])
def test_a_worker_that_dies_while_planning_loses_and_doubles_nothing(
    report: Report, cloud: Cloud, ses: FakeSes, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    put, write = store.put, service._write
    calls = {"put": 0, "write": 0}

    def dying_put(*args: Any) -> None:
        calls["put"] += 1
        if calls["put"] == {"before the files": 1, "between the files": 2}.get(moment):
            raise Killed
        put(*args)

    def dying_write(*args: Any) -> Any:
        calls["write"] += 1
        if moment == "after the files" and calls["write"] == 1:
            raise Killed
        return write(*args)

    monkeypatch.setattr(store, "put", dying_put)
    monkeypatch.setattr(service, "_write", dying_write)
    run = report.confirm()
    cloud.run(hours=12)
    assert cloud.kills == 1
    assert len(ses.accepted) == 1
    assert report.run(run.id) == ("done", "", 1)


def test_a_report_about_nobody_is_left_out_when_its_time_comes(report: Report, cloud: Cloud, ses: FakeSes) -> None:
    later = clock.now().replace(microsecond=0) + service.timedelta(hours=1)
    run = report.confirm(due_at=later)
    report.write("DELETE FROM {table}")
    cloud.run()
    assert ses.accepted == []
    assert report.run(run.id) == ("done", "", 1)
    other = report.confirm(due_at=clock.now() + service.timedelta(hours=1), send_empty=True)
    cloud.run()
    assert len(ses.accepted) == 1
    assert report.run(other.id) == ("done", "", 1)


def test_a_report_that_ses_refuses_says_why_and_can_be_sent_again(report: Report, cloud: Cloud, ses: FakeSes) -> None:
    from botocore.exceptions import ClientError

    def refuse(_request: dict[str, Any]) -> None:
        said = {"Code": "MessageRejected", "Message": "A virus"}
        answer = {"Error": said, "ResponseMetadata": {"HTTPStatusCode": 400}}
        raise ClientError(answer, "SendEmail")  # type: ignore[arg-type]

    ses.answer = refuse
    run = report.confirm()
    cloud.run()
    with database.scope() as session:
        assert session.scalars(sa.select(Message.reason)).all() == ["A virus"]
        ses.answer = lambda _request: None
        runs.retry_failed(session, report.course.user.id, session.get_one(Run, run.id))
    cloud.run()
    assert len(ses.accepted) == 1
    assert list(files(read(ses.accepted[0]))) == ["Low marks now.csv", "All.xlsx"]


def test_a_store_that_cannot_be_read_makes_the_mail_wait(
    report: Report, cloud: Cloud, ses: FakeSes, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_file, failures = store.read, iter([True, True])

    def sometimes(key: str) -> bytes:
        if next(failures, False):
            raise errors.Unavailable("The file store can't be reached just now.")
        return read_file(key)

    monkeypatch.setattr(store, "read", sometimes)
    run = report.confirm()
    cloud.run()
    assert len(ses.accepted) == 1
    assert report.run(run.id) == ("done", "", 1)


def test_links_instead_of_files_lead_to_the_run(report: Report, cloud: Cloud, ses: FakeSes) -> None:
    run = report.confirm(as_links=True)
    cloud.run()
    mail = read(ses.accepted[0])
    assert files(mail) == {}
    body = mail.get_body(("html",))
    assert body is not None
    assert f"/runs/{run.id}?file=1" in body.get_content()
    with database.scope() as session:
        link = service.link(session.get_one(Run, run.id), 2)
        assert f"reports/{run.id}/2" in link
        with pytest.raises(errors.NotFound):
            service.link(session.get_one(Run, run.id), 3)


def test_a_report_to_oneself_has_its_files(report: Report, cloud: Cloud, ses: FakeSes) -> None:
    with database.scope() as session:
        workflow = session.get_one(Workflow, report.course.workflow.id)
        action = session.get_one(Action, report.course.action.id)
        service.send_test(session, report.course.user, workflow, action, "")
    cloud.run()
    (request,) = ses.accepted
    assert request["Destination"] == {"ToAddresses": [report.course.user.email]}
    mail = read(request)
    assert mail["Subject"] == "[Test] Marks"
    assert list(files(mail)) == ["Low marks now.csv", "All.xlsx"]
