"""The form as learners fill it in: windows, first answers that stay, required ones, pages, drafts, branching, order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from chalicelib.accounts.models import User
from chalicelib.accounts.roles import Role
from chalicelib.actions.surveys import learner
from chalicelib.actions.surveys.asking import Form
from chalicelib.actions.surveys.learner import Shown
from chalicelib.actions.surveys.models import Draft, Question
from chalicelib.schedules import due
from chalicelib.schedules.models import Job
from chalicelib.web.request import Values
from chalicelib.workflows.models import Workflow
from tests.actions.conftest import Desk, words
from tests.actions.surveys import answers, apply, ask, cell, enter
from tests.conftest import Clock, make_user


@pytest.fixture
def ada(session: Session) -> User:
    """The learner of the third row."""
    return make_user(session, "ada@uni.example", Role.LEARNER)


ROW = 3


def form_of(desk: Desk, user: User, row: int = ROW) -> Form:
    workflow = desk.session.get(Workflow, desk.action.workflow_id)
    assert workflow is not None
    return Form(desk.session, workflow, desk.stored(), row, user.id, ZoneInfo("UTC"))


def look(desk: Desk, user: User) -> Shown:
    return learner.show(form_of(desk, user))


def labels(shown: Shown) -> list[str]:
    return [one.item.label for page in shown.pages for one in page]


def post(
    desk: Desk, user: User, fields: Mapping[Question, Any], do: str = "send", page: int = 0, row: int = ROW
) -> Shown:
    values = {f"q{question.id}": value if isinstance(value, list) else [value] for question, value in fields.items()}
    return learner.take(form_of(desk, user, row), Values({**values, "do": [do], "page": [str(page)]}))


def test_a_sent_form_is_thanked_for_and_read_back(survey: Desk, ada: User) -> None:
    question = ask(survey)
    assert post(survey, ada, {question: "Fine"}).sent is not None
    (one,) = look(survey, ada).page
    assert one.typed == ["Fine"]
    (answer,) = answers(survey)
    assert (answer.row_id, answer.user_id, answer.origin) == (ROW, ada.id, "learner link")
    apply(survey.session)
    assert cell(survey, question, ROW) == "Fine"


def test_answers_can_be_changed_while_the_form_is_open(survey: Desk, ada: User) -> None:
    question = ask(survey)
    post(survey, ada, {question: "Fine"})
    post(survey, ada, {question: "Not so fine"})
    apply(survey.session)
    assert cell(survey, question, ROW) == "Not so fine"


def test_a_required_question_has_to_be_answered_and_nothing_typed_is_lost(survey: Desk, ada: User) -> None:
    needed, other = ask(survey, "Needed?", is_required="1"), ask(survey, "Other?", "number")
    shown = post(survey, ada, {needed: " ", other: "many"})
    assert shown.problems == {f"q{needed.id}": "Please answer this.", f"q{other.id}": "Type a whole number."}
    assert [one.typed for one in shown.page] == [[" "], ["many"]]
    assert answers(survey) == []
    assert [one.typed for one in look(survey, ada).page] == [[" "], ["many"]]
    assert post(survey, ada, {needed: "yes", other: "3"}).sent is not None


def test_the_first_answer_stays_and_a_forged_second_one_keeps_nothing_else_back(survey: Desk, ada: User) -> None:
    once = ask(survey, "Once?", "choice", choices="red\nblue", is_once="1")
    free = ask(survey, "Free?")
    post(survey, ada, {once: "red"})  # not in the table yet, and locked already
    first, second = look(survey, ada).page
    assert (first.is_locked, second.is_locked) == (True, False)
    assert post(survey, ada, {once: "blue", free: "fine"}).sent is not None
    assert post(survey, ada, {free: "finer"}).sent is not None  # the browser sends nothing for it
    apply(survey.session)
    assert (cell(survey, once, ROW), cell(survey, free, ROW)) == ("red", "finer")
    enter(survey, ROW, {once: "blue"})
    apply(survey.session)
    assert cell(survey, once, ROW) == "blue"  # the instructor may


def test_a_tick_that_stays_can_t_be_taken_off(todo: Desk, ada: User) -> None:
    stays, free = ask(todo, "Stays", "tick", is_once="1"), ask(todo, "Free", "tick")
    post(todo, ada, {stays: "yes", free: "yes"})
    post(todo, ada, {stays: "", free: ""})
    apply(todo.session)
    assert (cell(todo, stays, ROW), cell(todo, free, ROW)) == (True, False)


def test_when_every_answer_stays_no_answers_are_needed(survey: Desk, ada: User) -> None:
    question = ask(survey, is_once="1")
    assert not look(survey, ada).is_over
    post(survey, ada, {question: "Fine"})
    assert look(survey, ada).is_over


def test_a_question_outside_its_window_is_not_there(survey: Desk, ada: User, frozen_clock: Clock) -> None:
    ask(survey, "Later?", active_from="2026-03-02T13:00")
    ask(survey, "Now?", active_from="2026-03-02T11:00", active_until="2026-03-02T12:30")
    assert labels(look(survey, ada)) == ["Now?"]
    frozen_clock.advance(minutes=30)
    assert look(survey, ada).is_over
    frozen_clock.advance(minutes=30)
    assert labels(look(survey, ada)) == ["Later?"]


def test_a_form_sent_after_the_end_has_five_minutes_and_then_shows_what_was_typed(
    survey: Desk, ada: User, frozen_clock: Clock
) -> None:
    brief = ask(survey, "Brief?", active_until="2026-03-02T12:30")
    long = ask(survey, "Long?")
    frozen_clock.advance(minutes=34, seconds=59)
    shown = post(survey, ada, {brief: "in time", long: "a"})
    assert shown.sent is not None
    assert shown.sent.late == []
    frozen_clock.advance(seconds=2)
    shown = post(survey, ada, {brief: "too late", long: "b"})
    assert shown.sent is not None
    assert shown.sent.late == [("Brief?", "too late")]
    apply(survey.session)
    assert (cell(survey, brief, ROW), cell(survey, long, ROW)) == ("in time", "b")


def test_a_question_that_has_not_begun_can_t_be_answered_by_a_forged_form(
    survey: Desk, ada: User, frozen_clock: Clock
) -> None:
    later = ask(survey, "Later?", active_from="2026-03-02T13:00")
    post(survey, ada, {later: "forged"})
    assert answers(survey) == []


def test_a_hidden_question_can_t_be_answered_by_a_forged_form(survey: Desk, ada: User) -> None:
    key = survey.add("passed it", survey.rule("passed", "equal", "yes"))
    hidden = ask(survey, "Hidden?", condition=key)
    shown = post(survey, ada, {hidden: "forged"})
    assert shown.sent is not None
    assert shown.sent.late == []  # nor is anything told about it
    assert answers(survey) == []


def test_an_answer_decides_which_questions_follow(survey: Desk, ada: User) -> None:
    came = ask(survey, "Did you come?", "yes_no")
    key = survey.add("came", {"all": [{"column": came.column_id, "op": "equal", "value": "true"}]})
    liked = ask(survey, "Did you like it?", condition=key)
    assert labels(look(survey, ada)) == ["Did you come?"]
    post(survey, ada, {came: "yes"}, do="draft")
    assert labels(look(survey, ada)) == ["Did you come?", "Did you like it?"]
    post(survey, ada, {came: "yes", liked: "very"})
    apply(survey.session)
    assert (cell(survey, came, ROW), cell(survey, liked, ROW)) == (True, "very")
    post(survey, ada, {came: "no", liked: "forged"})
    apply(survey.session)
    assert (cell(survey, came, ROW), cell(survey, liked, ROW)) == (False, "very")


def test_a_condition_that_can_t_be_used_hides_its_question(survey: Desk, ada: User) -> None:
    key = survey.add("passed it", survey.rule("passed", "not_equal", "yes"))
    ask(survey, "What was hard?", condition=key)
    assert labels(look(survey, ada)) == ["What was hard?"]
    here = f"/workflows/{survey.action.workflow_id}/columns/{survey.columns['passed']}/delete"
    assert survey.browser.post(here).status == 303
    assert labels(look(survey, ada)) == []


def test_pages_are_turned_with_what_was_typed_and_checked_on_the_way(survey: Desk, ada: User) -> None:
    first = ask(survey, "First?", is_required="1")
    ask(survey, "Page two", "page")
    second = ask(survey, "Second?")
    assert post(survey, ada, {first: ""}, do="next").problems == {f"q{first.id}": "Please answer this."}
    shown = post(survey, ada, {first: "one"}, do="next")
    assert (shown.number, shown.is_last, shown.problems) == (1, True, {})
    back = post(survey, ada, {second: "two"}, do="back", page=1)
    assert (back.number, back.page[0].typed) == (0, ["one"])
    assert post(survey, ada, {second: "two"}, page=1).sent is not None
    apply(survey.session)
    assert (cell(survey, first, ROW), cell(survey, second, ROW)) == ("one", "two")


def test_sending_from_the_last_page_leads_back_to_what_is_wrong(survey: Desk, ada: User) -> None:
    first = ask(survey, "First?", "number")
    ask(survey, "Page two", "page")
    second = ask(survey, "Second?")
    post(survey, ada, {first: "many"}, do="draft")
    shown = post(survey, ada, {second: "two"}, page=1)
    assert (shown.number, shown.problems) == (0, {f"q{first.id}": "Type a whole number."})


def test_an_unfinished_form_is_kept_for_its_person_and_forgotten_when_it_is_sent(survey: Desk, ada: User) -> None:
    question = ask(survey)
    post(survey, ada, {question: "Not finis"}, do="draft")
    assert answers(survey) == []
    shown = look(survey, ada)
    assert shown.page[0].typed == ["Not finis"]
    assert shown.kept_at is not None
    other = make_user(survey.session, "carl@uni.example", Role.LEARNER)
    assert look(survey, other).page[0].typed == []
    post(survey, ada, {question: "Finished"})
    assert survey.session.scalar(select(func.count()).select_from(Draft)) == 0


def test_the_order_is_random_for_each_person_and_always_the_same(survey: Desk, ada: User) -> None:
    names = [f"Question {number}?" for number in range(1, 9)]
    for name in names[:4]:
        ask(survey, name)
    ask(survey, "The rest", "section")
    for name in names[4:]:
        ask(survey, name)
    assert labels(look(survey, ada)) == [*names[:4], "The rest", *names[4:]]
    survey.post("/questions", {"do": "shuffle", "is_shuffled": "1"})
    people = [make_user(survey.session, f"p{number}@uni.example", Role.LEARNER) for number in range(8)]
    orders = [labels(look(survey, person)) for person in people]
    assert len({tuple(order) for order in orders}) > 4
    assert [labels(look(survey, person)) for person in people] == orders
    for order in orders:
        assert order[4] == "The rest"
        assert set(order[:4]) == set(names[:4])


def test_a_page_of_headings_only_is_no_form(survey: Desk, ada: User) -> None:
    ask(survey, "Nothing follows", "section")
    ask(survey, "Neither here", "page")
    assert look(survey, ada).pages == []
    assert look(survey, ada).is_over


def test_the_daily_round_asks_for_answers_that_still_wait_and_forgets_old_drafts(
    survey: Desk, ada: User, frozen_clock: Clock
) -> None:
    question = ask(survey)
    post(survey, ada, {question: "Begun"}, do="draft")
    enter(survey, 1, {question: "Fine"})
    survey.session.execute(delete(Job).where(Job.kind == "apply_answers"))  # lost
    frozen_clock.advance(hours=2)
    due.tidy()
    apply(survey.session)
    assert cell(survey, question, 1) == "Fine"
    assert look(survey, ada).page[0].typed == ["Begun"]
    frozen_clock.advance(days=181)
    due.tidy()
    assert look(survey, ada).page[0].typed == []


def test_the_instructor_tries_the_form_and_nothing_is_stored(survey: Desk) -> None:
    survey.save("<p>Dear {{ name }}, two questions.</p>")
    first = ask(survey, "First?", is_required="1")
    ask(survey, "Page two", "page")
    second = ask(survey, "Second?", "scale", low_label="bad", high_label="good")
    page = survey.get("/form", row=ROW)
    assert "Dear Name 3, two questions." in words(page)
    assert "Page 1 of 2" in words(page)
    page = survey.post("/form?row=3", {"do": "next", "page": "0", f"q{first.id}": ""})
    assert page.status == 422
    assert "Please answer this." in words(page)
    page = survey.post("/form?row=3", {"do": "next", "page": "0", f"q{first.id}": "one"})
    assert "5 = good" in words(page)
    assert survey.post("/form?row=3", {"do": "draft", "page": "1", f"q{second.id}": "4"}).body == '{"kept": true}'
    page = survey.get("/form", row=ROW)
    assert "Your answers are kept, but not sent yet." in words(page)
    page = survey.post("/form?row=3", {"do": "send", "page": "1", f"q{second.id}": "4"})
    assert "Thank you" in words(page)
    assert answers(survey) == []
    assert "Page 1 of 2" in words(survey.get("/form", row=ROW))


def test_a_form_without_questions_says_that_no_answers_are_needed(survey: Desk) -> None:
    assert "No answers are needed at this time." in words(survey.get("/form"))


def test_what_came_too_late_is_shown_as_it_was_typed(survey: Desk, frozen_clock: Clock) -> None:
    brief = ask(survey, "Brief?", active_until="2026-03-02T12:30")
    frozen_clock.advance(minutes=36)
    page = words(survey.post("/form?row=3", {"do": "send", f"q{brief.id}": "too late"}))
    assert "These came too late and were not taken." in page
    assert "Brief?too late" in page.replace(" ", "").replace("toolate", "too late")
