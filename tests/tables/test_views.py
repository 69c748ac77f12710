"""Views: what they show, what stays inside them, and that two people do not overwrite each other's."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.accounts.models import User
from chalicelib.actions.models import Action
from chalicelib.tables.models import Column, View
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, Page, make_user, signed_in
from tests.factories import make_table
from tests.tables.test_table_page import all_pages, keys, table, together

COLUMNS = {"sid": "text", "name": "text", "quiz": "integer", "passed": "boolean"}
PEOPLE = [
    ("s1", "José", 68, True), ("s2", "anna", None, None), ("s3", "Zoë", 7, False), ("s4", "Jo", 7, True),
    ("s5", "jo%_", 50, True),
]  # fmt: skip


@pytest.fixture
def ids(session: Session, workflow: Workflow) -> dict[str, int]:
    return make_table(session, workflow, COLUMNS, PEOPLE)


def rule(column: int, op: str, value: Any = None) -> dict[str, Any]:
    return {"all": [{"column": column, "op": op} | ({} if value is None else {"value": value})]}


def make(session: Session, workflow: Workflow, columns: list[int], **given: Any) -> View:
    now = clock.now()
    values = {"name": "Passed", "sort": [], "filter": None, **given}
    view = View(workflow_id=workflow.id, columns=columns, created_at=now, updated_at=now, **values)
    session.add(view)
    session.flush()
    return view


def heads(page: Page) -> list[str]:
    """The names of the columns, from left to right."""
    return [unescape(name) for name in re.findall(r'<a class="name"[^>]*>([^<]*)</a>', page.body)]


def form(ids: dict[str, int], **given: Any) -> dict[str, Any]:
    return {
        "name": "Passed", "columns": [ids["passed"], ids["sid"]], "sort": [f"-{ids['quiz']}"],
        "formula": json.dumps(rule(ids["passed"], "equal", "true")), **given,
    }  # fmt: skip


def test_a_view_shows_its_columns_rows_and_order(client: Browser, workflow: Workflow, ids: dict[str, int]) -> None:
    page = client.follow(client.post(f"/workflows/{workflow.id}/views", form(ids)))
    assert heads(page) == ["passed", "sid"]
    shown = re.findall(r"<td[^>]*>(s\d)</td>", page.body)
    assert shown == ["s1", "s5", "s4"]
    assert "3 learners of 5 × 2 columns" in page.body
    assert "passed is yes" in page.body
    assert "<h1>Passed</h1>" in page.body


def test_what_is_on_the_screen_becomes_a_view(client: Browser, workflow: Workflow, ids: dict[str, int]) -> None:
    seen = {"columns": f"{ids['quiz']},{ids['sid']}", "sort": f"-{ids['quiz']}", "f": f"{ids['quiz']}~is_not_null"}
    page = client.get(f"/workflows/{workflow.id}/views", **seen)
    ticked = re.findall(r'name="columns" value="(\d+)" checked', page.body)
    assert ticked == [str(ids["quiz"]), str(ids["sid"])]
    assert f'value="-{ids["quiz"]}" selected' in page.body
    assert "is_not_null" in unescape(page.body)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"columns": []}, "Choose at least one column."),
        ({"columns": ["quiz"]}, "Choose at least one column that tells learners apart: “sid”."),
        ({"name": " "}, "Type a name"), ({"name": "x" * 1025}, "Use at most 1,024 characters"),
        ({"formula": '{"all": [{"column": 0, "op": ""}]}'}, "Rule 1: choose a column"),
    ],
)  # fmt: skip
def test_a_view_that_can_not_be_used_is_not_saved(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int], given: dict[str, Any], message: str
) -> None:
    if "columns" in given:
        given = {"columns": [ids[name] for name in given["columns"]]}
    page = client.post(f"/workflows/{workflow.id}/views", form(ids, description="kept words") | given)
    assert page.status == 422
    assert message in unescape(page.body)
    assert "kept words" in page.body
    assert session.query(View).count() == 0


def test_a_name_is_taken_once(client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]) -> None:
    make(session, workflow, [ids["sid"]])
    page = client.post(f"/workflows/{workflow.id}/views", form(ids))
    assert page.status == 422
    assert "Another view of this workflow has this name." in page.body


def test_the_second_of_two_who_save_is_told_what_changed(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    view = make(session, workflow, [ids["sid"]])
    here = f"/workflows/{workflow.id}/views/{view.id}"
    first = form(ids, name="Those who passed", version=1)
    assert client.post(here, first).status == 303
    page = client.post(here, form(ids, name="Mine", columns=[ids["sid"]], formula="", version=1))
    assert page.status == 409
    assert re.search(r"Ines, at \d\d:\d\d, changed this view while you had it open", page.body)
    assert "The name is “Those who passed”." in page.body
    assert "The columns are passed, sid." in page.body
    assert "It shows learners for whom passed is yes." in page.body
    assert 'value="Mine"' in page.body
    session.refresh(view)
    assert view.name == "Those who passed"
    version = re.search(r'name="version" value="(\d+)"', page.body)
    assert version
    again = client.post(here, form(ids, name="Mine", columns=[ids["sid"]], formula="", version=version[1]))
    assert again.status == 303
    session.refresh(view)
    assert (view.name, view.filter) == ("Mine", None)


def test_a_filter_is_really_emptied(client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]) -> None:
    view = make(session, workflow, [ids["sid"]], filter=rule(ids["quiz"], "less", "10"))
    assert keys(table(client, workflow, view=view.id)) == ["s3", "s4"]
    client.post(f"/workflows/{workflow.id}/views/{view.id}", form(ids, columns=[ids["sid"]], formula="", version=1))
    assert len(keys(table(client, workflow, view=view.id))) == 5


def test_a_filter_that_selects_nobody_is_information(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    view = make(session, workflow, [ids["sid"]], filter=rule(ids["quiz"], "less", "-5"))
    page = table(client, workflow, view=view.id)
    assert page.status == 200
    assert "Nobody is in this view just now" in page.body
    assert "0 learners of 5" in page.body


def test_a_view_whose_filter_is_lost_shows_nobody(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    view = make(session, workflow, [ids["sid"], ids["quiz"]], filter=rule(ids["quiz"], "less", "10"))
    session.get_one(Column, ids["quiz"]).deleted_at = clock.now()
    session.flush()
    page = table(client, workflow, view=view.id)
    assert page.status == 200
    assert keys(page) == []
    assert "This view needs repair" in page.body
    assert f"/views/{view.id}" in page.body


def test_a_copy_and_a_deleted_view_come_with_what_they_had(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    view = make(session, workflow, [ids["sid"]], filter=rule(ids["quiz"], "less", "10"))
    here = f"/workflows/{workflow.id}/views/{view.id}"
    copy = client.follow(client.post(here, {"action": "copy"}))
    assert "<h1>Copy of Passed</h1>" in copy.body
    assert keys(copy) == ["s3", "s4"]
    page = client.follow(client.post(here, {"action": "delete"}))
    assert client.get(here).status == 404
    assert table(client, workflow, view=view.id).status == 404
    undo = re.search(r'action="([^"]+restore[^"]*)"', page.body)
    assert undo
    assert keys(client.follow(client.post(unescape(undo[1])))) == ["s3", "s4"]


def test_a_message_and_its_view_share_the_filter(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    view = make(session, workflow, [ids["sid"]], filter=rule(ids["quiz"], "less", "10"))
    here = f"/workflows/{workflow.id}/views/{view.id}"
    made = client.post(here, {"action": "message"})
    assert made.status == 303
    action = session.query(Action).one()
    assert action.filter == view.filter
    more = rule(ids["quiz"], "less", "60")
    client.post(here, form(ids, columns=[ids["sid"]], formula=json.dumps(more), version=1))
    session.refresh(action)
    assert action.filter == more
    fewer = rule(ids["quiz"], "equal", "68")
    panel = client.get(f"/workflows/{workflow.id}/actions/{action.id}/filter")
    assert "These rules are those of the view" in panel.body
    client.post(f"/workflows/{workflow.id}/actions/{action.id}/filter", {"formula": json.dumps(fewer)})
    assert keys(table(client, workflow, view=view.id)) == ["s1"]
    assert "Passed" in client.get(here).body
    client.post(f"/workflows/{workflow.id}/actions/{action.id}/filter", {"leave": "1"})
    client.post(here, form(ids, columns=[ids["sid"]], formula="", version=3))
    session.refresh(action)
    assert action.filter == fewer


def test_another_workflows_view_is_not_there(
    client: Browser, session: Session, user: User, workflow: Workflow, ids: dict[str, int]
) -> None:
    other = workflows.create(session, user.id, "Chemistry")
    theirs = make_table(session, other, {"sid": "text"}, [("x",)])
    view = make(session, other, [theirs["sid"]])
    assert table(client, workflow, view=view.id).status == 404
    assert client.get(f"/workflows/{workflow.id}/views/{view.id}").status == 404
    stranger = signed_in(session, make_user(session, "x@uni.example"))
    assert stranger.get(f"/workflows/{workflow.id}/views").status == 404


def test_columns_move_in_the_view_and_not_in_the_table(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    view = make(session, workflow, [ids["sid"], ids["name"], ids["quiz"]])
    here = f"/workflows/{workflow.id}/table/order"
    moved = client.post(here, {"column": ids["quiz"], "before": ids["sid"], "view": view.id})
    assert moved.status == 200
    assert heads(table(client, workflow, view=view.id)) == ["quiz", "sid", "name"]
    assert heads(table(client, workflow)) == list(COLUMNS)
    assert client.post(here, {"column": ids["passed"], "before": ids["name"]}).status == 200
    assert heads(table(client, workflow)) == ["sid", "passed", "name", "quiz"]
    assert heads(table(client, workflow, view=view.id)) == ["quiz", "sid", "name"]
    assert client.post(here, {"column": ids["passed"], "before": "", "view": view.id}).status == 404


def test_live_counts_say_who_would_be_shown(client: Browser, workflow: Workflow, ids: dict[str, int]) -> None:
    asked = form(ids, action="count")
    assert "3 of 5 learners" in client.post(f"/workflows/{workflow.id}/views", asked, htmx=True).body


SEARCHES = ["", "jo", "JOSÉ", "%", "_", "7", "yes", "s", "68"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nothing_shows_a_row_outside_the_view(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int], data: Any
) -> None:
    within = data.draw(st.sampled_from([
        (rule(ids["quiz"], "less", "60"), {"s3", "s4", "s5"}),
        (rule(ids["passed"], "equal", "true"), {"s1", "s4", "s5"}),
        (rule(ids["quiz"], "is_null"), {"s2"}), (rule(ids["quiz"], "less", "0"), set()),
        ({"any": [{"column": ids["name"], "op": "equal", "value": "Zoë"}], "not": True}, {"s1", "s2", "s4", "s5"}),
    ]))  # fmt: skip
    view = make(session, workflow, [ids["sid"], ids["name"], ids["quiz"]], name=f"v{clock.now()}", filter=within[0])
    pool = [
        f"{ids['name']}~contains~J", f"{ids['quiz']}~between~0~60", f"{ids['passed']}~equal~true",
        f"{ids['quiz']}~is_not_null", f"{ids['name']}~is_null",
    ]  # fmt: skip
    sorts = [f"{sign}{ids[name]}" for name in COLUMNS for sign in ("", "-")]
    query = {
        "view": view.id, "search": data.draw(st.sampled_from(SEARCHES)), "size": 10,
        "f": data.draw(st.lists(st.sampled_from(pool), max_size=3, unique=True)),
        "sort": ",".join(data.draw(st.lists(st.sampled_from(sorts), max_size=3))),
        "columns": data.draw(st.sampled_from(["", f"{ids['sid']},{ids['passed']}"])),
    }  # fmt: skip
    page = table(client, workflow, **query)
    assert page.status == 200
    found = together(all_pages(client, page))
    assert set(found) <= within[1]
    assert len(found) == len(set(found))
    session.delete(view)
    session.flush()
