from __future__ import annotations

import re

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

import app  # noqa: F401  registers every route and kind of job
from chalicelib import clock
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import Role
from chalicelib.schedules import due, jobs
from chalicelib.tables import cells
from chalicelib.tables import queries as tables
from chalicelib.tables import service as rows
from chalicelib.workflows import learners, service
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, Outside, make_user, signed_in
from tests.factories import make_table

ADDRESSES = ["Ada@uni.example ", "bo@uni.example", "cy@uni.example"]


def here(workflow: Workflow) -> str:
    return f"/workflows/{workflow.id}/learners"


def fill(session: Session, workflow: Workflow, addresses: list[str | None]) -> int:
    """Give the workflow these learners; return the column of addresses."""
    found = [[f"s{number}", address] for number, address in enumerate(addresses, 1)]
    ids = make_table(session, workflow, {"sid": "text", "email": "text"}, found)
    column = tables.column(session, workflow.id, ids["email"])
    column.is_key = True
    session.flush()
    return column.id


def work(session: Session) -> None:
    """Do the refreshes that wait."""
    query = text("SELECT id FROM ontask.job WHERE kind = :kind AND state = 'queued'")
    for job_id in session.scalars(query, {"kind": learners.REFRESH}).all():
        jobs.run(job_id)


def with_access(session: Session, workflow: Workflow) -> list[str]:
    query = text("""SELECT u.email FROM ontask.learner l JOIN ontask."user" u ON u.id = l.user_id
                    WHERE l.workflow_id = :id ORDER BY u.email""")
    return list(session.scalars(query, {"id": workflow.id}))


def test_everybody_in_the_column_gets_an_account_and_access_and_no_mail(
    client: Browser, session: Session, workflow: Workflow, no_aws: Outside
) -> None:
    make_user(session, "bo@uni.example", Role.LEARNER)
    column = fill(session, workflow, list(ADDRESSES))
    page = client.follow(client.post(here(workflow), {"column": column}))
    assert "being brought up to date" in page.body
    work(session)
    assert with_access(session, workflow) == ["ada@uni.example", "bo@uni.example", "cy@uni.example"]
    page = client.get(here(workflow))
    assert re.search(r"Have access</dt><dd>3<", page.body)
    assert session.scalar(text("SELECT count(*) FROM ontask.job WHERE kind = 'delivery.note'")) == 0
    roles = text("""SELECT DISTINCT role FROM ontask."user" WHERE email <> 'ines@uni.example'""")
    assert session.scalars(roles).all() == ["learner"]


def test_all_bad_addresses_are_listed_with_keys_and_nothing_changes(
    client: Browser, session: Session, workflow: Workflow
) -> None:
    column = fill(session, workflow, ["ada@uni.example", "no address", None, "bo@uni.example", " ADA@uni.example"])
    page = client.post(here(workflow), {"column": column})
    assert page.status == 422
    for key, address, why in (
        ("s1", "ada@uni.example", "belongs to another row, too"), ("s2", "no address", "is no e-mail address"),
        ("s3", "", "is empty"), ("s5", "ADA@uni.example", "belongs to another row, too"),
    ):  # fmt: skip
        assert re.search(rf">{key}</a>: “{address}”</span>.*{why}", page.body), key
    assert ">s4</a>" not in page.body
    assert "4 addresses in this column are not usable" in page.body
    session.refresh(workflow)
    assert workflow.learner_column_id is None


def test_access_follows_the_data_by_itself(client: Browser, session: Session, user: User, workflow: Workflow) -> None:
    column = fill(session, workflow, list(ADDRESSES))
    client.post(here(workflow), {"column": column})
    work(session)
    session.refresh(workflow)
    email = tables.column(session, workflow.id, column)
    rows.change_cell(session, workflow, user.id, 1, email, "dee@uni.example", seen=cells.seal(ADDRESSES[0]))
    rows.delete_row(session, workflow, user.id, 2, tables.columns(session, workflow.id))
    work(session)
    assert with_access(session, workflow) == ["cy@uni.example", "dee@uni.example"]


def test_many_edits_leave_one_refresh_in_the_queue(
    client: Browser, session: Session, user: User, workflow: Workflow
) -> None:
    column = fill(session, workflow, list(ADDRESSES))
    client.post(here(workflow), {"column": column})
    session.refresh(workflow)
    for row_id in (1, 2, 3):
        rows.delete_row(session, workflow, user.id, row_id, tables.columns(session, workflow.id))
    count = text("SELECT count(*) FROM ontask.job WHERE kind = :kind")
    assert session.scalar(count, {"kind": learners.REFRESH}) == 1


def test_a_column_that_is_gone_merely_ends_the_access(
    client: Browser, session: Session, user: User, workflow: Workflow
) -> None:
    column = fill(session, workflow, list(ADDRESSES))
    client.post(here(workflow), {"column": column})
    work(session)
    session.refresh(workflow)
    tables.column(session, workflow.id, column).deleted_at = clock.now()
    service.touch(workflow)
    session.flush()
    page = client.get(here(workflow))
    assert page.status == 200
    assert re.search(r"Have access</dt><dd>0<", page.body)
    assert with_access(session, workflow) == []
    assert "their column is gone" in client.get(f"/workflows/{workflow.id}").body


def test_no_access_is_a_choice(client: Browser, session: Session, workflow: Workflow) -> None:
    column = fill(session, workflow, list(ADDRESSES))
    client.post(here(workflow), {"column": column})
    work(session)
    client.post(here(workflow), {"column": ""})
    work(session)
    assert with_access(session, workflow) == []


def test_the_daily_round_finds_what_was_lost(client: Browser, session: Session, workflow: Workflow) -> None:
    column = fill(session, workflow, list(ADDRESSES))
    client.post(here(workflow), {"column": column})
    session.execute(text("UPDATE ontask.job SET state = 'failed', ended_at = :now"), {"now": clock.now()})
    due.tidy()
    work(session)
    assert len(with_access(session, workflow)) == 3


def test_a_choice_that_somebody_else_changed_is_not_overwritten(
    client: Browser, session: Session, user: User, workflow: Workflow
) -> None:
    column = fill(session, workflow, list(ADDRESSES))
    seen = re.search(r'name="seen" value="([^"]+)"', client.get(here(workflow)).body)
    assert seen
    signed_in(session, user).post(here(workflow), {"column": column})
    key = tables.columns(session, workflow.id)[0].id
    page = client.post(here(workflow), {"column": key, "seen": seen[1]})
    assert page.status == 409
    assert "changed this to “email”" in page.body


@pytest.mark.parametrize("what", ["nothing", "numbers"])
def test_without_a_fitting_column_the_page_says_what_to_do(
    client: Browser, session: Session, workflow: Workflow, what: str
) -> None:
    if what == "numbers":
        make_table(session, workflow, {"sid": "integer"}, [[1]])
    body = client.get(here(workflow)).body
    assert ("There are no learners yet" if what == "nothing" else "No column fits") in body
