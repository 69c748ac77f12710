"""Whole rows by hand: the form of a learner, and many learners at once, each with its undo."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.tables import store
from chalicelib.tables.models import Column
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, Page
from tests.factories import make_table
from tests.tables.test_table_page import keys, table
from tests.tables.test_views import make, rule

COLUMNS = {"sid": "text", "n": "integer", "group": "text", "yes": "boolean", "at": "datetime", "x": "double"}
ROWS = [(f"s{i}", i, "AB"[i % 2], i % 2 == 0, "2026-03-02T10:00:00.123456Z", i / 3) for i in range(1, 7)]


@pytest.fixture
def ids(session: Session, workflow: Workflow) -> dict[str, int]:
    made = make_table(session, workflow, COLUMNS, ROWS)
    session.get_one(Column, made["group"]).allowed_values = ["A", "B", "C"]
    session.flush()
    return made


def contents(session: Session, workflow: Workflow) -> list[Any]:
    return list(session.execute(text(f"SELECT * FROM {store.table(workflow.id)} ORDER BY row_id")).all())


def many(client: Browser, workflow: Workflow, **fields: Any) -> Page:
    return client.post(f"/workflows/{workflow.id}/table/rows", fields)


def undo(client: Browser, page: Page) -> Page:
    link = re.search(r'action="([^"]+/undo)"', page.body)
    assert link, "nothing can be taken back"
    return client.follow(client.post(unescape(link[1])))


def test_chosen_learners_are_deleted_and_come_back(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    before = contents(session, workflow)
    review = many(client, workflow, action="delete", row=[2, 4])
    assert "Delete 2 learners" in review.body
    assert contents(session, workflow) == before
    page = client.follow(many(client, workflow, action="delete", row=[2, 4], sure="1"))
    assert "2 learners are not in the table any more." in page.body
    assert keys(page) == ["s1", "s3", "s5", "s6"]
    assert "4 learners ×" in page.body
    back = undo(client, page)
    assert "2 learners are back." in back.body
    assert contents(session, workflow) == before
    assert "6 learners ×" in back.body


def test_a_column_is_set_for_all_that_match_and_for_nobody_else(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int], count_statements: Callable[[], int]
) -> None:
    before = contents(session, workflow)
    view = make(session, workflow, [ids["sid"]], filter=rule(ids["n"], "greater", "2"))
    chosen = {"all": "1", "view": view.id, "f": f"{ids['yes']}~equal~true", "column": ids["n"]}
    review = many(client, workflow, action="set", **chosen)
    assert "Set “n” for 2 learners" in review.body
    page = client.follow(many(client, workflow, action="set", value="100", sure="1", **chosen))
    assert "“n” is set for 2 learners." in page.body
    assert [row[2] for row in contents(session, workflow)] == [1, 2, 3, 100, 5, 100]
    assert "columns=" not in page.body
    undo(client, page)
    assert contents(session, workflow) == before


def test_rows_outside_the_view_can_not_be_slipped_in(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    view = make(session, workflow, [ids["sid"]], filter=rule(ids["n"], "greater", "4"))
    many(client, workflow, action="delete", row=[1, 5], view=view.id, sure="1")
    assert [row[1] for row in contents(session, workflow)] == ["s1", "s2", "s3", "s4", "s6"]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("n", "many", "Type a whole number."), ("group", "Z", "Choose one of the column"),
        ("sid", "same", "tells learners apart"), ("yes", "maybe", "Choose yes or no."), ("at", "soon", "type a date"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_changes_nobody(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int], column: str, value: str, message: str
) -> None:
    before = contents(session, workflow)
    page = many(client, workflow, action="set", row=[1, 2], column=ids[column], value=value, sure="1")
    assert page.status == 422
    assert message.lower() in unescape(page.body).lower()
    assert contents(session, workflow) == before


def test_setting_to_no_value_and_taking_it_back_spares_what_was_changed_since(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    page = client.follow(many(client, workflow, action="set", all="1", column=ids["x"], value="", sure="1"))
    assert all(row[6] is None for row in contents(session, workflow))
    session.execute(text(f"UPDATE {store.table(workflow.id)} SET c{ids['x']} = 9 WHERE row_id = 1"))
    back = undo(client, page)
    assert "1 were changed again" in back.body
    assert [row[6] for row in contents(session, workflow)] == [9, *(i / 3 for i in range(2, 7))]


def test_deleted_learners_do_not_come_back_over_others(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    page = client.follow(many(client, workflow, action="delete", row=[2, 3], sure="1"))
    client.post(f"/workflows/{workflow.id}/table/new", {f"c{ids['sid']}": "s2"})
    link = re.search(r'action="([^"]+/undo)"', page.body)
    assert link
    assert client.post(unescape(link[1])).status == 409
    assert keys(table(client, workflow)) == ["s1", "s2", "s4", "s5", "s6"]


def test_choosing_nobody_says_so(client: Browser, workflow: Workflow, ids: dict[str, int]) -> None:
    assert "Nobody is chosen" in many(client, workflow, action="delete").body
    page = client.follow(many(client, workflow, action="delete", sure="1"))
    assert "Nobody was deleted." in page.body
    assert len(keys(page)) == 6


def filled(page: Page) -> dict[str, str]:
    """The fields of the form, as a browser would send them."""
    found = {}
    for name, value in re.findall(r'<input[^>]*name="([^"]+)"[^>]*?value="([^"]*)"', page.body):
        found[name] = unescape(value)
    for name, options in re.findall(r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>', page.body, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        found[name] = unescape(chosen[1]) if chosen else ""
    found.pop("csrf_token", None)
    return found


def test_the_form_of_a_learner_has_the_right_fields(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    session.execute(text(f"UPDATE {store.table(workflow.id)} SET c{ids['at']} = '2026-03-02 10:30Z' WHERE row_id = 1"))
    page = client.get(f"/workflows/{workflow.id}/table/rows/1/edit")
    assert re.search(rf'id="f-c{ids["sid"]}" value="s1" readonly', page.body)
    assert f'type="datetime-local" step="60" id="f-c{ids["at"]}"' in page.body
    assert 'value="2026-03-02T10:30"' in page.body
    options = re.search(rf'<select[^>]*name="c{ids["yes"]}"[^>]*>(.*?)</select>', page.body)
    assert options
    assert re.findall(r'value="([^"]*)"', options[1]) == ["", "yes", "no"]


def test_an_unchanged_form_changes_nothing(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    before = contents(session, workflow)
    here = f"/workflows/{workflow.id}/table/rows/1/edit"
    page = client.follow(client.post(here, filled(client.get(here))))
    assert "Nothing was changed." in page.body
    assert contents(session, workflow) == before


def test_values_are_cleared_and_come_back_and_a_key_stays(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    before = contents(session, workflow)
    here = f"/workflows/{workflow.id}/table/rows/1/edit"
    fields = filled(client.get(here))
    fields |= {f"c{ids[name]}": "" for name in ("n", "group", "yes", "at", "x")}
    page = client.follow(client.post(here, {**fields, f"c{ids['sid']}": "hacked"}))
    assert contents(session, workflow)[0][1:] == ("s1", None, None, None, None, None)
    undo(client, page)
    assert contents(session, workflow) == before


def test_what_somebody_else_changed_is_not_overwritten_unseen(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    here = f"/workflows/{workflow.id}/table/rows/1/edit"
    fields = filled(client.get(here))
    change = text(f"UPDATE {store.table(workflow.id)} SET c{ids['n']} = 50, c{ids['x']} = 8 WHERE row_id = 1")
    session.execute(change)
    page = client.post(here, {**fields, f"c{ids['n']}": "60"})
    assert page.status == 409
    assert "It is “50” now." in page.body
    assert 'value="60"' in page.body
    assert contents(session, workflow)[0][2] == 50
    assert client.post(here, filled(page)).status == 303
    assert contents(session, workflow)[0][2] == 60
    assert contents(session, workflow)[0][6] == 8


def test_values_that_do_not_fit_are_shown_again(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    before = contents(session, workflow)
    here = f"/workflows/{workflow.id}/table/rows/1/edit"
    page = client.post(here, filled(client.get(here)) | {f"c{ids['n']}": "many", f"c{ids['group']}": "Z"})
    assert page.status == 422
    assert 'value="many"' in page.body
    assert "Type a whole number." in page.body
    assert "Choose one of the column" in page.body
    assert contents(session, workflow) == before
    assert client.get(f"/workflows/{workflow.id}/table/rows/99/edit").status == 404


def test_a_key_changes_only_when_it_is_meant(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    here = f"/workflows/{workflow.id}/table/rows/1/cells/{ids['sid']}"
    seen = re.search(r'name="seen" value="([^"]*)"', client.get(here).body)
    assert seen
    page = client.post(here, {"value": "new", "seen": seen[1]})
    assert page.status == 422
    assert "Tick that you mean to change it." in page.body
    assert client.post(here, {"value": "new", "seen": seen[1], "change_key": "1"}).status == 303
    assert contents(session, workflow)[0][1] == "new"
