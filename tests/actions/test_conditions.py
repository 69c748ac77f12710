"""Conditions: their forms, what is refused, copies, deletion with an undo."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.accounts.models import User
from chalicelib.actions.conditions import MAX_CONDITIONS
from chalicelib.tables.models import View
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow
from tests.actions.conftest import Desk, problem, words
from tests.actions.rules import condition_names, count, rule_problems, shown_formula
from tests.factories import make_action, make_condition


def test_a_condition_is_made_beside_the_text_and_counted(desk: Desk) -> None:
    page = desk.get("/conditions", row=3)
    assert page.status == 200
    assert "New condition" in words(page)
    assert "As Name 3 sees it" in words(page), "the rest of the page stays"
    formula = json.dumps(desk.rule("quiz", "less", " 50 "))
    page = desk.post("/conditions", {"name": " low  quiz ", "description": " half ", "formula": formula, "row": "3"})
    said = desk.follow(page)
    assert "“low quiz” can be used in the text now." in said
    assert "As Name 3 sees it" in said
    assert "low quiz not in the text half 5" in said
    made = int(max(re.findall(r"/conditions/(\d+)", desk.get().body)))
    stored = desk.get(f"/conditions/{made}", htmx=True)
    assert shown_formula(stored) == desk.rule("quiz", "less", "50")
    assert 'value="low quiz"' in stored.body
    assert 'value="half"' in stored.body
    assert "<html" not in stored.body


def test_without_a_note_the_rules_are_said_in_words(desk: Desk) -> None:
    desk.add("low", desk.rule("quiz", "less", "50"))
    assert "quiz is less than 50" in words(desk.get())


def test_the_script_gets_the_names_and_the_new_condition(desk: Desk) -> None:
    fields = {"name": "low", "formula": json.dumps(desk.rule("quiz", "less", "50"))}
    page = desk.post("/conditions", fields, htmx=True)
    assert page.status == 200
    names = re.search(r'data-names="([^"]*)" data-made="(\d+)"', page.body)
    assert names
    known = json.loads(unescape(names[1]))
    assert known["conditions"] == [{"id": int(names[2]), "name": "low"}]
    assert {one["name"] for one in known["columns"]} == set(desk.columns)


REFUSED = [
    ("", "less", "50", "name", "Type a name"),
    ("x" * 256, "less", "50", "name", "at most 255 characters; this has 256"),
    ('the "low"', "less", "50", "name", "straight quotes"),
    ("__low", "less", "50", "name", "two underscores"),
    ("quiz", "less", "50", "name", "A column of the table has this name"),
    ("taken", "less", "50", "name", "Another condition of this message has this name"),
    ("low", "less", "", "formula", "needs a value"),
    ("low", "less", "many", "formula", "type a whole number"),
    ("low", "begins_with", "5", "formula", "can't be compared like this"),
    ("low", "between", ["9", "1"], "formula", "larger than the second"),
]


@pytest.mark.parametrize(("name", "operator", "value", "field", "hint"), REFUSED)
def test_what_cannot_be_a_condition_is_refused_at_its_field(
    desk: Desk, name: str, operator: str, value: Any, field: str, hint: str
) -> None:
    desk.add("taken", desk.rule("quiz", "is_null"))
    formula = desk.rule("quiz", operator, value)
    fields = {"name": name, "description": "keep “me”", "formula": json.dumps(formula), "row": "3"}
    other = desk.add("other", desk.rule("quiz", "is_null"))
    for path in ("/conditions", f"/conditions/{other}"):
        for htmx in (True, False):
            page = desk.post(path, fields, htmx=htmx)
            assert page.status == 422
            assert hint in problem(page, field)
            assert 'value="keep “me”"' in page.body
            assert f'value="{name.replace(chr(34), "&#34;")}"' in page.body
            assert shown_formula(page) == formula
            assert 'name="row" value="3"' in page.body
    assert condition_names(desk) == ["taken", "other"]


def test_each_wrong_rule_is_told(desk: Desk) -> None:
    rules = [desk.rule("quiz", "less", value)["all"][0] for value in ("5", "x", "")]
    formula = {"all": [*rules, {"any": [desk.rule("name", "less", "5")["all"][0]]}]}
    for path in ("/conditions", "/filter"):
        for htmx in (True, False):
            page = desk.post(path, {"name": "low", "formula": json.dumps(formula)}, htmx=htmx)
            assert page.status == 422
            told = rule_problems(page)
            assert list(told) == ["rule 2", "rule 3", "rule 4.1"]
            assert "type a whole number" in told["rule 2"]
    assert rule_problems(desk.get("/conditions")) == {}


def test_all_that_is_wrong_is_told_at_once(desk: Desk) -> None:
    page = desk.post("/conditions", {"name": "", "description": "x" * 2049, "formula": ""})
    assert "Type a name" in problem(page, "name")
    assert "at most 2,048" in problem(page, "description")
    assert "at least one rule" in problem(page, "formula")


@pytest.mark.parametrize("formula", ["nonsense", "[1]", '"x"', '{"all": [{"any": 3}]}', "[" * 5000, '{"all": 5}'])
def test_rules_that_no_form_sends_are_refused(desk: Desk, formula: str) -> None:
    for path in ("/conditions", "/filter"):
        page = desk.post(path, {"name": "low", "formula": formula})
        assert page.status == 422
    assert "reload the page" in count(desk, formula)
    assert desk.stored().filter is None
    assert "No conditions yet" in words(desk.get())


def test_a_column_of_another_workflow_is_never_accepted(desk: Desk) -> None:
    for column in (999_999, -1, "1; drop table", None, True, 1.5):
        page = desk.post(
            "/conditions", {"name": "low", "formula": json.dumps({"all": [{"column": column, "op": "is_null"}]})}
        )
        assert page.status == 422
        assert "column" in problem(page, "formula")


def test_a_message_can_have_two_hundred_conditions(desk: Desk) -> None:
    for number in range(MAX_CONDITIONS):
        made = make_condition(desk.session, desk.action, f"c {number}", desk.rule("quiz", "is_null"))
    fields = {"name": "low", "formula": json.dumps(desk.rule("quiz", "less", "50"))}
    page = desk.post("/conditions", fields)
    assert "Delete another one first" in problem(page, "name")
    assert desk.post(f"/conditions/{made.id}/copy").status == 422
    assert desk.get().status == 200


def test_a_changed_condition_keeps_its_place_in_the_text(desk: Desk) -> None:
    low = desk.add("low", desk.rule("quiz", "less", "50"))
    desk.save("{% if low %}try harder{% else %}well done{% endif %}")
    assert (desk.mail(3), desk.mail(9)) == ("try harder", "well done")
    fields = {"name": "low", "description": "", "formula": json.dumps(desk.rule("quiz", "greater", "50"))}
    page = desk.post(f"/conditions/{low}", fields, htmx=True)
    assert page.status == 200
    assert "Saved." in page.body
    assert (desk.mail(3), desk.mail(9)) == ("well done", "try harder")


def test_after_a_new_name_the_whole_page_is_loaded_again(desk: Desk) -> None:
    low = desk.add("low", desk.rule("quiz", "less", "50"))
    desk.save("{% if low %}a{% endif %}")
    fields = {"name": "weak", "formula": json.dumps(desk.rule("quiz", "less", "50"))}
    page = desk.post(f"/conditions/{low}", fields, htmx=True)
    assert desk.path in page.headers["HX-Redirect"]
    assert desk.text() == "{% if weak %}a{% endif %}"


def test_a_copy_of_a_condition_opens(desk: Desk) -> None:
    low = desk.add("low", desk.rule("quiz", "less", "50"), description="half")
    for name in ("Copy of low", "Copy of low (2)"):
        said = desk.browser.follow(desk.post(f"/conditions/{low}/copy"))
        assert f"This is the copy: “{name}”." in words(said)
        assert shown_formula(said) == desk.rule("quiz", "less", "50")
        assert 'value="half"' in said.body


def test_the_longest_name_can_be_copied(desk: Desk) -> None:
    low = desk.add("x" * 255, desk.rule("quiz", "less", "50"))
    for _ in range(3):
        page = desk.browser.follow(desk.post(f"/conditions/{low}/copy"))
        name = re.search(r'id="f-name"[^>]*value="([^"]*)"', page.body, re.S)
        assert name
        assert len(name[1]) <= 255


def test_a_condition_in_use_is_not_deleted_and_the_place_is_named(desk: Desk) -> None:
    low = desk.add("low", desk.rule("quiz", "less", "50"))
    also = desk.add("lower", desk.rule("quiz", "less", "20"))
    desk.save(
        "<p>Dear {{ name }},</p><p>{% if lower %}<b>much</b> &amp; more"
        "{% elif not (lower or low) %}Well done{% endif %}</p>{{ low }}"
    )
    typed = {"name": "typed", "description": "typed too", "formula": json.dumps(desk.rule("quiz", "less", "7"))}
    for fields in (typed, {}):
        page = desk.post(f"/conditions/{low}/delete", fields)
        assert page.status == 422
        said = words(page)
        assert "still uses “low”: in the text before “Well done”; at the end of the text. What shall become" in said
    assert 'value="typed too"' in desk.post(f"/conditions/{low}/delete", typed).body
    assert shown_formula(desk.post(f"/conditions/{low}/delete", typed)) == desk.rule("quiz", "less", "7")
    assert "in the text before “much & more Well done”; in" in words(desk.post(f"/conditions/{also}/delete"))
    assert desk.get(f"/conditions/{low}").status == 200
    assert 'value="low"' in desk.get(f"/conditions/{low}").body


@pytest.mark.parametrize(("choice", "left"), [("keep", "<p>Dear , a</p>"), ("remove", "<p>Dear </p>")])
def test_what_depends_on_a_deleted_condition_stays_or_goes_and_comes_back(desk: Desk, choice: str, left: str) -> None:
    low = desk.add("low", desk.rule("quiz", "less", "50"))
    text = "<p>Dear {{ low }}{% if low %}, a{% endif %}</p>"
    desk.save(text)
    page = desk.browser.follow(desk.post(f"/conditions/{low}/delete", {"content": choice}))
    assert "“low” is deleted." in words(page)
    assert desk.stored().text == left
    undo = re.search(r'action="([^"]*/restore\?text=\d+)"', page.body)
    assert undo
    desk.browser.post(undo[1])
    assert desk.text() == text


def test_a_condition_is_copied_from_another_message(desk: Desk, session: Session, workflow: Workflow) -> None:
    other = make_action(session, workflow, "", "Other")
    there = make_condition(session, other, "low", desk.rule("quiz", "less", "50"))
    desk.add("low", desk.rule("quiz", "less", "20"))
    assert "low · Other" in words(desk.get("/conditions"))
    shown = desk.follow(desk.post("/conditions", {"take": "1", "take_from": there.id}))
    assert "“low (2)” is copied" in shown
    assert "quiz is less than 50" in shown
    for wrong in ("", "999999"):
        page = desk.post("/conditions", {"take": "1", "take_from": wrong})
        assert page.status == 422
        assert problem(page, "take_from") == "Choose a condition of another message."


def test_a_condition_of_another_workflow_is_not_copied(desk: Desk, session: Session, user: User) -> None:
    strange = workflows.create(session, user.id, "Chemistry")
    there = make_condition(session, make_action(session, strange, ""), "low", desk.rule("quiz", "less", "50"))
    assert desk.post("/conditions", {"take": "1", "take_from": there.id}).status == 422


def test_the_rules_of_a_view_are_used_and_left(desk: Desk, session: Session, workflow: Workflow) -> None:
    view = View(
        workflow_id=workflow.id, name="Passed", description="", columns=list(desk.columns.values()), sort=[],
        filter=desk.rule("passed", "equal", "true"), created_at=clock.now(), updated_at=clock.now(),
    )  # fmt: skip
    session.add(view)
    session.flush()
    desk.filter(desk.rule("quiz", "less", "50"))
    page = desk.post("/filter", {"use": "1", "view": view.id})
    assert page.status == 422
    assert problem(page, "view").startswith("Tick that")
    assert problem(desk.post("/filter", {"use": "1", "view": "999999"}), "view") == "Choose a view that has rules."
    assert desk.post("/filter", {"use": "1", "view": view.id, "replace": "1"}).status == 303
    assert (desk.stored().view_id, desk.stored().filter) == (view.id, view.filter)
    assert "Save and change the view" in words(desk.get("/filter"))
    desk.post("/filter", {"leave": "1"})
    assert (desk.stored().view_id, desk.stored().filter) == (None, view.filter)


def test_a_deleted_condition_is_taken_back(desk: Desk) -> None:
    low = desk.add("low", desk.rule("quiz", "less", "50"))
    page = desk.browser.follow(desk.post(f"/conditions/{low}/delete"))
    assert "“low” is deleted." in words(page)
    assert "No conditions yet" in words(page)
    assert desk.get(f"/conditions/{low}").status == 404
    assert desk.save("{% if low %}a{% endif %}")[0] == 422
    undo = re.search(r'action="([^"]*/restore)"', page.body)
    assert undo
    assert "“low” is back." in desk.follow(desk.browser.post(undo[1]))
    assert desk.save("{% if low %}a{% endif %}")[0] == 200


def test_a_condition_comes_back_under_another_name_when_its_own_is_in_use(desk: Desk) -> None:
    low = desk.add("low", desk.rule("quiz", "less", "50"))
    desk.post(f"/conditions/{low}/delete")
    desk.add("low", desk.rule("quiz", "less", "30"))
    said = desk.follow(desk.post(f"/conditions/{low}/restore"))
    assert "“low (2)” is back." in said
    assert desk.save("{% if low (2) and not low %}a{% endif %}")[0] == 200


def test_the_subject_of_an_earlier_run_keeps_no_condition_alive(desk: Desk) -> None:
    low = desk.add("low", desk.rule("quiz", "less", "50"))
    desk.action.send_defaults = {
        "subject": f"{{% if @k{low} %}}Low{{% endif %}}",
        "to_column_id": desk.columns["email"],
    }
    desk.session.flush()
    desk.save("Hello")
    assert desk.post(f"/conditions/{low}/delete").status == 303
    page = desk.get("/send")
    assert page.status == 200
    assert f"deleted condition {low}" in page.body


def test_a_condition_belongs_to_one_message(desk: Desk, workflow: Workflow) -> None:
    other = make_action(desk.session, workflow, name="Other")
    low = make_condition(desk.session, other, "low", desk.rule("quiz", "less", "50"))
    assert desk.get(f"/conditions/{low.id}").status == 404
    for part in ("", "/copy", "/delete", "/restore"):
        assert desk.post(f"/conditions/{low.id}{part}", {"name": "x"}).status == 404


def test_names_of_conditions_are_text(desk: Desk) -> None:
    name = "<script>alert(1)</script> {{ x }} & “y”"
    low = desk.add(name, desk.rule("quiz", "less", "50"), description=name)
    for page in (desk.get(), desk.get(f"/conditions/{low}"), desk.get(f"/conditions/{low}", htmx=True)):
        assert "<script>alert" not in page.body
        assert "&lt;script&gt;alert(1)&lt;/script&gt; {{ x }} &amp; “y”" in page.body
