"""Filters of columns, several sorts, chosen columns, page sizes, conditions of a message: all in the address."""

from __future__ import annotations

import functools
import re
from html import unescape
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.tables import store
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser
from tests.factories import make_action, make_condition, make_table
from tests.tables.test_table_page import all_pages, keys, table, together, walked
from tests.tables.test_views import heads

COLUMNS = {"sid": "text", "name": "text", "n": "integer", "x": "double", "yes": "boolean", "at": "datetime"}
ROWS = [
    ("a", "José", 1, 0.5, True, "2026-03-01T10:00Z"), ("b", "100%", 5, None, False, "2026-03-02T10:00Z"),
    ("c", None, None, 2.5, None, None), ("d", "", 9, 7.0, True, "2026-04-01T10:00Z"),
]  # fmt: skip


@pytest.fixture
def ids(session: Session, workflow: Workflow) -> dict[str, int]:
    return make_table(session, workflow, COLUMNS, ROWS)


@pytest.mark.parametrize(
    ("column", "written", "found", "words"),
    [
        ("name", "contains~JOSE", "a", "name contains “JOSE”"), ("name", "contains~%", "b", "name contains “%”"),
        ("name", "equal~José", "a", "name is “José”"), ("name", "is_null", "c", "name is missing"),
        ("n", "between~1~5", "ab", "n is between 1 and 5"), ("n", "greater_or_equal~5", "bd", "n is at least 5"),
        ("n", "is_not_null", "abd", "n is not missing"), ("x", "equal~2.5", "c", "x is 2.5"),
        ("yes", "equal~true", "ad", "yes is yes"),
        ("at", "between~2026-03-01~2026-03-31", "ab", "at is between 2026-03-01 and 2026-03-31"),
    ],
)  # fmt: skip
def test_a_column_is_filtered(
    client: Browser, workflow: Workflow, ids: dict[str, int], column: str, written: str, found: str, words: str
) -> None:
    page = table(client, workflow, f=f"{ids[column]}~{written}")
    assert keys(page) == list(found)
    body = unescape(page.body)
    assert words in body
    assert f"Take away the filter {words}" in body
    assert f"{len(found)} learner" in body


def test_filters_and_search_hold_together(client: Browser, workflow: Workflow, ids: dict[str, int]) -> None:
    both = [f"{ids['yes']}~equal~true", f"{ids['n']}~between~2~10"]
    page = table(client, workflow, f=both)
    assert keys(page) == ["d"]
    assert "1 learner, of 4." in page.body
    assert keys(table(client, workflow, f=both, search="josé")) == []
    away = re.search(r'class="filter-away" href="([^"]+)"', page.body)
    assert away
    assert keys(client.request("GET", unescape(away[1]))) == ["b", "d"]


def test_the_form_of_a_filter_says_what_is_wrong(client: Browser, workflow: Workflow, ids: dict[str, int]) -> None:
    page = table(client, workflow, edit=ids["n"], op="between", value="one", until="5")
    assert "type a whole number" in page.body
    assert 'value="one"' in page.body
    assert len(keys(page)) == 4
    page = table(client, workflow, edit=ids["n"], op="between", value="", until="5")
    assert keys(page) == ["a", "b"]
    assert 'name="op"' not in page.body


@pytest.mark.parametrize("written", ["0~equal~1", "x~equal~1", "{n}~drop~1", "{n}"])
def test_a_filter_of_no_column_is_refused(
    client: Browser, workflow: Workflow, ids: dict[str, int], written: str
) -> None:
    assert table(client, workflow, f=written.format(n=ids["n"])).status == 404


def test_a_filter_that_can_not_be_read_shows_nobody(client: Browser, workflow: Workflow, ids: dict[str, int]) -> None:
    page = table(client, workflow, f=f"{ids['n']}~equal~many")
    assert page.status == 422
    assert keys(page) == []


def test_columns_are_chosen_and_only_they_are_searched(
    client: Browser, workflow: Workflow, ids: dict[str, int]
) -> None:
    chosen = f"{ids['n']},{ids['sid']}"
    assert heads(table(client, workflow, columns=chosen)) == ["n", "sid"]
    assert heads(table(client, workflow, show=[ids["sid"], ids["x"]])) == ["sid", "x"]
    assert "Nobody found" in table(client, workflow, columns=chosen, search="josé").body
    hide = re.search(r'href="([^"]+)"[^>]*>Hide this column', table(client, workflow, columns=chosen).body)
    assert hide
    assert heads(client.request("GET", unescape(hide[1]))) == ["sid"]


def test_the_size_of_a_page_is_remembered(client: Browser, workflow: Workflow, session: Session) -> None:
    make_table(session, workflow, {"sid": "text"}, [(f"s{i:03}",) for i in range(60)])
    assert len(keys(table(client, workflow))) == 50
    assert len(keys(table(client, workflow, size=25))) == 25
    assert len(keys(table(client, workflow))) == 25
    assert len(keys(table(client, workflow, size=100))) == 60
    assert len(keys(table(client, workflow, size="7"))) == 50


def test_how_it_was_sorted_is_remembered_for_each_table(
    client: Browser, workflow: Workflow, ids: dict[str, int]
) -> None:
    assert keys(table(client, workflow, sort=f"-{ids['n']},{ids['sid']}")) == ["d", "b", "a", "c"]
    page = table(client, workflow)
    assert keys(page) == ["d", "b", "a", "c"]
    assert f"sort=-{ids['n']}%2C{ids['sid']}" in page.body
    assert keys(table(client, workflow, sort=ids["sid"])) == ["a", "b", "c", "d"]
    assert keys(table(client, workflow)) == ["a", "b", "c", "d"]
    assert keys(table(client, workflow, sort=f"-{ids['x']}"))[0] == "d"
    client.post(f"/workflows/{workflow.id}/columns/{ids['x']}/delete")
    assert keys(table(client, workflow)) == ["a", "b", "c", "d"]


def test_the_conditions_of_a_message_are_columns_with_counts(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int]
) -> None:
    action = make_action(session, workflow)
    action.filter = {"all": [{"column": ids["n"], "op": "is_not_null"}]}
    make_condition(session, action, "low", {"all": [{"column": ids["n"], "op": "less", "value": "6"}]})
    make_condition(session, action, "lost", {"all": [{"column": 0, "op": "less", "value": "6"}]})
    page = table(client, workflow, message=action.id)
    head = page.body.partition("<thead")[2].partition("</thead>")[0]
    counts = re.findall(r'<span class="flag-count">([^<]*)</span>', head)
    assert counts == ["3", "2", "can’t be used"]
    rows = page.body.partition("<tbody>")[2].split("<tr")[1:]
    flags = [["yes" in cell for cell in re.findall(r'<td class="flag">(.*?)</td>', row)] for row in rows]
    assert flags == [[True, True, False], [True, True, False], [False] * 3, [True, False, False]]
    assert table(client, workflow, message=999_999).status == 404


def test_large_tables_are_counted_after_the_page(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.tables.paging.COUNTED_ROWS", 2)
    page = table(client, workflow, f=f"{ids['n']}~is_not_null")
    later = re.search(r'id="count"[^>]*hx-get="([^"]+)"', page.body)
    assert later
    assert "3 learners, of 4." in client.request("GET", unescape(later[1])).body


VALUES = st.tuples(
    st.sampled_from([None, 1, 2, 3]), st.sampled_from([None, "", "a", "B", "é"]), st.sampled_from([None, 0.1, -1.5])
)


SORTED = {"sid": "text", "n": "integer", "word": "text", "x": "double"}


@pytest.fixture
def sorted_ids(session: Session, workflow: Workflow) -> dict[str, int]:
    return make_table(session, workflow, SORTED, [])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(VALUES, max_size=10),
    by=st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=3, unique_by=lambda one: one[0]),
)
def test_several_columns_sort_stably_with_missing_values_last(
    client: Browser, workflow: Workflow, session: Session, sorted_ids: dict[str, int], rows: list[Any],
    by: list[tuple[int, bool]], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("chalicelib.tables.paging.PAGE_SIZE", 3)
    ids, names = sorted_ids, list(SORTED)[1:]
    session.execute(text(f"DELETE FROM {store.table(workflow.id)}"))
    insert = text(
        f"INSERT INTO {store.table(workflow.id)} ({', '.join(f'c{key}' for key in ids.values())}) "
        "VALUES (:sid, :n, :word, :x)"
    )
    for i, row in enumerate(rows):
        session.execute(insert, dict(zip(SORTED, (f"{i:02}", *row), strict=True)))
    workflow.row_count = len(rows)
    session.flush()
    sort = ",".join(f"{'-' if falling else ''}{ids[names[at]]}" for at, falling in by)
    plain = {"": "", "a": "a", "B": "b", "é": "e"}

    def compare(one: tuple[int, Any], other: tuple[int, Any]) -> int:
        for at, falling in by:
            mine, theirs = (plain.get(row[1][at], row[1][at]) for row in (one, other))
            if mine != theirs:
                if mine is None or theirs is None:
                    return 1 if mine is None else -1
                return (1 if mine > theirs else -1) * (-1 if falling else 1)
        return one[0] - other[0]

    expected = [f"{i:02}" for i, _ in sorted(enumerate(rows), key=functools.cmp_to_key(compare))]
    pages = walked(client, table(client, workflow, sort=sort))
    assert together(keys(page) for page in pages) == expected
    assert together(reversed(all_pages(client, pages[-1], "prev"))) == expected
