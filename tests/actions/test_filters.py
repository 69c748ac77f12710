"""Who gets a message: the filter and its form, live counts, and what happens when a column goes away."""

from __future__ import annotations

import json
import re

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.accounts.roles import WorkflowRole
from chalicelib.workflows.models import Workflow
from tests.actions.conftest import Desk, desk_of, problem, words
from tests.actions.rules import count, lost, retyped, rule_problems, shown_formula
from tests.test_access import member


def test_a_filter_says_who_gets_the_message(desk: Desk) -> None:
    assert "Sent to 12 of 12: everybody in the table" in words(desk.get())
    said = desk.follow(desk.filter(desk.rule("quiz", "less", "50")))
    assert "Saved." in said
    assert "Sent to 5 of 12: quiz is less than 50" in said
    assert shown_formula(desk.get("/filter")) == desk.rule("quiz", "less", "50")
    said = desk.follow(desk.filter(None))
    assert "Sent to 12 of 12" in said
    assert desk.stored().filter is None


def test_a_bad_filter_is_refused_and_stays_in_the_form(desk: Desk) -> None:
    desk.filter(desk.rule("quiz", "less", "50"))
    for htmx in (True, False):
        bad = desk.rule("quiz", "less", "many")
        page = desk.post("/filter", {"formula": json.dumps(bad), "row": "3"}, htmx=htmx)
        assert page.status == 422
        assert "type a whole number" in problem(page, "formula")
        assert shown_formula(page) == bad
        assert 'name="row" value="3"' in page.body
    assert desk.stored().filter == desk.rule("quiz", "less", "50")


def test_conditions_are_counted_among_those_who_get_the_message(desk: Desk) -> None:
    desk.add("low", desk.rule("quiz", "less", "50"))
    desk.add("top", desk.rule("quiz", "equal", "100"))
    desk.filter(desk.rule("passed", "equal", "true"))
    said = words(desk.get())
    assert "quiz is less than 50 0 nobody" in said
    assert "quiz is 100 1" in said
    assert "None of the conditions holds for 5 of 6 learners" in said


# -- counts while the rules are changed


def test_the_count_says_how_many_in_words_and_who(desk: Desk) -> None:
    said = count(desk, desk.rule("quiz", "less", "30"))
    assert "3 of 12 learners: quiz is less than 30" in said
    assert "These learners Name 1 s01Name 2 s02Name 3 s03" in said
    assert "stored" not in said
    assert "No conditions yet" in words(desk.get()), "nothing is stored"


def test_the_count_shows_the_first_ten(desk: Desk) -> None:
    said = count(desk, desk.rule("email", "contains", "@"))
    assert "12 of 12 learners" in said
    assert "The first ten of them" in said
    assert "Name 10 s10" in said
    assert "s11" not in said


def test_a_condition_is_counted_inside_the_filter(desk: Desk) -> None:
    desk.filter(desk.rule("passed", "equal", "true"))
    said = count(desk, desk.rule("quiz", "less", "80"))
    assert "2 of 6 learners who get this message: quiz is less than 80" in said
    assert "These learners Name 7 s07Name 8 s08 " in said
    said = count(desk, desk.rule("quiz", "less", "80"), "filter")
    assert "8 of 12 learners: quiz is less than 80" in said


def test_rules_that_are_not_finished_say_what_is_missing(desk: Desk) -> None:
    assert "needs a value" in count(desk, desk.rule("quiz", "less"))
    assert "type a whole number" in count(desk, desk.rule("quiz", "less", "x"))
    assert "12 of 12 learners: everybody" in count(desk, None, "filter")
    assert "Add a rule to say when the condition holds" in count(desk, None)


def test_values_in_rules_and_lists_are_text(desk: Desk) -> None:
    table, name = f"learners.w{desk.action.workflow_id}", f"c{desk.columns['name']}"
    desk.session.execute(text(f"UPDATE {table} SET {name} = '<b>{{{{ x }}}}</b>' WHERE row_id = 1"))
    formula = desk.rule("name", "equal", "<b>{{ x }}</b>")
    page = desk.post("/count", {"what": "condition", "formula": json.dumps(formula)}, htmx=True)
    assert "1 of 12 learners" in words(page)
    assert page.body.count("&lt;b&gt;{{ x }}&lt;/b&gt;") == 2


# -- columns that are gone or are of another type now


@pytest.mark.parametrize("how", ["lost", "retyped"])
def test_a_condition_that_cannot_be_run_is_shown_as_such(desk: Desk, how: str) -> None:
    low = desk.add("low", desk.rule("quiz", "less", "50"))
    desk.add("passed it", desk.rule("passed", "equal", "true"))
    desk.save("<p>{{ name }}{% if low %} is low{% endif %}{% if passed it %} passed{% endif %}</p>")
    if how == "lost":
        lost(desk, "quiz")
    else:
        retyped(desk, "quiz", "text")
    assert list(rule_problems(desk.get(f"/conditions/{low}"))) == ["rule 1"], "the form says which rule it is"
    page = desk.get(row=9)
    assert page.status == 200
    said = words(page)
    assert "can’t be used" in said
    assert ("its column was deleted" if how == "lost" else "“quiz” can't be compared like this") in said
    assert "true 6" in said or "yes 6" in said, "the other condition is still counted"
    assert "Sent to 12 of 12" in said
    assert "The condition “low” can’t be used any more." in desk.mail(9)
    assert "“low” can’t be used any more" in desk.follow(desk.post("/test", {"row": "9"}))
    assert desk.get("/learner", row=9, htmx=True).status == 200
    assert desk.get(none=1).status == 200
    assert desk.get("/learners", find="Name", htmx=True).status == 200
    assert desk.get(f"/conditions/{low}").status == 200
    assert desk.post(f"/conditions/{low}/copy").status == 303
    repaired = {"name": "low", "formula": json.dumps(desk.rule("passed", "equal", "false"))}
    assert desk.post(f"/conditions/{low}", repaired).status == 303
    assert desk.mail(9) == "<p>Name 9 passed</p>"
    assert desk.mail(1) == "<p>Name 1 is low</p>"


@pytest.mark.parametrize("how", ["lost", "retyped"])
def test_a_filter_that_cannot_be_run_is_shown_and_can_be_repaired(desk: Desk, workflow: Workflow, how: str) -> None:
    desk.add("passed it", desk.rule("passed", "equal", "true"))
    desk.filter(desk.rule("quiz", "less", "50"))
    desk.save("<p>{{ name }}</p>")
    if how == "lost":
        lost(desk, "quiz")
    else:
        retyped(desk, "quiz", "text")
    page = desk.get(row=3)
    assert page.status == 200
    assert "can’t be used any more" in words(page)
    assert "It can’t be sent until you repair them" in words(page)
    assert list(rule_problems(desk.get("/filter"))) == ["rule 1"]
    assert desk.get("/learner", htmx=True).status == 200
    assert desk.get("/learners", find="Name", htmx=True).status == 200
    assert desk.get("/preview", row=3).status == 404
    assert desk.post("/test", {"row": "3"}).status == 303
    assert "have to be repaired" in words(desk.browser.get(f"/workflows/{workflow.id}/actions"))
    assert "6 of 12 learners: passed is yes" in count(desk, desk.rule("passed", "equal", "true"), "filter")
    assert "6 of 12 learners" in count(desk, desk.rule("passed", "equal", "true"))
    assert "Sent to 6 of 12: passed is yes" in desk.follow(desk.filter(desk.rule("passed", "equal", "true")))


# -- who may


def test_a_viewer_sees_conditions_and_has_no_forms(desk: Desk, session: Session, workflow: Workflow) -> None:
    low = desk.add("low", desk.rule("quiz", "less", "50"))
    viewer = desk_of(desk, member(session, workflow, WorkflowRole.VIEWER))
    page = viewer.get()
    assert "quiz is less than 50" in words(page)
    assert 'href="' in page.body
    assert not re.findall(r'(?:href|action|hx-get|hx-post)="[^"]*/(?:conditions|filter|test)', page.body)
    for part in ("/conditions", f"/conditions/{low}", "/filter"):
        assert viewer.get(part).status == 403
        assert viewer.post(part, {"name": "x"}).status == 403
    assert viewer.post(f"/conditions/{low}/delete").status == 403
