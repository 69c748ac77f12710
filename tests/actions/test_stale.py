"""Two people have the same form open: the second save is refused, says what the first one changed and loses nothing."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.workflows.models import Member, Workflow
from tests.conftest import Browser, Page, make_user, signed_in
from tests.factories import make_action, make_condition, make_table


@pytest.fixture
def olaf(session: Session, workflow: Workflow) -> Browser:
    """A colleague's browser."""
    user = make_user(session, "olaf@uni.example")
    session.add(Member(workflow_id=workflow.id, user_id=user.id, role=WorkflowRole.EDITOR, created_at=clock.now()))
    session.flush()
    return signed_in(session, user)


@pytest.fixture
def ids(session: Session, workflow: Workflow) -> dict[str, int]:
    """A table of one learner."""
    return make_table(session, workflow, {"sid": "text", "quiz": "integer"}, [["s1", 7]])


def seen(page: Page) -> str:
    found = re.search(r'name="seen" value="([^"]+)"', page.body)
    assert found, page.body[:500]
    return found[1]


def below(ids: dict[str, int], limit: int) -> dict[str, Any]:
    return {"all": [{"column": ids["quiz"], "op": "less", "value": str(limit)}]}


def test_the_filter(client: Browser, olaf: Browser, session: Session, workflow: Workflow, ids: dict[str, int]) -> None:
    action = make_action(session, workflow)
    here = f"/workflows/{workflow.id}/actions/{action.id}/filter"
    seal = seen(client.get(here, htmx=True))
    assert olaf.post(here, {"formula": json.dumps(below(ids, 20))}, htmx=True).status == 200
    mine = {"formula": json.dumps(below(ids, 50))}
    page = client.post(here, mine | {"seen": seal}, htmx=True)
    assert page.status == 409
    assert re.search(r"Olaf, at \d\d:\d\d, changed this to “quiz is less than 20”", page.body)
    assert '"value": "50"' in page.body.replace("&#34;", '"').replace('\\"', '"')
    session.refresh(action)
    assert action.filter == below(ids, 20)
    assert client.post(here, mine | {"seen": seen(page)}, htmx=True).status == 200
    session.refresh(action)
    assert action.filter == below(ids, 50)


def test_a_condition(client: Browser, olaf: Browser, session: Session, workflow: Workflow, ids: dict[str, int]) -> None:
    action = make_action(session, workflow)
    condition = make_condition(session, action, "low", below(ids, 20))
    here = f"/workflows/{workflow.id}/actions/{action.id}/conditions/{condition.id}"
    seal = seen(client.get(here, htmx=True))
    theirs = {"name": "very low", "description": "", "formula": json.dumps(below(ids, 20))}
    assert olaf.post(here, theirs).status == 303
    mine = {"name": "low", "description": "of the first quiz", "formula": json.dumps(below(ids, 20))}
    page = client.post(here, mine | {"seen": seal}, htmx=True)
    assert page.status == 409
    assert re.search(r"Olaf, at \d\d:\d\d, changed this to “very low”", page.body)
    assert 'value="of the first quiz"' in page.body
    assert client.post(here, mine | {"seen": seen(page)}, htmx=True).status in {200, 303}


def test_the_settings_of_a_message(client: Browser, olaf: Browser, session: Session, workflow: Workflow) -> None:
    action = make_action(session, workflow)
    here = f"/workflows/{workflow.id}/actions/{action.id}/settings"
    seal = seen(client.get(here))
    assert olaf.post(here, {"name": "Reminder 1", "description": ""}).status == 303
    mine = {"name": "Reminder A", "description": "", "seen": seal}
    page = client.post(here, mine)
    assert page.status == 409
    assert re.search(r"Olaf, at \d\d:\d\d, changed this to “Reminder 1”", page.body)
    assert 'value="Reminder A"' in page.body
    assert client.post(here, mine | {"seen": seen(page)}).status == 303


def test_a_bad_value_does_not_make_one_forget_that_the_form_is_stale(
    client: Browser, olaf: Browser, session: Session, workflow: Workflow
) -> None:
    action = make_action(session, workflow)
    here = f"/workflows/{workflow.id}/actions/{action.id}/settings"
    seal = seen(client.get(here))
    page = client.post(here, {"name": "", "description": "", "seen": seal})
    assert page.status == 422
    olaf.post(here, {"name": "Reminder 1", "description": ""})
    assert client.post(here, {"name": "Mine", "description": "", "seen": seen(page)}).status == 409


def test_the_same_change_made_twice_and_a_sending_are_nobodys_trouble(
    client: Browser, olaf: Browser, session: Session, user: User, workflow: Workflow, ids: dict[str, int]
) -> None:
    action = make_action(session, workflow)
    here = f"/workflows/{workflow.id}/actions/{action.id}"
    settings, rules = seen(client.get(here + "/settings")), seen(client.get(here + "/filter", htmx=True))
    same = {"formula": json.dumps(below(ids, 20))}
    olaf.post(here + "/filter", same)
    action.send_defaults = {"to_column_id": ids["sid"]}
    action.updated_at = clock.now()
    session.flush()
    assert client.post(here + "/filter", same | {"seen": rules}).status == 303
    assert client.post(here + "/settings", {"name": "New", "description": "", "seen": settings}).status == 303
