"""Rubric feedback: criteria, levels, what they say to whom, and who has none of the levels."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions.models import Action
from chalicelib.actions.rubrics import levels as rubric_levels
from chalicelib.actions.rubrics.models import Criterion, RubricCell
from chalicelib.tables import store
from chalicelib.tables.models import Column
from chalicelib.workflows.models import Member, Workflow
from tests.actions.conftest import Desk, desk_of, problem, words
from tests.conftest import Browser, Page, make_user
from tests.factories import make_action, make_condition, make_table

LEVELS = ["good", "fair", "weak"]
KINDS = {"sid": "text", "email": "text", "name": "text", "Structure": "text", "Sources": "text", "points": "integer"}
LEARNERS = [
    ["s1", "s1@uni.example", "Ada", "good", "weak", 0],
    ["s2", "s2@uni.example", "Bo", "fair", None, 1],
    ["s3", "s3@uni.example", "Cy", "great", "weak", 7],
]


@pytest.fixture
def columns(session: Session, workflow: Workflow) -> dict[str, int]:
    ids = make_table(session, workflow, KINDS, LEARNERS)
    for name, allowed in (("Structure", LEVELS), ("Sources", LEVELS), ("points", [0, 1, 2])):
        session.get_one(Column, ids[name]).allowed_values = list(allowed)
    session.flush()
    return ids


@pytest.fixture
def desk(client: Browser, session: Session, workflow: Workflow, columns: dict[str, int]) -> Desk:
    action = make_action(session, workflow, "<p>Hello</p><p>{% rubric %}</p>", "Essay", "rubric_text")
    return Desk(client, session, action, columns)


def insert(desk: Desk, *names: str) -> list[int]:
    """Make criteria of columns; return all criteria in their order."""
    page = desk.post("/rubric", {"do": "insert", "columns": [desk.columns[name] for name in names]})
    assert page.status == 303, words(page)
    return ids(desk)


def ids(desk: Desk) -> list[int]:
    found = sa.select(Criterion.id).where(Criterion.deleted_at.is_(None)).order_by(Criterion.position)
    return list(desk.session.scalars(found))


def write(desk: Desk, criterion: int, level: str, feedback: str, description: str = "", **fields: Any) -> Page:
    values = {"do": "cell", "level": level, "feedback": feedback, "description": description, **fields}
    return desk.post(f"/rubric/{criterion}", values)


def cell(desk: Desk, criterion: int, level: str) -> RubricCell:
    found = sa.select(RubricCell).where(RubricCell.criterion_id == criterion, RubricCell.level == level)
    return desk.session.scalars(found.execution_options(populate_existing=True)).one()


def levels(desk: Desk, name: str) -> list[Any] | None:
    column = desk.session.get_one(Column, desk.columns[name])
    desk.session.refresh(column)
    return column.allowed_values


def table(desk: Desk, name: str) -> list[Any]:
    query = f"SELECT c{desk.columns[name]} FROM {store.table(desk.action.workflow_id)} ORDER BY row_id"
    return list(desk.session.scalars(sa.text(query)))


def seen(page: Page) -> str:
    found = re.search(r'name="seen" value="([^"]+)"', page.body)
    assert found
    return found[1]


def change_levels(desk: Desk, *names: str, **fields: Any) -> Page:
    seal = seen(desk.get("/rubric", open="levels", htmx=True))
    typed = {f"level-{at}": name for at, name in enumerate(names)}
    return desk.post("/rubric", {"do": "levels", "seen": seal, **typed, **fields})


def test_each_learner_reads_what_belongs_to_their_levels(desk: Desk) -> None:
    structure, sources = insert(desk, "Structure", "Sources")
    assert write(desk, structure, "good", "<p>Well built, {{ name }}.</p>", "<p>A clear thread</p>").status == 303
    assert write(desk, sources, "weak", "<p>Cite more.</p>").status == 303
    assert desk.mail(1) == (
        "<p>Hello</p><ul><li><strong>Structure:</strong> Well built, Ada.</li>"
        "<li><strong>Sources:</strong> Cite more.</li></ul>"
    )
    assert desk.mail(2) == "<p>Hello</p>"


def test_zero_is_a_level_and_the_order_of_criteria_is_that_of_the_list(desk: Desk) -> None:
    (points,) = insert(desk, "points")
    write(desk, points, "0", "<p>Nothing handed in.</p>")
    assert "Nothing handed in." in desk.mail(1)
    assert "Nothing handed in." not in desk.mail(2)


def test_feedback_may_depend_on_conditions(desk: Desk) -> None:
    (structure,) = insert(desk, "Structure")
    condition = make_condition(desk.session, desk.action, "late", desk.rule("points", "equal", "0"))
    write(desk, structure, "good", "{% if late %}<p>Good, but late.</p>{% endif %}")
    assert f"@k{condition.id}" in cell(desk, structure, "good").feedback
    assert "Good, but late." in desk.mail(1)
    assert "not in the text" not in words(desk.get())


def test_a_criterion_that_does_not_fit_is_refused_with_the_reason(desk: Desk) -> None:
    insert(desk, "Structure")
    page = desk.post("/rubric", {"do": "insert", "columns": [desk.columns["points"]]})
    assert page.status == 422
    assert "It has other levels than “Structure”: 0, 1, 2." in words(page)
    page = desk.post("/rubric", {"do": "insert", "columns": [desk.columns["Structure"]]})
    assert "is a criterion already" in words(page)
    page = desk.post("/rubric", {"do": "insert", "columns": [desk.columns["name"]]})
    assert "so it has no levels" in words(page)
    assert "Tick at least one column." in words(desk.post("/rubric", {"do": "insert"}))
    shown = words(desk.get("/rubric", open="insert", htmx=True))
    assert "Sources good, fair, weak" in shown
    assert "name" not in shown.replace("names", "")


def test_a_new_criterion_is_a_column_with_the_levels_of_the_others(desk: Desk) -> None:
    page = desk.post("/rubric", {"do": "create", "name": "Style", "levels": "", "type": "text"})
    assert page.status == 422
    assert "List the levels" in problem(page, "levels")
    page = desk.post("/rubric", {"do": "create", "name": "Style", "levels": "3, 2, 3", "type": "integer"})
    assert "there twice" in problem(page, "levels")
    assert 'value="Style"' in page.body
    page = desk.post("/rubric", {"do": "create", "name": "name", "levels": "a, b", "type": "text"})
    assert problem(page, "name")
    assert desk.post("/rubric", {"do": "create", "name": "Style", "levels": "a, b", "type": "text"}).status == 303
    assert desk.post("/rubric", {"do": "create", "name": "Tone", "levels": "x", "type": "integer"}).status == 303
    made = {column.name: column for column in desk.session.scalars(sa.select(Column))}
    assert made["Style"].allowed_values == made["Tone"].allowed_values == ["a", "b"]
    assert made["Tone"].type == "text"


def test_a_cell_that_cannot_be_used_is_refused_and_keeps_what_was_typed(desk: Desk) -> None:
    (structure,) = insert(desk, "Structure")
    page = write(desk, structure, "good", "<p>{{ nme }}</p>", "<p>meant</p>")
    assert page.status == 422
    assert "Did you mean “name”?" in words(page)
    assert "&lt;p&gt;{{ nme }}&lt;/p&gt;" in page.body
    assert "meant" in page.body
    assert write(desk, structure, "excellent", "x").status == 404
    long = write(desk, structure, "good", "x" * 20_001)
    assert "at most 20,000 characters" in words(long)


def test_feedback_is_cleaned_and_what_went_is_told(desk: Desk) -> None:
    (structure,) = insert(desk, "Structure")
    page = write(desk, structure, "good", "<p onclick='x()'>Fine</p>", "<script>x</script><p>d</p>")
    assert "Taken out, because mails can’t have it: script, onclick." in desk.follow(page)
    stored = cell(desk, structure, "good")
    assert (stored.description, stored.feedback) == ("<p>d</p>", "<p>Fine</p>")


def test_a_cell_that_somebody_else_changed_is_not_overwritten_unseen(desk: Desk, session: Session) -> None:
    (structure,) = insert(desk, "Structure")
    seal = seen(desk.get(f"/rubric/{structure}", level="good", htmx=True))
    olaf = make_user(session, "olaf@uni.example")
    member = Member(
        workflow_id=desk.action.workflow_id, user_id=olaf.id, role=WorkflowRole.EDITOR, created_at=clock.now()
    )
    session.add(member)
    session.flush()
    assert write(desk_of(desk, olaf), structure, "good", "<p>Theirs</p>").status == 303
    page = write(desk, structure, "good", "<p>Mine</p>", seen=seal)
    assert page.status == 409
    assert "Olaf" in words(page)
    assert "&lt;p&gt;Mine&lt;/p&gt;" in page.body
    assert write(desk, structure, "good", "<p>Mine</p>", seen=seen(page)).status == 303
    assert write(desk, structure, "fair", "<p>Other cell</p>", seen=seal).status == 303


def test_a_removed_criterion_comes_back_with_its_feedback(desk: Desk) -> None:
    structure, sources = insert(desk, "Structure", "Sources")
    write(desk, structure, "good", "<p>Well built.</p>")
    page = desk.post(f"/rubric/{structure}", {"do": "remove"})
    assert ids(desk) == [sources]
    assert "Well built." not in desk.mail(1)
    shown = desk.browser.follow(page)
    undo = re.search(r'action="[^"]*(/workflows[^"]*do=restore[^"]*)"', shown.body)
    assert undo
    assert desk.browser.post(undo[1].replace("&amp;", "&"), {}).status == 303
    assert "Well built." in desk.mail(1)


def test_criteria_are_put_in_another_order(desk: Desk) -> None:
    structure, sources = insert(desk, "Structure", "Sources")
    desk.post(f"/rubric/{sources}", {"do": "up"})
    assert ids(desk) == [sources, structure]
    desk.post(f"/rubric/{sources}", {"do": "up"})
    assert ids(desk) == [sources, structure]


def test_levels_are_renamed_everywhere_also_when_two_swap_names(desk: Desk) -> None:
    structure, _ = insert(desk, "Structure", "Sources")
    write(desk, structure, "good", "<p>G</p>")
    write(desk, structure, "weak", "<p>W</p>")
    page = change_levels(desk, "weak", "fair", "good")
    assert page.status == 303, words(page)
    assert levels(desk, "Structure") == levels(desk, "Sources") == ["weak", "fair", "good"]
    assert table(desk, "Structure") == ["weak", "fair", "great"]
    assert table(desk, "Sources") == ["good", None, "good"]
    assert cell(desk, structure, "weak").feedback == "<p>G</p>"
    assert cell(desk, structure, "good").feedback == "<p>W</p>"


def test_a_level_goes_only_after_a_look_at_who_loses_it_and_comes_back(desk: Desk) -> None:
    _, sources = insert(desk, "Structure", "Sources")
    write(desk, sources, "weak", "<p>W</p>")
    page = change_levels(desk, "very good", "fair", "", added="lost, found")
    assert page.status == 422
    assert "2 values “weak” in “Sources” are taken out" in words(page)
    assert table(desk, "Sources") == ["weak", None, "weak"]
    page = change_levels(desk, "very good", "fair", "", added="lost, found", sure="1")
    assert page.status == 303
    assert levels(desk, "Sources") == ["very good", "fair", "lost", "found"]
    assert table(desk, "Sources") == [None, None, None]
    assert table(desk, "Structure") == ["very good", "fair", "great"]
    undo = re.search(r'action="[^"]*(/workflows[^"]*do=levels-back[^"]*)"', desk.browser.follow(page).body)
    assert undo
    back = desk.browser.post(undo[1].replace("&amp;", "&"), {})
    assert "what they were before" in desk.follow(back)
    assert levels(desk, "Sources") == LEVELS
    assert table(desk, "Sources") == ["weak", None, "weak"]
    assert table(desk, "Structure") == ["good", "fair", "great"]
    assert "W" in desk.mail(1)
    assert desk.browser.post(undo[1].replace("&amp;", "&"), {}).status == 404


def test_levels_change_their_places_and_go_back(desk: Desk) -> None:
    structure, _ = insert(desk, "Structure", "Sources")
    write(desk, structure, "good", "<p>Well built, {{ name }}.</p>")
    page = change_levels(desk, "good", "fair", "awful", **{"place-2": "1", "added": "top"})
    assert page.status == 303, words(page)
    assert levels(desk, "Structure") == levels(desk, "Sources") == ["awful", "good", "fair", "top"]
    shown = desk.browser.follow(page).body
    assert re.findall(r'<th scope="col">([^<]+)</th>', shown)[1:] == ["awful", "good", "fair", "top"]
    assert 'Well built, <span class="chip">name</span>.' in shown
    assert "Well built, Ada." in desk.mail(1)
    undo = re.search(r'action="[^"]*(/workflows[^"]*do=levels-back[^"]*)"', shown)
    assert undo
    desk.browser.post(undo[1].replace("&amp;", "&"), {})
    assert levels(desk, "Structure") == LEVELS


@pytest.mark.parametrize(
    ("places", "order"),
    [
        ((1, 2, 3), [0, 1, 2]), ((3, 2, 3), [1, 2, 0]), ((1, 1, 3), [1, 0, 2]), ((3, 2, 1), [2, 1, 0]),
        ((None, 9, 0), [2, 0, 1]),
    ],
)  # fmt: skip
def test_who_is_moved_gets_the_place_that_was_asked_for(places: tuple[int | None, ...], order: list[int]) -> None:
    assert rubric_levels.ordered(places) == order


def test_levels_with_a_mistake_change_nothing(desk: Desk) -> None:
    insert(desk, "Structure")
    assert "there twice" in problem(change_levels(desk, "good", "good", "weak"), "level-0")
    assert "at least one level" in problem(change_levels(desk, "", "", ""), "level-0")
    assert "there twice" in words(change_levels(desk, *LEVELS, added="weak"))
    stale = desk.post("/rubric", {"do": "levels", "seen": "levels:old", "level-0": "a", "level-1": "b", "level-2": "c"})
    assert "Look at them again" in words(stale)
    assert levels(desk, "Structure") == LEVELS


def test_the_condition_that_speaks_of_an_old_name_is_told(desk: Desk) -> None:
    insert(desk, "Structure")
    make_condition(desk.session, desk.action, "top", desk.rule("Structure", "equal", "good"))
    page = change_levels(desk, "excellent", "fair", "weak")
    assert "The old name may stand in the condition “top” of “Essay”" in words(page)


@pytest.mark.parametrize("allowed", ["good\nfair", ""])
def test_the_values_of_a_criterion_are_not_changed_behind_the_rubric(desk: Desk, allowed: str) -> None:
    insert(desk, "Structure")
    here = f"/workflows/{desk.action.workflow_id}/columns/{desk.columns['Structure']}"
    form = desk.browser.get(here)
    fields = {
        "name": "Structure", "description": "", "position": "4", "allowed": allowed, "in_charts": "1",
        "seal": "", "seen": re.findall(r'name="(?:seen|seal)" value="([^"]*)"', form.body)[0],
    }  # fmt: skip
    page = desk.browser.post(here, fields)
    assert page.status == 422
    assert "It is a criterion of “Essay”" in words(page)
    page = desk.browser.get(here + "/delete")
    assert "It is a criterion of “Essay”" in words(page)
    assert desk.browser.post(here + "/delete", {}).status != 303
    assert levels(desk, "Structure") == LEVELS


def test_criteria_with_other_levels_are_marked_and_the_page_opens(desk: Desk) -> None:
    structure, _ = insert(desk, "Structure", "Sources")
    desk.session.get_one(Column, desk.columns["Sources"]).allowed_values = ["good", "bad"]
    desk.session.flush()
    write(desk, structure, "good", "<p>Fine.</p>")
    page = desk.get()
    assert page.status == 200
    assert "It has other levels than “Structure”: good, bad." in words(page)
    assert "not a level of this criterion" in words(page)
    desk.session.get_one(Column, desk.columns["Structure"]).deleted_at = clock.now()
    desk.session.flush()
    assert "Its column was deleted." in words(desk.get())


def test_learners_with_a_value_that_is_no_level_are_named(desk: Desk) -> None:
    insert(desk, "Structure")
    shown = words(desk.get())
    assert "1 learner has a value in “Structure” that is no level" in shown
    assert "s3 “great”" in shown
    desk.filter(desk.rule("sid", "equal", "s1"))
    assert "that is no level" not in words(desk.get())


def test_a_copy_has_its_own_rubric(desk: Desk) -> None:
    (structure,) = insert(desk, "Structure")
    condition = make_condition(desk.session, desk.action, "late", desk.rule("points", "equal", "0"))
    write(desk, structure, "good", "{% if late %}<p>Late.</p>{% endif %}")
    assert desk.post("/copy").status == 303
    twin = desk.session.scalars(sa.select(Action).where(Action.name == "Copy of Essay")).one()
    copied = desk.session.scalars(sa.select(Criterion).where(Criterion.action_id == twin.id)).one()
    feedback = cell(desk, copied.id, "good").feedback
    assert "Late." in feedback
    assert f"@k{condition.id} " not in feedback
    assert write(desk, structure, "good", "<p>Other.</p>").status == 303
    assert "Late." in cell(desk, copied.id, "good").feedback


def test_a_rubric_belongs_to_rubric_feedback_only(desk: Desk, workflow: Workflow) -> None:
    text = make_action(desk.session, workflow, name="Plain")
    assert desk.browser.get(f"/workflows/{workflow.id}/actions/{text.id}/rubric").status == 404
    (structure,) = insert(desk, "Structure")
    assert desk.browser.get(f"/workflows/{workflow.id}/actions/{text.id}/rubric/{structure}").status == 404
