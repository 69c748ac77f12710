"""Surveys at their links: whose row is written, what is refused, what is left when it is over."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from chalicelib.actions.surveys.models import Answer, Draft
from chalicelib.audit.models import Event
from chalicelib.tables import store
from chalicelib.workflows.models import Workflow
from tests.actions.conftest import Desk, words
from tests.actions.surveys import answers, apply, ask, cell
from tests.actions.test_serving import ADA, BO, ROWS, address, learner, switch
from tests.conftest import Browser, Clock
from tests.factories import make_action, make_table


@pytest.fixture
def desk(client: Browser, session: Session, workflow: Workflow, frozen_clock: Clock) -> Desk:
    """Ines at an empty survey of a class of three, known by their addresses."""
    columns = make_table(session, workflow, {"email": "text", "name": "text", "mark": "integer"}, ROWS)
    return Desk(client, session, make_action(session, workflow, "", "Weekly", "survey"), columns)


def link(desk: Desk, **changed: Any) -> str:
    assert switch(desk.browser, desk.action, desk.columns, **changed).status == 303
    return address(desk.browser, desk.action)


def test_a_learner_answers_in_their_own_row_whatever_the_browser_sends(
    desk: Desk, session: Session, workflow: Workflow
) -> None:
    question = ask(desk)
    desk.save("<p>Dear {{ name }}, one question.</p>")
    here = link(desk)
    bo = learner(session, workflow, BO)
    assert "Dear Bo, one question." in words(bo.get(here))
    forged = {"row": "1", "row_id": "1", "email": ADA, f"c{desk.columns['mark']}": "100"}
    page = bo.post(f"{here}?row=1", {"do": "send", f"q{question.id}": "Fine", **forged})
    assert "Thank you" in words(page)
    apply(session)
    assert [cell(desk, question, row) for row in (1, 2, 3)] == [None, "Fine", None]
    mark = f"SELECT c{desk.columns['mark']} FROM {store.table(workflow.id)} ORDER BY row_id"
    assert session.scalars(text(mark)).all() == [7, 3, 5]
    event = session.scalars(select(Event).where(Event.type == "survey_answered")).one()
    assert (event.origin, event.detail["row_id"]) == ("learner link", 2)
    assert "Fine" in bo.get(here).body


def test_somebody_without_a_row_writes_nothing(desk: Desk, session: Session, workflow: Workflow) -> None:
    question = ask(desk)
    here = link(desk)
    stranger = learner(session, workflow, "stranger@uni.example")
    page = stranger.post(here, {"do": "send", f"q{question.id}": "forged"})
    assert page.status == 403
    assert "How was it?" not in words(stranger.get(here))
    assert answers(desk) == []


def test_the_filter_decides_who_is_asked(desk: Desk, session: Session, workflow: Workflow) -> None:
    question = ask(desk)
    desk.filter(desk.rule("mark", "greater", "4"))
    here = link(desk)
    assert learner(session, workflow, BO).post(here, {"do": "send", f"q{question.id}": "forged"}).status == 403
    assert learner(session, workflow, ADA).post(here, {"do": "send", f"q{question.id}": "Fine"}).status == 200
    assert [answer.row_id for answer in answers(desk)] == [1]


def test_a_form_sent_after_the_end_has_five_minutes_then_what_was_typed_stays_in_sight(
    desk: Desk, session: Session, workflow: Workflow, frozen_clock: Clock
) -> None:
    question = ask(desk)
    here = link(desk, open_until="2026-03-02T12:30")
    ada = learner(session, workflow, ADA)
    assert ada.get(here).status == 200
    frozen_clock.advance(minutes=29)
    assert "How was it?" in words(ada.get(here))
    frozen_clock.advance(minutes=2)
    assert "Closed" in words(ada.get(here))
    assert "Thank you" in words(ada.post(here, {"do": "send", f"q{question.id}": "In time"}))
    frozen_clock.advance(minutes=5)
    page = ada.post(here, {"do": "send", f"q{question.id}": "Too late, sadly"})
    assert page.status == 403
    assert "What you had typed" in words(page)
    assert "Too late, sadly" in words(page)
    apply(session)
    assert cell(desk, question, 1) == "In time"


def test_what_is_typed_is_kept_by_the_script_and_leaves_no_line_in_the_log(
    desk: Desk, session: Session, workflow: Workflow
) -> None:
    question = ask(desk)
    here = link(desk)
    ada = learner(session, workflow, ADA)
    for typed in ("F", "Fi", "Fin"):
        assert ada.post(here, {"do": "draft", f"q{question.id}": typed}).body == '{"kept": true}'
    assert session.scalars(select(Draft)).one().typed == {f"q{question.id}": ["Fin"]}
    assert session.scalars(select(Event).where(Event.type == "action_served")).all() == []
    page = ada.get(here)
    assert 'value="Fin"' in page.body
    assert "Your answers are kept, but not sent yet." in words(page)


def test_a_refused_form_keeps_everything_typed(desk: Desk, session: Session, workflow: Workflow) -> None:
    number, free = ask(desk, "How many?", "number"), ask(desk, "And?")
    here = link(desk)
    ada = learner(session, workflow, ADA)
    page = ada.post(here, {"do": "send", f"q{number.id}": "many", f"q{free.id}": "Typed with care"})
    assert page.status == 422
    assert "Type a whole number." in words(page)
    assert "Typed with care" in page.body
    assert "Typed with care" in ada.get(here).body


def test_who_works_on_the_workflow_tries_it_without_storing_anything(desk: Desk) -> None:
    question = ask(desk)
    here = link(desk)
    assert "What you send from here is not stored." in words(desk.browser.get(here, row=2))
    page = desk.browser.post(f"{here}?row=2", {"do": "send", f"q{question.id}": "Trial"})
    assert "Thank you" in words(page)
    assert answers(desk) == []


def test_results_tell_how_many_opened_it_and_a_reminder_has_the_link(
    desk: Desk, session: Session, workflow: Workflow
) -> None:
    question = ask(desk)
    here = link(desk)
    desk.browser.get(here)
    ada = learner(session, workflow, ADA)
    ada.get(here)
    learner(session, workflow, BO).get(here)
    ada.post(here, {"do": "send", f"q{question.id}": "Fine"})
    apply(session)
    assert re.search(r"Asked\s*3\s*Opened it at its link\s*2\s*Answered\s*1", words(desk.get("/results")))
    made = desk.browser.follow(desk.post("/answers", {"do": "remind"}))
    assert '{{ "link to Weekly" }}' in unescape(made.body) or "{{ link to Weekly }}" in unescape(made.body)
    preview = re.search(r'src="([^"]+/preview[^"]*)"', made.body)
    assert preview is not None
    assert here in desk.browser.get(unescape(preview[1])).body


def test_a_to_do_list_is_ticked_at_its_link(desk: Desk, session: Session, workflow: Workflow) -> None:
    todo = Desk(desk.browser, session, make_action(session, workflow, "", "Before the lab", "todo_list"), desk.columns)
    first, second = ask(todo, "Rules", "tick", due_at="2026-03-01T12:00"), ask(todo, "Goggles", "tick")
    here = link(todo)
    ada = learner(session, workflow, ADA)
    assert "overdue" in words(ada.get(here))
    assert "Saved" in words(ada.post(here, {"do": "send", f"q{first.id}": ["", "yes"], f"q{second.id}": ""}))
    apply(session)
    assert (cell(todo, first, 1), cell(todo, second, 1)) == (True, None)
    assert "overdue" not in words(ada.get(here))
    assert session.scalars(select(Answer)).one().origin == "learner link"


def test_a_form_is_shown_and_taken_with_few_statements(
    desk: Desk, session: Session, workflow: Workflow, count_statements: Callable[[], int]
) -> None:
    questions = [ask(desk, f"Question {number}?") for number in range(8)]
    desk.save("<p>Dear {{ name }}, eight questions.</p>")
    here = link(desk)
    ada = learner(session, workflow, ADA)
    token = ada.csrf_token()
    count_statements()
    assert "Dear Ada, eight questions." in words(ada.get(here))
    assert count_statements() <= 10
    fields = {f"q{question.id}": "Fine" for question in questions}
    ada.request("POST", here, urlencode({"csrf_token": token, "do": "send", **fields}))
    assert count_statements() <= 14
    assert len(answers(desk)) == 1


def test_an_introduction_that_has_to_be_repaired_keeps_nobody_from_answering(
    desk: Desk, session: Session, workflow: Workflow
) -> None:
    key = desk.add("good", desk.rule("mark", "greater", "4"))
    desk.save("<p>Hello {{ name }}{% if good %}, well done{% endif %}</p><p>Marks: {{ mark }}</p>")
    question = ask(desk, "How was it?", condition=key)
    here = link(desk)
    ada = learner(session, workflow, ADA)
    assert "Hello Ada, well done" in words(ada.get(here))
    path = f"/workflows/{workflow.id}/columns/{desk.columns['name']}/delete"
    assert desk.browser.post(path).status == 303
    page = words(ada.get(here))
    assert "Hello" not in page
    assert "How was it?" in page
    assert "Thank you" in words(ada.post(here, {"do": "send", f"q{question.id}": "Fine"}))


def test_the_home_page_says_whether_a_form_is_answered(desk: Desk, session: Session, workflow: Workflow) -> None:
    question = ask(desk)
    here = link(desk)
    bo = learner(session, workflow, BO)
    assert "Weekly not answered yet" in words(bo.get("/home"))
    bo.post(here, {"do": "send", f"q{question.id}": "Fine"})
    assert "Weekly answered" in words(bo.get("/home"))
    assert "Weekly not answered yet" in words(learner(session, workflow, ADA).get("/home"))


def test_the_home_page_lists_what_is_open_in_a_to_do_list_by_when_it_is_due(
    desk: Desk, session: Session, workflow: Workflow
) -> None:
    todo = Desk(desk.browser, session, make_action(session, workflow, "", "Before the lab", "todo_list"), desk.columns)
    late, _, soon = (
        ask(todo, name, "tick", due_at=due)
        for name, due in [("Rules", "2026-03-01T12:00"), ("Gloves", ""), ("Goggles", "2026-03-09T12:00")]
    )
    here = link(todo)
    ada = learner(session, workflow, ADA)
    page = words(ada.get("/home"))
    assert "Before the lab 0 of 3 doneRules overdue since 1 March, 12:00Goggles due 9 March, 12:00Gloves" in page
    ada.post(here, {"do": "send", f"q{late.id}": ["", "yes"], f"q{soon.id}": ["", "yes"]})
    assert "Before the lab 2 of 3 doneGloves" in words(ada.get("/home"))
