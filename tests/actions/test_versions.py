"""The versions of a text: who wrote what, what is different, the way back; and drafts, which are never lost."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions.compare import ADDED, REMOVED, SAME, compare
from chalicelib.workflows.models import Workflow
from tests.actions.conftest import Desk, desk_of, words
from tests.conftest import Clock
from tests.factories import make_action
from tests.test_access import member


@pytest.fixture
def colleague(desk: Desk, workflow: Workflow) -> Desk:
    """Another editor at the same message."""
    return desk_of(desk, member(desk.session, workflow, WorkflowRole.EDITOR))


def ids(desk: Desk) -> list[int]:
    """The versions in the list, the newest first."""
    page = desk.get("/versions")
    return [int(one) for one in re.findall(r'<li><a href="[^"]*version=(\d+)"', page.body)]


def restore(desk: Desk, version: int) -> str:
    page = desk.browser.post(f"{desk.path}/versions?version={version}")
    return desk.follow(page)


# -- versions


def test_what_one_person_writes_in_a_while_is_one_version(desk: Desk, colleague: Desk, frozen_clock: Clock) -> None:
    for word in "abc":
        desk.save(f"<p>{word}</p>")
        frozen_clock.advance(minutes=1)
    assert len(ids(desk)) == 1
    colleague.save("<p>theirs</p>")
    desk.save("<p>mine again</p>")
    assert len(ids(desk)) == 3
    frozen_clock.advance(minutes=11)
    desk.save("<p>later</p>")
    assert len(ids(desk)) == 4
    assert "Ines" in words(desk.get("/versions"))


def test_a_text_from_before_there_were_versions_is_the_first(desk: Desk) -> None:
    desk.action.text = "<p>of a copy</p>"
    desk.session.flush()
    assert "As it came" in words(desk.get("/versions"))
    desk.save("<p>mine</p>")
    first = ids(desk)[-1]
    restore(desk, first)
    assert desk.stored().text == "<p>of a copy</p>"


def test_the_last_twenty_are_kept(desk: Desk, frozen_clock: Clock, session: Session) -> None:
    for number in range(23):
        desk.save(f"<p>number {number}</p>")
        frozen_clock.advance(minutes=11)
    assert len(ids(desk)) == 20
    assert "number 3" in words(desk.get("/versions", version=ids(desk)[-1]))
    assert session.scalar(text("SELECT count(*) FROM ontask.text_version")) == 20


def test_two_versions_are_compared_word_by_word(desk: Desk, frozen_clock: Clock) -> None:
    desk.save("<p>Dear {{ name }}, well done</p><p>same</p><p>Bye</p>")
    frozen_clock.advance(minutes=11)
    desk.save("<p>Dear {{ name }}, very well done</p><p>same</p>")
    body = desk.get("/versions").body
    assert "Dear {{ name }}, <ins>very </ins>well done" in body
    assert "<del>Bye</del>" in body
    assert "1 word added" in words(desk.get("/versions"))
    newer, older = ids(desk)
    assert "<del>very </del>" in desk.get("/versions", version=older, beside=newer).body


def test_a_version_speaks_of_names_as_they_are_now(desk: Desk, frozen_clock: Clock) -> None:
    low = desk.add("low", desk.rule("quiz", "less", "50"))
    desk.save("<p>{% if low %}a{% endif %}</p>")
    frozen_clock.advance(minutes=11)
    desk.save("<p>b</p>")
    desk.post(f"/conditions/{low}", {"name": "weak", "formula": json.dumps(desk.rule("quiz", "is_null"))})
    assert "{% if weak %}" in words(desk.get("/versions"))


def test_a_version_is_brought_back_and_that_is_undone(desk: Desk, frozen_clock: Clock) -> None:
    desk.save("<p>first</p>")
    frozen_clock.advance(minutes=11)
    desk.save("<p>second</p>")
    version = desk.stored().version
    page = desk.browser.follow(desk.browser.post(f"{desk.path}/versions?version={ids(desk)[-1]}"))
    assert desk.text() == "<p>first</p>"
    assert desk.stored().version == version + 1, "a save of what somebody still has open is stale now"
    undo = re.search(r'action="([^"]*/versions\?version=\d+)"', page.body)
    assert undo
    desk.browser.post(undo[1])
    assert desk.text() == "<p>second</p>"
    assert len(ids(desk)) == 4


@pytest.mark.parametrize(("number", "status"), [("0", 404), ("999999", 404), ("-1", 404), ("9" * 30, 422)])
def test_a_version_that_is_not_kept_is_not_found(desk: Desk, number: str, status: int) -> None:
    desk.save("<p>a</p>")
    assert desk.get("/versions", version=number).status == status
    assert desk.browser.post(f"{desk.path}/versions?version={number}").status == status


def test_a_version_of_another_message_is_not_found(desk: Desk, session: Session, workflow: Workflow) -> None:
    desk.save("<p>a</p>")
    mine = ids(desk)[0]
    desk.action = make_action(session, workflow, "", "Other")
    assert desk.browser.post(f"{desk.path}/versions?version={mine}").status == 404


def test_a_viewer_compares_and_brings_nothing_back(desk: Desk, workflow: Workflow) -> None:
    desk.save("<p>a</p>")
    viewer = desk_of(desk, member(desk.session, workflow, WorkflowRole.VIEWER))
    assert viewer.get("/versions").status == 200
    assert viewer.browser.post(f"{desk.path}/versions?version={ids(desk)[0]}").status in {403, 404}


LINES = st.lists(st.sampled_from(["<p>one two</p>", "<p>two, three</p>", "<p>{{ a | b }} c</p>", "<br>", "four"]))


@given(LINES, LINES)
def test_a_comparison_holds_both_texts(old: list[str], new: list[str]) -> None:
    before, after = "".join(old), "".join(new)
    found = compare(before, after)
    pieces = [piece for paragraph in found.paragraphs for piece in paragraph]
    assert bool(found.added or found.removed) == any(one.kind != SAME for one in pieces)
    if before == after:
        assert not pieces
    assert {one.kind for one in pieces} <= {SAME, ADDED, REMOVED}


def test_changed_looks_are_said() -> None:
    assert compare("<p>a</p>", "<p><b>a</b></p>").looks_only


# -- drafts


def test_a_text_with_mistakes_is_kept_as_a_draft(desk: Desk, colleague: Desk) -> None:
    desk.save("<p>good</p>")
    assert desk.save("<p>Dear {{ nme }}</p>")[0] == 422
    page = desk.get()
    assert desk.text() == "<p>Dear {{ nme }}</p>"
    assert "This is your draft" in words(page)
    assert desk.stored().text == "<p>good</p>"
    assert "good" in desk.mail(1)
    assert colleague.text() == "<p>good</p>", "a draft is its author's"
    assert desk.save("<p>Dear {{ name }}</p>")[0] == 200
    assert "This is your draft" not in words(desk.get())


def test_a_stale_text_is_kept_as_a_draft_and_stays_stale(desk: Desk, colleague: Desk) -> None:
    colleague.save("<p>theirs</p>", 1)
    assert desk.save("<p>mine</p>", 1)[0] == 409
    assert desk.text() == "<p>mine</p>"
    version = re.search(r'name="version" value="(\d+)"', desk.get().body)
    assert version
    assert desk.save("<p>mine</p>", int(version[1]))[0] == 409


def test_a_draft_is_dropped(desk: Desk) -> None:
    desk.save("<p>good</p>")
    desk.post("/text", {"text": "<p>{{ nme }}</p>", "version": "2"})
    assert desk.text() == "<p>{{ nme }}</p>"
    shown = desk.follow(desk.post("/text", {"text": "<p>{{ nme }}</p>", "version": "2", "drop_draft": "1"}))
    assert "Your draft is gone" in shown
    assert desk.text() == "<p>good</p>"
