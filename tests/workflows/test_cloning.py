from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.orm import Session

import app  # noqa: F401  registers every route and kind of job
from chalicelib import clock
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions.models import Action, Condition
from chalicelib.actions.surveys import queries as surveys
from chalicelib.actions.surveys.models import Question
from chalicelib.schedules import jobs
from chalicelib.tables import queries as tables
from chalicelib.tables import store
from chalicelib.workflows import attributes, cloning, learners, parts, queries, references, service
from chalicelib.workflows.models import Member, Workflow
from tests.conftest import Browser, make_user, signed_in
from tests.factories import make_action, make_condition, make_table

KINDS = ["integer", "double", "boolean", "datetime", "text"]


def fill(session: Session, workflow: Workflow, user: User) -> dict[str, int]:
    """Give the workflow one of everything; return the columns' ids."""
    rows = [["ada@uni.example", 7, None], ["bo@uni.example", 3, None]]
    columns = {"email": "text", "mark": "integer", "passed": "boolean"}
    ids = make_table(session, workflow, columns, rows)
    course = attributes.add(session, user.id, workflow, attributes.AttributeForm("Course", "Biology <101>"))
    rule = {"column": ids["mark"], "op": "less", "value": "5"}
    action = make_action(session, workflow, "", "Reminder")
    low = make_condition(session, action, "Low", {"all": [rule, {"any": [rule], "not": True}]})
    mark = f"{{{{ @c{ids['mark']} | round: 1 }}}}"
    action.text = f"<p>{{{{ @a{course.id} }}}}: {{% if @k{low.id} and not @c{ids['passed']} %}}{mark}{{% endif %}}</p>"
    action.filter = {"any": [rule]}
    action.send_defaults = {
        "to_column_id": ids["email"], "subject": f"Hi {{{{ @c{ids['mark']} }}}}", "opens_column": str(ids["mark"]),
    }  # fmt: skip
    session.flush()
    return ids


def ids_of(session: Session, workflow: Workflow) -> set[str]:
    """Every id that the workflow's rows have or speak of."""
    found = {f"w{workflow.id}"}
    for part in references.PARTS:
        for row in parts.read(session, workflow.id)[part.table]:
            found |= {f"{part.letter}{row['id']}"} | references.found(part.table, row)
    return found


def carry_out(session: Session, location: str) -> None:
    """Do the job whose progress the page shows."""
    found = re.search(r"job=(\d+)", location)
    assert found
    jobs.run(int(found[1]))


def test_a_copy_reads_the_same_and_shares_nothing_with_its_origin(
    client: Browser, session: Session, user: User, workflow: Workflow
) -> None:
    workflow.description, workflow.formats = "Mondays", {"decimals": 1}
    fill(session, workflow, user)
    here = f"/workflows/{workflow.id}/clone"
    page = client.post(here, {"token": "t"})
    assert "Waiting for its turn" in client.follow(page).body
    carry_out(session, page.location)
    page = client.follow(client.follow(page))
    assert "This is the copy of “Biology 101”. It is yours." in page.body
    twin = session.scalars(select(Workflow).where(Workflow.name == "Copy of Biology 101")).one()
    assert (twin.description, twin.row_count, twin.formats) == ("Mondays", 2, {"decimals": 1})
    assert ids_of(session, twin) & ids_of(session, workflow) == set()
    (card,) = queries.cards(session, user.id, only=twin.id)
    assert (card.row_count, card.column_count, card.action_count, card.is_starred) == (2, 3, 1, False)
    texts = []
    for one in (workflow, twin):
        action = session.scalars(select(Action).where(Action.workflow_id == one.id)).one()
        editor = client.get(f"/workflows/{one.id}/actions/{action.id}").body
        shown = client.get(f"/workflows/{one.id}/actions/{action.id}/preview").body
        found = re.search(r"<textarea[^>]*>(.*?)</textarea>", editor, re.DOTALL)
        assert found
        texts.append((found[1], shown, client.get(f"/workflows/{one.id}/actions").body.count("Reminder")))
    assert texts[0] == texts[1]
    assert "Biology &lt;101&gt;" in texts[1][1]
    assert client.get(f"/workflows/{twin.id}/table", search="ada").body.count("ada@uni.example") >= 1


def test_deleting_in_the_copy_leaves_the_original_whole(
    client: Browser, session: Session, user: User, workflow: Workflow
) -> None:
    fill(session, workflow, user)
    twin = cloning.clone(session, workflow, user.id, cloning.Wish())
    session.execute(text(f"DELETE FROM {store.table(twin.id)}"))
    for column in tables.columns(session, twin.id):
        column.name = f"new {column.name}"
    session.flush()
    assert [column.name for column in tables.columns(session, workflow.id)] == ["email", "mark", "passed"]
    assert session.scalar(text(f"SELECT count(*) FROM {store.table(workflow.id)}")) == 2


def test_rows_added_to_a_copy_get_ids_of_their_own_and_keys_stay_keys(
    session: Session, user: User, workflow: Workflow
) -> None:
    fill(session, workflow, user)
    session.execute(text(f"DELETE FROM {store.table(workflow.id)} WHERE row_id = 2"))
    twin = cloning.clone(session, workflow, user.id, cloning.Wish())
    email = tables.columns(session, twin.id)[0].id
    insert = text(f"INSERT INTO {store.table(twin.id)} (c{email}) VALUES ('cy@uni.example') RETURNING row_id")
    assert session.scalar(insert) == 3
    assert f"c{email}" in store.unique_indexes(session, store.table(twin.id))


def test_a_colleague_who_copies_owns_the_copy_and_shares_only_when_asked(
    session: Session, user: User, workflow: Workflow
) -> None:
    fill(session, workflow, user)
    olaf = make_user(session, "olaf@uni.example")
    session.add(Member(workflow_id=workflow.id, user_id=olaf.id, role=WorkflowRole.EDITOR, created_at=clock.now()))
    email = tables.columns(session, workflow.id)[0].id
    learners.choose(session, user.id, workflow, email)
    plain = cloning.clone(session, workflow, olaf.id, cloning.Wish())
    assert [(one.email, one.role) for one in queries.people(session, plain.id)] == [("olaf@uni.example", "owner")]
    assert plain.learner_column_id is None
    shared = cloning.clone(session, workflow, olaf.id, cloning.Wish(shares=True, learners=True))
    assert [(one.email, one.role) for one in queries.people(session, shared.id)] == [
        ("olaf@uni.example", "owner"), ("ines@uni.example", "sender"),
    ]  # fmt: skip
    assert shared.learner_column_id == tables.columns(session, shared.id)[0].id
    assert [plain.name, shared.name] == ["Copy of Biology 101", "Copy of Copy of Biology 101"]


def test_a_form_sent_twice_and_a_job_done_twice_make_one_copy(
    client: Browser, session: Session, user: User, workflow: Workflow
) -> None:
    here = f"/workflows/{workflow.id}/clone"
    first, second = client.post(here, {"token": "t"}), client.post(here, {"token": "t"})
    assert first.location == second.location
    carry_out(session, first.location)
    session.execute(text("UPDATE ontask.job SET state = 'queued', result = '{}'"))  # its worker was lost at the end
    carry_out(session, first.location)
    assert len(queries.cards(session, user.id)) == 2


def test_a_copy_that_fails_leaves_nothing(client: Browser, session: Session, user: User, workflow: Workflow) -> None:
    fill(session, workflow, user)
    make_action(session, workflow, "<p>{% if %}</p>", "Broken")
    page = client.post(f"/workflows/{workflow.id}/clone", {"token": "t"})
    count = text("SELECT count(*) FROM pg_tables WHERE schemaname = 'learners'")
    before = session.scalar(count)
    carry_out(session, page.location)
    page = client.follow(page)
    assert "Nothing was left behind" in page.body
    assert len(queries.cards(session, user.id)) == 1
    assert session.scalar(count) == before


def test_what_a_text_lost_stays_lost_in_the_copy(session: Session, user: User, workflow: Workflow) -> None:
    ids = fill(session, workflow, user)
    action = make_action(session, workflow, f"<p>{{{{ @c{ids['mark']} }}}} {{{{ @c999999 }}}}</p>", "Old")
    column = tables.column(session, workflow.id, ids["mark"])
    column.deleted_at = clock.now()
    session.flush()
    twin = cloning.clone(session, workflow, user.id, cloning.Wish())
    made = session.scalars(select(Action).where(Action.workflow_id == twin.id, Action.name == action.name)).one()
    assert ids_of(session, twin) & ids_of(session, workflow) == set()
    assert "@c999999" not in made.text
    assert [one.name for one in tables.columns(session, twin.id)] == ["email", "passed"]


@st.composite
def workflows(draw: Any) -> dict[str, Any]:
    """Columns, and messages whose texts, filters and conditions speak of any of them."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))
    place = st.integers(0, len(kinds))
    rule = st.tuples(place, st.booleans())
    message = st.fixed_dictionaries({
        "text": st.lists(st.tuples(st.sampled_from("cka"), place), max_size=4), "filter": st.none() | rule,
        "conditions": st.lists(rule, max_size=3), "deleted": st.booleans(),
    })  # fmt: skip
    return {"kinds": kinds, "messages": draw(st.lists(message, max_size=3)), "gone": draw(place)}


def build(session: Session, user: User, plan: dict[str, Any]) -> Workflow:
    number = session.scalar(text("SELECT count(*) FROM ontask.workflow"))
    workflow = service.create(session, user.id, f"Random {number}")
    names = {"sid": "text"} | {f"column {place}": kind for place, kind in enumerate(plan["kinds"], 1)}
    ids = list(make_table(session, workflow, names, [["s1"] + [None] * len(plan["kinds"])]).values())
    form = attributes.AttributeForm("Course", "x")
    course = attributes.add(session, user.id, workflow, form).id

    def formula(rule: tuple[int, bool]) -> dict[str, Any]:
        return {"all": [{"column": ids[rule[0]], "op": "is_null"}]} | ({"not": True} if rule[1] else {})

    for place, one in enumerate(plan["messages"]):
        action = make_action(session, workflow, "", f"Message {place}")
        made = [make_condition(session, action, f"k{n}", formula(rule)).id for n, rule in enumerate(one["conditions"])]
        parts_of_text = []
        for letter, at in one["text"]:
            if letter == "k" and made:
                parts_of_text.append(f"{{% if @k{made[at % len(made)]} %}}yes{{% endif %}}")
            else:
                parts_of_text.append(f"{{{{ @a{course} }}}}" if letter == "a" else f"{{{{ @c{ids[at]} }}}}")
        action.text = "".join(parts_of_text)
        action.filter = formula(one["filter"]) if one["filter"] else None
        action.deleted_at = clock.now() if one["deleted"] else None
    if plan["gone"]:
        tables.column(session, workflow.id, ids[plan["gone"]]).deleted_at = clock.now()
    session.flush()
    return workflow


@hypothesis(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=workflows())
def test_a_copy_shares_no_id_with_its_origin(session: Session, user: User, plan: dict[str, Any]) -> None:
    workflow = build(session, user, plan)
    twin = cloning.clone(session, workflow, user.id, cloning.Wish())
    assert ids_of(session, twin) & ids_of(session, workflow) == set()
    assert _shape(session, twin) == _shape(session, workflow)


def _shape(session: Session, workflow: Workflow) -> str:
    """The workflow's rows, with every id replaced by its place in the order of ids."""
    rows = parts.read(session, workflow.id)
    order = sorted(ids_of(session, workflow), key=lambda one: (one[0], int(one[1:])))
    change = {one: f"{one[0]}{place}" for place, one in enumerate(order, 1)}.__getitem__
    told = [
        [references.changed(part.table, row, change) | {"id": change(f"{part.letter}{row['id']}")}
         for row in rows[part.table]]
        for part in references.PARTS
    ]  # fmt: skip
    return json.dumps(told, default=str, sort_keys=True)


def test_a_survey_of_the_copy_asks_for_its_own_columns_under_its_own_conditions(
    session: Session, user: User, workflow: Workflow
) -> None:
    ids = fill(session, workflow, user)
    survey = make_action(session, workflow, "", "Weekly", "survey")
    low = make_condition(session, survey, "Low too", {"all": [{"column": ids["mark"], "op": "is_null"}]})
    values = {"action_id": survey.id, "options": {}, "created_at": clock.now()}
    session.add(Question(column_id=ids["passed"], condition_id=low.id, kind="yes_no", position=1, **values))
    session.add(Question(kind="section", text="The end", position=2, **values))
    session.flush()
    twin = cloning.clone(session, workflow, user.id, cloning.Wish())
    assert ids_of(session, twin) & ids_of(session, workflow) == set()
    copied = session.scalars(select(Action).where(Action.workflow_id == twin.id, Action.kind == "survey")).one()
    first, second = surveys.items(session, copied)
    assert (first.column.name, first.column.workflow_id, first.problem) == ("passed", twin.id, "")
    (condition,) = session.scalars(select(Condition).where(Condition.action_id == copied.id))
    assert first.question.condition_id == condition.id
    assert (second.label, second.column) == ("The end", None)


def test_conditions_of_deleted_messages_are_no_part_of_a_copy(session: Session, user: User, workflow: Workflow) -> None:
    fill(session, workflow, user)
    action = session.scalars(select(Action).where(Action.workflow_id == workflow.id)).one()
    action.deleted_at = clock.now()
    session.flush()
    twin = cloning.clone(session, workflow, user.id, cloning.Wish())
    copied = select(Condition).join(Action, Action.id == Condition.action_id).where(Action.workflow_id == twin.id)
    assert session.scalars(copied).all() == []


@pytest.mark.parametrize("role", [WorkflowRole.VIEWER, WorkflowRole.EDITOR])
def test_somebody_who_may_only_look_makes_no_copy(session: Session, workflow: Workflow, role: WorkflowRole) -> None:
    olaf = make_user(session, "olaf@uni.example")
    session.add(Member(workflow_id=workflow.id, user_id=olaf.id, role=role, created_at=clock.now()))
    session.flush()
    page = signed_in(session, olaf).get(f"/workflows/{workflow.id}/clone")
    assert page.status == (200 if role is WorkflowRole.EDITOR else 403)
