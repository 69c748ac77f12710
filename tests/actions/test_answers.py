"""Answers: entered for a learner, kept at once, put into the table by a job; who has not answered; results."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from sqlalchemy import select, text

from chalicelib.actions.models import Action
from chalicelib.audit.models import Event
from chalicelib.tables import store
from tests.actions.conftest import Desk, words
from tests.actions.surveys import answers, apply, ask, cell, enter
from tests.conftest import Clock, Outside, Page


def problem_at(page: Page, question: Any) -> str:
    found = re.search(rf'id="p-{question.id}">([^<]*)<', page.body)
    return unescape(found[1]) if found else ""


def test_an_answer_is_kept_at_once_and_in_the_table_after_its_job(survey: Desk, no_aws: Outside) -> None:
    question = ask(survey)
    page = enter(survey, 3, {question: "Fine, thanks"})
    assert "Saved." in survey.follow(page)
    assert cell(survey, question, 3) is None
    assert any(queue.endswith("jobs") for queue, _, _ in no_aws.wakeups)
    assert "Fine, thanks" in survey.get("/answers/3").body  # as one reads it back
    assert "Fine, thanks" in words(survey.get("/answers"))
    assert apply(survey.session) == 1
    assert cell(survey, question, 3) == "Fine, thanks"
    assert all(answer.applied_at for answer in answers(survey))


def test_each_kind_of_question_takes_its_kind_of_answer(survey: Desk) -> None:
    typed = {
        ask(survey, "A", "text"): ("Fine", "Fine"),
        ask(survey, "B", "long_text"): ("One\nTwo", "One\nTwo"),
        ask(survey, "C", "choice", choices="red\nblue"): ("blue", "blue"),
        ask(survey, "D", "choices", choices="red\nblue\ngreen"): (["green", "red"], "red; green"),
        ask(survey, "E", "scale"): ("4", 4),
        ask(survey, "F", "number", decimals="1", min="0", max="10"): ("7.5", 7.5),
        ask(survey, "G", "yes_no"): ("no", False),
    }
    assert enter(survey, 2, {question: value for question, (value, _) in typed.items()}).status == 303
    apply(survey.session)
    for question, (_, stored) in typed.items():
        assert cell(survey, question, 2) == stored, question.kind
    moment = ask(survey, "H", "date")
    enter(survey, 2, {moment: "2026-05-01T09:30"})
    apply(survey.session)
    assert f"{cell(survey, moment, 2):%Y-%m-%d %H:%M}" == "2026-05-01 09:30"


@pytest.mark.parametrize(
    ("kind", "fields", "typed", "message"),
    [
        ("number", {}, "many", "Type a whole number."),
        ("number", {"min": "1", "max": "5"}, "7", "Type 5 or less."),
        ("choice", {"choices": "red\nblue"}, "pink", "Choose one of the column's values."),
        ("choices", {"choices": "red\nblue"}, ["red", "pink"], "Choose from the list."),
        ("scale", {}, "9", "Choose one of the column's values."),
        ("yes_no", {}, "perhaps", "Choose yes or no."),
        ("date", {}, "tomorrow", "Type a date"),
    ],
)
def test_an_answer_that_does_not_fit_says_so_at_its_field_and_the_others_stay(
    survey: Desk, kind: str, fields: dict[str, str], typed: Any, message: str
) -> None:
    other, question = ask(survey, "How was it?"), ask(survey, "And this?", kind, **fields)
    page = enter(survey, 1, {other: "Typed with care", question: typed})
    assert page.status == 422
    assert message in problem_at(page, question)
    assert "Typed with care" in page.body
    assert answers(survey) == []


def test_the_instructor_may_leave_out_what_learners_must_answer(survey: Desk) -> None:
    ask(survey, "How was it?", is_required="1")
    other = ask(survey, "And this?")
    assert enter(survey, 1, {other: "Good"}).status == 303


def test_nothing_new_is_no_answer(survey: Desk) -> None:
    question = ask(survey)
    enter(survey, 1, {question: "Fine"})
    assert "Nothing was changed." in survey.follow(enter(survey, 1, {question: "Fine"}))
    assert len(answers(survey)) == 1


def test_what_a_condition_hides_can_t_be_written_even_by_a_forged_form(survey: Desk) -> None:
    key = survey.add("passed it", survey.rule("passed", "equal", "yes"))
    secret, plain = ask(survey, "Secret?", condition=key), ask(survey, "Plain?")
    assert "Secret?" not in words(survey.get("/answers/1"))
    assert enter(survey, 1, {secret: "forged", plain: "fine"}).status == 303
    assert enter(survey, 12, {secret: "right", plain: "fine"}).status == 303
    apply(survey.session)
    assert (cell(survey, secret, 1), cell(survey, plain, 1)) == (None, "fine")
    assert cell(survey, secret, 12) == "right"


def test_fields_that_are_no_questions_are_ignored(survey: Desk) -> None:
    question = ask(survey)
    fields = {
        f"q{question.id}": "Fine", "q999999": "x", f"c{survey.columns['quiz']}": "100", "row_id": "5",
        "row": "5", "sid": "s05",
    }  # fmt: skip
    survey.post("/answers/1", fields)
    apply(survey.session)
    table = store.table(survey.action.workflow_id)
    changed = survey.session.scalars(text(f"SELECT row_id FROM {table} WHERE c{question.column_id} IS NOT NULL")).all()
    assert changed == [1]
    quiz = survey.session.scalar(text(f"SELECT c{survey.columns['quiz']} FROM {table} WHERE row_id = 1"))
    assert quiz == 0


def test_the_last_of_several_answers_stays_and_each_event_has_what_was_before(survey: Desk) -> None:
    question = ask(survey)
    for answer in ("one", "two", "three"):
        enter(survey, 4, {question: answer})
    apply(survey.session)
    assert cell(survey, question, 4) == "three"
    events = survey.session.scalars(select(Event).where(Event.type == "survey_answered").order_by(Event.id)).all()
    pairs = [event.personal["values"][str(question.column_id)] for event in events]
    assert pairs == [[None, "one"], ["one", "two"], ["two", "three"]]
    assert {event.detail["row_id"] for event in events} == {4}
    assert {event.user_id for event in events} == {survey.session.scalar(text("SELECT min(id) FROM ontask.user"))}


def test_an_answer_can_be_taken_back(survey: Desk) -> None:
    question = ask(survey)
    enter(survey, 4, {question: "one"})
    enter(survey, 4, {question: ""})
    apply(survey.session)
    assert cell(survey, question, 4) is None


def test_formula_columns_follow_the_answers(survey: Desk) -> None:
    first, second = ask(survey, "A", "number"), ask(survey, "B", "number")
    page = survey.browser.post(
        f"/workflows/{survey.action.workflow_id}/columns/new/formula",
        {"name": "Both", "op": "sum", "sources": [first.column_id, second.column_id], "keep": "1"},
    )
    assert page.status == 303, words(page)
    enter(survey, 1, {first: "3", second: "4"})
    apply(survey.session)
    both = survey.session.scalar(text("SELECT id FROM ontask.column WHERE name = 'Both'"))
    name = store.table(survey.action.workflow_id)
    assert survey.session.scalar(text(f"SELECT c{both} FROM {name} WHERE row_id = 1")) == 7


def test_answers_of_a_learner_or_column_that_is_gone_keep_nobody_else_s_from_the_table(survey: Desk) -> None:
    kept, gone = ask(survey, "Kept?"), ask(survey, "Gone?")
    enter(survey, 1, {kept: "one", gone: "two"})
    enter(survey, 2, {kept: "three"})
    here = f"/workflows/{survey.action.workflow_id}"
    assert survey.browser.post(f"{here}/columns/{gone.column_id}/delete").status == 303
    assert survey.browser.post(f"{here}/table/rows/2/delete").status == 303
    apply(survey.session)
    assert cell(survey, kept, 1) == "one"
    events = survey.session.scalars(select(Event).where(Event.type == "survey_answered").order_by(Event.id)).all()
    assert events[0].personal["lost"] == {str(gone.column_id): "two"}
    assert events[1].personal["lost"] == {str(kept.column_id): "three"}


def test_an_answer_that_the_column_no_longer_takes_is_told_in_the_log_only(survey: Desk) -> None:
    question, other = ask(survey, "How old?", "text"), ask(survey, "And?")
    enter(survey, 1, {question: "not a number", other: "fine"})
    name = store.table(survey.action.workflow_id)
    survey.session.execute(text(f"ALTER TABLE {name} ALTER c{question.column_id} TYPE bigint USING NULL"))
    survey.session.execute(text("UPDATE ontask.column SET type = 'integer' WHERE id = :id"), {"id": question.column_id})
    survey.session.expire_all()
    apply(survey.session)
    assert (cell(survey, question, 1), cell(survey, other, 1)) == (None, "fine")


def test_a_learner_who_is_not_there_has_no_form(survey: Desk) -> None:
    question = ask(survey)
    assert survey.get("/answers/999").status == 404
    assert enter(survey, 999, {question: "x"}).status == 404
    assert answers(survey) == []


def test_without_a_question_there_is_no_table_of_answers(survey: Desk) -> None:
    page = words(survey.get("/answers"))
    assert "Nothing is asked yet" in page
    assert "Nothing is asked yet" in words(survey.get("/results"))
    assert survey.post("/answers", {"do": "remind"}).status == 422


def test_header_and_cells_come_from_one_list_with_questions_that_are_closed(survey: Desk, frozen_clock: Clock) -> None:
    ask(survey, "Open?", name="open")
    ask(survey, "Closed?", name="closed", active_until="2026-01-01T10:00")
    page = survey.get("/answers").body
    head = re.findall(r'<th scope="col"', page.partition("<thead>")[2].partition("</thead>")[0])
    for line in page.partition("<tbody>")[2].partition("</tbody>")[0].split("<tr>")[1:]:
        assert len(re.findall(r"<t[hd]", line)) == len(head) == 5


def test_the_table_of_answers_is_searched_sorted_and_turned_on_the_server(survey: Desk) -> None:
    question = ask(survey, "How was it?", name="mood")
    enter(survey, 4, {question: "Excellent"})
    enter(survey, 7, {question: "Awful"})
    apply(survey.session)
    found = words(survey.get("/answers", search="excell"))
    assert "1 learner found" in found
    assert "s04" in found
    assert "s07" not in found
    rows = re.findall(r"/answers/(\d+)", survey.get("/answers", sort=question.column_id).body)
    assert rows[:2] == ["7", "4"]
    rows = re.findall(r"/answers/(\d+)", survey.get("/answers", sort=f"-{question.column_id}").body)
    assert rows[:2] == ["4", "7"]


def test_only_who_has_not_answered_and_one_click_to_remind_them(survey: Desk) -> None:
    survey.filter(survey.rule("quiz", "less", "50"))
    question = ask(survey)
    enter(survey, 1, {question: "Fine"})
    apply(survey.session)
    page = words(survey.get("/answers", missing=1))
    assert "4 learners without an answer" in page
    assert "s01" not in page
    assert "1 of 5 learners have answered (20\xa0%)" in page
    after = survey.post("/answers", {"do": "remind"})
    made = survey.session.get(Action, int(after.location.split("/actions/")[1].partition("?")[0]))
    assert made is not None
    assert (made.kind, made.name) == ("personalised_text", "Reminder: Weekly questions")
    page = words(survey.browser.get(f"/workflows/{made.workflow_id}/actions/{made.id}"))
    assert "Sent to 4 of 12" in page
    assert "you have not answered “Weekly questions” yet" in unescape(page)


def test_who_has_open_items_is_reminded_of_a_to_do_list(todo: Desk) -> None:
    first, second = ask(todo, "Rules", "tick"), ask(todo, "Goggles", "tick")
    enter(todo, 1, {first: "yes", second: "yes"})
    enter(todo, 2, {first: "yes"})
    apply(todo.session)
    page = words(todo.get("/answers", missing=1))
    assert "11 learners with open items" in page
    assert "2 of 12 learners have ticked something" in page
    assert "1 everything" in page
    assert "1 of 2" in page
    events = todo.session.scalars(select(Event.type).where(Event.type.like("%answered"))).all()
    assert set(events) == {"todo_answered"}


def test_unticking_stores_no(todo: Desk) -> None:
    item = ask(todo, "Rules", "tick")
    enter(todo, 1, {item: "yes"})
    enter(todo, 1, {item: ""})
    enter(todo, 2, {item: ""})
    apply(todo.session)
    assert (cell(todo, item, 1), cell(todo, item, 2)) == (False, None)


def sheet(desk: Desk, fields: dict[str, str]) -> dict[str, Any]:
    """Save cells as the script does."""
    desk.browser.headers = {"accept": "application/json"}
    page = desk.post("/answers", {"do": "cells", **fields})
    desk.browser.headers = {}
    assert page.status == 200, words(page)
    return json.loads(page.body)


def seals(page: Page) -> dict[str, str]:
    return dict(re.findall(r'name="(was-r\d+q\d+)" value="([^"]*)"', page.body))


def test_a_cell_of_the_sheet_is_saved_by_itself_and_says_what_is_wrong(survey: Desk) -> None:
    question = ask(survey, "How many?", "number")
    done = sheet(survey, {f"r3q{question.id}": "5", f"was-r3q{question.id}": ""})
    assert (done["saved"], done["problems"]) == (1, {})
    assert sheet(survey, {f"r3q{question.id}": "x", f"was-r3q{question.id}": ""})["problems"] == {
        f"r3q{question.id}": "Type a whole number."
    }
    seal = done["seals"][f"r3q{question.id}"]
    assert sheet(survey, {f"r3q{question.id}": "", f"was-r3q{question.id}": seal})["saved"] == 1
    apply(survey.session)
    assert cell(survey, question, 3) is None
    assert "not in the table" in next(iter(sheet(survey, {f"r99q{question.id}": "5"})["problems"].values()))


def test_a_whole_sheet_saves_only_what_somebody_changed_and_keeps_what_is_wrong(survey: Desk) -> None:
    came, marks = ask(survey, "Came?", "yes_no"), ask(survey, "Marks", "number")
    page = survey.get("/answers", sheet=1)
    fields = seals(page)
    assert len(fields) == 24
    enter(survey, 2, {came: "no"})  # somebody else, meanwhile
    for row in range(1, 13):
        fields |= {f"r{row}q{came.id}": "", f"r{row}q{marks.id}": ""}
    after = survey.post(
        "/answers", {"do": "cells", "sheet": "1", **fields, f"r1q{came.id}": "yes", f"r1q{marks.id}": "x"}
    )
    assert after.status == 422
    assert "Type a whole number." in words(after)
    assert 'value="x"' in after.body
    apply(survey.session)
    assert [cell(survey, came, row) for row in (1, 2, 3)] == [True, False, None]


def test_the_sheet_does_not_offer_what_a_condition_hides(survey: Desk) -> None:
    key = survey.add("passed it", survey.rule("passed", "equal", "yes"))
    question = ask(survey, "What helped?", condition=key)
    page = survey.get("/answers", sheet=1)
    assert f'name="r1q{question.id}"' not in page.body
    assert f'name="r12q{question.id}"' in page.body
    assert sheet(survey, {f"r1q{question.id}": "forged"})["saved"] == 0


def test_results_say_how_many_when_and_what_with_a_table_beside_each_picture(survey: Desk) -> None:
    mood = ask(survey, "How was it?", "scale")
    used = ask(survey, "What did you use?", "choices", choices="book\nvideos")
    free = ask(survey, "Anything else?", "long_text")
    for row in range(1, 7):
        enter(survey, row, {mood: row % 3 + 1, used: ["book", "videos"][: row % 2 + 1], free: f"Remark {row}"})
    apply(survey.session)
    page = survey.get("/results")
    shown = words(page)
    assert "6 of 12 learners have answered (50\xa0%)" in shown
    assert "6 learners here" in shown
    assert re.search(r"book\s*6\s*videos\s*3", shown)
    assert "Remark 6" in shown
    assert page.body.count('<svg class="picture"') == 3
    assert page.body.count("As a table") == 3


def test_answers_are_exported_as_the_page_shows_them(survey: Desk, aws: str) -> None:
    import boto3

    from chalicelib.settings import settings

    question = ask(survey, "How was it?", name="mood")
    survey.filter(survey.rule("quiz", "less", "30"))
    enter(survey, 2, {question: "=fine"})
    page = survey.post("/answers", {"do": "export", "format": "csv"})
    assert "The file is being written" in survey.follow(page)
    job = int(page.location.split("export=")[1])
    from chalicelib.schedules import jobs

    jobs.run(job)
    shown = words(survey.get("/answers", export=job))
    assert "3 learners, ready." in shown
    assert survey.get("/answers", file=job).status == 303
    (found,) = boto3.client("s3").list_objects(Bucket=settings().bucket)["Contents"]
    body = boto3.client("s3").get_object(Bucket=settings().bucket, Key=found["Key"])["Body"].read().decode("utf-8-sig")
    assert body.splitlines() == ["sid,name,mood", "s01,Name 1,", "s02,Name 2,'=fine", "s03,Name 3,"]
