"""Random formulas over random learners: PostgreSQL says what a naive reading in Python says, whatever the values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from chalicelib.formulas import sql
from chalicelib.formulas.check import check
from chalicelib.formulas.columns import ColumnInfo
from chalicelib.formulas.operators import OPERATORS, TYPES, for_type
from chalicelib.formulas.words import words

WORKFLOW = 999_002
COLUMNS = {number: ColumnInfo(number, f"an {kind} column", kind) for number, kind in enumerate(TYPES, 1)}
KIND_OF = {number: column.type for number, column in COLUMNS.items()}

#: Few different signs, so that texts often begin with, hold or equal each other; all that LIKE, SQL and JSON know.
SIGNS = st.sampled_from([*list("aAbß%_\\'\" \n\t;$:{}()é"), "é", "🎓", "ﬁ", "İ", "null", "--", "/*"])
TEXTS = st.lists(SIGNS, max_size=4).map("".join)
NUMBERS = st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1))
DOUBLES = st.one_of(st.sampled_from([0.0, -0.0, 0.1, 0.2, 0.3, 1e300, 5e-324]), st.integers(-3, 3).map(float))
MOMENTS = st.builds(
    lambda days, seconds: datetime(2026, 3, 29, tzinfo=UTC) + timedelta(days=days, seconds=seconds),
    st.integers(-2, 2), st.sampled_from([0, 1, 3_600, 7_200]),
)  # fmt: skip

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "integer": st.none() | NUMBERS,
    "double": st.none() | DOUBLES | st.sampled_from([math.nan, math.inf, -math.inf]),
    "boolean": st.none() | st.booleans(),
    "datetime": st.none() | MOMENTS,
    "text": st.none() | TEXTS,
}
ROWS = st.lists(st.tuples(*(VALUES[kind] for kind in TYPES)), min_size=1, max_size=6)

#: Operands as people type them, with the values they stand for.
OPERANDS: dict[str, st.SearchStrategy[tuple[str, Any]]] = {
    "integer": NUMBERS.map(lambda number: (str(number), number)),
    "double": DOUBLES.map(lambda number: (repr(number), number)),
    "boolean": st.booleans().map(lambda truth: ("yes" if truth else "false", truth)),
    "datetime": MOMENTS.map(lambda at: (at.strftime("%Y-%m-%d %H:%M:%S+00:00"), at)),
    "text": TEXTS.filter(bool).map(lambda text: (text, text)),
}


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """A rule; `values` are what its operands stand for, for the naive reading only."""
    column = draw(st.sampled_from(sorted(COLUMNS)))
    kind = KIND_OF[column]
    operator = draw(st.sampled_from(for_type(kind)))
    count = operator.operands if operator.operands >= 0 else draw(st.integers(1, 4))
    pairs = [draw(OPERANDS[kind]) for _ in range(count)]
    if operator.operands == 2:
        pairs.sort(key=lambda pair: pair[1])
    texts: Any = [text for text, _ in pairs]
    made = {"column": column, "op": operator.name, "values": [value for _, value in pairs]}
    if texts:
        made["value"] = texts[0] if operator.operands == 1 else texts
    return made


def groups(members: st.SearchStrategy[Any], least: int) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda name, inside, negated: {name: inside, **({"not": True} if negated else {})},
        st.sampled_from(["all", "any"]), st.lists(members, min_size=least, max_size=3), st.booleans(),
    )  # fmt: skip


def trees(least: int) -> st.SearchStrategy[Any]:
    return groups(st.recursive(rules(), lambda inner: groups(inner, least), max_leaves=6), least)


def stored(node: Any) -> Any:
    """The formula without what only the naive reading needs."""
    if isinstance(node, list):
        return [stored(member) for member in node]
    if isinstance(node, dict):
        return {name: stored(value) for name, value in node.items() if name != "values"}
    return node


def holds(node: Any, row: tuple[Any, ...], *, is_outermost: bool = True) -> bool:
    """The naive reading: no query planner, no null logic, no collation."""
    if "op" in node:
        return rule_holds(row[node["column"] - 1], node["op"], node["values"])
    name = "all" if "all" in node else "any"
    if not node[name] and is_outermost:
        return True
    inside = [holds(member, row, is_outermost=False) for member in node[name]]
    truth = (all(inside) if name == "all" else any(inside)) if inside else True
    return truth != node.get("not", False)


def rule_holds(value: Any, operator: str, operands: list[Any]) -> bool:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return OPERATORS[operator].keeps_missing or operator in {"is_empty", "is_null"}
    match operator.removeprefix("not_"):
        case "equal":
            truth = value == operands[0]
        case "less":
            truth = value < operands[0]
        case "less_or_equal":
            truth = value <= operands[0]
        case "greater":
            truth = value > operands[0]
        case "greater_or_equal":
            truth = value >= operands[0]
        case "between":
            truth = operands[0] <= value <= operands[1]
        case "begins_with":
            truth = value[: len(operands[0])] == operands[0]
        case "contains":
            truth = operands[0] in value
        case "ends_with":
            truth = value[-len(operands[0]) :] == operands[0]
        case "is_one_of":
            truth = value in operands
        case "is_none_of":
            truth = value not in operands
        case "is_empty":
            truth = value == ""
        case "is_not_empty":
            truth = value != ""
        case "is_null":
            truth = False
        case "is_not_null":
            truth = True
        case _:
            raise AssertionError(operator)
    return truth != operator.startswith("not_")


@pytest.fixture(scope="module")
def table(engine: sa.Engine) -> Iterator[Connection]:
    """An empty learners' table with a column of each type."""
    with engine.connect() as connection:
        transaction = connection.begin()
        connection.execute(sa.text(
            f"CREATE TABLE learners.w{WORKFLOW} (row_id bigint, c1 bigint, c2 double precision, c3 boolean, "
            "c4 timestamptz, c5 text)"
        ))  # fmt: skip
        yield connection
        transaction.rollback()


def fill(connection: Connection, rows: list[tuple[Any, ...]]) -> None:
    connection.execute(sa.text(f"DELETE FROM learners.w{WORKFLOW}"))
    insert = sa.insert(sql.learners(WORKFLOW, COLUMNS))
    names = ("row_id", *(f"c{number}" for number in COLUMNS))
    connection.execute(insert, [dict(zip(names, (at, *row), strict=True)) for at, row in enumerate(rows)])


many = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many
@given(rows=ROWS, formula=trees(least=0))
def test_any_formula_over_any_learners(table: Connection, rows: list[tuple[Any, ...]], formula: Any) -> None:
    fill(table, rows)
    found = table.execute(sql.flags_select(WORKFLOW, COLUMNS, stored(formula), {7: stored(formula)})).all()
    expected = {at for at, row in enumerate(rows) if holds(formula, row)}
    assert {row.row_id for row in found if row.filter} == expected
    assert {row.row_id for row in found if row.k7} == expected


@many
@given(rows=ROWS, chosen=trees(least=1), conditions=st.lists(trees(least=1), max_size=3))
def test_counts_are_those_of_the_naive_reading(
    table: Connection, rows: list[tuple[Any, ...]], chosen: Any, conditions: list[Any]
) -> None:
    fill(table, rows)
    formulas = {at: stored(one) for at, one in enumerate(conditions)}
    row = table.execute(sql.counts_select(WORKFLOW, COLUMNS, stored(chosen), formulas)).one()._mapping
    within = [one for one in rows if holds(chosen, one)]
    assert (row["total"], row["selected"]) == (len(rows), len(within))
    for at, one in enumerate(conditions):
        assert row[f"k{at}"] == sum(holds(one, learner) for learner in within)
    nobody = [learner for learner in within if not any(holds(one, learner) for one in conditions)]
    assert row["none"] == (len(nobody) if conditions else 0)


@many
@given(formula=trees(least=1))
def test_what_is_stored_is_checked_again_and_said_in_words(formula: Any) -> None:
    checked = check(stored(formula), COLUMNS)
    assert check(checked, COLUMNS) == checked
    assert words(checked, COLUMNS)
