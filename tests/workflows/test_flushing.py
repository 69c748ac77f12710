from __future__ import annotations

import re
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.accounts.models import User
from chalicelib.delivery import service as delivery
from chalicelib.delivery.order import SendOrder
from chalicelib.tables import queries as tables
from chalicelib.tables import store
from chalicelib.tables.models import View
from chalicelib.workflows import attributes, queries
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, Page
from tests.factories import make_action, make_condition, make_table


def fill(session: Session, workflow: Workflow, user: User) -> dict[str, int]:
    ids = make_table(session, workflow, {"sid": "text", "quiz": "integer"}, [["s1", 1], ["s2", 2]])
    action = make_action(session, workflow)
    make_condition(session, action, "low", {"all": [{"column": ids["quiz"], "op": "less", "value": "5"}]})
    attributes.add(session, user.id, workflow, attributes.AttributeForm("Course", "Biology"))
    return ids


def here(workflow: Workflow) -> str:
    return f"/workflows/{workflow.id}/flush"


def undo(client: Browser, page: Page) -> Page:
    found = re.search(r'action="([^"]+\?back=\d+)"', page.body)
    assert found
    return client.post(found[1])


def test_the_page_counts_what_would_go(client: Browser, session: Session, user: User, workflow: Workflow) -> None:
    fill(session, workflow, user)
    body = client.get(here(workflow)).body
    assert "2 rows go. The 2 columns, the 1 message and everything else stay" in body
    assert "2 rows, 2 columns, 0 views, 1 message with 1 condition go" in body


def test_only_the_rows_go_and_come_back(client: Browser, session: Session, user: User, workflow: Workflow) -> None:
    ids = fill(session, workflow, user)
    page = client.follow(client.post(here(workflow), {"what": "rows"}))
    (card,) = queries.cards(session, user.id)
    assert (card.row_count, card.column_count, card.action_count) == (0, 2, 1)
    session.refresh(workflow)
    columns = tables.columns(session, workflow.id)
    assert [column.id for column in columns] == list(ids.values())
    insert = text(f"INSERT INTO {store.table(workflow.id)} (c{ids['sid']}) VALUES ('s3') RETURNING row_id")
    assert session.scalar(insert) == 3, "a number that was somebody else’s belongs to nobody new"
    assert undo(client, page).status == 303
    assert "s1" in client.get(f"/workflows/{workflow.id}/table").body
    (card,) = queries.cards(session, user.id)
    assert card.row_count == 2


def test_table_and_messages_go_and_come_back(client: Browser, session: Session, user: User, workflow: Workflow) -> None:
    ids = fill(session, workflow, user)
    action_id = session.scalar(text("SELECT id FROM ontask.action"))
    page = client.follow(client.post(here(workflow), {"what": "all"}))
    (card,) = queries.cards(session, user.id)
    assert (card.row_count, card.column_count, card.action_count) == (None, 0, 0)
    assert [one.name for one in queries.attributes(session, workflow.id)] == ["Course"]
    assert client.get(f"/workflows/{workflow.id}/actions/{action_id}").status == 404
    assert undo(client, page).status == 303
    (card,) = queries.cards(session, user.id)
    assert (card.row_count, card.column_count, card.action_count) == (2, 2, 1)
    assert list(tables.infos(session, workflow.id)) == list(ids.values())
    assert "low" in client.get(f"/workflows/{workflow.id}/actions/{action_id}").body


def test_views_and_messages_come_back_beside_new_ones_of_their_names(
    client: Browser, session: Session, user: User, workflow: Workflow
) -> None:
    ids, now = fill(session, workflow, user), clock.now()

    def view(column_id: int) -> View:
        made = View(workflow_id=workflow.id, name="All", columns=[column_id], created_at=now, updated_at=now)
        session.add(made)
        session.flush()
        return made

    old = view(ids["sid"])
    page = client.follow(client.post(here(workflow), {"what": "all"}))
    view(make_table(session, workflow, {"key": "text"}, [["k1"]])["key"])
    make_action(session, workflow)
    workflow.row_count = 1
    session.flush()
    assert undo(client, page).status == 303
    session.expire_all()
    assert old.name == "All (2)"
    shown = client.get(f"/workflows/{workflow.id}/table?view={old.id}").body
    assert "s1" in shown
    assert "needs repair" not in shown
    body = client.get(f"/workflows/{workflow.id}/actions").body
    assert "Reminder (2)" in body


def test_a_message_deleted_before_stays_deleted(
    client: Browser, session: Session, user: User, workflow: Workflow
) -> None:
    fill(session, workflow, user)
    make_action(session, workflow, name="Old").deleted_at = clock.now()
    session.flush()
    undo(client, client.follow(client.post(here(workflow), {"what": "all"})))
    (card,) = queries.cards(session, user.id)
    assert card.action_count == 1


def test_sendings_that_did_not_begin_are_cancelled_and_said_so(
    client: Browser, session: Session, user: User, workflow: Workflow
) -> None:
    ids = make_table(session, workflow, {"email": "text"}, [["ada@uni.example"]])
    action = make_action(session, workflow)
    later = clock.now() + timedelta(days=1)
    order = SendOrder(to_column_id=ids["email"], subject="Hi", token="t", due_at=later)
    run = delivery.confirm(session, user.id, workflow, action, order)
    session.flush()
    assert "1 sending that did not begin yet is cancelled for good" in client.get(here(workflow)).body
    client.post(here(workflow), {"what": "all"})
    session.refresh(run)
    assert run.state == "cancelled"


def test_an_empty_workflow_has_nothing_to_empty(client: Browser, workflow: Workflow) -> None:
    assert "nothing to empty" in client.get(here(workflow)).body
    assert client.post(here(workflow), {"what": "all"}).status == 422
    assert "Empty this workflow" not in client.get(f"/workflows/{workflow.id}/settings").body


def test_nothing_goes_without_a_choice(client: Browser, session: Session, user: User, workflow: Workflow) -> None:
    fill(session, workflow, user)
    assert client.post(here(workflow)).status == 422
    (card,) = queries.cards(session, user.id)
    assert card.row_count == 2
