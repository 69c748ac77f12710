"""Statistics of a column and of one learner, the dashboard: every figure checked against Python's own."""

from __future__ import annotations

import csv
import io
import math
import re
import statistics
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.accounts.models import User
from chalicelib.tables import store
from chalicelib.tables.models import Column, View
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, Page
from tests.factories import make_table

NOTHING = "–"


def shown(page: Page) -> dict[str, str]:
    """The figures of a page by their names."""
    table = re.search(r'<table class="chart-figures">(.*?)</table>', page.body, re.S)
    assert table, page.body
    found = re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td>', table[1], re.S)
    return {unescape(name): unescape(value) for name, value in found}


def bars(page: Page) -> dict[str, int]:
    """The chart as a table: how many learners, by what the bar is called."""
    table = re.search(r'<table class="table table-sm bars">(.*?)</table>', page.body, re.S)
    if table is None:
        return {}
    found = re.findall(r'<th scope="row">(.*?)</th><td class="num">(.*?)</td>', table[1], re.S)
    counted: Counter[str] = Counter()
    for name, value in found:  # of numbers that differ in their last digit only, two bars may have one name
        counted[unescape(name)] += int(value.replace(",", ""))
    return counted


def text_of(page: Page) -> str:
    """What is to be read on a page."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.body)).split())


class Class:
    """A workflow with a table; `chart` is the page of a column."""

    def __init__(self, client: Browser, session: Session, workflow: Workflow) -> None:
        self.client, self.session, self.workflow = client, session, workflow
        self.ids: dict[str, int] = {}

    def fill(self, kind: str, values: Sequence[Any]) -> None:
        """Put these values, and no others, into the column."""
        if not self.ids:
            self.make({"sid": "text", "value": kind}, [])
        name, places = store.table(self.workflow.id), f"row_id, c{self.ids['sid']}, c{self.ids['value']}"
        self.session.execute(text(f"DELETE FROM {name}"))
        if values:
            rows = [{"id": at, "sid": f"s{at}", "value": value} for at, value in enumerate(values, 1)]
            self.session.execute(text(f"INSERT INTO {name} ({places}) VALUES (:id, :sid, :value)"), rows)

    def make(self, columns: dict[str, str], rows: Sequence[Sequence[Any]]) -> None:
        self.ids = make_table(self.session, self.workflow, columns, rows)

    def chart(self, column: str = "value", *, htmx: bool = False, **query: Any) -> Page:
        page = self.client.get(f"/workflows/{self.workflow.id}/dashboard/{self.ids[column]}", htmx=htmx, **query)
        assert page.status == 200, page.body
        return page

    def dashboard(self, **query: Any) -> Page:
        return self.client.get(f"/workflows/{self.workflow.id}/dashboard", **query)

    def column(self, name: str) -> Column:
        return self.session.get_one(Column, self.ids[name])


@pytest.fixture
def course(client: Browser, session: Session, workflow: Workflow) -> Class:
    return Class(client, session, workflow)


def written(value: float) -> str:
    """A number as the pages write it."""
    number = float(value)
    return repr(round(number, 4) if abs(number) >= 0.001 else number).removesuffix(".0")


def same(text: str, value: float) -> bool:
    return math.isclose(float(text), float(value), rel_tol=1e-6, abs_tol=2e-4)


def check_numbers(page: Page, values: list[Any]) -> None:
    present = [value for value in values if value is not None]
    found = shown(page)
    assert found["Learners with a value"] == f"{len(present):,}"
    assert found["Without a value"] == f"{len(values) - len(present):,}"
    if not present:
        assert "No values." in page.body
        assert '<svg class="picture"' not in page.body
        return
    quartiles = statistics.quantiles(present, n=4, method="inclusive") if len(present) > 1 else present * 3
    names = ("Lowest", "First quartile", "Median", "Third quartile", "Highest", "Mean")
    wanted = (min(present), *quartiles, max(present), statistics.fmean(present))
    for name, value in zip(names, wanted, strict=True):
        assert same(found[name], value), (name, found[name], value)
    if len(present) > 1:
        assert same(found["Standard deviation"], statistics.stdev(present))
    else:
        assert found["Standard deviation"] == NOTHING
    counted = Counter(present)
    assert found["Different values"] == f"{len(counted):,}"
    most = max(counted.values())
    if most > 1 or len(present) == 1:
        mode = min(value for value, count in counted.items() if count == most)
        assert same(found["Most frequent"].split(" ")[0], mode)
    else:
        assert found["Most frequent"] == "no value comes twice"
    assert sum(bars(page).values()) == len(present)


PERHAPS = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@PERHAPS
@given(st.lists(st.none() | st.integers(-1000, 1000) | st.integers(0, 5), max_size=40))
def test_figures_of_whole_numbers_are_those_of_python(course: Class, values: list[int | None]) -> None:
    course.fill("integer", values)
    check_numbers(course.chart(), values)


@PERHAPS
@given(st.lists(st.none() | st.floats(-1e6, 1e6).map(lambda value: round(value, 3)), max_size=40))
def test_figures_of_numbers_are_those_of_python(course: Class, values: list[float | None]) -> None:
    course.fill("double", values)
    check_numbers(course.chart(), values)


@PERHAPS
@example([5e-324, 1e-323])
@example([1e28])
@example([-1e99, 1e99, 1e15])
@given(st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=20))
def test_no_number_is_too_strange_for_its_picture(course: Class, values: list[float | None]) -> None:
    course.fill("double", values)
    page = course.chart(row=1)
    usable = [value for value in values if value is not None and abs(value) < 1e100]
    missing = sum(value is None or math.isnan(value) for value in values)
    assert shown(page)["Learners with a value"] == str(len(usable))
    assert shown(page)["Without a value"] == str(missing)
    assert shown(page).get("Too large to be counted in", "0") == str(len(values) - len(usable) - missing)
    assert sum(bars(page).values()) == len(usable)
    for number in re.findall(r'<rect[^>]* x="(.*?)"', page.body):
        assert 0 <= float(number) <= 352


@PERHAPS
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=10))
def test_no_whole_number_is_too_large_for_its_picture(course: Class, values: list[int]) -> None:
    course.fill("integer", values)
    found = shown(page := course.chart(row=1))
    assert found["Lowest"] == str(min(values))
    assert found["Highest"] == str(max(values))
    assert sum(bars(page).values()) == len(values)


def test_nought_and_no_are_values_and_only_null_is_missing(course: Class) -> None:
    course.make(
        {"sid": "text", "quiz": "integer", "passed": "boolean", "note": "text"},
        [("a", 0, False, ""), ("b", 0, False, ""), ("c", None, None, None), ("d", 4, True, "good")],
    )
    quiz = course.chart("quiz")
    assert shown(quiz)["Without a value"] == "1"
    assert shown(quiz)["Most frequent"] == "0 (2 learners)"
    assert bars(quiz) == {"0": 2, "1": 0, "2": 0, "3": 0, "4": 1}
    assert bars(course.chart("passed")) == {"yes": 1, "no": 2}
    assert bars(course.chart("note")) == {"an empty text": 2, "good": 1}


def test_bars_begin_at_round_numbers_and_their_names_say_what_they_hold(course: Class) -> None:
    course.fill("integer", range(101))
    assert bars(course.chart()) == {f"{at}–{at + 9}": 10 for at in range(0, 90, 10)} | {"90–100": 11}


def test_a_number_at_the_edge_of_a_bar_is_in_the_one_that_begins_there(course: Class) -> None:
    course.fill("double", [0.0, 0.1, 0.3, 0.3, 0.7, 1.0])
    found = bars(course.chart())
    assert found["0.3 to under 0.4"] == 2
    assert found["0.7 to under 0.8"] == 1
    assert found["0.9 to 1"] == 1


@pytest.mark.parametrize("kind", ["integer", "double", "boolean", "datetime", "text"])
def test_a_column_without_values_says_so(course: Class, kind: str) -> None:
    course.fill(kind, [None, None])
    page = course.chart()
    assert "No values." in page.body
    assert shown(page) == {"Learners with a value": "0", "Without a value": "2"}
    assert "Download picture" not in page.body


def test_texts_that_hardly_repeat_are_told_by_their_ten_most_frequent(course: Class) -> None:
    values = [f"name {at}" for at in range(40)] + [f"often {at}" for at in range(10) for _ in range(at + 2)]
    course.fill("text", [*values, None])
    page = course.chart()
    assert bars(page) == {f"often {at}": at + 2 for at in range(9, -1, -1)} | {"All other values": 40}
    assert shown(page)["Different values"] == "50"
    assert shown(page)["Without a value"] == "1"
    assert "The most frequent of 50 values; 40 learners with 40 more values." in page.body


def test_texts_that_are_all_different_get_no_picture(course: Class) -> None:
    course.fill("text", [f"{at}@uni.example" for at in range(12)])
    page = course.chart()
    assert "Each of the 12 values is different." in page.body
    assert '<svg class="picture"' not in page.body


def test_allowed_values_are_in_their_own_order_with_those_that_nobody_has(course: Class) -> None:
    course.fill("text", ["low", "high", "high"])
    course.column("value").allowed_values = ["low", "middle", "high"]
    course.session.flush()
    assert bars(course.chart()) == {"low": 1, "middle": 0, "high": 2}


def test_dates_stand_on_an_axis_of_time_in_the_readers_zone(course: Class, user: User) -> None:
    user.time_zone = "Australia/Adelaide"
    course.session.flush()
    first = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)  # 2 March there
    course.fill("datetime", [first, first + timedelta(days=1), first + timedelta(days=1), first + timedelta(days=8)])
    page = course.chart()
    assert bars(page) == {"2 Mar 2026": 1, "3 Mar 2026": 2, "10 Mar 2026": 1}
    assert shown(page)["Earliest"] == "2026-03-02 06:30"
    assert shown(page)["Half until"] == "2026-03-03 06:30"
    places = [float(x) for x in re.findall(r'<rect class="bar" x="([\d.]+)"', page.body)]
    assert (places[2] - places[1]) / (places[1] - places[0]) == pytest.approx(7, rel=0.01)


@PERHAPS
@given(st.lists(st.datetimes(timezones=st.just(UTC)), min_size=1, max_size=8))
def test_no_date_is_too_strange_for_its_picture(course: Class, values: list[datetime]) -> None:
    course.fill("datetime", values)
    assert shown(course.chart(row=1)).get("Learners with a value") == str(sum(bars(course.chart()).values()))


def test_a_learner_is_placed_among_the_class(course: Class) -> None:
    course.make(
        {"sid": "text", "quiz": "integer", "seen": "datetime", "program": "text", "passed": "boolean"},
        [
            ("a", 62, datetime(2026, 3, 1, 9, tzinfo=UTC), "FASS", True), ("b", 90, None, "FASS", True),
            ("c", 40, datetime(2026, 3, 2, 9, tzinfo=UTC), "SCIE", False), ("d", 30, None, None, None),
            ("e", 90, datetime(2026, 3, 3, 9, tzinfo=UTC), "FASS", False), ("f", None, None, "FASS", None),
        ],
    )  # fmt: skip
    said = {name: text_of(course.chart(name, row=1, htmx=True)) for name in ("quiz", "seen", "program", "passed")}
    assert "62: 3rd highest of 5, the median." in said["quiz"]
    assert "2026-03-01 09:00: the earliest of 3, before the median." in said["seen"]
    assert "FASS: like 4 of 5." in said["program"]
    assert "yes: like 2 of 4." in said["passed"]
    assert "90: the highest of 5 (with 1 other), above the median." in text_of(course.chart("quiz", row=2))
    assert "SCIE: nobody else has this." in text_of(course.chart("program", row=3))
    nothing = course.chart("quiz", row=6, htmx=True)
    assert "No value here; 1 learner of 6 have none." in text_of(nothing)
    assert 'class="own"' not in nothing.body
    marked = course.chart("quiz", row=1, htmx=True)
    assert 'class="own"' in marked.body
    assert course.chart("program", row=1, htmx=True).body.count("bar-own") == 1


def test_the_page_of_a_learner_compares_in_columns_that_take_part(course: Class) -> None:
    course.make({"sid": "text", "quiz": "integer", "secret": "integer"}, [("a", 1, 2), ("b", 2, 3)])
    course.column("secret").in_charts = False
    course.session.flush()
    page = course.client.get(f"/workflows/{course.workflow.id}/table/rows/1")
    assert re.findall(r'hx-get="[^"]*/dashboard/(\d+)\?row=1" hx-trigger="intersect once"', page.body) == [
        str(course.ids["quiz"])
    ]


def test_the_dashboard_asks_for_each_chart_only_when_it_is_in_sight(
    course: Class, count_statements: Callable[[], int]
) -> None:
    columns = {"sid": "text", **{f"week {week}": "integer" for week in range(200)}}
    course.make(columns, [[f"s{at}", *range(at, at + 200)] for at in range(5)])
    course.column("week 7").in_charts = False
    course.session.flush()
    count_statements()
    page = course.dashboard()
    assert count_statements() <= 10
    assert page.body.count('hx-trigger="intersect once"') == 199
    assert "<rect" not in page.body
    assert "1 column is kept out of charts" in page.body
    course.chart("week 3", htmx=True)
    assert count_statements() <= 10


def test_the_dashboard_shows_chosen_columns(course: Class) -> None:
    course.make({"sid": "text", "quiz": "integer", "mean": "double"}, [("a", 1, 2.0)])
    page = course.dashboard(show=[course.ids["mean"]])
    assert re.findall(r'hx-get="[^"]*/dashboard/(\d+)\?', page.body) == [str(course.ids["mean"])]
    assert course.dashboard(show=[course.ids["sid"]]).body.count("There is nothing to draw") == 1


def test_the_dashboard_of_a_view_is_about_its_learners_and_columns(course: Class) -> None:
    course.make({"sid": "text", "quiz": "integer", "mean": "double"}, [("a", 1, 2.0), ("b", 5, 3.0), ("c", 9, 4.0)])
    sid, quiz = course.ids["sid"], course.ids["quiz"]
    rule = {"all": [{"column": quiz, "op": "greater", "value": "4"}]}
    view = View(
        workflow_id=course.workflow.id, name="Good ones", columns=[sid, quiz], sort=[], filter=rule,
        created_at=clock.now(), updated_at=clock.now(),
    )  # fmt: skip
    course.session.add(view)
    course.session.flush()
    page = course.dashboard(view=view.id)
    assert "Dashboard: Good ones" in page.body
    links = re.findall(r'hx-get="([^"]*/dashboard/\d+[^"]*)" hx-trigger', page.body)
    assert len(links) == 1
    assert shown(course.client.request("GET", unescape(links[0])))["Learners with a value"] == "2"
    found = course.chart("quiz", view=view.id, row=1)
    assert "1: 3rd highest of 2" in text_of(found)
    assert shown(course.chart("quiz", search="b"))["Learners with a value"] == "1"
    dialog = course.chart("quiz", htmx=True, view=view.id, dialog=1)
    assert '<h2 id="statistics-title">quiz</h2>' in dialog.body
    assert shown(dialog)["Learners with a value"] == "2"
    # The pictures in the headers are of the same learners: two of them, in two bars.
    course.session.execute(text(f"UPDATE {store.table(course.workflow.id)} SET c{quiz} = -1000 WHERE row_id = 1"))
    head = course.client.get(f"/workflows/{course.workflow.id}/table/head", view=view.id, htmx=True).body
    heights = re.findall(r'<rect[^>]* height="([0-9.]+)"', head)
    assert heights == ["16.0", *8 * ["0.0"], "16.0"]


def test_one_learner_beside_those_that_are_shown_is_a_dialogue_a_page_and_a_file(course: Class) -> None:
    course.make(
        {"sid": "text", "quiz": "integer", "note": "text"}, [("a", 1, "=x"), ("b", 5, None), ("c", 9, "y")]
    )  # fmt: skip
    dialog = course.dashboard(htmx=True, row=2, search="b")
    assert '<h2 id="statistics-title">b</h2>' in dialog.body
    assert "among the learners that are shown" in dialog.body
    links = [unescape(link) for link in re.findall(r'hx-get="([^"]+)"', dialog.body)]
    assert len(links) == 2
    assert "5: the highest of 1" in text_of(course.client.request("GET", links[0], headers={"hx-request": "true"}))
    page = course.dashboard(row=1)
    assert "<h1>a beside the class</h1>" in page.body
    file = course.dashboard(row=1, format="csv")
    assert file.headers["Content-Disposition"].endswith("%20a.csv") or "%20a%20" in file.headers["Content-Disposition"]
    rows = list(csv.reader(io.StringIO(file.body.removeprefix("\ufeff"))))
    assert rows[0][:3] == ["Column", "a", "Among the class"]
    assert rows[1] == ["quiz", "1", "1: 3rd highest of 3, below the median.", "3", "0", "1", "5", "5", "9"]
    assert rows[2][:2] == ["note", "'=x"]
    assert course.dashboard(row=99).status == 404


def test_a_picture_is_a_file_that_stands_alone(course: Class) -> None:
    course.fill("text", ["<b>bold & co\x0b</b>", "<b>bold & co\x0b</b>", "other"])
    page = course.chart(format="svg")
    assert page.headers["Content-Type"].startswith("image/svg+xml")
    assert page.headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''Biology%20101%20")
    assert page.headers["Content-Disposition"].endswith(".svg")
    picture = ET.fromstring(page.body)
    texts = [node.text for node in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "value" in texts
    assert "<b>bold & co </b>" in texts
    assert "css/" not in page.body
    course.fill("text", [None])
    path = f"/workflows/{course.workflow.id}/dashboard/{course.ids['value']}"
    assert course.client.get(path, format="svg").status == 404


def test_the_figures_are_a_file_for_spreadsheets(course: Class) -> None:
    course.make({"sid": "text", "=1+2": "double", "note": "text"}, [("a", -1.23456789, "=cmd()"), ("b", 2.5, "=cmd()")])
    page = course.chart("=1+2", format="csv")
    assert page.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert page.body.startswith("\ufeff")
    lines = list(csv.reader(io.StringIO(page.body.removeprefix("\ufeff"))))
    assert lines[0] == ["'=1+2", "value"]
    assert ["Lowest", "-1.23456789"] in lines
    assert ["Learners with a value", "2"] in lines
    assert "'=cmd(),2" in course.chart("note", format="csv").body


def test_a_chart_of_another_workflow_is_not_there(course: Class, user: User) -> None:
    course.fill("integer", [1])
    other = Class(course.client, course.session, workflows.create(course.session, user.id, "Another class"))
    other.fill("integer", [1])
    path = f"/workflows/{other.workflow.id}/dashboard"
    assert course.client.get(f"{path}/{course.ids['value']}").status == 404
    assert course.client.get(f"{path}/{other.ids['value']}").status == 200
