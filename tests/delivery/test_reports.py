"""Reports: one mail to a few people, with tables of the learners and views as files; exactly once."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.actions.reports.models import Attachment
from chalicelib.delivery.models import Run
from chalicelib.settings import settings
from chalicelib.tables.models import Column, View
from chalicelib.workflows.models import Workflow
from tests.actions.conftest import Desk, words
from tests.conftest import Browser, Page
from tests.factories import make_action, make_table

KINDS = {"sid": "text", "name": "text", "quiz": "double", "passed": "boolean"}
LEARNERS = [["s1", "Ada", 40.0, False], ["s2", "Bo & Co", None, True], ["s3", "Cy", 90.5, True]]


@pytest.fixture
def columns(session: Session, workflow: Workflow) -> dict[str, int]:
    return make_table(session, workflow, KINDS, LEARNERS)


@pytest.fixture
def desk(client: Browser, session: Session, workflow: Workflow, columns: dict[str, int]) -> Desk:
    name, quiz = columns["name"], columns["quiz"]
    text = f"<p>All:</p><p>{{% table @c{name}, @c{quiz} sort: @c{quiz} descending %}}</p>"
    return Desk(client, session, make_action(session, workflow, text, "Marks", "email_report"), columns)


def view(desk: Desk, name: str, columns: list[str], formula: Any = None) -> int:
    made = View(
        workflow_id=desk.action.workflow_id, name=name, columns=[desk.columns[one] for one in columns], sort=[],
        filter=formula, created_at=clock.now(), updated_at=clock.now(),
    )  # fmt: skip
    desk.session.add(made)
    desk.session.flush()
    return made.id


def attach(desk: Desk, view_id: int, kind: str = "csv") -> Page:
    return desk.post("/attachments", {"view_id": view_id, "format": kind})


FORM = {"to": "dean@uni.example, ines@uni.example", "subject": "Marks of today", "when": "now"}


def send(desk: Desk, **fields: Any) -> Page:
    return desk.post("/send", {**FORM, **fields})


def test_the_preview_has_a_table_of_the_learners_in_the_chosen_order(desk: Desk) -> None:
    shown = desk.mail(0)
    assert re.findall(r"<td[^>]*>([^<]*)</td>", shown) == ["Cy", "90.5", "Ada", "40", "Bo &amp; Co", ""]
    desk.filter(desk.rule("passed", "equal", True))
    assert re.findall(r"<td[^>]*>([^<]*)</td>", desk.mail(0)) == ["Cy", "90.5", "Bo &amp; Co", ""]


def test_the_text_of_a_report_is_about_all_learners(desk: Desk) -> None:
    status, answer = desk.save("<p>{{ name }}</p>")
    assert status == 422
    assert "differs from learner to learner" in answer["problems"][0]["message"]
    status, _ = desk.save('<p>{% table "name", "passed" max: 1 %}</p>')
    assert status == 200
    assert desk.text() == '<p>{% table "name", "passed" max: 1 %}</p>'
    assert "Conditions" not in words(desk.get())


def test_a_view_is_attached_once_as_csv_or_excel_and_taken_off_with_an_undo(desk: Desk) -> None:
    low = view(desk, "Low marks", ["sid", "quiz"])
    assert attach(desk, low).status == 303
    assert "attached already" in words(attach(desk, low))
    assert "Choose CSV or Excel" in words(attach(desk, view(desk, "Other", ["sid"]), "pdf"))
    assert "Choose a view" in words(attach(desk, 999_999))
    one = desk.session.scalars(sa.select(Attachment)).one()
    desk.post(f"/attachments/{one.id}", {"do": "change", "format": "xlsx"})
    desk.session.refresh(one)
    assert one.format == "xlsx"
    page = desk.post(f"/attachments/{one.id}", {"do": "remove"})
    undo = re.search(r'action="[^"]*(/workflows[^"]*attachments[^"]*view_id[^"]*)"', desk.browser.follow(page).body)
    assert undo
    assert desk.session.scalars(sa.select(Attachment)).all() == []
    assert desk.browser.post(undo[1].replace("&amp;", "&"), {}).status == 303
    assert desk.session.scalars(sa.select(Attachment.format)).all() == ["xlsx"]
    path = f"/workflows/{desk.action.workflow_id}/views/{low}"
    assert "<strong>“Marks”</strong> has it as a file and can’t be sent without it." in desk.browser.get(path).body
    told = desk.browser.follow(desk.browser.post(path, {"action": "delete"})).body
    assert "Not to be sent without it: “Marks”." in told


def test_a_view_that_was_deleted_or_lost_columns_blocks_the_report_with_the_reason(desk: Desk) -> None:
    low = view(desk, "Low marks", ["sid", "quiz"])
    attach(desk, low)
    desk.session.get_one(Column, desk.columns["quiz"]).deleted_at = clock.now()
    desk.session.flush()
    desk.action.text = "<p>Files only</p>"
    desk.session.flush()
    assert "One of its columns was deleted" in words(desk.get())
    refused = send(desk)
    assert refused.status == 422
    assert "The attached view “Low marks” can’t be sent. One of its columns was deleted" in words(refused)
    desk.session.get_one(View, low).deleted_at = clock.now()
    desk.session.flush()
    assert "This view was deleted" in words(desk.get())
    assert "This view was deleted" in words(desk.get("/send"))


@pytest.mark.parametrize(
    ("fields", "field", "words_"),
    [
        ({"to": ""}, "to", "Type who gets"),
        ({"to": "dean@uni.example, nobody"}, "to", "Not an e-mail address: nobody"),
        ({"cc": "x y"}, "cc", "Not an e-mail address: x, y"),
        ({"subject": ""}, "subject", "Type a subject"),
        ({"subject": "{{ name }}"}, "subject", "differs from learner to learner"),
        ({"when": "later", "due_at": "soon"}, "due_at", "Choose the day"),
    ],
)
def test_a_form_that_cannot_be_sent_keeps_what_was_typed(
    desk: Desk, fields: dict[str, str], field: str, words_: str
) -> None:
    page = send(desk, from_name="Ines of Biology", **fields)
    assert page.status == 422
    found = re.search(rf'id="p-{field}"[^>]*>([^<]*)<', page.body)
    assert found
    assert words_ in found[1]
    assert 'value="Ines of Biology"' in page.body
    assert desk.session.scalars(sa.select(Run)).all() == []


def test_a_report_about_nobody_is_asked_about_first(desk: Desk) -> None:
    desk.filter(desk.rule("sid", "equal", "nobody"))
    assert "about nobody" in words(desk.get("/send"))
    page = send(desk)
    assert page.status == 422
    assert "Tick this to send it anyway" in words(page)
    assert send(desk, send_empty="1").status == 303


def test_a_report_that_is_too_large_is_refused_with_a_way_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    attach(desk, view(desk, "All", list(KINDS)))
    monkeypatch.setenv("MAX_MAIL_MB", "0")
    settings.cache_clear()
    page = send(desk)
    assert page.status == 422
    assert "0.0 MB; most providers take 0 MB at most" in words(page)
    assert "Links instead of files" in words(page)
