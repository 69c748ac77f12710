"""What is worked out, dealt out and converted: the same as a naive computation in Python says, for any table."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.accounts.models import User
from chalicelib.tables import queries
from chalicelib.tables import service as tables
from chalicelib.tables.cells import UTC_ZONE, seal
from chalicelib.tables.columns import create, groups, keeping, remove, retype
from chalicelib.tables.columns.create import Details
from chalicelib.tables.columns.groups import Deal
from chalicelib.tables.columns.recipes import Recipe
from chalicelib.tables.history import versions
from chalicelib.tables.models import Column
from chalicelib.tables.uploads import service as uploads
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser
from tests.factories import make_table

#: Few tables with many rows: making one takes longer than all that is then looked at.
SOME = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Lab:
    """A workflow whose table is made anew for each example."""

    def __init__(self, session: Session, workflow: Workflow, user: User) -> None:
        self.session, self.workflow, self.user = session, workflow, user
        self.ids: dict[str, int] = {}

    def fill(self, columns: dict[str, str], rows: Sequence[Sequence[Any]]) -> None:
        now = clock.now()
        for column in queries.columns(self.session, self.workflow.id):
            column.deleted_at = now
        self.session.flush()
        self.session.execute(text(f"DROP TABLE IF EXISTS learners.w{self.workflow.id}"))
        self.ids = make_table(self.session, self.workflow, columns, rows)

    def column(self, name: str) -> Column:
        return queries.column(self.session, self.workflow.id, self.ids[name])

    def formula(self, op: str, sources: Sequence[str], name: str = "made", **how: Any) -> Column:
        recipe = Recipe(op, tuple(self.ids[source] for source in sources), **how)
        column = create.add_formula(self.session, self.workflow, self.user.id, Details(name), recipe)
        self.ids[name] = column.id
        return column

    def values(self, name: str) -> list[Any]:
        query = f"SELECT c{self.ids[name]} FROM learners.w{self.workflow.id} ORDER BY row_id"
        return list(self.session.scalars(text(query)))

    def change(self, row_id: int, name: str, new: Any) -> None:
        column = self.column(name)
        old = tables.value(self.session, self.workflow.id, row_id, column)
        tables.change_cell(self.session, self.workflow, self.user.id, row_id, column, new, seen=seal(old))


@pytest.fixture
def lab(session: Session, workflow: Workflow, user: User) -> Lab:
    return Lab(session, workflow, user)


# -- formulas

NAIVE: dict[str, Callable[[list[Any]], Any]] = {
    "sum": sum, "product": math.prod, "maximum": max, "minimum": min, "mean": lambda v: sum(v) / len(v),
    "median": statistics.median, "deviation": lambda v: statistics.stdev(v) if len(v) > 1 else None,
    "difference": lambda v: v[0] - v[1], "ratio": lambda v: v[0] / v[1] if v[1] else None,
    "all": all, "any": any,
}  # fmt: skip
WHOLE = st.none() | st.integers(-1000, 1000)
DECIMAL = st.none() | st.floats(-1e6, 1e6, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-6)


def expected(op: str, row: Sequence[Any], *, ignore: bool) -> Any:
    present = [value for value in row if value is not None]
    if not present or (len(present) < len(row) and (not ignore or op in {"difference", "ratio"})):
        return None
    return NAIVE[op](present)


def close(found: Any, wanted: Any) -> bool:
    if found is None or wanted is None or isinstance(wanted, (bool, str)):
        return bool(found == wanted)
    return math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-6)


@SOME
@given(data=st.data(), op=st.sampled_from(sorted(NAIVE)), ignore=st.booleans())
def test_a_formula_is_what_python_works_out(lab: Lab, data: st.DataObject, op: str, ignore: bool) -> None:
    truth = op in {"all", "any"}
    width = 2 if op in {"difference", "ratio"} else data.draw(st.integers(2, 4))
    kinds = (
        ["boolean"] * width
        if truth
        else data.draw(st.lists(st.sampled_from(["integer", "double"]), min_size=width, max_size=width))
    )
    values = {"boolean": st.none() | st.booleans(), "integer": WHOLE, "double": DECIMAL}
    rows = data.draw(st.lists(st.tuples(*(values[kind] for kind in kinds)), min_size=1, max_size=16))
    names = [f"x{number}" for number in range(width)]
    lab.fill({"sid": "text", **dict(zip(names, kinds, strict=True))}, [(f"s{n}", *row) for n, row in enumerate(rows)])
    column = lab.formula(op, names, ignore_missing=ignore)
    wanted = [expected(op, row, ignore=ignore) for row in rows]
    found = lab.values("made")
    assert all(map(close, found, wanted)), (found, wanted)
    stays_whole = op in {"sum", "product", "maximum", "minimum", "difference"} and set(kinds) == {"integer"}
    assert column.type == ("boolean" if truth else "integer" if stays_whole else "double")
    # A change of one cell makes the same of it as working everything out again.
    new = data.draw(values[kinds[0]])
    lab.change(1, names[0], new)
    rows[0] = (new, *rows[0][1:])
    wanted = [expected(op, row, ignore=ignore) for row in rows]
    assert all(map(close, lab.values("made"), wanted))
    kept = lab.values("made")
    keeping.recompute(lab.session, lab.workflow, lab.user.id, lab.column("made"))
    assert lab.values("made") == kept


@SOME
@given(
    rows=st.lists(st.tuples(DECIMAL, WHOLE), min_size=1, max_size=12),
    weights=st.tuples(st.floats(-10, 10), st.floats(-10, 10)),
)
def test_a_weighted_sum_is_what_python_works_out(
    lab: Lab, rows: list[tuple[Any, Any]], weights: tuple[float, float]
) -> None:
    lab.fill({"sid": "text", "a": "double", "b": "integer"}, [(f"s{n}", *row) for n, row in enumerate(rows)])
    lab.formula("weighted", ["b", "a"], weights=weights)
    wanted = [None if None in (a, b) else weights[0] * b + weights[1] * a for a, b in rows]
    assert all(map(close, lab.values("made"), wanted))


@SOME
@given(
    rows=st.lists(
        st.tuples(st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0")), WHOLE),
        min_size=1,
        max_size=12,
    ),
    separator=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
    ignore=st.booleans(),
)
def test_joined_texts_are_what_python_joins(
    lab: Lab, rows: list[tuple[Any, Any]], separator: str, ignore: bool
) -> None:
    lab.fill({"sid": "text", "a": "text", "b": "integer"}, [(f"s{n}", *row) for n, row in enumerate(rows)])
    lab.formula("concat", ["b", "a"], separator=separator, ignore_missing=ignore)
    wanted = []
    for a, b in rows:
        present = [str(value) for value in (b, a) if value is not None]
        wanted.append(separator.join(present) if present and (ignore or len(present) == 2) else None)
    assert lab.values("made") == wanted


def test_formulas_of_formulas_follow_each_other(lab: Lab) -> None:
    lab.fill({"sid": "text", "a": "integer", "b": "integer"}, [("s1", 1, 2), ("s2", 3, None)])
    lab.formula("sum", ["a", "b"], "total")
    lab.formula("product", ["total", "a"], "squared")
    lab.change(1, "b", 9)
    lab.change(2, "b", 1)
    assert (lab.values("total"), lab.values("squared")) == ([10, 4], [10, 12])
    columns = queries.columns(lab.session, lab.workflow.id)
    tables.add_row(
        lab.session, lab.workflow, lab.user.id, columns, {lab.ids["sid"]: "s3", lab.ids["a"]: 2, lab.ids["b"]: 2}
    )
    assert lab.values("squared") == [10, 12, 8]


def test_a_formula_that_is_not_kept_stays_until_somebody_asks(lab: Lab) -> None:
    lab.fill({"sid": "text", "a": "integer"}, [("s1", 1)])
    lab.formula("sum", ["a"], keep=False)
    lab.change(1, "a", 5)
    assert lab.values("made") == [1]
    keeping.recompute(lab.session, lab.workflow, lab.user.id, lab.column("made"), keep=True)
    lab.change(1, "a", 7)
    assert lab.values("made") == [7]
    with pytest.raises(errors.Invalid, match="worked out"):
        lab.change(1, "made", 8)
    keeping.recompute(lab.session, lab.workflow, lab.user.id, lab.column("made"), keep=False)
    lab.change(1, "made", 8)
    assert lab.values("made") == [8]


def test_numbers_too_large_for_a_formula_stop_nobody_from_typing(lab: Lab, client: Browser) -> None:
    lab.fill({"sid": "text", "a": "integer", "b": "integer"}, [("s1", 2, 3)])
    lab.formula("product", ["a", "b"])
    lab.change(1, "a", 2**62)
    assert lab.values("a") == [2**62]
    assert lab.values("made") == [6]
    assert "too large" in str(lab.column("made").recipe)
    lab.change(1, "a", 4)
    assert lab.values("made") == [12]
    assert "too large" not in str(lab.column("made").recipe)
    lab.change(1, "a", 2**62)
    form = {"name": "other", "op": "product", "sources": [lab.ids["a"], lab.ids["b"]]}
    page = client.post(f"/workflows/{lab.workflow.id}/columns/new/formula", form)
    assert page.status == 422
    assert "too large" in page.body
    assert "other" not in {column.name for column in queries.columns(lab.session, lab.workflow.id)}


def test_a_formula_goes_on_when_its_source_comes_back(lab: Lab) -> None:
    lab.fill({"sid": "text", "a": "integer", "b": "integer"}, [("s1", 1, 2)])
    lab.formula("sum", ["a", "b"])
    event = remove.delete(lab.session, lab.workflow, lab.user.id, lab.column("b"))
    lab.change(1, "a", 5)
    assert lab.values("made") == [3]
    tables.take_back(lab.session, lab.workflow, lab.user.id, event)
    assert lab.values("made") == [7]


def test_another_formula_is_shown_before_it_is_used_and_taken_back_with_its_type(lab: Lab, client: Browser) -> None:
    lab.fill({"sid": "text", "a": "integer", "b": "double"}, [("s1", 1, 2.5), ("s2", 4, None), ("s3", None, 3.0)])
    lab.formula("sum", ["a"])
    lab.formula("product", ["made"], "after")
    page = f"/workflows/{lab.workflow.id}/columns/{lab.ids['made']}/formula"
    shown = client.get(page)
    assert "Now it is: sum of “a”." in shown.body
    assert re.search(rf'value="{lab.ids["a"]}" checked', shown.body)
    form: dict[str, Any] = {"op": "mean", "sources": [lab.ids["b"], lab.ids["a"]], "keep": "1"}
    shown = client.post(page, form)
    assert shown.status == 200
    assert re.findall(r"<dd>(.*?)</dd>", shown.body) == ["1", "0", "1", "1"]  # 1 → 1.75; 4 → –; none before or after
    assert "It will hold decimals; it holds whole numbers now." in shown.body
    assert lab.values("made") == [1, 4, None]
    seal = re.search(r'name="shown" value="(\w+)"', shown.body)
    assert seal
    # Another formula than the one that was shown is shown first; what would be lost meanwhile is said.
    other = client.post(page, {**form, "ignore_missing": "1", "shown": seal[1], "may_empty": "1"})
    assert re.findall(r"<dd>(.*?)</dd>", other.body) == ["1", "1", "0", "1"]
    lab.change(3, "a", 9)
    lab.change(3, "b", None)
    refused = client.post(page, {**form, "shown": seal[1], "may_empty": "1"})
    assert (refused.status, lab.values("made")) == (409, [1, 4, 9])
    done = client.post(page, {**form, "shown": seal[1], "may_empty": "2"})
    assert done.status == 303, done.body
    lab.session.expire_all()
    assert (lab.column("made").type, lab.values("made")) == ("double", [1.75, None, None])
    assert lab.values("after") == [1, 4, 9]  # whole numbers can't hold it: it says so and stays
    lab.change(2, "b", 6.0)
    assert lab.values("made") == [1.75, 5.0, None]
    undo = re.search(r'action="([^"]*/history/[^"]*)"', client.follow(done).body)
    assert undo
    assert "sum of “a” → mean of “b”, “a”" in client.get(f"/workflows/{lab.workflow.id}/history").body
    assert client.post(undo[1]).status == 303
    lab.session.expire_all()
    assert (lab.column("made").type, lab.values("made")) == ("integer", [1, 4, 9])
    assert lab.column("made").recipe == {"op": "sum", "sources": [lab.ids["a"]], "keep": True}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"op": "sum", "sources": ["after"]}, "is itself worked out of this column"),
        ({"op": "sum", "sources": ["made"]}, "is this column itself"),
        ({"op": "sum", "sources": ["sid"]}, "holds texts"),
        ({"op": "guess", "sources": ["a"]}, "Choose what should be worked out."),
        ({"op": "weighted", "sources": ["a"], "weight": "much"}, "Every weight must be a number"),
        ({"op": "product", "sources": ["a", "b"]}, "too large"),
    ],
)
def test_another_formula_that_can_not_be_worked_out_says_so_at_its_field(
    lab: Lab, client: Browser, fields: dict[str, Any], words: str
) -> None:
    lab.fill({"sid": "text", "a": "integer", "b": "integer"}, [("s1", 2**40, 2**40)])
    lab.formula("sum", ["a"])
    lab.formula("sum", ["made"], "after")
    form = {**fields, "sources": [lab.ids[name] for name in fields["sources"]]}
    if "weight" in form:
        form[f"weight-{lab.ids['a']}"] = form.pop("weight")
    page = client.post(f"/workflows/{lab.workflow.id}/columns/{lab.ids['made']}/formula", form)
    assert page.status == 422
    assert words in page.body
    assert lab.values("made") == [2**40]
    missing = f"/workflows/{lab.workflow.id}/columns/{lab.ids['a']}/formula"
    assert {client.get(missing).status, client.post(missing, form).status} == {404}


@pytest.mark.parametrize(
    ("op", "sources", "words"),
    [
        ("sum", ["sid"], "holds texts"),
        ("all", ["a"], "holds whole numbers"),
        ("difference", ["a"], "2 columns"),
        ("ratio", ["a", "a2", "a3"], "2 columns"),
        ("sum", [], "needs"),
    ],
)
def test_a_formula_that_can_not_be_worked_out_adds_nothing(lab: Lab, op: str, sources: list[str], words: str) -> None:
    lab.fill({"sid": "text", "a": "integer", "a2": "integer", "a3": "integer"}, [("s1", 1, 2, 3)])
    with pytest.raises(errors.Invalid, match=words):
        lab.formula(op, sources)
    assert len(queries.columns(lab.session, lab.workflow.id)) == 4


def test_an_uploaded_file_brings_formulas_up_to_date(lab: Lab, tmp_path: Any) -> None:
    lab.fill({"sid": "text", "a": "integer"}, [("s1", 1), ("s2", 2)])
    lab.formula("sum", ["a"])
    file = tmp_path / "marks.csv"
    file.write_text("sid,a\ns1,10\ns3,30\n")
    columns = {"key_number": 1, "key_column": lab.ids["sid"], "targets": {"1": lab.ids["sid"], "2": lab.ids["a"]}}
    uploads.import_file(
        lab.session, lab.workflow, lab.user.id, file, keys=["sid"],
        choices={"method": "update", "rows": "outer", "wins": "keep", **columns},
    )  # fmt: skip
    assert lab.values("made") == lab.values("a") == [10, 2, 30]


# -- groups


@SOME
@given(
    strata=st.lists(st.sampled_from(["x", "y", "z", None]), max_size=30),
    count=st.integers(1, 7),
    seed=st.integers(0, 10**6),
    within=st.booleans(),
)
def test_groups_differ_by_one_at_most(lab: Lab, strata: list[str | None], count: int, seed: int, within: bool) -> None:
    lab.fill({"sid": "text", "stratum": "text"}, [(f"s{n}", stratum) for n, stratum in enumerate(strata)])
    deal = Deal([f"g{number}" for number in range(count)], seed, lab.ids["stratum"] if within else None)
    for name in ("first", "second"):
        column = groups.add(lab.session, lab.workflow, lab.user.id, Details(name, "text"), deal)
        lab.ids[name] = column.id
    found = lab.values("first")
    assert found == lab.values("second"), "the same seed gives the same groups"
    parts = [found]
    if within:
        parts += [[g for g, s in zip(found, strata, strict=True) if s == stratum] for stratum in {*strata}]
    for part in parts:
        sizes = Counter(dict.fromkeys(deal.values, 0))
        sizes.update(part)
        assert max(sizes.values()) - min(sizes.values()) <= 1
        assert set(sizes) == set(deal.values)


@pytest.mark.parametrize(
    ("typed", "kind", "values"),
    [
        ("1-5", "integer", [1, 2, 3, 4, 5]),
        ("5 - 1", "integer", [1, 2, 3, 4, 5]),
        ("-2 - 1", "integer", [-2, -1, 0, 1]),
        ("-3--1", "integer", [-3, -2, -1]),
        ("1-2", "double", [1.0, 2.0]),
        ("1-2", "text", ["1-2"]),
        ("A\n\nB, C", "text", ["A", "B, C"]),
        ("3", "integer", [3]),
    ],
)
def test_groups_are_read_as_people_write_them(lab: Lab, typed: str, kind: str, values: list[Any]) -> None:
    assert groups.read_values(typed, kind, UTC_ZONE) == values


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"values": ""}, "at least one value"),
        ({"values": "A\nA"}, "there twice"),
        ({"values": "1-5000", "type": "integer"}, "at most 1,000"),
        ({"values": "x", "type": "integer"}, "does not fit"),
        ({"seed": "abc"}, "whole number"),
        ({"within": "999999"}, "not in the table"),
        ({"name": "sid"}, "A column of the table has this name"),
    ],
)
def test_groups_that_can_not_be_dealt_leave_nothing_behind(
    lab: Lab, client: Browser, form: dict[str, str], words: str
) -> None:
    lab.fill({"sid": "text"}, [("s1",)])
    path = f"/workflows/{lab.workflow.id}/columns"
    page = client.post(f"{path}/new/groups", {"name": "new", "type": "text", "values": "A\nB", **form})
    assert page.status == 422
    assert words in unescape(re.sub(r"<[^>]*>", " ", page.body))
    assert client.get(path).body.count("data-column=") == 1


# -- another type

ANY_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
WRITTEN = """1|0|3.0|-7|00123|1e3|1,5|1.234,5|1,234.5|85%| 12 ||  |true|No|yes|y|2026-03-01|2026-03-01 10:00|31/12/2026
12/31/2026|tomorrow|NaN|infinity|1e999|0x1F|1_000|99999999999999999999|José|٣|2026-02-30|-|.|1-2|10:30"""
MOMENTS = st.datetimes(
    min_value=datetime(1000, 1, 2, tzinfo=UTC).replace(tzinfo=None),
    max_value=datetime(9999, 1, 1, tzinfo=UTC).replace(tzinfo=None),
    timezones=st.just(UTC),
)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, 1.0, -0.0, 2.0**63])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.none() | st.sampled_from(re.split(r"[|\n]", WRITTEN)) | ANY_TEXT,
    "integer": st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-1, 1),
    "double": st.none() | DOUBLES,
    "boolean": st.none() | st.booleans(),
    "datetime": st.none() | MOMENTS,
}
WAYS = [(kind, way) for kind in retype.CHOICES for way in retype.CHOICES[kind]]


@settings(max_examples=45, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(way=st.sampled_from(WAYS), data=st.data())
def test_a_change_of_type_does_what_its_preview_said(lab: Lab, way: tuple[str, str], data: st.DataObject) -> None:
    kind, to = way
    values = data.draw(st.lists(VALUES[kind], min_size=1, max_size=retype.LISTED))
    lab.fill({"sid": "text", "x": kind}, [(f"s{n}", value) for n, value in enumerate(values)])
    said = retype.preview(lab.session, lab.workflow, lab.column("x"), to)
    before = lab.values("x")
    assert said.total == len(values) == said.missing + said.kept + said.lost + said.emptied
    version = retype.carry_out(lab.session, lab.workflow, lab.user.id, lab.column("x"), to, may_lose=said.lost)
    after = lab.values("x")
    assert sum(value is not None for value in after) == said.kept
    assert [label for label, _ in said.samples] == [
        f"s{n}" for n, (old, new) in enumerate(zip(before, after, strict=True))
        if old is not None and new is None and not (isinstance(old, str) and not old.strip(" \t\r\n\u00a0"))
    ]  # fmt: skip
    assert lab.column("x").type == said.type
    versions.restore(lab.session, lab.workflow, version.id, lab.user.id)
    assert (lab.values("x"), lab.column("x").type) == (before, kind)


@pytest.mark.parametrize(
    ("kind", "to", "value", "becomes"),
    [
        ("text", "integer_decimals", "3.0", 3),
        ("text", "integer_decimals", "3.5", None),
        ("text", "double_comma", "1.234,5", 1234.5),
        ("text", "boolean_words", "Yes", True),
        ("text", "double", "NaN", None),
        ("double", "integer", 3.0, 3),
        ("double", "integer", 3.5, None),
        ("integer", "double", 2**53 + 1, None),
        ("integer", "boolean", 1, True),
        ("integer", "boolean", 2, None),
        ("boolean", "text", False, "no"),
        ("double", "text", 3.0, "3"),
        ("datetime", "text", "2026-03-01T10:00Z", "2026-03-01 10:00"),
        ("text", "double", " 12 ", 12.0),
        ("text", "double", "", None),
    ],
)
def test_values_become_what_people_expect(lab: Lab, kind: str, to: str, value: Any, becomes: Any) -> None:
    lab.fill({"sid": "text", "x": kind}, [("s1", value)])
    retype.carry_out(lab.session, lab.workflow, lab.user.id, lab.column("x"), to, may_lose=1)
    assert lab.values("x") == [becomes]


def test_more_loss_than_was_shown_is_refused(lab: Lab) -> None:
    lab.fill({"sid": "text", "x": "text"}, [("s1", "1"), ("s2", "many")])
    with pytest.raises(errors.Conflict, match="other values would be lost"):
        retype.carry_out(lab.session, lab.workflow, lab.user.id, lab.column("x"), "double", may_lose=0)
    assert lab.values("x") == ["1", "many"]


def test_a_key_keeps_every_value_and_every_difference(lab: Lab) -> None:
    lab.fill({"sid": "text", "x": "text"}, [("1", "a"), ("1.0", "b")])
    with pytest.raises(errors.Invalid, match="told apart"):
        retype.carry_out(lab.session, lab.workflow, lab.user.id, lab.column("sid"), "integer_decimals", may_lose=9)
    lab.fill({"sid": "text", "x": "text"}, [("1", "a"), ("x2", "b")])
    with pytest.raises(errors.Invalid, match="may be lost"):
        retype.carry_out(lab.session, lab.workflow, lab.user.id, lab.column("sid"), "integer_decimals", may_lose=9)
    lab.fill({"sid": "text", "x": "text"}, [("1", "a"), ("2", "b")])
    retype.carry_out(lab.session, lab.workflow, lab.user.id, lab.column("sid"), "integer_decimals", may_lose=0)
    assert lab.values("sid") == [1, 2]
    columns = queries.columns(lab.session, lab.workflow.id)
    with pytest.raises(errors.Invalid, match="already has “1”"):
        tables.add_row(lab.session, lab.workflow, lab.user.id, columns, {lab.ids["sid"]: 1})


def test_allowed_values_follow_the_type(lab: Lab) -> None:
    lab.fill({"sid": "text", "x": "text"}, [("s1", "1"), ("s2", None)])
    column = lab.column("x")
    column.allowed_values = ["1", "2", "many"]
    lab.session.flush()
    retype.carry_out(lab.session, lab.workflow, lab.user.id, column, "integer_decimals", may_lose=0)
    assert lab.column("x").allowed_values == [1, 2]
