"""The table while others work on it: several connections, real locks."""

from __future__ import annotations

import re
import threading

import pytest
from sqlalchemy import text

from chalicelib import database
from chalicelib.tables import queries, service, store
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, make_user, signed_in
from tests.factories import make_table


@pytest.fixture
def place(fresh_database: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int, Browser]:
    """A committed table of one learner; its workflow, its column and a browser."""
    monkeypatch.setattr("chalicelib.tables.store.ROW_LOCK_SECONDS", 0.2)
    with database.scope() as session:
        user = make_user(session)
        workflow = workflows.create(session, user.id, "Biology 101")
        ids = make_table(session, workflow, {"sid": "text", "quiz": "integer"}, [("s1", 1), ("s2", 2)])
        browser = signed_in(session, user)
    return workflow.id, ids["quiz"], browser


def save(browser: Browser, address: str, typed: str, seen: str) -> tuple[int, str]:
    page = browser.post(address, {"value": typed, "seen": seen}, htmx=True)
    return page.status, page.body


def test_an_edit_during_a_bulk_change_is_refused_and_keeps_what_was_typed(place: tuple[int, int, Browser]) -> None:
    workflow_id, column_id, browser = place
    address = f"/workflows/{workflow_id}/table/rows/1/cells/{column_id}"
    form = browser.get(address, htmx=True)
    seen = re.search(r'name="seen" value="([^"]*)"', form.body)
    assert seen
    with database.scope() as session:
        store.lock_for_bulk(session, workflow_id)
        status, body = save(browser, address, "70", seen[1])
        assert status == 409
        assert 'value="70"' in body
        assert "try again" in body
        assert browser.get(f"/workflows/{workflow_id}/table").status == 200
    assert save(browser, address, "70", seen[1])[0] == 200


def test_an_edit_of_a_learner_whom_somebody_edits_is_refused(place: tuple[int, int, Browser]) -> None:
    workflow_id, column_id, browser = place
    address = f"/workflows/{workflow_id}/table/rows/1/cells/{column_id}"
    with database.scope() as session:
        session.execute(text(f"SELECT 1 FROM learners.w{workflow_id} WHERE row_id = 1 FOR UPDATE"))
        status, body = save(browser, address, "70", "")
        assert status == 409
        assert "Somebody else is changing this learner" in body


def test_learners_added_at_the_same_time_are_all_counted(place: tuple[int, int, Browser]) -> None:
    workflow_id, _, _ = place

    def add(number: int) -> None:
        with database.scope() as session:
            workflow = session.get_one(Workflow, workflow_id)
            columns = queries.columns(session, workflow_id)
            barrier.wait()
            service.add_row(session, workflow, 1, columns, {columns[0].id: f"new{number}"})

    barrier = threading.Barrier(4)
    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.scope() as session:
        assert session.get_one(Workflow, workflow_id).row_count == 6
