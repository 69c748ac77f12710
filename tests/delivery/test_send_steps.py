"""A send form is kept while it is filled in, learners are left out in a second step, large numbers are typed."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib.accounts.models import User
from chalicelib.actions.models import Action
from chalicelib.delivery import drafts
from chalicelib.delivery.models import Run, RunDraft
from chalicelib.settings import settings
from chalicelib.workflows.models import Member, Workflow
from tests.conftest import Browser, Clock, make_user, signed_in
from tests.delivery.test_send_page import fields, path, words
from tests.factories import make_action, make_table

KINDS = {"sid": "text", "Email": "text", "first name": "text", "mark": "integer"}

LEARNERS = [
    ("s1", "ada@uni.example", "Ada", 55),
    ("s2", "bob@uni.example", "Bob", 80),
    ("s3", "not an address", "Cy", 70),
    ("s4", None, "Di", 60),
    ("s5", "ADA@uni.example", "Ada’s twin", 40),
    ("s6", "bob@uni.example", "Bob again", 81),
]


@pytest.fixture
def columns(session: Session, workflow: Workflow, frozen_clock: Clock) -> dict[str, int]:
    return make_table(session, workflow, KINDS, LEARNERS)


@pytest.fixture
def action(session: Session, workflow: Workflow, columns: dict[str, int]) -> Action:
    return make_action(session, workflow, f"<p>Dear {{{{ @c{columns['first name']} }}}}, well done.</p>")


def kept(action: Action, draft: str, **more: Any) -> str:
    return "&".join([f"{path(action)}?draft={draft}", *(f"{name}={value}" for name, value in more.items())])


def typed(client: Browser, action: Action, columns: dict[str, int], **changed: Any) -> Any:
    """What the browser sends by itself while somebody types."""
    return client.post(path(action, "/prepare"), fields(columns, **changed), htmx=True)


def test_what_is_typed_is_kept_even_when_it_is_wrong_and_each_window_has_its_own(
    session: Session, client: Browser, action: Action, columns: dict[str, int]
) -> None:
    answer = typed(
        client, action, columns, draft="one", subject="Dear {{ nobody", reply_to="ines", when="later", due_at="soon"
    )
    assert answer.headers["HX-Replace-Url"] == kept(action, "one")
    typed(client, action, columns, draft="two", subject="Another", track_opens="")
    first, second = client.get(kept(action, "one")), client.get(kept(action, "two"))
    for text in ('value="Dear {{ nobody"', 'value="ines"', 'value="soon"', 'id="when-later" value="later" checked'):
        assert text in first.body
    assert 'value="Another"' in second.body
    assert 'name="track_opens" value="1" checked' in first.body
    assert 'name="track_opens" value="1" checked' not in second.body
    new = client.get(path(action))
    assert "You had begun before" in words(new)
    assert 'value="Another"' not in new.body
    client.post(path(action, "/prepare"), {"draft": "two", "step": "who", "do": "discard"})
    assert session.scalars(select(RunDraft.id)).all() == ["one"]


def test_a_form_that_was_sent_leads_to_its_run_and_an_old_one_is_forgotten(
    session: Session, client: Browser, action: Action, columns: dict[str, int], frozen_clock: Clock
) -> None:
    typed(client, action, columns, draft="old")
    typed(client, action, columns, draft="sent")
    client.post(path(action), fields(columns, draft="sent", leave_out_bad="1"))
    run = session.scalars(select(Run)).one()
    assert client.get(kept(action, "sent")).location == f"/workflows/{action.workflow_id}/runs/{run.id}"
    elsewhere = typed(client, action, columns, draft="sent", subject="Once more")
    assert elsewhere.headers["HX-Redirect"].endswith(f"/runs/{run.id}"), "the same form in another window"
    frozen_clock.advance(days=13)
    drafts.forget_old(session)
    assert session.scalars(select(RunDraft.id)).all() == ["old"]
    frozen_clock.advance(days=2)
    drafts.forget_old(session)
    assert session.scalars(select(RunDraft.id)).all() == []


def test_nobody_sees_or_changes_another_s_form(
    session: Session, client: Browser, action: Action, columns: dict[str, int]
) -> None:
    typed(client, action, columns, draft="mine", subject="Private thoughts")
    other = make_user(session, "other@uni.example")
    session.add(Member(workflow_id=action.workflow_id, user_id=other.id, role="sender", created_at=action.created_at))
    session.flush()
    browser = signed_in(session, other)
    assert browser.get(kept(action, "mine")).location == path(action)
    assert "Private thoughts" not in browser.get(path(action)).body
    assert browser.post(path(action, "/prepare"), fields(columns, draft="mine"), htmx=True).status == 404
    assert 'value="Private thoughts"' in client.get(kept(action, "mine")).body


def who(client: Browser, action: Action, draft: str, **sent: Any) -> Any:
    """A change on the second step."""
    return client.post(path(action, "/prepare"), {"draft": draft, "step": "who", **sent}, htmx=True)


def test_learners_are_left_out_by_value_in_a_second_step(
    session: Session, client: Browser, action: Action, columns: dict[str, int]
) -> None:
    assert "Next: who is left out" in words(typed(client, action, columns, draft="d", exclude="1", leave_out_bad="1"))
    page = client.follow(client.post(path(action, "/prepare"), fields(columns, draft="d", exclude="1", do="next")))
    assert "bob@uni.example 2 learners" in words(page)
    assert "(no value)" in words(page)
    chosen = who(
        client,
        action,
        "d",
        also_1=columns["first name"],
        leave_out_bad="1",
        leave_out_duplicates="1",
        shown=["", "ada@uni.example", "bob@uni.example"],
        out="bob@uni.example",
    )
    assert "Bob, Bob again" in words(chosen)
    assert "2 excluded, 2 will be sent" in words(chosen)
    found = who(client, action, "d", find="TWIN", also_1=columns["first name"], leave_out_bad="1", do="all")
    assert "3 excluded, 1 will be sent" in words(found)
    assert words(found).count("learners") < words(chosen).count("learners")
    only = client.get(kept(action, "d", step="who", only="out"))
    assert ("ADA@uni.example" in only.body, 'value="ada@uni.example"' in only.body) == (True, False)
    back = client.follow(
        client.post(
            path(action, "/prepare"), {"draft": "d", "step": "who", "do": "back", "also_1": str(columns["first name"])}
        )
    )
    assert 'value="About quiz 1"' in back.body
    again = client.get(kept(action, "d", step="who"))
    assert "3 excluded" in words(again)
    assert "0 excluded, 4 will be sent" in words(who(client, action, "d", do="none"))
    who(client, action, "d", shown="bob@uni.example", out="bob@uni.example")
    sent = client.post(path(action), {"draft": "d", "step": "who", "leave_out_bad": "1", "expected": "2"})
    run = session.scalars(select(Run)).one()
    assert sent.location == f"/workflows/{action.workflow_id}/runs/{run.id}"
    assert (run.left_out, run.subject) == (["bob@uni.example"], "About quiz 1")
    assert 'id="f-exclude" name="exclude" value="1" checked' in client.get(path(action)).body


def test_a_search_takes_its_signs_literally(client: Browser, action: Action, columns: dict[str, int]) -> None:
    typed(client, action, columns, draft="d", exclude="1")
    assert "Nobody fits “%”." in words(who(client, action, "d", find="%"))


def test_a_problem_of_the_first_step_is_shown_there_and_the_choice_stays(
    client: Browser, action: Action, columns: dict[str, int]
) -> None:
    typed(client, action, columns, draft="d", exclude="1", subject="")
    who(client, action, "d", shown="bob@uni.example", out="bob@uni.example")
    page = client.post(path(action), {"draft": "d", "step": "who", "leave_out_bad": "1"})
    assert page.status == 422
    assert 'id="f-subject"' in page.body
    assert "You had begun before" not in words(page), "this very form is the one"
    assert "2 excluded" in words(client.get(kept(action, "d", step="who")))
    missing = client.post(path(action), {"draft": "nobody's", "step": "who"})
    assert missing.status == 404


def test_the_number_of_many_messages_is_typed_and_one_that_changed_is_looked_at_again(
    session: Session, client: Browser, user: User, action: Action, columns: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("CONFIRM_ABOVE", "2")
    settings.cache_clear()
    assert "Type their number, 4, to confirm it." in words(client.get(path(action)))
    for number in ("", "3", "yes"):
        page = client.post(path(action), fields(columns, leave_out_bad="1", typed=number))
        assert page.status == 422
        assert "Type 4 here" in words(page)
        assert f'id="f-typed" name="typed" value="{number}"' in page.body
    changed = client.post(path(action), fields(columns, leave_out_bad="1", typed="4", expected="5"))
    assert "The number of messages is 4 by now; you saw 5." in words(changed)
    assert session.scalars(select(Run)).all() == []
    assert client.post(path(action), fields(columns, leave_out_bad="1", typed=" 4 ", expected="4")).status == 303


def test_all_addresses_that_cannot_be_used_come_as_a_file(
    session: Session, client: Browser, action: Action, columns: dict[str, int]
) -> None:
    typed(client, action, columns, draft="d", to_column_id=columns["first name"])
    page = client.get(kept(action, "d", step="bad"))
    assert page.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert page.body.splitlines() == [
        "sid,first name", "s1,Ada", "s2,Bob", "s3,Cy", "s4,Di", "s5,Ada’s twin", "s6,Bob again",
    ]  # fmt: skip


def test_where_nobody_would_get_it_there_is_the_filter_instead_of_the_form(
    session: Session, client: Browser, action: Action, columns: dict[str, int]
) -> None:
    action.filter = {"all": [{"column": columns["mark"], "op": "greater", "value": "100"}]}
    session.flush()
    page = client.get(path(action))
    assert ("Look at the filter" in page.body, 'id="send-form"' in page.body) == (True, False)
    assert 'id="send-form"' in client.get(path(action) + "?even_so=1").body
    assert client.post(path(action), fields(columns)).status == 422
