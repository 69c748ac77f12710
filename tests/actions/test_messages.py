"""The list of messages, and what can be done with a whole message."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions.models import Action, Condition
from chalicelib.actions.serving.models import ServedLink
from chalicelib.schedules.models import Schedule
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow
from tests.actions.conftest import Desk, problem, words
from tests.conftest import Browser, Clock, Page, signed_in
from tests.factories import make_action, make_condition
from tests.test_access import member


def listed(client: Browser, workflow: Workflow) -> Page:
    page = client.get(f"/workflows/{workflow.id}/actions")
    assert page.status == 200
    return page


def names(page: Page) -> list[str]:
    """The messages of the list, in its order."""
    return re.findall(r'class="stretched-link"[^>]*>([^<]*)<', page.body)


def undo(page: Page) -> str:
    found = re.search(r'<form method="post" action="([^"]*/restore)"', page.body)
    assert found, "nothing can be undone"
    return found[1]


def test_without_learners_the_list_says_to_add_them(client: Browser, workflow: Workflow) -> None:
    assert "Add your learners first" in words(listed(client, workflow))


def test_without_messages_the_list_says_how_to_begin(
    client: Browser, workflow: Workflow, columns: dict[str, int]
) -> None:
    page = listed(client, workflow)
    assert "Write your first message" in words(page)
    assert "your 12 learners" in words(page)


def test_a_new_message_opens_with_an_empty_text(client: Browser, workflow: Workflow, columns: dict[str, int]) -> None:
    page = client.post(f"/workflows/{workflow.id}/actions", {"name": "  Before  the midterm ", "description": "Week 5"})
    shown = client.follow(page)
    assert "<h1>Before the midterm</h1>" in shown.body
    assert "Week 5" in shown.body
    assert names(listed(client, workflow)) == ["Before the midterm"]
    assert "Nothing written yet" in words(listed(client, workflow))


@pytest.mark.parametrize(
    ("name", "description", "field", "hint"),
    [
        ("", "keep me", "name", "Type a name"),
        ("   ", "keep me", "name", "Type a name"),
        ("x" * 1025, "keep me", "name", "at most 1,024 characters; this has 1,025"),
        ("Reminder", "keep me", "name", "Another message"),
        ("Fine", "keep me" + "x" * 2048, "description", "at most 2,048"),
    ],
)
def test_what_cannot_be_a_message_is_refused_at_its_field(
    desk: Desk, name: str, description: str, field: str, hint: str
) -> None:
    page = desk.browser.post(
        f"/workflows/{desk.action.workflow_id}/actions", {"name": name, "description": description}
    )
    assert page.status == 422
    assert hint in problem(page, field)
    assert description in page.body
    assert names(page) == ["Reminder"]
    page = desk.post("/settings", {"name": name or " ", "description": description})
    assert page.status == (303 if name == "Reminder" else 422), "a message may keep its own name"


def test_renaming_shows_everywhere(desk: Desk, workflow: Workflow) -> None:
    page = desk.post("/settings", {"name": "Before <b>the</b> midterm & “more”", "description": "New"})
    assert "Saved." in desk.follow(page)
    for path in (desk.path, desk.path + "/settings", f"/workflows/{workflow.id}/actions"):
        assert "Before &lt;b&gt;the&lt;/b&gt; midterm &amp; “more”" in desk.browser.get(path).body


def test_a_copy_has_its_own_conditions_and_changes_on_its_own(desk: Desk) -> None:
    low = desk.add("low", desk.rule("quiz", "less", "50"), description="below half")
    high = desk.add("high", desk.rule("quiz", "greater", "80"))
    gone = desk.add("gone", desk.rule("quiz", "is_null"))
    desk.post(f"/conditions/{gone}/delete")
    desk.filter(desk.rule("passed", "equal", "true"))
    text = "<p>{{ name }}{% if low and not high %} a{% endif %}</p>"
    assert desk.save(text)[0] == 200
    desk.stored().send_defaults = {"subject": f"{{% if @k{low} %}}Low{{% endif %}}", "from_name": "Ines"}
    desk.session.flush()

    page = desk.post("/copy")
    assert "This is the copy: “Copy of Reminder”." in desk.follow(page)
    twin = desk.session.scalars(select(Action).where(Action.name == "Copy of Reminder")).one()
    copied = desk.session.scalars(select(Condition).where(Condition.action_id == twin.id).order_by(Condition.id)).all()
    assert [(one.name, one.description) for one in copied] == [("low", "below half"), ("high", "")]
    assert {one.id for one in copied}.isdisjoint({low, high, gone})
    assert [f"@k{one.id}" for one in copied] == re.findall(r"@k\d+", twin.text)
    assert twin.send_defaults == {"subject": f"{{% if @k{copied[0].id} %}}Low{{% endif %}}", "from_name": "Ines"}
    assert twin.filter == desk.stored().filter

    other = Desk(desk.browser, desk.session, twin, desk.columns)
    assert other.text() == text
    other.post(f"/conditions/{copied[0].id}", {"name": "very low", "formula": json.dumps(copied[0].formula)})
    assert "{% if very low and not high %}" in other.text()
    assert desk.text() == text
    assert other.save("<p>Other</p>")[0] == 200
    assert desk.text() == text


def test_copies_get_different_names(desk: Desk, workflow: Workflow) -> None:
    for _ in range(3):
        desk.post("/copy")
    assert set(names(listed(desk.browser, workflow))) == {
        "Reminder", "Copy of Reminder", "Copy of Reminder (2)", "Copy of Reminder (3)"
    }  # fmt: skip


def test_the_longest_name_can_be_copied_again_and_again(desk: Desk) -> None:
    desk.post("/settings", {"name": "x" * 1024, "description": ""})
    for _ in range(2):
        assert desk.browser.follow(desk.post("/copy")).status == 200


def test_a_deleted_message_comes_back_as_it_was(desk: Desk, workflow: Workflow) -> None:
    desk.add("low", desk.rule("quiz", "less", "50"))
    desk.save("<p>{% if low %}a{% endif %}</p>")
    page = desk.browser.follow(desk.post("/delete"))
    assert "“Reminder” is deleted" in words(page)
    assert names(page) == []
    for part in ("", "/preview?row=1", "/settings", "/conditions", "/send"):
        assert desk.get(part).status == 404
    assert desk.post("/text", {"text": "x", "version": "2"}).status == 404
    assert "“Reminder” is back." in desk.follow(desk.browser.post(undo(page)))
    assert desk.text() == "<p>{% if low %}a{% endif %}</p>"


def test_a_message_comes_back_under_another_name_when_its_own_is_in_use(desk: Desk, workflow: Workflow) -> None:
    page = desk.browser.follow(desk.post("/delete"))
    desk.browser.post(f"/workflows/{workflow.id}/actions", {"name": "Reminder"})
    back = desk.follow(desk.browser.post(undo(page)))
    assert "“Copy of Reminder” is back." in back
    assert set(names(listed(desk.browser, workflow))) == {"Reminder", "Copy of Reminder"}


def test_what_was_not_deleted_cannot_be_restored(desk: Desk) -> None:
    assert desk.post("/restore").status == 404


def test_a_card_says_who_gets_the_message(desk: Desk, workflow: Workflow) -> None:
    desk.save("<p>Hello</p>")
    assert "for all 12 learners" in words(listed(desk.browser, workflow))
    desk.filter(desk.rule("quiz", "less", "30"))
    desk.add("low", desk.rule("quiz", "less", "10"))
    said = words(listed(desk.browser, workflow))
    assert "for 3 of 12 learners · 1 condition" in said
    assert "Never sent" in said
    desk.filter(desk.rule("quiz", "less", "-1"))
    assert "Nobody gets it" in words(listed(desk.browser, workflow))


def test_a_card_whose_rules_cannot_be_run_says_so_and_the_others_stay(
    desk: Desk, session: Session, workflow: Workflow
) -> None:
    broken = make_action(session, workflow, name="Broken")
    broken.filter = {"all": [{"column": 999_999, "op": "is_null"}]}
    session.flush()
    said = words(listed(desk.browser, workflow))
    assert "The rules for who gets it have to be repaired" in said
    assert "for all 12 learners" in said


def test_the_list_costs_the_same_however_long_it_is(
    desk: Desk, workflow: Workflow, count_statements: Callable[[], int]
) -> None:
    path = f"/workflows/{workflow.id}/actions"
    desk.browser.get(path)
    count_statements()
    desk.browser.get(path)
    few = count_statements()
    for number in range(20):
        make_condition(desk.session, make_action(desk.session, workflow, name=f"No. {number}"), "x", {"all": []})
    count_statements()
    desk.browser.get(path)
    assert count_statements() == few <= 10


def test_a_viewer_sees_the_list_and_nothing_to_change(desk: Desk, workflow: Workflow) -> None:
    viewer = signed_in(desk.session, member(desk.session, workflow, WorkflowRole.VIEWER))
    page = listed(viewer, workflow)
    assert names(page) == ["Reminder"]
    assert "New message or form" not in page.body
    assert "/delete" not in page.body
    for part in ("/copy", "/delete", "/settings", "/text", "/filter", "/conditions", "/test", "/count"):
        assert viewer.post(desk.path + part).status == 403
    assert names(listed(viewer, workflow)) == ["Reminder"]


def test_a_message_is_only_found_in_its_own_workflow(desk: Desk, session: Session, user: User) -> None:
    other = workflows.create(session, user.id, "Chemistry")
    for part in ("", "/preview", "/settings", "/conditions"):
        assert desk.browser.get(f"/workflows/{other.id}/actions/{desk.action.id}{part}").status == 404
    assert desk.browser.post(f"/workflows/{other.id}/actions/{desk.action.id}/delete").status == 404
    assert desk.get().status == 200


# -- search, order, layout, warnings, the bin


@pytest.fixture
def several(desk: Desk, workflow: Workflow) -> Desk:
    """Three actions: Reminder, Áccents and Zulu."""
    for name, kind in (("Áccents 100%", "survey"), ("Zulu", "personalised_json")):
        made = make_action(desk.session, workflow, name=name)
        made.kind = kind
        made.description = f"about {name.lower()}"
    desk.session.flush()
    return desk


def found(desk: Desk, **query: str) -> list[str]:
    return names(desk.browser.get(f"/workflows/{desk.action.workflow_id}/actions", **query))


def test_the_list_is_searched_by_name_and_description(several: Desk) -> None:
    assert found(several, search="accents") == ["Áccents 100%"]
    assert found(several, search="ABOUT Z") == ["Zulu"]
    assert found(several, search="0%") == ["Áccents 100%"]
    assert found(several, search="_") == []
    page = several.browser.get(f"/workflows/{several.action.workflow_id}/actions", search="nobody")
    assert "Nothing is found" in words(page)


def test_the_list_shows_one_type(several: Desk) -> None:
    assert found(several, kind="survey") == ["Áccents 100%"]
    assert len(found(several, kind="no such")) == 3


def test_order_and_layout_are_remembered_for_each_person(several: Desk, workflow: Workflow) -> None:
    assert found(several, sort="name") == ["Áccents 100%", "Reminder", "Zulu"]
    assert found(several) == ["Áccents 100%", "Reminder", "Zulu"]
    assert found(several, sort="type") == ["Zulu", "Reminder", "Áccents 100%"]
    assert found(several, sort="nonsense") == ["Zulu", "Reminder", "Áccents 100%"]
    # Those that came together, as with an import, stay in the order in which they came.
    several.session.execute(text("UPDATE ontask.action SET updated_at = now()"))
    assert found(several, sort="changed") == ["Reminder", "Áccents 100%", "Zulu"]
    path = f"/workflows/{workflow.id}/actions"
    assert "action-table" in several.browser.get(path, layout="table").body
    assert "action-table" in several.browser.get(path).body
    colleague = signed_in(several.session, member(several.session, workflow, WorkflowRole.EDITOR))
    assert "action-table" not in listed(colleague, workflow).body


def test_a_card_warns_of_what_is_wrong(desk: Desk, workflow: Workflow) -> None:
    desk.add("unused", desk.rule("quiz", "less", "50"))
    desk.add("nobody", desk.rule("quiz", "less", "-1"))
    desk.add("everybody", desk.rule("quiz", "less", "101"))
    desk.filter(desk.rule("quiz", "is_not_null"))
    desk.save("<p>{% if nobody or everybody %}{{ home }}{% endif %}</p>")
    said = words(listed(desk.browser, workflow))
    assert "3 warnings" in said
    assert "“unused” is not used in the text" in said
    assert "“nobody” holds for nobody" in said
    assert "“everybody” holds for everybody" in said
    desk.stored().text += "{{ @c999999 }}"
    desk.session.flush()
    assert "uses something that was deleted" in words(listed(desk.browser, workflow))


def test_what_was_deleted_is_in_the_bin_for_thirty_days(desk: Desk, workflow: Workflow, frozen_clock: Clock) -> None:
    desk.post("/delete")
    bin_ = f"/workflows/{workflow.id}/actions?deleted=1"
    frozen_clock.advance(days=29)
    page = desk.browser.get(bin_)
    assert "Reminder" in words(page)
    assert "1 day left" in words(page)
    desk.browser.post(undo(page))
    assert found(desk) == ["Reminder"]
    desk.post("/delete")
    frozen_clock.advance(days=31)
    assert "Nothing was deleted" in words(desk.browser.get(bin_))
    assert desk.post("/restore").status == 404


def test_two_hundred_actions_take_as_few_statements_as_one(
    desk: Desk, workflow: Workflow, count_statements: Callable[[], int]
) -> None:
    low = desk.rule("quiz", "less", "50")
    for number in range(200):
        made = make_action(desk.session, workflow, f"<p>{{{{ @c{desk.columns['name']} }}}}</p>" * 20, f"No. {number}")
        made.filter = desk.rule("quiz", "greater", str(number))
        desk.session.add_all(
            Condition(action_id=made.id, name=f"c{n}", formula=low, position=n, created_at=clock.now())
            for n in range(5)
        )
    desk.session.flush()
    count_statements()
    page = listed(desk.browser, workflow)
    assert count_statements() <= 10
    assert len(names(page)) == 201


def test_a_card_says_what_comes_and_whether_its_link_is_on(
    desk: Desk, workflow: Workflow, session: Session, frozen_clock: Clock
) -> None:
    now = clock.now()
    link = ServedLink(action_id=desk.action.id, token="t", is_on=True, created_at=now, changed_at=now)
    session.add(link)
    session.add(
        Schedule(
            workflow_id=workflow.id, action_id=desk.action.id, kind="x", name="weekly", payload={}, crontab="0 8 * * 1",
            time_zone="UTC", notify="", state="active", next_at=now + timedelta(days=2), created_at=now,
        )
    )  # fmt: skip
    session.flush()
    said = words(listed(desk.browser, workflow))
    assert "link on" in said
    assert "next in 2 days" in said
    link.open_until = now - timedelta(hours=1)
    session.flush()
    assert "link over" in words(listed(desk.browser, workflow))
    link.is_on = False
    session.flush()
    assert "link off" in words(listed(desk.browser, workflow))
