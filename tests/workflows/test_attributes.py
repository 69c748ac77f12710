from __future__ import annotations

import json
import re

import pytest
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.accounts.models import User
from chalicelib.actions import conditions
from chalicelib.actions.forms import ConditionForm
from chalicelib.actions.rubrics.models import Criterion, RubricCell
from chalicelib.delivery import service as delivery
from chalicelib.delivery.order import SendOrder
from chalicelib.delivery.render import Renderer
from chalicelib.tables import queries as tables
from chalicelib.workflows import queries
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, signed_in
from tests.factories import make_action, make_condition, make_table


def here(workflow: Workflow) -> str:
    return f"/workflows/{workflow.id}/attributes"


def add(client: Browser, workflow: Workflow, name: str, value: str = "Biology 101"):  # type: ignore[no-untyped-def]
    return client.post(here(workflow), {"action": "add", "name": name, "value": value})


def id_of(session: Session, workflow: Workflow, name: str) -> int:
    return next(one.id for one in queries.attributes(session, workflow.id) if one.name == name)


@pytest.fixture
def ids(session: Session, workflow: Workflow) -> dict[str, int]:
    """A table of two learners."""
    columns = {"email": "text", "mark": "integer"}
    return make_table(session, workflow, columns, [["ada@uni.example", 7], ["bo@uni.example", 3]])


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("", "x", "Type a name."),
        ("it's", "x", "straight quotes"),
        ("__system", "x", "two underscores"),
        ("mark", "x", "A column of the table has this name"),
        ("Low", "x", "A condition of the message “Reminder” has this name"),
        ("Course", "x", "An attribute of the workflow has this name"),
        ("Room", "", "Type a value."),
        ("Room", "x" * 1025, "at most 1,024 characters; this has 1,025"),
    ],
)
def test_a_bad_attribute_is_refused_and_what_was_typed_stays(
    client: Browser, session: Session, workflow: Workflow, ids: dict[str, int], name: str, value: str, hint: str
) -> None:
    action = make_action(session, workflow)
    make_condition(session, action, "Low", {"all": [{"column": ids["mark"], "op": "less", "value": "5"}]})
    add(client, workflow, "Course")
    page = add(client, workflow, name, value)
    assert page.status == 422
    assert hint in page.body
    assert name.replace("'", "&#39;") in page.body
    assert len(queries.attributes(session, workflow.id)) == 1


def test_a_condition_can_not_have_the_name_of_an_attribute(
    client: Browser, session: Session, user: User, workflow: Workflow, ids: dict[str, int]
) -> None:
    add(client, workflow, "Course")
    action = make_action(session, workflow)
    rules = {"all": [{"column": ids["mark"], "op": "less", "value": "5"}]}
    page = client.post(
        f"/workflows/{workflow.id}/actions/{action.id}/conditions",
        {"name": "Course", "formula": json.dumps(rules)},
    )
    assert "An attribute of the workflow has this name" in page.body
    columns = tables.infos(session, workflow.id)
    assert conditions.create(session, user.id, action, ConditionForm("Free", "", rules), columns, "UTC").name == "Free"


def test_an_attribute_is_written_and_read_by_name_and_survives_a_new_name(
    client: Browser, session: Session, workflow: Workflow, ids: dict[str, int]
) -> None:
    add(client, workflow, "Course")
    action = make_action(session, workflow, "")
    page = f"/workflows/{workflow.id}/actions/{action.id}"
    saved = client.post(page + "/text", {"text": "<p>Welcome to {{ Course }}</p>", "version": action.version})
    assert saved.status == 303, saved.body
    assert '"attributes": [{"id"' in client.get(page).body.replace("&#34;", '"')
    assert "Welcome to Biology 101" in client.get(page + "/preview").body
    attribute = id_of(session, workflow, "Course")
    change = {"action": "change", "attribute": attribute, "name": "Name of the course", "value": "Chemistry <2>"}
    assert client.post(here(workflow), change).status == 303
    assert "Welcome to Chemistry &lt;2&gt;" in client.get(page + "/preview").body
    assert "{{ Name of the course }}" in client.get(page).body


def test_a_confirmed_run_keeps_the_value_of_its_time(
    client: Browser, session: Session, user: User, workflow: Workflow, ids: dict[str, int]
) -> None:
    add(client, workflow, "Course")
    attribute = id_of(session, workflow, "Course")
    action = make_action(session, workflow, f"<p>{{{{ @a{attribute} }}}}, {{{{ @c{ids['mark']} }}}}</p>")
    order = SendOrder(to_column_id=ids["email"], subject="News of {{ Course }}", token="t")
    run = delivery.confirm(session, user.id, workflow, action, order)
    change = {"action": "change", "attribute": attribute, "name": "Course", "value": "Something else"}
    assert client.post(here(workflow), change).status == 303
    mail = Renderer(run).render({f"c{ids['mark']}": 7}, {})
    assert (mail.subject, mail.html) == ("News of Biology 101", "<p>Biology 101, 7</p>")


def test_a_deleted_attribute_warns_of_its_uses_and_can_be_taken_back(
    client: Browser, session: Session, workflow: Workflow, ids: dict[str, int]
) -> None:
    add(client, workflow, "Course")
    attribute = id_of(session, workflow, "Course")
    make_action(session, workflow, f"<p>{{{{ @a{attribute} }}}}</p>", "Welcome")
    rubric = make_action(session, workflow, "", "Essay", kind="rubric_text")
    criterion = Criterion(action_id=rubric.id, column_id=ids["mark"], position=1, created_at=clock.now())
    session.add(criterion)
    session.flush()
    session.add(RubricCell(criterion_id=criterion.id, level="7", feedback=f"<p>{{{{ @a{attribute} }}}}</p>"))
    session.flush()
    delete = {"action": "delete", "attribute": attribute}
    page = client.post(here(workflow), delete)
    assert page.status == 409
    assert "“Course” is used in the text of the message “Welcome”, a feedback of the rubric “Essay”" in page.body
    assert len(queries.attributes(session, workflow.id)) == 1
    page = client.follow(client.post(here(workflow), delete | {"anyway": "1"}))
    assert queries.attributes(session, workflow.id) == []
    undo = re.search(rf'action="({here(workflow)}\?back=\d+)"', page.body)
    assert undo
    client.post(undo[1])
    assert [one.id for one in queries.attributes(session, workflow.id)] == [attribute]


def test_an_attribute_without_uses_goes_at_once(client: Browser, session: Session, workflow: Workflow) -> None:
    add(client, workflow, "Course")
    page = client.post(here(workflow), {"action": "delete", "attribute": id_of(session, workflow, "Course")})
    assert page.status == 303


def test_a_stale_save_of_an_attribute_loses_nothing(
    client: Browser, session: Session, user: User, workflow: Workflow
) -> None:
    add(client, workflow, "Course")
    attribute = id_of(session, workflow, "Course")
    page = client.get(here(workflow), edit=attribute)
    seen = re.search(r'name="seen" value="([^"]+)"', page.body)
    assert seen
    other_tab = signed_in(session, user)
    change = {"action": "change", "attribute": attribute, "name": "Course"}
    assert other_tab.post(here(workflow), change | {"value": "Theirs"}).status == 303
    page = client.post(here(workflow), change | {"value": "Mine", "seen": seen[1]})
    assert page.status == 409
    assert re.search(r"Ines, at \d\d:\d\d, changed this to “Theirs”", page.body)
    assert 'value="Mine"' in page.body
    seen = re.search(r'name="seen" value="([^"]+)"', page.body)
    assert seen
    assert client.post(here(workflow), change | {"value": "Mine", "seen": seen[1]}).status == 303
    assert [one.value for one in queries.attributes(session, workflow.id)] == ["Mine"]


def test_the_attribute_of_another_workflow_can_not_be_changed(
    client: Browser, session: Session, user: User, workflow: Workflow
) -> None:
    from chalicelib.workflows import service

    other = service.create(session, user.id, "Chemistry")
    add(client, other, "Course")
    attribute = id_of(session, other, "Course")
    for action in ("change", "delete"):
        fields = {"action": action, "attribute": attribute, "name": "Mine", "value": "x", "anyway": "1"}
        page = client.follow(client.post(here(workflow), fields))
        assert "This attribute was deleted meanwhile." in page.body
    assert [one.name for one in queries.attributes(session, other.id)] == ["Course"]
