"""Links for learners: when they work, whose version a visitor sees, and that it is never anybody else's."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import Role
from chalicelib.actions.models import Action
from chalicelib.actions.rubrics.models import Criterion, RubricCell
from chalicelib.actions.serving import visiting
from chalicelib.actions.serving.models import ServedLink
from chalicelib.audit.models import Event
from chalicelib.tables import queries as tables
from chalicelib.tables.models import Column
from chalicelib.workflows.models import Learner, Workflow
from tests.conftest import Browser, Clock, make_user, signed_in
from tests.factories import make_action, make_table

ADA, BO = "ada@uni.example", "bo@uni.example"
ROWS = [[ADA, "Ada", 7], ["Bo@Uni.Example ", "Bo", 3], ["di@uni.example", "Di", 5]]


@pytest.fixture
def columns(session: Session, workflow: Workflow, frozen_clock: Clock) -> dict[str, int]:
    return make_table(session, workflow, {"email": "text", "name": "text", "mark": "integer"}, ROWS)


@pytest.fixture
def action(session: Session, workflow: Workflow, columns: dict[str, int]) -> Action:
    return make_action(session, workflow, f"<p>Secret of {{{{ @c{columns['name']} }}}}</p>")


def learner(session: Session, workflow: Workflow, email: str) -> Browser:
    """Somebody with access to the workflow."""
    user = make_user(session, email, Role.LEARNER)
    session.add(Learner(workflow_id=workflow.id, user_id=user.id))
    session.flush()
    return signed_in(session, user)


def here(action: Action) -> str:
    return f"/workflows/{action.workflow_id}/actions/{action.id}/link"


def switch(client: Browser, action: Action, columns: dict[str, int], **changed: Any) -> Any:
    return client.post(
        here(action), {"is_on": "1", "column": columns["email"], "open_from": "", "open_until": "", **changed}
    )


def address(client: Browser, action: Action) -> str:
    found = re.search(r'id="address" value="http://127.0.0.1:8910(/a/[^"]+)"', client.get(here(action)).body)
    assert found is not None
    return found[1]


@pytest.fixture
def link(client: Browser, action: Action, columns: dict[str, int]) -> str:
    assert switch(client, action, columns).status == 303
    return address(client, action)


def test_each_learner_finds_their_own_version(session: Session, workflow: Workflow, link: str) -> None:
    for email, name, other in [(ADA, "Ada", "Bo"), (BO, "Bo", "Ada")]:
        browser = learner(session, workflow, email)
        assert browser.get(link).status == 200
        shown = browser.get(f"{link}/text").body
        assert f"Secret of {name}" in shown
        assert f"Secret of {other}" not in shown
        assert "Secret" not in browser.get(f"{link}/text", row="3").body.replace(f"Secret of {name}", "")


def test_the_feedback_of_a_rubric_is_served_too(
    session: Session, client: Browser, workflow: Workflow, columns: dict[str, int]
) -> None:
    column = session.get_one(Column, columns["name"])
    column.allowed_values = ["Ada", "Bo"]
    action = make_action(session, workflow, "<p>{% rubric %}</p>", "Essay", "rubric_text")
    criterion = Criterion(action_id=action.id, column_id=column.id, position=1, created_at=clock.now())
    session.add(criterion)
    session.flush()
    session.add(RubricCell(criterion_id=criterion.id, level="Ada", description="", feedback="<p>Fine.</p>"))
    assert switch(client, action, columns).status == 303
    link = address(client, action)
    assert "<strong>name:</strong> Fine.</li>" in learner(session, workflow, ADA).get(f"{link}/text").body
    assert "Fine." not in learner(session, workflow, BO).get(f"{link}/text").body


def test_where_nobody_chose_the_learners_a_row_of_ones_own_is_enough(
    session: Session, workflow: Workflow, link: str
) -> None:
    assert signed_in(session, make_user(session, BO, Role.LEARNER)).get(link).status == 200
    assert signed_in(session, make_user(session, "cy@uni.example", Role.LEARNER)).get(link).status == 403


@pytest.mark.parametrize(
    ("typed", "field", "hint"),
    [
        ({"column": ""}, "column", "Choose the column"),
        ({"column": "999"}, "column", "Choose a column of texts."),
        ({"open_from": "2026-05-02T10:00", "open_until": "2026-05-01T10:00"}, "open_until", "It ends before"),
        ({"open_from": "tomorrow"}, "open_from", "Choose the day and the time."),
    ],
)
def test_what_can_not_be_is_told_at_its_field(
    client: Browser, action: Action, columns: dict[str, int], typed: dict[str, str], field: str, hint: str
) -> None:
    page = switch(client, action, columns, **typed)
    assert page.status == 422
    found = re.search(rf'id="p-{field}">([^<]*)', page.body)
    assert found is not None
    assert hint in found[1]


def test_the_link_works_in_its_window_only(
    session: Session, client: Browser, workflow: Workflow, action: Action, columns: dict[str, int], frozen_clock: Clock
) -> None:
    switch(client, action, columns, open_from="2026-03-02T12:20", open_until="2026-03-02T12:40")
    link, ada = address(client, action), learner(session, workflow, ADA)
    early = ada.get(link)
    assert (early.status, "Not open yet" in early.body) == (403, True)
    assert ada.get(f"{link}/text").status == 404
    frozen_clock.advance(minutes=25)
    assert ada.get(link).status == 200
    frozen_clock.advance(minutes=20)
    assert "Closed" in ada.get(link).body


def test_who_is_not_meant_learns_nothing(session: Session, workflow: Workflow, action: Action, link: str) -> None:
    outsider = signed_in(session, make_user(session, "olaf@uni.example"))
    page = outsider.get(link)
    assert page.status == 403
    assert "There is nothing here for you now." in page.body
    assert action.name not in page.body
    assert outsider.get("/a/nonsense").status == 404
    outcomes = session.scalars(select(Event.detail["outcome"]).where(Event.type == "action_served")).all()
    assert outcomes == ["not for you"]


def test_who_has_lost_access_or_shares_an_address_sees_nothing(
    session: Session, workflow: Workflow, columns: dict[str, int], link: str
) -> None:
    bo = learner(session, workflow, BO)
    session.execute(text(f"UPDATE learners.w{workflow.id} SET c{columns['email']} = '{BO.upper()}' WHERE row_id = 1"))
    assert bo.get(link).status == 403, "two rows have the address"
    ada = learner(session, workflow, ADA)
    workflow.learner_column_id = columns["email"]
    session.execute(delete(Learner))
    session.flush()
    assert ada.get(link).status == 403


def test_a_column_in_which_two_have_the_same_address_is_refused(
    session: Session, client: Browser, workflow: Workflow, action: Action, columns: dict[str, int]
) -> None:
    session.execute(text(f"UPDATE learners.w{workflow.id} SET c{columns['email']} = '{BO.upper()}' WHERE row_id = 1"))
    page = switch(client, action, columns)
    assert page.status == 422
    assert f"Several learners have the same value here, such as {BO}." in page.body


def test_a_message_in_the_bin_is_not_served(
    session: Session, client: Browser, workflow: Workflow, action: Action, link: str
) -> None:
    ada = learner(session, workflow, ADA)
    client.post(f"/workflows/{workflow.id}/actions/{action.id}/delete")
    assert ada.get(link).status == 404


def test_members_look_also_while_it_is_off_and_are_told_so(
    client: Browser, action: Action, columns: dict[str, int]
) -> None:
    switch(client, action, columns, is_on="")
    link = address(client, action)
    page = client.get(link, row="2")
    assert page.status == 200
    assert "to learners it is closed" in page.body
    assert "Secret of Bo" in client.get(f"{link}/text", row="2").body


def test_another_address_ends_the_old_one_and_can_be_taken_back(
    session: Session, client: Browser, workflow: Workflow, action: Action, link: str
) -> None:
    ada = learner(session, workflow, ADA)
    page = client.follow(client.post(here(action), {"renew": "1"}))
    assert ada.get(link).status == 404
    assert ada.get(address(client, action)).status == 200
    undo = re.search(r'action="([^"]*renew=1[^"]*)"', page.body)
    assert undo is not None
    client.post(undo[1].replace("&amp;", "&"))
    assert ada.get(link).status == 200


def test_a_stale_save_of_the_link_is_refused(
    client: Browser, action: Action, columns: dict[str, int], link: str
) -> None:
    seen = re.search(r'name="seen" value="([^"]*)"', client.get(here(action)).body)
    assert seen is not None
    switch(client, action, columns, open_from="2026-03-02T14:00")
    assert switch(client, action, columns, is_on="", seen=seen[1]).status == 409


def test_the_frame_of_the_text_knows_whose_row_it_is_and_nobody_else_can_use_that(
    session: Session, workflow: Workflow, columns: dict[str, int], link: str, count_statements: Callable[[], int]
) -> None:
    ada, bo = learner(session, workflow, ADA), learner(session, workflow, BO)
    found = re.search(r'src="([^"]+/text[^"]+)"', ada.get(link).body)
    assert found is not None
    frame = unescape(found[1])
    count_statements()
    assert "Secret of Ada" in ada.get(frame).body
    assert count_statements() <= 10
    assert "Secret of Bo" in bo.get(frame).body
    session.execute(text(f"UPDATE learners.w{workflow.id} SET c{columns['email']} = 'x@uni.example' WHERE row_id = 1"))
    assert ada.get(frame).status == 404


def test_the_home_page_lists_what_is_open(session: Session, workflow: Workflow, action: Action, link: str) -> None:
    assert link in learner(session, workflow, ADA).get("/home").body
    assert link not in learner(session, workflow, "cy@uni.example").get("/home").body


def test_who_follows_a_link_of_an_earlier_ontask_is_told_and_led_on(session: Session, workflow: Workflow) -> None:
    browser = learner(session, workflow, ADA)
    assert "made for an earlier OnTask" in browser.follow(browser.get("/action/serve", pk="7")).body


FILTERS = st.recursive(
    st.one_of(
        st.tuples(st.just("mark"), st.sampled_from(["equal", "less", "greater"]), st.sampled_from(["3", "5", "7"])),
        st.tuples(st.just("name"), st.just("equal"), st.sampled_from(["Ada", "Bo", "x"])),
    ),
    lambda inner: st.builds(
        lambda word, members, negated: (word, members, negated),
        st.sampled_from(["all", "any"]), st.lists(inner, min_size=1, max_size=3), st.booleans(),
    ),
    max_leaves=6,
)  # fmt: skip


def formula(node: Any, columns: dict[str, int]) -> dict[str, Any]:
    if node[0] in {"all", "any"}:
        made: dict[str, Any] = {node[0]: [formula(one, columns) for one in node[1]]}
        return {**made, "not": True} if node[2] else made
    return {"column": columns[node[0]], "op": node[1], "value": node[2]}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(node=FILTERS, email=st.sampled_from([ADA, ADA.upper(), BO, "cy@uni.example", ""]), twice=st.booleans())
def test_whatever_the_filter_nobody_ever_sees_another_row(
    session: Session, workflow: Workflow, action: Action, columns: dict[str, int], link: str, node: Any, email: str,
    twice: bool,
) -> None:  # fmt: skip
    with session.begin_nested() as changes:
        action.filter = formula(node, columns) if node[0] in {"all", "any"} else {"all": [formula(node, columns)]}
        if twice:
            session.execute(
                text(f"UPDATE learners.w{workflow.id} SET c{columns['email']} = '{ADA.upper()}' WHERE row_id = 3")
            )
        user = User(id=0, email=email.lower(), role=Role.LEARNER, name="", time_zone="UTC")
        served = session.scalars(select(ServedLink)).one()
        row = visiting.own_row(session, workflow, action, served, user, tables.columns(session, workflow.id))
        if row is not None:
            query = text(f"SELECT row_id FROM learners.w{workflow.id} WHERE lower(btrim(c{columns['email']})) = :email")
            assert session.scalars(query, {"email": email.strip().lower()}).all() == [row]
        changes.rollback()
