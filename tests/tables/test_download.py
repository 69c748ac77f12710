"""The table as a file: faithful, exactly what is seen, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import IO, Any

import openpyxl
import pytest
import requests
from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import database
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.schedules import jobs
from chalicelib.schedules.models import Job
from chalicelib.tables import downloads, queries
from chalicelib.tables.downloads import BYTE_ORDER_MARK
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow
from tests.conftest import NOON, Browser, signed_in
from tests.factories import make_action, make_condition, make_table
from tests.tables.conftest import Course
from tests.tables.test_views import make, rule
from tests.test_access import member


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What was put into S3."""
    kept: dict[str, bytes] = {}

    def put(key: str, body: IO[bytes], content_type: str) -> None:
        assert content_type == downloads.FORMATS[key.rpartition(".")[2]].content_type
        kept[key] = body.read()

    monkeypatch.setattr("chalicelib.aws.files.put", put)
    monkeypatch.setattr("chalicelib.aws.files.download_link", lambda key, name: f"https://files.example/{key}#{name}")
    return kept


def download(client: Browser, workflow: Workflow, session: Session, **fields: Any) -> Job:
    """Ask for the file and do the job; the page waits before and has a link afterwards."""
    asked = client.post(f"/workflows/{workflow.id}/downloads", fields)
    waiting = client.follow(asked)
    assert "is being written" in waiting.body
    job = session.query(Job).filter_by(kind="export_table").order_by(Job.id.desc()).first()
    assert job is not None
    assert client.get(f"{asked.location}/file").status == 404
    jobs.run(job.id)
    session.refresh(job)
    return job


def test_the_file_is_faithful_and_tame(
    client: Browser, workflow: Workflow, session: Session, store: dict[str, bytes]
) -> None:
    columns = {"sid": "text", "=note": "text", "n": "integer", "x": "double", "yes": "boolean", "at": "datetime"}
    rows = [
        ("s1", "=1+1", -5, -0.1, True, "2026-03-02T10:00:00Z"), ("s2", "+cmd|'/C calc'!A0", 2**60, 1e-9, False, None),
        ("s3", "-3.5", None, None, None, None), ("s4", "@SUM(A1)", 0, 2.0, None, None),
        ("s5", "\t=1", 0, 0.0, None, None),
        ("s6", "", 0, 0.0, None, None), ("s7", None, 0, 0.0, None, None), ("s8", 'a "b", c\nd', 0, 0.0, None, None),
        ("s9", "José 👩", 0, 0.0, None, None), ("s10", "\r=1", 0, 0.0, None, None), ("s11", "＝1", 0, 0.0, None, None),
        ("s12", "a=b", 0, 0.0, None, None), ("s13", "-", 0, 0.0, None, None), ("s14", "%s :x", 0, 0.0, None, None),
    ]  # fmt: skip
    make_table(session, workflow, columns, rows)
    job = download(client, workflow, session)
    (body,) = store.values()
    assert body.startswith(BYTE_ORDER_MARK)
    written = body.decode("utf-8-sig")
    read = list(csv.reader(io.StringIO(written, newline="")))
    assert read[0] == ["sid", "'=note", "n", "x", "yes", "at"]
    notes = {row[0]: row[1] for row in read[1:]}
    assert notes == {
        "s1": "'=1+1", "s2": "'+cmd|'/C calc'!A0", "s3": "-3.5", "s4": "'@SUM(A1)", "s5": "'\t=1", "s6": "", "s7": "",
        "s8": 'a "b", c\nd', "s9": "José 👩", "s10": "'\r=1", "s11": "'＝1", "s12": "a=b", "s13": "'-", "s14": "%s :x",
    }  # fmt: skip
    values = {row[0]: row[2:] for row in read[1:]}
    assert values["s1"] == ["-5", "-0.1", "true", "2026-03-02T10:00:00+00:00"]
    assert values["s2"] == [str(2**60), "1e-09", "false", ""]
    assert 's6,"",' in written
    assert "s7,," in written
    page = client.get(f"/workflows/{workflow.id}/downloads/{job.id}")
    assert "14 learners, ready." in page.body
    link = client.get(f"/workflows/{workflow.id}/downloads/{job.id}/file")
    assert link.status == 303
    assert link.location.startswith(f"https://files.example/exports/{workflow.id}/")
    assert link.location.endswith(".csv")


def test_the_file_is_sorted_as_on_the_screen(
    client: Browser, workflow: Workflow, session: Session, store: dict[str, bytes]
) -> None:
    ids = make_table(session, workflow, {"sid": "text", "n": "integer"}, [("a", 1), ("b", None), ("c", 3)])
    download(client, workflow, session, sort=f"-{ids['n']}")
    (body,) = store.values()
    assert [line[0] for line in body.decode("utf-8-sig").splitlines()[1:]] == ["c", "a", "b"]
    assert client.post(f"/workflows/{workflow.id}/downloads", {"sort": "999999"}).status == 404


def test_a_file_is_for_the_one_who_asked(
    client: Browser, workflow: Workflow, session: Session, store: dict[str, bytes]
) -> None:
    make_table(session, workflow, {"sid": "text"}, [("a",)])
    job = download(client, workflow, session)
    viewer = signed_in(session, member(session, workflow, WorkflowRole.VIEWER))
    for end in ("", "/file"):
        assert viewer.get(f"/workflows/{workflow.id}/downloads/{job.id}{end}").status == 404
        assert client.get(f"/workflows/{workflow.id}/downloads/999999{end}").status == 404
    assert viewer.post(f"/workflows/{workflow.id}/downloads").status == 303


def test_a_table_that_is_gone_is_said_to_be(
    client: Browser, workflow: Workflow, session: Session, store: dict[str, bytes]
) -> None:
    make_table(session, workflow, {"sid": "text"}, [("a",)])
    asked = client.post(f"/workflows/{workflow.id}/downloads")
    session.execute(text(f"DROP TABLE learners.w{workflow.id}"))
    job = session.query(Job).filter_by(kind="export_table").one()
    jobs.run(job.id)
    assert "There is no table any more." in client.follow(asked).body
    assert not store


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Biology 101", "Biology 101 2026-03-02.csv"), ("a/b\\c:\n*?", "a b c 2026-03-02.csv"),
        ("../..", "table 2026-03-02.csv"), ("Größe 👩", "Größe 👩 2026-03-02.csv"),
        ("x" * 300, "x" * 100 + " 2026-03-02.csv"),
    ],
)  # fmt: skip
def test_the_file_has_the_workflows_name(name: str, expected: str) -> None:
    assert downloads.filename([name, ""], "csv", NOON) == expected


MIXED = {"sid": "text", "n": "integer", "x": "double", "yes": "boolean", "at": "datetime", "note": "text"}
MIXED_ROWS: list[tuple[Any, ...]] = [
    ("0012", 5, 0.1, True, "2026-03-02T10:00:00.123456+01:00", "=1+1"), ("b7", None, None, None, None, None),
    ("c\u00e9", -3, 1e-9, False, "2026-07-01T00:00:00Z", 'a "b", <c> & \'d\'\nnext \\ line'),
    ("d", 2**60, -2.5, True, None, "👩"), ("e", 0, 123456.789, False, "1999-12-31T23:59:59Z", "+49 30 1234"),
]  # fmt: skip


def test_the_file_is_what_the_view_shows(
    client: Browser, workflow: Workflow, session: Session, store: dict[str, bytes]
) -> None:
    ids = make_table(session, workflow, MIXED, MIXED_ROWS)
    view = make(
        session, workflow, [ids["n"], ids["sid"]], name="Some: people", filter=rule(ids["n"], "less", "100"),
        sort=[{"column": ids["n"], "descending": True}],
    )  # fmt: skip
    action = make_action(session, workflow)
    make_condition(session, action, "low", rule(ids["n"], "less", "1"))
    job = download(
        client, workflow, session, format="json", view=view.id, f=f"{ids['n']}~is_not_null", message=action.id
    )
    (body,) = store.values()
    assert json.loads(body) == [
        {"n": 5, "sid": "0012", "low": False}, {"n": 0, "sid": "e", "low": True}, {"n": -3, "sid": "cé", "low": True},
    ]  # fmt: skip
    link = client.get(f"/workflows/{workflow.id}/downloads/{job.id}/file")
    assert re.search(r"#Biology 101 – Some people \d{4}-\d\d-\d\d\.json$", link.location)


def test_json_keeps_every_value(client: Browser, workflow: Workflow, session: Session, store: dict[str, bytes]) -> None:
    make_table(session, workflow, MIXED, MIXED_ROWS)
    download(client, workflow, session, format="json")
    (body,) = store.values()
    read = json.loads(body)
    assert [row["note"] for row in read] == [row[5] for row in MIXED_ROWS]
    assert [(row["n"], row["x"], row["yes"]) for row in read] == [row[1:4] for row in MIXED_ROWS]
    assert read[0]["at"] == "2026-03-02T09:00:00.123456+00:00"


def test_an_empty_table_is_a_file_too(
    client: Browser, workflow: Workflow, session: Session, store: dict[str, bytes]
) -> None:
    make_table(session, workflow, MIXED, [])
    for kind in ("csv", "xlsx", "json"):
        download(client, workflow, session, format=kind)
    bodies = {key.rpartition(".")[2]: body for key, body in store.items()}
    assert json.loads(bodies["json"]) == []
    assert bodies["csv"].decode("utf-8-sig").strip() == ",".join(MIXED)
    (head,) = openpyxl.load_workbook(io.BytesIO(bodies["xlsx"])).active.iter_rows(values_only=True)
    assert head == tuple(MIXED)


def test_excel_gets_texts_as_texts_and_numbers_as_numbers(
    client: Browser, workflow: Workflow, session: Session, store: dict[str, bytes]
) -> None:
    make_table(session, workflow, {**MIXED, "odd": "text"}, [(*row, "a\x01\x02b\r\nc ") for row in MIXED_ROWS])
    download(client, workflow, session, format="xlsx")
    (body,) = store.values()
    sheet = openpyxl.load_workbook(io.BytesIO(body)).active
    rows = list(sheet.iter_rows(values_only=True))
    assert rows[1][:6] == ("0012", 5, 0.1, True, "2026-03-02T09:00:00.123456+00:00", "=1+1")
    assert sheet["F2"].data_type == "s"
    assert rows[2][:6] == ("b7", None, None, None, None, None)
    assert rows[4][1] == str(2**60)
    assert rows[3][5] == MIXED_ROWS[2][5]
    assert rows[1][6] == "a\ufffd\ufffdb\r\nc "


def test_excel_says_what_it_can_not_hold(
    client: Browser, workflow: Workflow, session: Session, store: dict[str, bytes]
) -> None:
    make_table(session, workflow, {"sid": "text", "essay": "text"}, [("a", "x" * 40_000)])
    job = download(client, workflow, session, format="xlsx")
    assert job.state == "failed"
    assert "a text here has 40,000" in client.get(f"/workflows/{workflow.id}/downloads/{job.id}").body


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_file_that_is_uploaded_again_gives_the_same(
    course: Course, aws: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.scope() as session:
        workflow = session.get_one(Workflow, course.workflow_id)
        # Longer whole numbers are codes to an upload, until somebody says otherwise.
        rows = [(*row[:1], min(row[1], 10**15 - 1) if row[1] else row[1], *row[2:]) for row in MIXED_ROWS]
        make_table(session, workflow, MIXED, rows)
    before = course.contents()
    asked = course.browser.post(f"{course.path}/downloads", {"format": kind, "plain": "1"})
    course.work()
    written = requests.get(course.browser.get(f"{asked.location}/file").location, timeout=10).content
    with database.scope() as session:
        other = workflows.create(session, course.user_id, "Again")
    again = Course(course.browser, other.id, course.user_id)
    again.add(written, f"again.{kind}")
    assert again.contents() == before
    with database.scope() as session:
        kinds = {column.name: column.type for column in queries.columns(session, other.id)}
    assert kinds == MIXED
