"""The table page: what it shows, how it is searched and sorted, and that every value is only text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from html import unescape
from typing import Any

import pytest
from sqlalchemy.orm import Session

from chalicelib.accounts.models import User
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, Page, signed_in
from tests.factories import make_table
from tests.test_access import member

PEOPLE = [("s1", "José", 68, 1.5, True), ("s2", "anna", None, None, None), ("s3", "Zoë", 7, 2.0, False)]
COLUMNS = {"sid": "text", "name": "text", "quiz": "integer", "mean": "double", "passed": "boolean"}


@pytest.fixture
def ids(session: Session, workflow: Workflow) -> dict[str, int]:
    return make_table(session, workflow, COLUMNS, PEOPLE)


def table(client: Browser, workflow: Workflow, *, htmx: bool = False, **query: Any) -> Page:
    return client.get(f"/workflows/{workflow.id}/table", htmx=htmx, **query)


def keys(page: Page) -> list[str]:
    """The learners of a page, by what is in their first column."""
    found = re.findall(r'<th scope="row" class="key"><a [^>]*>(.*?)</a>', page.body, re.S)
    return [unescape(re.sub(r"<[^>]*>", "", key)).strip() for key in found]


def walked(client: Browser, page: Page, way: str = "next") -> list[Page]:
    """This page and all that follow it."""
    found = [page]
    while link := re.search(rf'rel="{way}" href="([^"]+)"', found[-1].body):
        found.append(client.request("GET", unescape(link[1])))
        assert found[-1].status == 200
        assert len(found) < 50
    return found


def all_pages(client: Browser, page: Page, way: str = "next") -> list[list[str]]:
    """The learners of this page and of all that follow it."""
    return [keys(one) for one in walked(client, page, way)]


def together(pages: Iterable[list[str]]) -> list[str]:
    return [key for page in pages for key in page]


def test_it_shows_every_value_and_marks_missing_ones(client: Browser, workflow: Workflow, ids: dict[str, int]) -> None:
    page = table(client, workflow)
    assert page.status == 200
    assert keys(page) == ["s1", "s2", "s3"]
    assert "3 learners × 5 columns" in page.body
    assert "José" in page.body
    assert '<td class="num">68</td>' in page.body
    assert '<td class="num">2</td>' in page.body
    assert page.body.count('title="no value">–') == 3
    assert "<td>yes</td>" in page.body
    assert page.body.count("<h1") == 1


def test_an_empty_text_does_not_look_like_no_value(client: Browser, workflow: Workflow, session: Session) -> None:
    make_table(session, workflow, {"sid": "text", "note": "text"}, [("s1", ""), ("s2", None), ("s3", "–")])
    body = table(client, workflow).body
    assert body.count('title="an empty text"') == 1
    assert body.count('title="no value"') == 1


def test_a_workflow_without_a_table_says_how_to_begin(client: Browser, workflow: Workflow) -> None:
    page = table(client, workflow)
    assert page.status == 200
    assert f"/workflows/{workflow.id}/upload" in page.body
    assert client.get(f"/workflows/{workflow.id}/table/head").status == 404


def test_a_table_without_learners_keeps_its_columns(client: Browser, workflow: Workflow, session: Session) -> None:
    make_table(session, workflow, COLUMNS, [])
    assert "The table has no learners" in table(client, workflow).body


HOSTILE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "{% include 'help.html' %}", "=1+1",
    "👩‍🎓 🇨🇱", "שלום עולם", "\u202ereversed", "a\nb\tc", "&amp;", "x" * 10_000,
    "'; DROP TABLE x; --", ":row_id", "%(x)s",
]  # fmt: skip


def test_every_value_is_only_text(client: Browser, workflow: Workflow, session: Session) -> None:
    made = make_table(
        session, workflow, {"sid": "text", "<b>note</b>": "text"}, [(f"s{i}", v) for i, v in enumerate(HOSTILE)]
    )
    page = table(client, workflow)
    rows = page.body.partition("<tbody>")[2]
    for value in HOSTILE:
        shown = value if len(value) <= 160 else value[:160] + "…"
        assert shown in unescape(rows)
    assert "<script>alert" not in page.body
    assert "<img src=x" not in page.body
    assert "<b>note" not in page.body
    assert "7 * 7" in page.body
    for row_id, value in enumerate(HOSTILE, 1):
        whole = client.get(f"/workflows/{workflow.id}/table/rows/{row_id}")
        assert whole.status == 200
        assert value in unescape(whole.body)
        assert "<script>alert" not in whole.body
        form = client.get(f"/workflows/{workflow.id}/table/rows/{row_id}/cells/{made['<b>note</b>']}", htmx=True)
        assert value in unescape(form.body)
        assert "<script>alert" not in form.body
        found = table(client, workflow, search=value[:150].split("\n", maxsplit=1)[0])
        assert f"s{row_id - 1}" in keys(found)


@pytest.mark.parametrize("search", ["jose", "JOSÉ", "josé", "José", "jos\u0065\u0301", "  jose ", "os"])
def test_search_is_blind_to_case_and_accents(
    client: Browser, workflow: Workflow, ids: dict[str, int], search: str
) -> None:
    page = table(client, workflow, search=search)
    assert keys(page) == ["s1"]
    assert "1 learner with" in page.body


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("100%", ["p"]), ("%", ["p"]), ("_", ["u"]), ("a_b", ["u"]), ("\\", ["b"]), ("'", ["q"]), ("％", ["p"]),
        ("7", ["n"]), ("0.5", ["n"]), ("2026-03", ["n"]), ("yes", ["n"]), ("nothing such", []), ("p 100%", []),
    ],
)  # fmt: skip
def test_search_takes_every_sign_for_itself(
    client: Browser, workflow: Workflow, session: Session, search: str, found: list[str]
) -> None:
    columns = {"sid": "text", "text": "text", "n": "integer", "x": "double", "at": "datetime", "yes": "boolean"}
    rows = [
        ("p", "100%", None, None, None, None), ("u", "a_b", None, None, None, None),
        ("b", "\\", None, None, None, None), ("q", "it's", None, None, None, None),
        ("n", None, 7, 0.5, "2026-03-02T10:00Z", True),
    ]  # fmt: skip
    make_table(session, workflow, columns, rows)
    page = table(client, workflow, search=search)
    assert page.status == 200
    assert keys(page) == found
    assert ("Nobody found" in page.body) == (not found)


def test_pages_follow_each_other_and_go_back(client: Browser, workflow: Workflow, session: Session) -> None:
    make_table(session, workflow, {"sid": "text", "n": "integer"}, [(f"s{i:03}", i) for i in range(120)])
    first = table(client, workflow)
    pages = all_pages(client, first)
    assert [len(page) for page in pages] == [50, 50, 20]
    assert together(pages) == [f"s{i:03}" for i in range(120)]
    assert 'rel="prev"' not in first.body
    last = table(client, workflow, after="100", sort="none")
    assert all_pages(client, last, "prev") == [pages[2], pages[1], pages[0]]


KINDS: dict[str, list[Any]] = {
    "integer": [None, 5, 5, -3, 0, 2**63 - 1, None],
    "double": [None, 0.1, 0.30000000000000004, -1e300, 0.3, None, 0.1],
    "boolean": [True, None, False],
    "datetime": ["2026-03-02T10:00:00.000001Z", "2026-03-02T10:00:00Z", None, "0001-01-01T00:00Z"],
    "text": ["b", None, "", "é", "E", "a" * 300 + "1", "a" * 300 + "2", "~", "x^", "1~2", "b", "Ω", None],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sign", ["", "-"])
def test_sorting_loses_nobody_and_shows_nobody_twice(
    client: Browser, workflow: Workflow, session: Session, kind: str, sign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.tables.paging.PAGE_SIZE", 3)
    values = KINDS[kind] * 2
    ids = make_table(session, workflow, {"sid": "text", "v": kind}, [(f"s{i}", v) for i, v in enumerate(values)])
    first = table(client, workflow, sort=f"{sign}{ids['v']}")
    pages = walked(client, first)
    everybody = together(keys(page) for page in pages)
    assert sorted(everybody) == sorted(f"s{i}" for i in range(len(values)))
    missing = [f"s{i}" for i, value in enumerate(values) if value is None]
    assert set(everybody[-len(missing) :]) == set(missing)
    assert together(reversed(all_pages(client, pages[-1], "prev"))) == everybody
    if kind in {"integer", "double"}:
        in_order = [values[int(sid[1:])] for sid in everybody if sid not in missing]
        assert in_order == sorted(in_order, reverse=bool(sign))


def test_texts_are_sorted_as_people_do(client: Browser, workflow: Workflow, ids: dict[str, int]) -> None:
    assert keys(table(client, workflow, sort=ids["name"])) == ["s2", "s1", "s3"]
    page = table(client, workflow, sort=f"-{ids['name']}")
    assert keys(page) == ["s3", "s1", "s2"]
    assert 'aria-sort="descending"' in page.body


def test_search_and_sort_stay_together(client: Browser, workflow: Workflow, session: Session) -> None:
    rows = [(f"s{i:03}", i % 7, "even" if i % 2 == 0 else "odd") for i in range(120)]
    ids = make_table(session, workflow, {"sid": "text", "n": "integer", "word": "text"}, rows)
    pages = all_pages(client, table(client, workflow, sort=f"-{ids['n']}", search="EVEN"))
    assert [len(page) for page in pages] == [50, 10]
    assert sorted(together(pages)) == [f"s{i:03}" for i in range(0, 120, 2)]


@pytest.mark.parametrize("cursor", ["x", "-1", "1~x", "1^", "9" * 40, "1~" + "9" * 40, "~", "1~NaN", "1~\u0661"])
@pytest.mark.parametrize("way", ["after", "before"])
def test_a_broken_place_in_the_address_is_no_error(
    client: Browser, workflow: Workflow, ids: dict[str, int], cursor: str, way: str
) -> None:
    assert table(client, workflow, sort=ids["quiz"], **{way: cursor}).status == 200
    assert table(client, workflow, **{way: cursor}).status == 200


def test_rows_are_sorted_by_the_first_column_until_somebody_says_otherwise(
    client: Browser, workflow: Workflow, session: Session
) -> None:
    made = make_table(session, workflow, {"sid": "text", "n": "integer"}, [("b", 1), ("c", 2), ("a", 3)])
    page = table(client, workflow)
    assert keys(page) == ["a", "b", "c"]
    assert 'aria-sort="ascending"' in page.body
    assert keys(table(client, workflow, sort=f"-{made['sid']}")) == ["c", "b", "a"]
    assert keys(table(client, workflow, sort="none")) == ["b", "c", "a"]
    assert f"/workflows/{workflow.id}/dashboard?sort=none" in table(client, workflow, sort="none").body


def test_a_page_whose_learners_are_gone_leads_back(client: Browser, workflow: Workflow, ids: dict[str, int]) -> None:
    assert "This page is gone" in table(client, workflow, after="3", sort="none").body


@pytest.mark.parametrize("sort", ["0", "x", "1; drop", "-", "--1"])
def test_only_the_tables_own_columns_sort_it(
    client: Browser, workflow: Workflow, ids: dict[str, int], sort: str
) -> None:
    assert table(client, workflow, sort=sort).status == 404


def test_another_workflows_column_is_refused(
    client: Browser, session: Session, user: User, workflow: Workflow, ids: dict[str, int]
) -> None:
    other = workflows.create(session, user.id, "Chemistry")
    theirs = make_table(session, other, {"sid": "text"}, [("x",)])["sid"]
    here = f"/workflows/{workflow.id}/table"
    assert table(client, workflow, sort=theirs).status == 404
    assert client.get(f"{here}/rows/1/cells/{theirs}").status == 404
    assert client.post(f"{here}/rows/1/cells/{theirs}", {"value": "x", "seen": ""}).status == 404
    assert client.post(f"/workflows/{workflow.id}/columns/{theirs}", {"name": "mine"}).status == 404
    assert client.get(f"/workflows/{workflow.id}/columns/{theirs}").status == 404


def test_htmx_gets_the_grid_alone_and_history_the_whole_page(
    client: Browser, workflow: Workflow, ids: dict[str, int]
) -> None:
    assert "<html" not in table(client, workflow, htmx=True).body
    headers = {"hx-request": "true", "hx-history-restore-request": "true"}
    assert "<html" in client.request("GET", f"/workflows/{workflow.id}/table", headers=headers).body


def test_each_header_has_a_picture_of_its_values(client: Browser, workflow: Workflow, session: Session) -> None:
    columns = {"sid": "text", "n": "integer", "huge": "double", "same": "integer", "program": "text", "at": "datetime"}
    rows = [(f"s{i}", i, [1e308, -1e308, float("inf")][i % 3], 1, "AB"[i % 2], "infinity") for i in range(12)]
    make_table(session, workflow, columns, rows)
    page = table(client, workflow)
    assert page.status == 200
    head = page.body.partition("<thead")[2].partition("</thead>")[0]
    pictures = [part.count("<rect") for part in head.split("data-column=")[1:]]
    assert pictures == [0, 10, 0, 0, 2, 0]


def test_a_large_table_gets_its_pictures_later(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int], count_statements: Callable[[], int]
) -> None:
    workflow.row_count = 1_000_000
    session.flush()
    page = table(client, workflow)
    assert "<rect" not in page.body
    link = re.search(r'id="head" hx-get="([^"]+)"', page.body)
    assert link
    head = client.request("GET", unescape(link[1]), headers={"hx-request": "true"})
    assert head.status == 200
    assert head.body.strip().startswith("<thead")


def test_a_page_takes_few_statements(
    client: Browser, workflow: Workflow, session: Session, ids: dict[str, int], count_statements: Callable[[], int]
) -> None:
    count_statements()
    table(client, workflow, sort=ids["quiz"], search="s", after="1~68")
    assert count_statements() <= 10
    client.get(f"/workflows/{workflow.id}/table/rows/1")
    assert count_statements() <= 10


def test_viewers_see_the_table_and_change_nothing(session: Session, workflow: Workflow, ids: dict[str, int]) -> None:
    viewer = signed_in(session, member(session, workflow, WorkflowRole.VIEWER))
    page = table(viewer, workflow)
    assert keys(page) == ["s1", "s2", "s3"]
    assert "Add data" not in page.body
    assert "data-cells" not in page.body
    here = f"/workflows/{workflow.id}/table/rows/1"
    assert "Change" not in viewer.get(here).body
    assert viewer.get(f"{here}/cells/{ids['quiz']}").status == 403
    assert viewer.post(f"{here}/cells/{ids['quiz']}", {"value": "1", "seen": ""}).status == 403
    assert viewer.post(f"{here}/delete").status == 403


def test_long_keys_are_sorted_by_all_their_letters(
    client: Browser, workflow: Workflow, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.tables.paging.PAGE_SIZE", 2)
    rows = [("x" * 400 + letter, number) for number, letter in enumerate("dacbe")]
    ids = make_table(session, workflow, {"sid": "text", "n": "integer"}, rows)
    pages, page = [], table(client, workflow, sort=ids["sid"])
    while True:
        pages += re.findall(r'<td class="num">(\d)</td>', page.body)
        link = re.search(r'rel="next" href="([^"]+)"', page.body)
        if not link:
            break
        page = client.request("GET", unescape(link[1]))
    assert pages == ["1", "3", "2", "0", "4"]


def test_a_learners_page_shows_where_they_are_in_the_class(
    client: Browser, workflow: Workflow, session: Session
) -> None:
    columns = {"sid": "text", "n": "integer", "program": "text", "passed": "boolean", "x": "double"}
    rows = [(f"s{i}", i, "AB"[i % 2], i % 2 == 0, i / 3) for i in range(20)]
    make_table(session, workflow, columns, rows)
    body = client.get(f"/workflows/{workflow.id}/table/rows/20").body
    pictures = [re.findall(r"<rect[^>]*>", svg) for svg in re.findall(r"<svg class=\"spark\".*?</svg>", body, re.S)]
    here = [[number for number, bar in enumerate(bars) if 'class="here"' in bar] for bars in pictures]
    assert here == [[9], [1], [0], [9]]
    assert "6.333333333333333" in body
    assert "0 to 19, on average 9.5" in body
    assert '<td class="num">6.3333</td>' in table(client, workflow).body
