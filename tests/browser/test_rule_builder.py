"""The rule builder in a real browser, on a page of its own behind the product's content security policy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from chalicelib.formulas import builder
from chalicelib.formulas.check import check
from chalicelib.formulas.columns import ColumnInfo
from chalicelib.web import templates
from tests.browser.conftest import AXE, DESKTOP, PHONE

COLUMNS = {
    1: ColumnInfo(1, "Program", "text", ("FASS", "FEIT")),
    2: ColumnInfo(2, "Midterm", "integer"),
    3: ColumnInfo(3, "Enrolled", "datetime"),
    4: ColumnInfo(4, "Repeats", "boolean"),
    5: ColumnInfo(5, "Share", "double"),
    6: ColumnInfo(6, "First name", "text"),
}
PAGE = """<!doctype html><html lang="en"><head><title>Rules</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="{{ static('vendor/bootstrap.min.css') }}">
<link rel="stylesheet" href="{{ static('css/app.css') }}"><link rel="stylesheet" href="{{ static('css/rules.css') }}">
<script src="{{ static('js/rules.js') }}" type="module"></script></head>
<body><main><h1>Rules</h1>{% from "formulas/_builder.html" import rule_builder %}
<form>{{ rule_builder(data, formula, problems=problems, label="Who gets this") }}</form></main></body></html>"""
QUOTES = "\\\"'<b>%"
NOTE_CHANGES = """
document.addEventListener("formula-change", (event) => { document.documentElement.dataset.change = event.detail; });
"""

Open = Callable[..., Page]


@pytest.fixture
def open_builder(context: BrowserContext, site: tuple[str, dict[str, str]]) -> Iterator[Open]:
    """Open the builder with a formula; script errors and policy violations fail the test."""
    problems_seen: list[str] = []
    page = context.new_page()
    page.add_init_script(NOTE_CHANGES)
    page.on("pageerror", lambda error: problems_seen.append(str(error)))

    def show(formula: Any = None, problems: dict[str, str] | None = None) -> Page:
        url, pages = site
        data = builder.data(COLUMNS, "Europe/Madrid")
        context = {"data": data, "formula": formula, "problems": problems or {}}
        pages["/"] = templates.environment().from_string(PAGE).render(context)
        page.goto(url)
        return page

    yield show
    assert problems_seen + page.evaluate("window.__violations") == []


def formula_of(page: Page) -> Any:
    """Return what the form would send."""
    return json.loads(page.locator("input[name=formula]").input_value() or "null")


def rule(page: Page, place: str) -> Locator:
    """Return the fields of a rule."""
    return page.get_by_role("group", name=f"Rule {place}", exact=True)


def test_a_formula_is_built_with_nested_groups(open_builder: Open) -> None:
    page = open_builder()
    # (A wait_for_function would need the `eval` that the policy forbids.)
    expect(page.locator("html")).to_have_attribute("data-change", "")
    page.get_by_role("button", name="Add a rule").click()
    rule(page, "1").get_by_label("Column").select_option("Midterm")
    rule(page, "1").get_by_label("Comparison").select_option("is between")
    rule(page, "1").get_by_label("From").fill("10")
    rule(page, "1").get_by_label("To").fill("50")
    page.get_by_role("button", name="Add a group").click()
    rule(page, "2.1").get_by_label("Column").select_option("Program")
    rule(page, "2.1").get_by_label("Value").select_option("FEIT")
    group = page.get_by_role("group", name="Group 2", exact=True)
    group.get_by_role("button", name="Add a rule").click()
    rule(page, "2.2").get_by_label("Column").select_option("Repeats")
    rule(page, "2.2").get_by_label("Value").select_option("no")
    group.get_by_label("How the rules are joined").select_option("None of these holds")
    expected = {"all": [
        {"column": 2, "op": "between", "value": ["10", "50"]},
        {"any": [{"column": 1, "op": "equal", "value": "FEIT"}, {"column": 4, "op": "equal", "value": "false"}],
         "not": True},
    ]}  # fmt: skip
    assert formula_of(page) == expected == check(expected, COLUMNS)
    expect(page.locator("html")).to_have_attribute("data-change", json.dumps(expected, separators=(",", ":")))


def test_comparisons_and_fields_follow_the_column(open_builder: Open) -> None:
    page = open_builder({"all": [{"column": 2, "op": "less", "value": "60"}]})
    one = rule(page, "1")
    one.get_by_label("Column").select_option("Share")
    assert formula_of(page) == {"all": [{"column": 5, "op": "less", "value": ""}]}
    one.get_by_label("Column").select_option("Enrolled")
    assert one.get_by_label("Comparison").locator("option:checked").inner_text() == "is before"
    expect(one).to_contain_text("Time zone: Europe/Madrid.")
    one.get_by_label("Value").fill("2026-03-31T14:30")
    assert formula_of(page)["all"][0]["value"] == "2026-03-31 14:30"
    one.get_by_label("Column").select_option("First name")
    assert one.get_by_label("Comparison").locator("option").count() == 14
    one.get_by_label("Comparison").select_option("is not")
    expect(one).to_contain_text("Also holds where First name is missing.")
    one.get_by_label("Comparison").select_option("is empty")
    assert formula_of(page) == {"all": [{"column": 6, "op": "is_empty"}]}
    one.get_by_label("Comparison").select_option("is one of")
    one.get_by_label("Values, one on each line").fill("Ana\n Bea\n\n")
    assert formula_of(page)["all"][0]["value"] == ["Ana", " Bea"]
    one.get_by_label("Column").select_option("Program")
    one.get_by_label("FASS").check()
    assert formula_of(page) == {"all": [{"column": 1, "op": "is_one_of", "value": ["FASS"]}]}


def test_a_stored_formula_is_shown_and_kept(open_builder: Open) -> None:
    last = {"column": 6, "op": "equal", "value": QUOTES}
    stored = {
        "any": [
            {"column": 1, "op": "is_none_of", "value": ["FEIT", "gone"]},
            {"column": 1, "op": "equal", "value": "lost"},
            {"column": 3, "op": "less", "value": "2026-03-31 14:30:00 +02:00"},
            {"column": 3, "op": "less", "value": "2026-03-31"},
            {"column": 9, "op": "equal", "value": "x"},
            {"column": 4, "op": "equal", "value": "Yes"},
            {"all": [last], "not": True},
        ],
        "not": True,
    }
    page = open_builder(stored)
    expect(rule(page, "1").get_by_label("gone (no longer in the list)")).to_be_checked()
    expect(rule(page, "2").get_by_label("Value")).to_have_value("lost")
    expect(rule(page, "3").get_by_label("Value")).to_have_value("2026-03-31 14:30:00 +02:00")
    expect(rule(page, "4").get_by_label("Value")).to_have_value("2026-03-31T00:00")
    expect(rule(page, "5")).to_contain_text("A deleted column")
    expect(rule(page, "6").get_by_label("Value")).to_have_value("true")
    expect(rule(page, "7.1").get_by_label("Value")).to_have_value(QUOTES)
    assert formula_of(page) == stored
    rule(page, "7.1").get_by_label("Value").fill("x")
    last["value"] = "x"
    assert formula_of(page) == stored


def test_problems_are_marked_at_their_rules_until_they_are_changed(open_builder: Open) -> None:
    formula = {"all": [{"column": 2, "op": "equal", "value": "x"}, {"any": [{"column": 0, "op": ""}]}, {"all": []}]}
    problems = {"rule 1": "Type a number.", "rule 2.1": "Choose a column.", "group 3": "It is empty."}
    page = open_builder(formula, problems)
    field = rule(page, "1").get_by_label("Value")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description("Type a number.")
    expect(field).to_be_focused()
    expect(page.get_by_role("group", name="Group 3")).to_contain_text("It is empty.")
    field.fill("3")
    expect(page.get_by_text("Type a number.")).to_have_count(0)
    expect(field).to_be_focused()
    rule(page, "2.1").get_by_label("Column").select_option("Midterm")
    expect(page.get_by_text("Choose a column.")).to_have_count(0)


def test_what_was_removed_comes_back_where_it_was(open_builder: Open) -> None:
    rules = [{"column": 2, "op": "equal", "value": str(n)} for n in (1, 2, 3)]
    page = open_builder({"all": rules})
    page.get_by_role("button", name="Remove rule 2").press("Enter")
    assert formula_of(page) == {"all": [rules[0], rules[2]]}
    expect(rule(page, "2").get_by_label("Column")).to_be_focused()
    page.get_by_role("status").get_by_role("button", name="Undo").press("Enter")
    assert formula_of(page) == {"all": rules}
    for _ in rules:
        page.get_by_role("button", name="Remove rule 1").click()
    assert page.locator("input[name=formula]").input_value() == ""
    expect(page.get_by_role("button", name="Add a rule")).to_be_focused()


def test_a_builder_that_arrives_later_works(open_builder: Open) -> None:
    page = open_builder({"all": [{"column": 2, "op": "is_null"}]})
    page.evaluate("document.querySelector('form').outerHTML += ''")
    expect(page.get_by_label("Comparison")).to_have_count(1)
    page.get_by_label("Comparison").select_option("is not missing")
    assert formula_of(page) == {"all": [{"column": 2, "op": "is_not_null"}]}


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_and_is_accessible(open_builder: Open, size: dict[str, int], theme: str) -> None:
    one = {"column": 1, "op": "is_none_of", "value": ["FEIT"]}
    inner = {"any": [one, {"column": 2, "op": "between", "value": ["1", "x"]}], "not": True}
    formula = {"all": [{"column": 3, "op": "less", "value": ""}, {"all": [inner]}]}
    page = open_builder(formula, {"rule 2.1.2": "Type a number."})
    page.set_viewport_size(size)
    page.evaluate(f"document.documentElement.dataset.bsTheme = '{theme}'")
    page.get_by_role("button", name="Remove rule 1").click()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    small = page.evaluate(
        "[...document.querySelectorAll('button, select, input:not([type=hidden]):not([type=checkbox])')]"
        ".map((e) => e.getBoundingClientRect()).filter((b) => b.width < 24 || b.height < 24).length"
    )
    assert small == 0
    found = page.evaluate(AXE() + "; axe.run().then((r) => r.violations.map((v) => v.id + v.nodes.map((n) => n.html)))")
    assert found == []
