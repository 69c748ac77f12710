"""One cell, one learner, one column: changed by hand, refused in words, taken back."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.audit.models import Event
from chalicelib.tables import cells
from chalicelib.tables.models import Column
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, Page
from tests.factories import make_table

COLUMNS = {"sid": "text", "email": "text", "quiz": "integer", "mean": "double", "passed": "boolean", "at": "datetime"}
ROWS = [("s1", "a@uni.example", 68, 1.5, True, "2026-03-02T10:00:07Z"), ("s2", "b@uni.example", None, None, None, None)]


@pytest.fixture
def ids(session: Session, workflow: Workflow) -> dict[str, int]:
    return make_table(session, workflow, COLUMNS, ROWS)


def stored(session: Session, workflow: Workflow, column_id: int, row_id: int = 1) -> Any:
    statement = text(f"SELECT c{column_id} FROM learners.w{workflow.id} WHERE row_id = :row_id")
    return session.scalar(statement, {"row_id": row_id})


def path(workflow: Workflow, column_id: int, row_id: int = 1) -> str:
    return f"/workflows/{workflow.id}/table/rows/{row_id}/cells/{column_id}"


def seen(page: Page) -> str:
    found = re.search(r'name="seen" value="([^"]*)"', page.body)
    assert found
    return found[1]


def save(
    client: Browser, workflow: Workflow, column_id: int, typed: str, row_id: int = 1, *, htmx: bool = True
) -> Page:
    """Open the cell, type, save."""
    form = client.get(path(workflow, column_id, row_id), htmx=htmx)
    assert form.status == 200
    fields = {"value": typed, "seen": seen(form), "change_key": "1"}
    return client.post(path(workflow, column_id, row_id), fields, htmx=htmx)


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("quiz", " 70 ", 70), ("quiz", "-3", -3), ("quiz", "", None), ("mean", "2", 2.0), ("mean", "1e3", 1000.0),
        ("mean", "", None), ("passed", "no", False), ("passed", "", None), ("email", "", None),
        ("email", "=1+1", "=1+1"), ("email", " spaces kept ", " spaces kept "), ("email", "a\r\nb", "a\nb"),
        ("email", "{{ x }}<b>", "{{ x }}<b>"), ("sid", "s9", "s9"), ("at", "", None),
    ],
)  # fmt: skip
def test_a_cell_takes_what_its_type_allows(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int], name: str, typed: str, value: Any
) -> None:
    page = save(client, workflow, ids[name], typed)
    assert page.status == 200
    assert stored(session, workflow, ids[name]) == value
    event = session.query(Event).filter_by(type="cell_changed").one()
    assert event.detail["column_id"] == ids[name]
    assert event.detail["row_id"] == 1
    assert event.personal["new"] == (None if value is None else cells.stored(value))


@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [
        ("quiz", "seven", "whole number"), ("quiz", "7.5", "whole number"), ("quiz", "9" * 30, "whole number"),
        ("mean", "1,5", "12.5"), ("mean", "nan", "12.5"), ("mean", "1e999", "12.5"), ("passed", "perhaps", "yes or no"),
        ("at", "tomorrow", "2026-03-31"), ("at", "2026-02-30", "2026-03-31"), ("at", "0000-01-01", "2026-03-31"),
        ("sid", "  ", "tells learners apart"), ("sid", "s2", "Another learner already has “s2” in “sid”"),
        ("sid", "x" * 3000, "too long"), ("email", "x" * 60_000, "50,000 characters"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_at_the_field(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int], name: str, typed: str, words: str
) -> None:
    before = stored(session, workflow, ids[name])
    for htmx in (True, False):
        page = save(client, workflow, ids[name], typed, htmx=htmx)
        assert page.status == 422
        assert words in unescape(page.body)
        assert typed in unescape(page.body)
        assert 'aria-invalid="true"' in page.body
        assert ("<html" in page.body) == (not htmx)
    assert stored(session, workflow, ids[name]) == before
    assert session.query(Event).filter_by(type="cell_changed").count() == 0


def test_dates_are_typed_in_the_readers_zone_and_keep_their_seconds(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int], user: Any
) -> None:
    user.time_zone = "Europe/Madrid"
    session.flush()
    form = client.get(path(workflow, ids["at"]), htmx=True)
    assert 'value="2026-03-02 11:00:07"' in form.body
    assert save(client, workflow, ids["at"], "2026-03-02 11:00:07").status == 200
    assert session.query(Event).filter_by(type="cell_changed").count() == 0
    save(client, workflow, ids["at"], "2026-07-01 12:00")
    assert stored(session, workflow, ids["at"]).isoformat() == "2026-07-01T10:00:00+00:00"


def test_a_value_changed_meanwhile_is_shown_and_not_overwritten(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    form = client.get(path(workflow, ids["quiz"]), htmx=True)
    save(client, workflow, ids["quiz"], "99")
    late = client.post(path(workflow, ids["quiz"]), {"value": "70", "seen": seen(form)}, htmx=True)
    assert late.status == 409
    assert "it is now “99”" in unescape(late.body)
    assert 'value="70"' in late.body
    assert stored(session, workflow, ids["quiz"]) == 99
    again = client.post(path(workflow, ids["quiz"]), {"value": "70", "seen": seen(late)}, htmx=True)
    assert again.status == 200
    assert stored(session, workflow, ids["quiz"]) == 70


def test_a_mistake_does_not_hide_that_the_value_was_changed(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    form = client.get(path(workflow, ids["quiz"]), htmx=True)
    save(client, workflow, ids["quiz"], "99")
    wrong = client.post(path(workflow, ids["quiz"]), {"value": "many", "seen": seen(form)}, htmx=True)
    assert wrong.status == 422
    assert client.post(path(workflow, ids["quiz"]), {"value": "70", "seen": seen(wrong)}, htmx=True).status == 409


def test_two_who_type_the_same_do_not_disturb_each_other(
    client: Browser, workflow: Workflow, ids: dict[str, int]
) -> None:
    form = client.get(path(workflow, ids["quiz"]), htmx=True)
    save(client, workflow, ids["quiz"], "99")
    assert client.post(path(workflow, ids["quiz"]), {"value": "99", "seen": seen(form)}, htmx=True).status == 200


def test_a_change_can_be_taken_back_from_the_message(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    saved = save(client, workflow, ids["quiz"], "70")
    undo = re.search(r'action="([^"]+/undo)"', saved.body)
    assert undo
    assert client.post(undo[1]).status == 303
    assert stored(session, workflow, ids["quiz"]) == 68
    assert client.post(undo[1]).status == 303
    assert stored(session, workflow, ids["quiz"]) == 68
    again = re.search(r'action="([^"]+/undo)"', save(client, workflow, ids["quiz"], "70").body)
    assert again
    page = client.post(again[1], htmx=True)
    assert page.headers["HX-Refresh"] == "true"
    assert "is what it was before" in client.get(f"/workflows/{workflow.id}/table").body


def test_an_undo_leaves_a_later_change_alone(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    undo = re.search(r'action="([^"]+/undo)"', save(client, workflow, ids["at"], "2026-04-01").body)
    assert undo
    save(client, workflow, ids["at"], "2026-05-01")
    assert client.post(undo[1]).status == 409
    assert stored(session, workflow, ids["at"]).month == 5


def test_an_undo_brings_back_every_type_exactly(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    for name, typed in {"quiz": "1", "mean": "0.1", "passed": "no", "at": "2026-04-01", "email": "\n x\n"}.items():
        before = stored(session, workflow, ids[name])
        undo = re.search(r'action="([^"]+/undo)"', save(client, workflow, ids[name], typed).body)
        assert undo
        assert client.post(undo[1]).status == 303
        assert stored(session, workflow, ids[name]) == before


def test_without_scripts_a_cell_is_changed_on_a_page_of_its_own(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    saved = save(client, workflow, ids["quiz"], "70", htmx=False)
    page = client.follow(saved)
    assert "“quiz” is saved." in page.body
    assert "/undo" in page.body


def test_a_drop_down_offers_the_allowed_values_only(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    column = session.get(Column, ids["quiz"])
    assert column
    column.allowed_values = [1, 2, 68]
    session.flush()
    assert "<option" in client.get(path(workflow, ids["quiz"]), htmx=True).body
    assert save(client, workflow, ids["quiz"], "3").status == 422
    assert save(client, workflow, ids["quiz"], "2").status == 200
    assert save(client, workflow, ids["quiz"], "").status == 200


def test_a_learner_who_is_gone_is_said_to_be(client: Browser, workflow: Workflow, ids: dict[str, int]) -> None:
    for address in (path(workflow, ids["quiz"], 77), f"/workflows/{workflow.id}/table/rows/77"):
        page = client.get(address)
        assert page.status == 404
        assert "not in the table any more" in page.body
    assert client.post(path(workflow, ids["quiz"], 77), {"value": "1", "seen": ""}).status == 404


def test_an_empty_workflow_has_no_cells(client: Browser, workflow: Workflow) -> None:
    here = f"/workflows/{workflow.id}/table"
    for address in ("/new", "/rows/1", "/rows/1/cells/1"):
        assert client.get(here + address).status == 404
    assert client.get(f"/workflows/{workflow.id}/columns/1").status == 404
    assert client.post(f"{here}/new", {"c1": "x"}).status in {404, 422}
    assert client.post(f"{here}/rows/1/delete").status == 404
    assert client.post(f"/workflows/{workflow.id}/downloads").status == 404


def test_a_learner_is_added_and_counted(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    here = f"/workflows/{workflow.id}/table/new"
    assert client.get(here).status == 200
    added = client.post(here, {f"c{ids['sid']}": "s3", f"c{ids['quiz']}": "5", f"c{ids['passed']}": "yes"})
    assert "s3" in client.follow(added).body
    session.refresh(workflow)
    assert workflow.row_count == 3
    assert stored(session, workflow, ids["passed"], 3) is True


def test_a_new_learner_with_mistakes_is_shown_again(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    here = f"/workflows/{workflow.id}/table/new"
    fields = {f"c{ids['sid']}": "", f"c{ids['quiz']}": "seven", f"c{ids['email']}": "kept@uni.example"}
    page = client.post(here, fields)
    assert page.status == 422
    assert page.body.count('class="problem"') == 2
    assert 'value="seven"' in page.body
    assert 'value="kept@uni.example"' in page.body
    taken = client.post(here, {f"c{ids['sid']}": "s1"})
    assert taken.status == 422
    assert "Another learner already has “s1”" in taken.body
    session.refresh(workflow)
    assert workflow.row_count == 2


def test_a_deleted_learner_comes_back_with_everything(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    statement = text(f"SELECT * FROM learners.w{workflow.id} ORDER BY row_id")
    before = session.execute(statement).all()
    page = client.follow(client.post(f"/workflows/{workflow.id}/table/rows/1/delete"))
    assert "“s1” is not in the table any more." in page.body
    session.refresh(workflow)
    assert workflow.row_count == 1
    undo = re.search(r'action="([^"]+/undo)"', page.body)
    assert undo
    assert client.post(undo[1]).status == 303
    assert session.execute(statement).all() == before
    assert client.post(undo[1]).status == 409
    session.refresh(workflow)
    assert workflow.row_count == 2


def test_other_events_and_other_workflows_are_not_taken_back(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    created = session.query(Event).filter_by(type="workflow_created").one()
    for event_id in (created.id, 999_999):
        assert client.post(f"/workflows/{workflow.id}/table/changes/{event_id}/undo").status == 404
