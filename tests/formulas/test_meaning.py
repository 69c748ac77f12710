"""What each operator means in PostgreSQL, for values and for missing ones, against a plain reading of the rules."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from chalicelib import errors
from chalicelib.formulas import sql
from chalicelib.formulas.check import check
from chalicelib.formulas.columns import ColumnInfo
from chalicelib.formulas.operators import OPERATORS, TYPES, for_type

WORKFLOW = 999_001
COLUMNS = {number: ColumnInfo(number, f"an {kind} column", kind) for number, kind in enumerate(TYPES, 1)}
ID_OF = {column.type: column.id for column in COLUMNS.values()}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXTS = ["", " ", "FASS", "fass", "100%", "a_b", "ab", 'it\'s "quoted" \\', "Zoë 🎓", "%", None]
ROWS: list[tuple[Any, ...]] = [
    (number, float(number) / 2, number % 2 == 0, NOON.replace(day=number + 1), text)
    for number, text in enumerate(TEXTS[:-1])
]
ROWS.append((None, None, None, None, None))
ROWS.append((None, float("nan"), None, None, "x"))


@pytest.fixture(scope="module")
def table(engine: sa.Engine) -> Iterator[Connection]:
    """A learners' table with a column of each type; its last rows hold missing values."""
    with engine.connect() as connection:
        transaction = connection.begin()
        connection.execute(sa.text(
            f"CREATE TABLE learners.w{WORKFLOW} (row_id bigint, c1 bigint, c2 double precision, c3 boolean, "
            "c4 timestamptz, c5 text)"
        ))  # fmt: skip
        insert = sa.text(f"INSERT INTO learners.w{WORKFLOW} VALUES (:row, :c1, :c2, :c3, :c4, :c5)")
        connection.execute(
            insert,
            [dict(zip(("row", "c1", "c2", "c3", "c4", "c5"), (i, *row), strict=True)) for i, row in enumerate(ROWS)],
        )
        yield connection
        transaction.rollback()


def selected(connection: Connection, formula: Any, time_zone: str = "UTC") -> set[int]:
    """Return the rows for which the formula holds."""
    select = sql.flags_select(WORKFLOW, COLUMNS, formula, {}, time_zone)
    return {row.row_id for row in connection.execute(select) if row.filter}


def rule(kind: str, operator: str, *values: str) -> dict[str, Any]:
    made: dict[str, Any] = {"column": ID_OF[kind], "op": operator}
    if values:
        made["value"] = list(values) if len(values) > 1 or operator in {"is_one_of", "is_none_of"} else values[0]
    return {"all": [made]}


def one_way(value: Any, operator: str, values: list[Any]) -> bool:
    """The meaning of a rule, read from the manual's table and nothing else."""
    if isinstance(value, float) and value != value:
        value = None
    positive = {
        "equal": lambda: value == values[0],
        "less": lambda: value < values[0],
        "less_or_equal": lambda: value <= values[0],
        "greater": lambda: value > values[0],
        "greater_or_equal": lambda: value >= values[0],
        "between": lambda: values[0] <= value <= values[1],
        "not_between": lambda: value < values[0] or value > values[1],
        "begins_with": lambda: value.startswith(values[0]),
        "contains": lambda: values[0] in value,
        "ends_with": lambda: value.endswith(values[0]),
        "is_one_of": lambda: value in values,
        "is_not_null": lambda: True,
        "is_not_empty": lambda: value != "",
    }
    opposites = {
        "not_equal": "equal", "not_begins_with": "begins_with", "not_contains": "contains",
        "not_ends_with": "ends_with", "is_none_of": "is_one_of", "is_null": "is_not_null", "is_empty": "is_not_empty",
    }  # fmt: skip
    if operator in opposites:
        return not one_way(value, opposites[operator], values)
    return value is not None and bool(positive[operator]())


OPERANDS: dict[str, list[tuple[str, Any]]] = {
    "integer": [(str(n), n) for n in (-1, 0, 3, 9)],
    "double": [("1.5", 1.5), ("0", 0.0), ("3e0", 3.0), ("99", 99.0)],
    "boolean": [("true", True), ("no", False)],
    "datetime": [("2026-03-04 12:00:00", NOON.replace(day=4)), ("2026-03-02T12:00:00Z", NOON.replace(day=2)),
                 ("2026-03-05 14:00:00 +02:00", NOON.replace(day=5)), ("2026-04-01", datetime(2026, 4, 1, tzinfo=UTC))],
    "text": [(text, text) for text in TEXTS if text],  # an empty operand is refused
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "operator"), [(kind, operator.name) for kind in TYPES for operator in for_type(kind)]
)  # fmt: skip
def test_every_operator_means_what_the_manual_says(table: Connection, kind: str, operator: str) -> None:
    operands = OPERATORS[operator].operands
    pairs = [(low, high) for low in OPERANDS[kind] for high in OPERANDS[kind] if operands == 2 and low[1] <= high[1]]
    cases: list[tuple[tuple[str, Any], ...]] = {0: [()], 1: [(one,) for one in OPERANDS[kind]], 2: pairs}.get(
        operands, [tuple(OPERANDS[kind][:2]), tuple(OPERANDS[kind][1:2])]
    )
    for case in cases:
        expected = {
            number for number, row in enumerate(ROWS)
            if one_way(row[ID_OF[kind] - 1], operator, [value for _, value in case])
        }  # fmt: skip
        formula = check(rule(kind, operator, *(text for text, _ in case)), COLUMNS)
        assert selected(table, formula) == expected, f"{operator} {case}"
        negated = {**formula, "not": True}
        assert selected(table, negated) == set(range(len(ROWS))) - expected


def test_a_moment_without_an_offset_is_of_the_workflows_zone(table: Connection) -> None:
    formula = rule("datetime", "equal", "2026-03-03 13:00")
    assert selected(table, formula, "Europe/Madrid") == {2}
    assert selected(table, formula, "UTC") == set()


@pytest.mark.parametrize("formula", [None, {}, {"all": []}, {"any": []}, {"any": [], "not": True}])
def test_no_formula_selects_everybody(table: Connection, formula: Any) -> None:
    assert selected(table, formula) == set(range(len(ROWS)))


def test_counts_come_from_one_statement_and_within_the_filter(table: Connection) -> None:
    low, high = rule("integer", "less", "3"), rule("integer", "greater", "7")
    select = sql.counts_select(WORKFLOW, COLUMNS, rule("integer", "is_not_null"), {7: low, 8: high})
    assert table.execute(select).mappings().one() == {"total": 12, "selected": 10, "k7": 3, "k8": 2, "none": 5}


def test_counts_leave_room_for_long_filters_and_many_conditions(table: Connection) -> None:
    long_list = {"all": [{"column": ID_OF["integer"], "op": "is_one_of", "value": [str(n) for n in range(1000)]}]}
    long_filter = {"any": [rule("integer", "equal", str(n)) for n in range(100)]}
    select = sql.counts_select(WORKFLOW, COLUMNS, long_filter, dict.fromkeys(range(100), long_list))
    counts = table.execute(select).mappings().one()
    assert (counts["selected"], counts["k99"], counts["none"]) == (10, 10, 0)


def test_without_conditions_nobody_is_left_over(table: Connection) -> None:
    counts = table.execute(sql.counts_select(WORKFLOW, COLUMNS, None, {})).mappings().one()
    assert counts == {"total": 12, "selected": 12, "none": 0}


def test_flags_come_with_the_values_of_each_row(table: Connection) -> None:
    select = sql.flags_select(WORKFLOW, COLUMNS, rule("integer", "less", "5"), {7: rule("boolean", "equal", "true")})
    row = table.execute(select.where(sa.column("row_id") == 2)).mappings().one()
    assert dict(row) == {
        "row_id": 2, "filter": True, "k7": True, "c1": 2, "c2": 1.0, "c3": True, "c4": NOON.replace(day=3), "c5": "FASS"
    }  # fmt: skip


@pytest.mark.parametrize(
    "broken",
    [{"op": "between", "value": "3"}, {"op": "is_null", "value": "3"}, {"op": "equal"}, {"op": "less", "value": "x"}],
)
def test_a_stored_rule_that_cannot_be_run_is_an_error_and_not_false(table: Connection, broken: dict[str, Any]) -> None:
    with pytest.raises(errors.Invalid, match="an integer column"):
        selected(table, {"all": [{"column": ID_OF["integer"], **broken}]})


def test_a_rule_on_a_deleted_column_is_an_error_and_not_false(table: Connection) -> None:
    with pytest.raises(errors.Invalid, match="deleted"):
        selected(table, {"all": [{"column": 77, "op": "equal", "value": "1"}]})


def formulas() -> st.SearchStrategy[Any]:
    """Trees of rules over all types."""

    def one(kind: str) -> st.SearchStrategy[Any]:
        singles = [operator.name for operator in for_type(kind) if operator.operands == 1]
        return st.builds(
            lambda operator, operand: {"column": ID_OF[kind], "op": operator, "value": operand[0]},
            st.sampled_from(singles), st.sampled_from(OPERANDS[kind]),
        )  # fmt: skip

    def group(members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.builds(
            lambda name, inside, negated: {name: inside, **({"not": True} if negated else {})},
            st.sampled_from(["all", "any"]), st.lists(members, min_size=1, max_size=3), st.booleans(),
        )  # fmt: skip

    return group(st.recursive(st.one_of(*(one(kind) for kind in TYPES)), group, max_leaves=6))


def by_hand(node: Any, row: tuple[Any, ...]) -> bool:
    if "op" in node:
        kind = COLUMNS[node["column"]].type
        return one_way(row[node["column"] - 1], node["op"], [dict(OPERANDS[kind])[node["value"]]])
    name = "all" if "all" in node else "any"
    truth = (all if name == "all" else any)(by_hand(member, row) for member in node[name])
    return truth != node.get("not", False)


@given(formula=formulas())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_tree_means_the_same_as_read_by_hand(table: Connection, formula: Any) -> None:
    assert selected(table, formula) == {number for number, row in enumerate(ROWS) if by_hand(formula, row)}
