from __future__ import annotations

import re
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

import app  # noqa: F401  registers every route and kind of job
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import Role
from chalicelib.aws.mailer import Mailer
from chalicelib.delivery import jobs, notes
from chalicelib.schedules.jobs import Task
from chalicelib.workflows import service
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, Outside, make_user, signed_in
from tests.delivery.cloud import FakeSes


@pytest.fixture
def olaf(session: Session) -> User:
    """A colleague."""
    return make_user(session, "olaf@uni.example")


def share(client: Browser, workflow: Workflow, email: str, role: str = "editor") -> Any:
    return client.post(f"/workflows/{workflow.id}/people", {"action": "share", "email": email, "role": role})


def test_a_colleague_who_was_let_in_is_told_and_can_do_what_the_role_says(
    client: Browser, session: Session, workflow: Workflow, olaf: User
) -> None:
    page = client.follow(share(client, workflow, "  OLAF@uni.example "))
    assert "olaf@uni.example can open this workflow now" in page.body
    theirs = signed_in(session, olaf)
    assert "shared this with you" in theirs.get("/workflows").body
    assert theirs.get(f"/workflows/{workflow.id}").status == 200
    assert "shared this with you" not in theirs.get("/workflows").body
    assert theirs.post(f"/workflows/{workflow.id}/settings", {"name": "Renamed"}).status == 303
    assert share(theirs, workflow, "nobody@uni.example").status == 403


def test_the_news_of_a_share_is_one_plain_mail(
    client: Browser, session: Session, workflow: Workflow, olaf: User, frozen_clock: object
) -> None:
    share(client, workflow, olaf.email)
    job_id, payload = session.execute(
        text("SELECT id, payload FROM ontask.job WHERE kind = :kind"), {"kind": notes.NOTE}
    ).one()
    ses = FakeSes()
    task = Task(job_id, workflow.id, None, payload, 1)
    jobs.deliver_note(task, Mailer(ses), lambda _seconds: None)
    assert ses.mails() == {"olaf@uni.example": 1}
    mail = message_from_bytes(ses.accepted[0]["Content"]["Raw"]["Data"], policy=default)
    assert mail["Subject"] == "Ines shared “Biology 101” with you"
    body = mail.get_body(("plain",))
    assert body is not None
    assert f"/workflows/{workflow.id}" in body.get_content()


@pytest.mark.parametrize(
    ("email", "hint"),
    [
        ("", "Type the address"),
        ("nobody@uni.example", "There is no account with the address nobody@uni.example"),
        ("INES@uni.example", "This is your own address: you own this workflow already."),
        ("olaf@uni.example", "is in already"),
        ("lea@uni.example", "is no instructor’s account"),
    ],
)
def test_who_can_not_be_let_in_is_said_beside_the_field(
    client: Browser, session: Session, workflow: Workflow, olaf: User, email: str, hint: str
) -> None:
    make_user(session, "lea@uni.example", Role.LEARNER)
    share(client, workflow, olaf.email)
    page = share(client, workflow, email)
    assert page.status == 422
    assert hint in page.body
    if email:
        assert f'value="{email}"' in page.body


def test_a_removed_colleague_is_out_and_can_be_taken_back(
    client: Browser, session: Session, workflow: Workflow, olaf: User
) -> None:
    share(client, workflow, olaf.email, "sender")
    theirs = signed_in(session, olaf)
    here = f"/workflows/{workflow.id}/people"
    page = client.follow(client.post(here, {"action": "remove", "user": olaf.id}))
    assert theirs.get(here).status == 404
    undo = re.search(rf'action="({here}\?back=\d+)"', page.body)
    assert undo
    assert client.post(undo[1]).status == 303
    assert theirs.get(here).status == 200
    assert "sender" in theirs.get("/workflows").body


def test_the_owner_can_not_leave_but_a_colleague_can(
    client: Browser, session: Session, workflow: Workflow, olaf: User
) -> None:
    share(client, workflow, olaf.email, "viewer")
    assert client.post(f"/workflows/{workflow.id}/people/leave").status == 409
    theirs = signed_in(session, olaf)
    page = theirs.follow(theirs.post(f"/workflows/{workflow.id}/people/leave"))
    assert "You have left “Biology 101”" in page.body
    assert theirs.get(f"/workflows/{workflow.id}").status == 404


def test_a_role_that_somebody_else_changed_meanwhile_is_not_overwritten(
    client: Browser, session: Session, workflow: Workflow, user: User, olaf: User
) -> None:
    share(client, workflow, olaf.email, "viewer")
    here = f"/workflows/{workflow.id}/people"
    seen = re.search(r'name="seen" value="([^"]+)"', client.get(here).body)
    assert seen
    other_tab = signed_in(session, user)
    role = {"action": "role", "user": olaf.id, "seen": seen[1]}
    assert other_tab.post(here, role | {"role": "sender"}).status == 303
    page = client.post(here, role | {"role": "editor"})
    assert page.status == 409
    assert re.search(r"Ines, at \d\d:\d\d, changed this to “sender”", page.body)
    assert '<option value="editor" selected>' in page.body
    seen = re.search(r'name="seen" value="([^"]+)"', page.body)
    assert seen
    assert client.post(here, role | {"role": "editor", "seen": seen[1]}).status == 303
    assert "You are editor" in signed_in(session, olaf).get("/workflows").body


def test_a_workflow_handed_over_belongs_to_somebody_else(
    client: Browser, session: Session, workflow: Workflow, olaf: User
) -> None:
    share(client, workflow, olaf.email)
    here = f"/workflows/{workflow.id}/people"
    wish = {"action": "transfer", "user": olaf.id}
    assert "Tick this" in client.post(here, wish).body
    page = client.follow(client.post(here, wish | {"sure": "1"}))
    assert "olaf@uni.example owns this workflow now" in page.body
    assert client.post(f"/workflows/{workflow.id}/delete").status == 403
    assert "handed the workflow over to" in client.get(f"/workflows/{workflow.id}").body
    assert signed_in(session, olaf).post(f"/workflows/{workflow.id}/delete").status == 303


def test_nobody_gets_two_workflows_of_one_name_by_a_hand_over(
    client: Browser, session: Session, workflow: Workflow, olaf: User
) -> None:
    share(client, workflow, olaf.email)
    service.create(session, olaf.id, workflow.name)
    wish = {"action": "transfer", "user": olaf.id, "sure": "1"}
    page = client.post(f"/workflows/{workflow.id}/people", wish)
    assert page.status == 422
    assert "Rename this one first" in page.body


def test_a_colleague_renames_without_becoming_the_owner(
    client: Browser, session: Session, workflow: Workflow, olaf: User
) -> None:
    share(client, workflow, olaf.email)
    service.create(session, workflow.id and service.owner_id(session, workflow.id), "Chemistry")
    theirs = signed_in(session, olaf)
    here = f"/workflows/{workflow.id}/settings"
    page = theirs.post(here, {"name": "Chemistry", "description": "kept"})
    assert page.status == 422
    assert "kept" in page.body
    service.create(session, olaf.id, "Physics")
    assert theirs.post(here, {"name": "Physics"}).status == 303
    assert theirs.post(f"/workflows/{workflow.id}/delete").status == 403


def test_a_stale_save_of_the_settings_keeps_what_was_typed(
    client: Browser, session: Session, workflow: Workflow, olaf: User
) -> None:
    share(client, workflow, olaf.email)
    here = f"/workflows/{workflow.id}/settings"
    seen = re.search(r'name="seen" value="([^"]+)"', client.get(here).body)
    assert seen
    assert signed_in(session, olaf).post(here, {"name": "Olaf’s name", "description": ""}).status == 303
    mine = {"name": "My name", "description": "", "seen": seen[1]}
    page = client.post(here, mine)
    assert page.status == 409
    assert re.search(r"Olaf, at \d\d:\d\d, changed this to “Olaf’s name”", page.body)
    assert 'value="My name"' in page.body
    seen = re.search(r'name="seen" value="([^"]+)"', page.body)
    assert seen
    assert client.post(here, mine | {"seen": seen[1]}).status == 303


def test_what_the_system_counts_makes_nobodys_save_stale(client: Browser, session: Session, workflow: Workflow) -> None:
    here = f"/workflows/{workflow.id}/settings"
    seen = re.search(r'name="seen" value="([^"]+)"', client.get(here).body)
    assert seen
    workflow.row_count = 12
    service.touch(workflow)
    session.flush()
    assert client.post(here, {"name": "New name", "description": "", "seen": seen[1]}).status == 303


def test_starred_workflows_are_on_top_for_one_person_only(
    client: Browser, session: Session, workflow: Workflow, user: User, olaf: User
) -> None:
    service.create(session, user.id, "Algebra")
    share(client, workflow, olaf.email)
    assert client.get("/workflows").body.index("Algebra") < client.get("/workflows").body.index(">Biology 101<")
    client.post(f"/workflows/{workflow.id}/star")
    body = client.get("/workflows").body
    assert body.index("Starred") < body.index(">Biology 101<") < body.index("Algebra")
    assert "Starred" not in signed_in(session, olaf).get("/workflows").body
    client.post(f"/workflows/{workflow.id}/star")
    assert "Starred" not in client.get("/workflows").body


def test_a_long_list_is_searched_whatever_case_and_accents(client: Browser, session: Session, user: User) -> None:
    for number in range(9):
        service.create(session, user.id, f"Class {number}")
    service.create(session, user.id, "Économie", "for beginners")
    assert "Économie" in client.get("/workflows", search="ECONOMIE").body
    assert "Class 1" not in client.get("/workflows", search="economie").body
    assert "Économie" in client.get("/workflows", search="beginners").body
    assert "Nothing found" in client.get("/workflows", search="100%").body


def test_a_new_share_wakes_the_mail_lane(client: Browser, workflow: Workflow, olaf: User, no_aws: Outside) -> None:
    share(client, workflow, olaf.email)
    assert [queue for queue, _, _ in no_aws.wakeups]
