"""Formulas that can't be used are refused with the place and the fix; good ones read as a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import errors
from chalicelib.formulas import forms
from chalicelib.formulas.check import check
from chalicelib.formulas.columns import ColumnInfo
from chalicelib.formulas.operators import catalogue
from chalicelib.formulas.tree import references
from chalicelib.formulas.words import words

COLUMNS = {
    1: ColumnInfo(1, "Program", "text"),
    2: ColumnInfo(2, "Midterm", "integer"),
    3: ColumnInfo(3, "Enrolled", "datetime"),
    4: ColumnInfo(4, "Repeats", "boolean"),
    5: ColumnInfo(5, "Share", "double"),
    6: ColumnInfo(6, "Group", "integer", (1, 2, 3)),
}


def rule(column: int, op: str, value: Any = None) -> dict[str, Any]:
    return {"column": column, "op": op} if value is None else {"column": column, "op": op, "value": value}


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ({"all": []}, "empty"),
        ({"all": [{"any": []}]}, "Group 1 is empty"),
        ({"all": [rule(0, "equal", "x")]}, "Rule 1: choose a column"),
        ({"all": [rule(9, "equal", "x")]}, "Rule 1: its column was deleted"),
        ({"all": [rule(1, "less", "x")]}, "can't be compared like this"),
        ({"all": [rule(2, "sounds_like", "x")]}, "can't be compared like this"),
        ({"all": [rule(2, "equal", "")]}, "needs a value"),
        ({"all": [rule(2, "equal", " ")]}, "type a value"),
        ({"all": [rule(1, "contains", "")]}, "needs a value"),
        ({"all": [rule(1, "is_one_of", ["a", ""])]}, "needs a value"),
        ({"all": [rule(2, "is_null", "3")]}, "is missing needs no value"),
        ({"all": [rule(1, "equal", "a\0b")]}, "can't be stored"),
        ({"all": [rule(1, "equal", "\ud83d")]}, "can't be stored"),
        ({"all": [rule(1, "equal", "x" * 10_001)]}, "at most 10,000 characters"),
        ({"all": [rule(3, "less", "9999-12-31 23:59:59 -10:00")]}, "is before …: type a date"),
        ({"all": [rule(6, "less", "3")]}, "has a list of values"),
        ({"all": [rule(2, "equal", "1.5")]}, "type a whole number"),
        ({"all": [rule(2, "equal", "9" * 19)]}, "type a whole number"),
        ({"all": [rule(5, "equal", "nan")]}, "type a number"),
        ({"all": [rule(5, "equal", "1e999")]}, "type a number"),
        ({"all": [rule(2, "between", "3")]}, "needs two values"),
        ({"all": [rule(2, "between", ["9", "3"])]}, "the first value is larger than the second"),
        ({"all": [rule(3, "less", "31.03.2026")]}, "type a date such as"),
        ({"all": [rule(3, "less", "2026-02-30")]}, "type a date such as"),
        ({"all": [rule(4, "equal", "perhaps")]}, "choose yes or no"),
        ({"all": [rule(2, "equal", "1"), {"any": [rule(2, "is_null"), rule(2, "equal", "x")]}]}, "Rule 2.2"),
    ],
)
def test_a_bad_rule_is_refused_with_its_place(formula: Any, message: str) -> None:
    with pytest.raises(errors.Invalid, match=message):
        check(formula, COLUMNS)


@pytest.mark.parametrize(
    "formula",
    [
        [], "x", {"some": []}, {"all": 3}, {"all": [{"column": 1}]}, {"all": [[]]}, {"all": [], "sql": "1=1"},
        {"all": [], "not": "yes"}, {"all": [], "any": []}, {"all": [rule(1, "equal", {"a": 1})]},
    ],
)  # fmt: skip
def test_another_shape_is_refused(formula: Any) -> None:
    with pytest.raises(errors.Invalid):
        check(formula, COLUMNS)


def test_very_deep_and_very_long_formulas_are_refused() -> None:
    deep: Any = {"all": [rule(2, "is_null")]}
    for _ in range(20):
        deep = {"all": [deep]}
    with pytest.raises(errors.Invalid, match="nested"):
        check(deep, COLUMNS)
    with pytest.raises(errors.Invalid, match="at most 500 rules"):
        check({"all": [rule(2, "is_null")] * 501}, COLUMNS)
    with pytest.raises(errors.Invalid, match="at most 500 groups"):
        check({"all": [{"any": []}] * 501}, COLUMNS)


def test_values_are_stored_as_typed_but_without_blanks_around() -> None:
    typed = [rule(2, "equal", " +07 "), rule(4, "equal", "Yes"), rule(1, "equal", " a "), rule(2, "is_null", "")]
    stored = [rule(2, "equal", "+07"), rule(4, "equal", "true"), rule(1, "equal", " a "), rule(2, "is_null")]
    assert check({"any": typed}, COLUMNS) == {"any": stored}


def test_a_column_with_a_list_is_compared_with_its_values() -> None:
    formula = {"all": [rule(6, "is_one_of", ["1", "2"]), rule(6, "not_equal", "3"), rule(6, "is_not_null")]}
    assert check(formula, COLUMNS) == formula
    assert [one["name"] for one in catalogue()["integer listed"]] == [
        "equal", "not_equal", "is_one_of", "is_none_of", "is_null", "is_not_null",
    ]  # fmt: skip


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(errors.Invalid) as caught:
        check({"all": [rule(2, "equal", "x"), rule(2, "is_null"), rule(9, "is_null")]}, COLUMNS)
    assert list(caught.value.fields) == ["rule 1", "rule 3"]


@pytest.mark.parametrize(
    ("formula", "sentence"),
    [
        (None, ""),
        ({"all": [rule(1, "equal", "FASS"), rule(2, "is_not_null")]}, "Program is “FASS” and Midterm is not missing"),
        ({"any": [rule(2, "less", "50"), rule(4, "equal", "true")]}, "Midterm is less than 50 or Repeats is yes"),
        ({"all": [rule(2, "between", ["1", "5"])], "not": True}, "not (Midterm is between 1 and 5)"),
        (
            {"all": [rule(2, "is_null"), {"any": [rule(1, "begins_with", "B"), rule(1, "is_empty")]}]},
            "Midterm is missing and (Program begins with “B” or Program is empty)",
        ),
        ({"all": [rule(2, "is_one_of", list("1234567"))]}, "Midterm is one of 1, 2, 3, 4, 5 or 2 more"),
        ({"all": [rule(1, "is_none_of", ["A", "B"])]}, "Program is none of “A” or “B” (or missing)"),
        ({"all": [rule(1, "not_contains", "x")]}, "Program does not contain “x” (or missing)"),
        ({"all": [rule(3, "greater", "2026-03-01T10:00")]}, "Enrolled is after 2026-03-01 10:00"),
        ({"all": [], "not": True}, ""),
        ({"all": [rule(9, "is_null")]}, "a deleted column is missing"),
    ],
)
def test_a_formula_reads_as_a_sentence(formula: Any, sentence: str) -> None:
    assert words(formula, COLUMNS) == sentence


def test_the_columns_of_a_formula_are_known() -> None:
    assert references({"all": [rule(1, "is_null"), {"any": [rule(5, "is_null")], "not": True}]}) == {1, 5}
    assert references(None) == references({"any": []}) == set()


@pytest.mark.parametrize("text", ["{", "[]", "3", "[" * 100_000])
def test_a_broken_field_is_refused(text: str) -> None:
    with pytest.raises(errors.Invalid, match="reload"):
        forms.read(text)


def test_an_empty_field_is_no_formula() -> None:
    assert forms.read("") is None
    assert forms.read('{"all": []}') is None
    assert forms.read('{"any": [], "not": true}') is None
