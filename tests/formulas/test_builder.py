"""The page part that holds a formula: whatever its values are, the browser reads them as they were stored."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest

from chalicelib.formulas import builder
from chalicelib.formulas.columns import ColumnInfo
from chalicelib.formulas.operators import OPERATORS, TYPES, for_type
from chalicelib.web import templates

COLUMNS = {
    1: ColumnInfo(1, 'it\'s a "name" <b>', "text"),
    2: ColumnInfo(2, "Group", "integer", (1, 2)),
    3: ColumnInfo(3, "Agreed", "boolean", (True, False)),
}


class Attributes(HTMLParser):
    """Collects the attributes of every tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {f"{tag}.{name}": value or "" for name, value in attrs}


def shown(formula: Any, problems: dict[str, str] | None = None) -> dict[str, str]:
    source = (
        '{% from "formulas/_builder.html" import rule_builder %}{{ rule_builder(data, formula, problems=problems) }}'
    )
    context = {"data": builder.data(COLUMNS), "formula": formula, "problems": problems or {}}
    return Attributes(templates.environment().from_string(source).render(context)).found


@pytest.mark.parametrize(
    "value", ['say "hi"', "it's", "<script>", "&quot;", "' onfocus='x", '" onfocus="x', "\\", "Zoë 🎓"]
)
def test_any_value_arrives_as_it_was_stored(value: str) -> None:
    formula = {"all": [{"column": 1, "op": "equal", "value": value}]}
    found = shown(formula, {"rule 1": value})
    assert json.loads(found["input.value"]) == formula
    assert json.loads(found["div.data-problems"]) == {"rule 1": value}
    assert not any("onfocus" in name for name in found)


def test_no_formula_is_an_empty_field() -> None:
    assert shown(None)["input.value"] == ""


def test_the_browser_gets_the_operators_of_the_check() -> None:
    data = json.loads(shown(None)["div.data-builder"])
    assert [column["name"] for column in data["columns"]] == ['it\'s a "name" <b>', "Group", "Agreed"]
    assert [column["values"] for column in data["columns"]] == [[], ["1", "2"], ["true", "false"]]
    for kind in TYPES:
        assert [one["name"] for one in data["operators"][kind]] == [one.name for one in for_type(kind)]
        assert {one["name"] for one in data["operators"][f"{kind} listed"]} < set(OPERATORS)


def test_dates_are_compared_in_words_of_time() -> None:
    said = {one["name"]: one["words"] for one in builder.data(COLUMNS)["operators"]["datetime"]}
    assert (said["less"], said["greater_or_equal"]) == ("is before", "is at or after")
