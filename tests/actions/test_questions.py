"""The page on which a survey or to-do list is made."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib.actions.models import Action
from chalicelib.actions.surveys.models import Question
from chalicelib.audit.models import Event
from chalicelib.tables import queries as tables
from tests.actions.conftest import Desk, problem, words
from tests.actions.surveys import ask, column_of


def listed(desk: Desk) -> list[str]:
    """The questions on the page, in their order."""
    part = desk.get().body.partition('<ol class="questions"')[2].partition("</ol>")[0]
    return [unescape(found) for found in re.findall(r'hx-target="#panel" hx-swap="innerHTML">([^<]*)</a>', part)]


def test_an_empty_survey_says_what_to_do_next(survey: Desk) -> None:
    page = words(survey.get())
    assert "Ask the first question" in page
    assert "Nothing is asked yet." in page


def test_a_question_makes_an_empty_column_of_its_type(survey: Desk) -> None:
    made = {
        "text": "text", "long_text": "text", "yes_no": "boolean", "date": "datetime", "number": "integer",
    }  # fmt: skip
    for kind, type_ in made.items():
        column = column_of(survey, ask(survey, f"Question of {kind}", kind))
        assert (column.type, column.description, column.is_key) == (type_, f"Question of {kind}", False)
    assert column_of(survey, ask(survey, "Exactly?", "number", decimals="1")).type == "double"


def test_choices_become_the_values_of_the_column(survey: Desk) -> None:
    column = column_of(survey, ask(survey, "Which group?", "choice", choices="red\nblue\n\ngreen"))
    assert column.allowed_values == ["red", "blue", "green"]
    column = column_of(survey, ask(survey, "Which colour?", "choice", choices="red, blue, green"))
    assert column.allowed_values == ["red", "blue", "green"]
    column = column_of(survey, ask(survey, "How many?", "choice", choices="1-5"))
    assert (column.type, column.allowed_values) == ("integer", [1, 2, 3, 4, 5])


def test_a_scale_goes_from_one_end_to_the_other(survey: Desk) -> None:
    question = ask(survey, "How sure are you?", "scale", low="0", high="4", low_label="not at all", high_label="very")
    assert column_of(survey, question).allowed_values == [0, 1, 2, 3, 4]
    preview = survey.get("/preview", row=1)
    assert "0 = not at all" in words(preview)


def test_any_of_several_is_a_text_that_holds_several(survey: Desk) -> None:
    question = ask(survey, "What did you use?", "choices", choices="book\nvideos\nforum")
    assert column_of(survey, question).allowed_values is None
    assert question.options == {"choices": ["book", "videos", "forum"]}


@pytest.mark.parametrize(
    ("fields", "where", "message"),
    [
        ({"description": ""}, "description", "Type what learners read."),
        ({"name": "email"}, "name", "A column of the table has this name"),
        ({"kind": "choice", "choices": "red"}, "choices", "List at least 2 answers."),
        ({"kind": "choice", "choices": "red\nred"}, "choices", "there twice"),
        ({"kind": "choices", "choices": "a; b\nc"}, "choices", "semicolon"),
        ({"kind": "scale", "low": "5", "high": "1"}, "high", "The end must be above the beginning"),
        ({"kind": "number", "min": "x"}, "min", "Type a whole number."),
        ({"kind": "number", "min": "5", "max": "1"}, "max", "must not be below"),
        (
            {"active_from": "2026-05-02T10:00", "active_until": "2026-05-01T10:00"}, "active_until",
            "The end must come after the beginning.",
        ),
        ({"active_from": "tomorrow"}, "active_from", "Type a date"),
        ({"condition": "99999999"}, "condition", "deleted meanwhile"),
    ],
)  # fmt: skip
def test_a_question_that_does_not_fit_says_so_at_its_field_and_loses_nothing(
    survey: Desk, fields: dict[str, str], where: str, message: str
) -> None:
    survey.add("passed it", survey.rule("passed", "equal", "yes"))
    before = len(tables.columns(survey.session, survey.action.workflow_id))
    sent = {"do": "add", "kind": "text", "description": "How was it?", "help": "Typed with care.", **fields}
    page = survey.post("/questions", sent)
    assert page.status == 422
    at_field = problem(page, where) or unescape("".join(re.findall(rf'id="p-{where}">([^<]*)<', page.body)))
    assert message in at_field
    assert "Typed with care." in page.body
    assert len(tables.columns(survey.session, survey.action.workflow_id)) == before


def test_the_name_of_the_column_is_made_from_the_question(survey: Desk) -> None:
    assert column_of(survey, ask(survey, "Did you come on Monday?")).name == "Did you come on Monday?"
    assert column_of(survey, ask(survey, "Did you come on Monday?")).name == "Did you come on Monday? (2)"
    assert column_of(survey, ask(survey, "And on Tuesday?", name="tuesday")).name == "tuesday"


def test_columns_that_are_there_are_asked_for_several_at_once(survey: Desk) -> None:
    panel = words(survey.get("/questions", existing=1, htmx=True))
    assert "quiz" in panel
    assert "sid" not in panel  # tells learners apart
    page = survey.post("/questions", {"do": "insert", "columns": [survey.columns["passed"], survey.columns["quiz"]]})
    assert "2 columns added." in survey.follow(page)
    assert listed(survey) == ["passed", "quiz"]
    assert "quiz" not in words(survey.get("/questions", existing=1, htmx=True))


def test_a_key_or_another_workflows_column_can_t_be_asked_for(survey: Desk) -> None:
    for column_id in (survey.columns["sid"], 999_999):
        page = survey.post("/questions", {"do": "insert", "columns": [column_id]})
        assert page.status == 422
        assert "can’t be asked for" in words(page)
    assert survey.post("/questions", {"do": "insert"}).status == 422


def test_questions_move_by_buttons_and_by_dragging(survey: Desk) -> None:
    first, second, third = (ask(survey, name) for name in ("One?", "Two?", "Three?"))
    survey.post(f"/questions/{third.id}", {"do": "up"})
    assert listed(survey) == ["One?", "Three?", "Two?"]
    survey.post(f"/questions/{first.id}", {"do": "up"})
    survey.post(f"/questions/{first.id}", {"do": "down"})
    assert listed(survey) == ["Three?", "One?", "Two?"]
    survey.post("/questions", {"do": "order", "id": [second.id, 999_999, third.id]})
    assert listed(survey) == ["Two?", "Three?", "One?"]


def test_editing_a_question_changes_its_column_but_not_its_type(survey: Desk) -> None:
    question = ask(survey, "Which group?", "choice", choices="red\nblue")
    fields = {
        "do": "save", "kind": "choice", "description": "Which team?", "choices": "red\nblue\ngreen", "name": "team",
        "active_until": "2026-05-01T10:00", "is_required": "1",
    }  # fmt: skip
    page = survey.post(f"/questions/{question.id}", fields)
    assert page.status == 303, words(page)
    column = column_of(survey, question)
    survey.session.refresh(column)
    survey.session.refresh(question)
    assert (column.name, column.description, column.type) == ("team", "Which team?", "text")
    assert column.allowed_values == ["red", "blue", "green"]
    assert question.is_required
    assert survey.post(f"/questions/{question.id}", fields | {"kind": "number"}).status == 422


def test_a_copy_has_a_column_of_its_own(survey: Desk) -> None:
    question = ask(survey, "Which group?", "choice", choices="red\nblue", is_required="1")
    ask(survey, "Anything else?")
    page = survey.post(f"/questions/{question.id}", {"do": "copy"})
    twin = int(re.findall(r"/questions/(\d+)", page.location)[0])
    made = survey.session.get(Question, twin)
    assert made is not None
    assert made.column_id != question.column_id
    assert made.is_required
    assert column_of(survey, made).allowed_values == ["red", "blue"]
    assert listed(survey) == ["Which group?", "Which group?", "Anything else?"]


def test_a_removed_question_keeps_its_column_and_comes_back(survey: Desk) -> None:
    question = ask(survey, "How was it?")
    page = survey.post(f"/questions/{question.id}", {"do": "remove"})
    after = survey.browser.follow(page)
    assert "Its column and all answers stay in the table." in words(after)
    assert listed(survey) == []
    assert column_of(survey, question).deleted_at is None
    undo = unescape(re.findall(r'action="([^"]*do=restore)"', after.body)[0])
    assert survey.browser.post(undo).status == 303
    assert listed(survey) == ["How was it?"]


def test_a_question_whose_column_was_deleted_says_so_and_nobody_is_asked(survey: Desk) -> None:
    question = ask(survey, "How was it?")
    here = f"/workflows/{survey.action.workflow_id}/columns/{question.column_id}"
    assert "a question of “Weekly questions”" in words(survey.browser.get(f"{here}/delete"))
    assert survey.browser.post(f"{here}/delete").status == 303
    page = words(survey.get())
    assert "Its column was deleted, so nobody is asked." in page
    assert "Nothing is asked yet." in page
    assert "How was it?" not in words(survey.get("/preview", row=1))


def test_a_deleted_condition_lets_everybody_be_asked_and_says_so(survey: Desk) -> None:
    key = survey.add("passed it", survey.rule("passed", "equal", "yes"))
    ask(survey, "What helped?", condition=key)
    assert "What helped?" not in words(survey.get("/preview", row=1))
    assert "What helped?" in words(survey.get("/preview", row=12))
    page = survey.post(f"/conditions/{key}/delete")
    assert "1 question is asked of everybody now." in survey.follow(page)
    assert "What helped?" in words(survey.get("/preview", row=1))
    survey.post(f"/conditions/{key}/restore")
    assert "What helped?" not in words(survey.get("/preview", row=1))


def test_a_form_of_a_condition_that_is_refused_stands_on_the_survey_s_own_page(survey: Desk) -> None:
    page = survey.post("/conditions", {"name": "", "formula": json.dumps(survey.rule("passed", "equal", "yes"))})
    assert page.status == 422
    assert "Ask the first question" in words(page)


def test_the_preview_shows_the_form_but_can_t_be_sent(survey: Desk) -> None:
    survey.save("<p>Dear {{ name }}, two questions.</p>")
    ask(survey, "How was it?")
    survey.post("/questions", {"do": "insert", "columns": [survey.columns["quiz"]]})
    page = survey.get("/preview", row=3)
    assert "Dear Name 3, two questions." in words(page)
    assert "<fieldset disabled>" in page.body
    assert 'value="20"' in page.body
    assert "<form" not in page.body


def test_headings_and_pages_part_the_questions(survey: Desk) -> None:
    ask(survey, "Before the course", "section")
    ask(survey, "What do you expect?", "long_text")
    ask(survey, "About you", "page")
    ask(survey, "How old are you?", "number", min="10", max="99")
    page = words(survey.get("/preview", row=1))
    assert "Page 1 of 2" in page
    assert page.index("What do you expect?") < page.index("About you") < page.index("How old are you?")


def test_a_to_do_list_offers_items_and_yes_no_columns_only(todo: Desk) -> None:
    panel = todo.get("/questions", htmx=True).body
    assert re.findall(r'<option value="(\w+)"', panel) == ["tick", "section", "page"]
    assert "passed" in words(todo.get("/questions", existing=1, htmx=True))
    assert "quiz" not in words(todo.get("/questions", existing=1, htmx=True))
    assert column_of(todo, ask(todo, "Read the safety rules", "tick")).type == "boolean"
    page = todo.post("/questions", {"do": "add", "kind": "text", "description": "How was it?"})
    assert page.status == 422


def test_every_change_of_the_questions_is_in_the_log(survey: Desk, todo: Desk) -> None:
    question = ask(survey)
    survey.post(f"/questions/{question.id}", {"do": "once", "is_once": "1"})
    survey.post(f"/questions/{question.id}", {"do": "remove"})
    ask(todo, "Read the rules", "tick")
    events = survey.session.scalars(select(Event).where(Event.action_id.is_not(None)).order_by(Event.id)).all()
    found = [event for event in events if event.type.startswith(("question", "item"))]
    assert [event.type for event in found] == ["question_added", "question_switched", "question_removed", "item_added"]
    assert found[1].detail["is_once"] is True
    assert found[1].detail["column_id"] == question.column_id


def test_a_copied_survey_asks_the_same_under_its_own_conditions(survey: Desk) -> None:
    key = survey.add("passed it", survey.rule("passed", "equal", "yes"))
    question = ask(survey, "What helped?", condition=key, is_once="1", help="A word or two.")
    survey.post("/questions", {"do": "shuffle", "is_shuffled": "1"})
    page = survey.post("/copy")
    twin = int(page.location.split("/actions/")[1].partition("?")[0])
    made = survey.session.scalars(select(Question).where(Question.action_id == twin)).one()
    assert (made.column_id, made.is_once, made.help) == (question.column_id, True, "A word or two.")
    assert made.condition_id not in {None, key}
    copied = survey.session.get(Action, twin)
    assert copied is not None
    assert copied.is_shuffled


def test_a_text_has_no_questions(desk: Desk) -> None:
    assert desk.get("/questions").status == 404
    assert desk.post("/questions", {"do": "add", "kind": "text", "description": "x"}).status == 404


def test_a_viewer_sees_the_questions_but_no_way_to_change_them(survey: Desk, session: Session) -> None:
    from chalicelib.accounts.roles import WorkflowRole
    from chalicelib.workflows.models import Workflow
    from tests.actions.conftest import desk_of
    from tests.test_access import member

    ask(survey)
    workflow = session.get(Workflow, survey.action.workflow_id)
    assert workflow is not None
    watching = desk_of(survey, member(session, workflow, WorkflowRole.VIEWER))
    page = watching.get()
    assert "How was it?" in words(page)
    assert 'name="do"' not in page.body
