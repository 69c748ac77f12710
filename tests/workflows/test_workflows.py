from __future__ import annotations

import re

import pytest
from sqlalchemy.orm import Session

from chalicelib.workflows import service
from tests.conftest import Browser, Clock, make_user, signed_in


def make(client: Browser, name: str) -> str:
    """Create a workflow through its form; return its address."""
    answer = client.post("/workflows", {"name": name, "description": "Mondays"})
    assert answer.status == 303, answer.body
    return answer.location


def test_a_new_workflow_says_what_to_do_next(client: Browser) -> None:
    page = client.get(make(client, "Biology 101"))
    assert "Add your learners" in page.body
    assert "created the workflow" in page.body


def test_names_are_shown_as_text(client: Browser) -> None:
    address = make(client, '<script>alert(1)</script> & "quotes"')
    for path in (address, "/workflows", address + "/settings"):
        body = client.get(path).body
        assert "<script>alert" not in body
        assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; " in body


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("", "Type a name"),
        ("   ", "Type a name"),
        ("x" * 1025, "at most 1,024 characters; this has 1,025"),
        ("Biology 101", "already"),
    ],
)
def test_a_bad_name_is_refused_beside_its_field(client: Browser, workflow: object, name: str, hint: str) -> None:
    page = client.post("/workflows", {"name": name, "description": "keep me"})
    assert page.status == 422
    assert hint in page.body
    assert "keep me" in page.body


def test_renaming_shows_everywhere(client: Browser) -> None:
    address = make(client, "Biology 101")
    client.post(address + "/settings", {"name": "Biology 102", "description": ""})
    assert "Biology 102" in client.get("/workflows").body
    assert "Biology 102" in client.get(address).body


def test_a_deleted_workflow_can_be_taken_back_from_the_message(client: Browser) -> None:
    address = make(client, "Biology 101")
    page = client.follow(client.post(address + "/delete"))
    assert "in the trash for 30 days" in page.body
    assert client.get(address).status == 404
    undo = re.search(r'action="(/trash/\d+/restore)"', page.body)
    assert undo
    client.post(undo[1])
    assert client.get(address).status == 200


def test_the_trash_forgets_after_thirty_days(frozen_clock: Clock, client: Browser) -> None:
    address = make(client, "Biology 101")
    client.post(address + "/delete")
    assert "Biology 101" in client.get("/trash").body
    frozen_clock.advance(days=31)
    browser = client
    browser.cookies.clear()
    assert browser.get("/trash").location.startswith("/sign-in")


def test_a_restored_workflow_gives_way_to_a_newer_one_of_its_name(client: Browser) -> None:
    old = make(client, "Biology 101")
    client.post(old + "/delete")
    make(client, "Biology 101")
    client.post(old.replace("/workflows/", "/trash/") + "/restore")
    assert "Biology 101 (2)" in client.get(old).body


def test_somebody_elses_workflow_looks_like_none(client: Browser, session: Session) -> None:
    other = make_user(session, "olaf@uni.example")
    theirs = service.create(session, other.id, "Secret")
    session.flush()
    for path in (
        f"/workflows/{theirs.id}",
        f"/workflows/{theirs.id}/settings",
        "/workflows/999999999",
        "/workflows/abc",
    ):
        page = client.get(path)
        assert page.status == 404
        assert "Secret" not in page.body
    assert client.post(f"/workflows/{theirs.id}/delete").status == 404
    assert signed_in(session, other).get(f"/workflows/{theirs.id}").status == 200


def test_the_list_needs_few_statements_however_many_workflows(client: Browser, count_statements) -> None:  # type: ignore[no-untyped-def]
    for number in range(30):
        make(client, f"Class {number}")
    count_statements()
    assert client.get("/workflows").status == 200
    assert count_statements() <= 10
