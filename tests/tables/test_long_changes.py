"""Changes of tables that are too large to wait for: a job makes them, the page can be left, each is taken back."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from chalicelib import database
from chalicelib.tables import changes, queries, store
from tests.conftest import Page
from tests.tables.conftest import Course, problems

CLASS = "sid,name,mark\n" + "".join(f"{n},Name {n},{n}\n" for n in range(1, 21))


@pytest.fixture
def large(course: Course, aws: str, monkeypatch: pytest.MonkeyPatch) -> Course:
    """A class that counts as a large one."""
    course.add(CLASS)
    monkeypatch.setattr(changes, "AT_ONCE", 30)
    return course


def column(course: Course, name: str) -> int:
    with database.scope() as session:
        return next(one.id for one in queries.columns(session, course.workflow_id) if one.name == name)


def done(course: Course, page: Page) -> Page:
    """Do the job that this answer leads to, and go on to what its page then shows."""
    assert "/table/work/" in page.location, problems(page)
    waiting = course.browser.follow(page)
    assert "You may leave this page" in waiting.body
    assert 'hx-trigger="every 1s"' in course.browser.get(page.location, htmx=True).body
    course.work()
    return course.browser.follow(course.browser.get(page.location))


def undo(course: Course, page: Page) -> Page:
    found = re.search(r'<form[^>]*action="([^"]*/(?:undo|history/\d+))"', page.body)
    assert found, "no undo is offered"
    return course.browser.post(html.unescape(found[1]))


def many(course: Course, **chosen: Any) -> Page:
    return course.browser.post(f"{course.path}/table/rows", {"all": "1", "sure": "1", **chosen})


def test_another_type_comes_by_a_job_and_is_taken_back(large: Course) -> None:
    path = f"{large.path}/columns/{column(large, 'mark')}/type"
    page = done(large, large.browser.post(path, {"to": "text", "may_lose": "0"}))
    assert "it was whole number" in page.body
    assert large.contents()[0]["mark"] == "1"
    undo(large, page)
    assert large.contents()[0]["mark"] == 1


def test_all_are_set_and_deleted_by_jobs_and_both_come_back(large: Course) -> None:
    page = done(large, many(large, action="set", column=column(large, "mark"), value="7"))
    assert "“mark” is set for 19 learners." in html.unescape(page.body)
    assert {row["mark"] for row in large.contents()} == {7}
    page = done(large, undo(large, page))
    assert [row["mark"] for row in large.contents()] == list(range(1, 21))
    page = done(large, many(large, action="delete"))
    assert large.contents() == []
    done(large, undo(large, page))
    assert len(large.contents()) == 20


def test_a_few_learners_of_a_large_table_are_changed_at_once(large: Course) -> None:
    page = many(large, action="delete", all="", row=[1, 2])
    assert "/table/work/" not in page.location
    assert len(large.contents()) == 18
    undo(large, large.browser.follow(page))
    assert len(large.contents()) == 20


def test_groups_formulas_and_copies_are_filled_by_jobs(large: Course) -> None:
    groups = {"name": "Group", "type": "text", "values": "A\nB", "seed": "7"}
    page = done(large, large.browser.post(f"{large.path}/columns/new/groups", groups))
    assert "“Group” is in the table." in html.unescape(page.body)
    formula = {"name": "Double", "op": "sum", "sources": [column(large, "mark")], "keep": "1"}
    done(large, large.browser.post(f"{large.path}/columns/new/formula", formula))
    done(large, large.browser.post(f"{large.path}/columns/{column(large, 'Group')}/copy"))
    rows = large.contents()
    assert [row["Double"] for row in rows] == list(range(1, 21))
    assert [row["Group"] for row in rows] == [row["Copy of Group"] for row in rows]
    assert sorted(row["Group"] for row in rows) == ["A"] * 10 + ["B"] * 10


def test_what_does_not_fit_is_said_at_its_field_before_a_job_begins(large: Course) -> None:
    groups = {"name": "mark", "type": "text", "values": "A\nB"}
    page = large.browser.post(f"{large.path}/columns/new/groups", groups)
    assert page.status == 422
    assert "has this name; choose another one." in html.unescape(page.body)
    page = many(large, action="set", column=column(large, "mark"), value="many")
    assert page.status == 422
    assert 'value="many"' in page.body


def test_a_second_click_is_the_same_job(large: Course) -> None:
    first = many(large, action="delete")
    assert many(large, action="delete").location == first.location


def test_what_cannot_be_done_any_more_is_said_with_a_way_back(large: Course) -> None:
    path = f"{large.path}/columns/{column(large, 'name')}/type"
    answer = large.browser.post(path, {"to": "integer_decimals", "may_lose": "0"})
    large.work()
    page = large.browser.get(answer.location)
    assert "other values would be lost" in page.body
    assert "Nothing was changed." in page.body
    assert f'href="{path}?to=integer_decimals"' in page.body


def test_a_table_in_use_is_waited_for(large: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "DDL_LOCK_SECONDS", 0.05)
    path = f"{large.path}/columns/{column(large, 'mark')}/type"
    answer = large.browser.post(path, {"to": "text", "may_lose": "0"})
    with database.scope() as session:
        store.lock_for_bulk(session, large.workflow_id)
        large.work()
    assert "This is tried again in a minute" in large.browser.get(answer.location).body
    large.sql("UPDATE ontask.job SET due_at = now() WHERE state = 'queued'")
    done(large, answer)
    assert large.contents()[0]["mark"] == "1"


def test_a_formula_that_was_worked_out_again_is_taken_back(large: Course) -> None:
    formula = {"name": "Double", "op": "sum", "sources": [column(large, "mark")]}
    done(large, large.browser.post(f"{large.path}/columns/new/formula", formula))
    many(large, action="set", column=column(large, "mark"), value="5")
    large.work()
    page = done(large, large.browser.post(f"{large.path}/columns/{column(large, 'Double')}/compute"))
    assert {row["Double"] for row in large.contents()} == {5}
    undo(large, page)
    assert [row["Double"] for row in large.contents()] == list(range(1, 21))


def test_another_formula_comes_by_a_job_and_is_taken_back(large: Course) -> None:
    mark = column(large, "mark")
    done(large, large.browser.post(f"{large.path}/columns/new/formula", {"name": "made", "op": "sum", "sources": mark}))
    path, form = f"{large.path}/columns/{column(large, 'made')}/formula", {"op": "concat", "sources": mark}
    shown = re.search(r'name="shown" value="(\w+)"', large.browser.post(path, form).body)
    assert shown
    page = done(large, large.browser.post(path, {**form, "shown": shown[1], "may_empty": "0"}))
    assert "“made” is worked out by the new formula." in html.unescape(page.body)
    assert [row["made"] for row in large.contents()] == [str(n) for n in range(1, 21)]
    undo(large, page)
    assert [row["made"] for row in large.contents()] == list(range(1, 21))
