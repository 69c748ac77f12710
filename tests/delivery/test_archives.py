"""All learners' versions in one ZIP: names and contents of the same learner, Moodle's names, what is refused."""

from __future__ import annotations

import io
import re
import zipfile
from typing import IO, Any

import pytest
from sqlalchemy.orm import Session

from chalicelib.actions.models import Action
from chalicelib.delivery.archives.names import Names
from chalicelib.schedules import jobs
from chalicelib.schedules.models import Job
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser
from tests.factories import make_action, make_table

ROWS = [
    ["s1", "Participant 11", "Ada", 70], ["s2", "Participant 12", "Bo", 20], ["s3", "Participant 13", "Bo", 90],
    ["s4", "Participant 14", "C/y: \"x\"", 95],
]  # fmt: skip


@pytest.fixture
def columns(session: Session, workflow: Workflow) -> dict[str, int]:
    return make_table(session, workflow, {"sid": "text", "Identifier": "text", "name": "text", "mark": "integer"}, ROWS)


@pytest.fixture
def action(session: Session, workflow: Workflow, columns: dict[str, int]) -> Action:
    return make_action(session, workflow, f"<p>For {{{{ @c{columns['sid']} }}}}</p>")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    kept: dict[str, bytes] = {}

    def put(key: str, body: IO[bytes], content_type: str) -> None:
        kept[key] = body.read()

    monkeypatch.setattr("chalicelib.aws.files.put", put)
    monkeypatch.setattr("chalicelib.aws.files.download_link", lambda key, name: f"https://files.example/{key}#{name}")
    return kept


def here(action: Action) -> str:
    return f"/workflows/{action.workflow_id}/actions/{action.id}/zip"


def made(client: Browser, session: Session, action: Action, bucket: dict[str, bytes], **form: Any) -> dict[str, str]:
    """Go all the way; return the files by name."""
    answer = client.post(here(action), {"suffix": "", **form})
    assert answer.status == 303, answer.body
    job_id = int(answer.location.rpartition("/")[2])
    jobs.run(job_id)
    session.expire_all()
    key = session.get_one(Job, job_id).result["key"]
    assert client.get(answer.location, file="1").location.startswith(f"https://files.example/{key}#ontask zip")
    with zipfile.ZipFile(io.BytesIO(bucket[key])) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_name_and_contents_are_of_the_same_learner_also_with_a_filter(
    client: Browser, session: Session, action: Action, columns: dict[str, int], bucket: dict[str, bytes]
) -> None:
    action.filter = {"all": [{"column": columns["mark"], "op": "greater", "value": "50"}]}
    session.flush()
    files = made(client, session, action, bucket, first=columns["sid"], second=columns["Identifier"], skip_rows=[1])
    assert {name: re.findall(r"For (s\d)", page)[0] for name, page in files.items()} == {
        "s3_Participant 13_feedback.html": "s3", "s4_Participant 14_feedback.html": "s4",
    }  # fmt: skip
    assert files["s3_Participant 13_feedback.html"].startswith("<!doctype html>")


def test_names_that_can_not_be_are_changed_and_told(
    client: Browser, session: Session, action: Action, columns: dict[str, int], bucket: dict[str, bytes]
) -> None:
    files = made(client, session, action, bucket, first=columns["name"], suffix="note.html")
    assert list(files) == ["Ada_note.html", "Bo_note.html", "Bo_note (2).html", "C-y- -x-_note.html"]
    job = session.query(Job).one()
    page = client.get(f"{here(action)}/{job.id}").body
    assert "2 names were changed" in page
    assert "Bo_note.html → Bo_note (2).html" in page


def test_moodle_finds_its_participants(
    client: Browser, session: Session, action: Action, columns: dict[str, int], bucket: dict[str, bytes]
) -> None:
    files = made(
        client, session, action, bucket, first=columns["Identifier"], second=columns["name"], for_moodle="1"
    )  # fmt: skip
    assert "Ada_11_assignsubmission_file_feedback.html" in files
    assert "For s1" in files["Ada_11_assignsubmission_file_feedback.html"]


@pytest.mark.parametrize(
    ("form", "field", "hint"),
    [
        ({}, "first", "Choose the column"),
        ({"first": "sid", "second": "sid"}, "second", "another column than the first"),
        ({"first": "Identifier", "for_moodle": "1"}, "second", "the column with the full names"),
        ({"first": "sid", "second": "name", "for_moodle": "1"}, "first", "These are not: s1, s2, s3, s4."),
        ({"first": "sid", "suffix": "x" * 101}, "suffix", "at most 100"),
    ],
)
def test_what_can_not_be_is_told_at_its_field_and_what_was_chosen_stays(
    client: Browser, action: Action, columns: dict[str, int], form: dict[str, str], field: str, hint: str
) -> None:
    sent = {name: str(columns.get(value, value)) for name, value in form.items()}
    page = client.post(here(action), sent)
    assert page.status == 422
    found = re.search(rf'id="p-{field}"[^>]*>([^<]*)', page.body)
    assert found is not None
    assert hint in found[1].replace("&#39;", "'")
    if "first" in sent:
        assert f'<option value="{sent["first"]}" selected>' in page.body


def test_nobody_and_nothing_make_no_archive(
    client: Browser, session: Session, action: Action, columns: dict[str, int]
) -> None:
    page = client.post(here(action), {"first": str(columns["sid"]), "skip_rows": ["1", "2", "3", "4"]})
    assert "Nobody is chosen." in page.body
    action.text = ""
    session.flush()
    assert "There is no text yet." in client.post(here(action), {"first": str(columns["sid"])}).body


def test_a_name_is_safe_on_every_system() -> None:
    names = Names("x")
    assert names.name("con.a", None, 1) == "_con.a_x"
    assert names.name("..", None, 2) == ".._x".strip(" .")
    assert len(names.name("é" * 300, None, 3).encode()) <= 240
    assert names.name("", None, 7) == "row 7_x"
    assert names.name("ROW 7", None, 8) == "ROW 7_x (2)"
