"""Schedules for programs: those of today, and the addresses and words of OnTask 11."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.accounts.models import User
from chalicelib.actions.models import Action
from chalicelib.workflows.models import Workflow
from tests.conftest import make_user
from tests.factories import make_action, make_table
from tests.programs import Program, program

ROWS = [("s1", "s1@uni.example", 1), ("s2", "s2@uni.example", 2)]


@pytest.fixture
def columns(session: Session, workflow: Workflow) -> dict[str, int]:
    return make_table(session, workflow, {"sid": "text", "email": "text", "number": "integer"}, ROWS)


@pytest.fixture
def text(session: Session, workflow: Workflow, columns: dict[str, int]) -> Action:
    return make_action(session, workflow, "<p>Hello</p>", "simple action")


@pytest.fixture
def json(session: Session, workflow: Workflow, columns: dict[str, int]) -> Action:
    made = make_action(session, workflow, '{"id": 1}', "json action", "personalised_json")
    made.target = {"url": "https://lms.example/in", "method": "POST"}
    session.flush()
    return made


# -- those of today


def test_a_schedule_is_made_changed_switched_run_and_deleted(api: Program, workflow: Workflow, text: Action) -> None:
    here = f"/api/v2/workflows/{workflow.id}/schedules"
    sent = {
        "name": "Weekly", "action": text.id, "crontab": "0 8 * * 1", "time_zone": "Europe/Madrid",
        "payload": {"column": "email", "subject": "For {{ sid }}", "left_out": ["s2@uni.example"]},
    }  # fmt: skip
    made = api.send("POST", here, sent)
    assert made.status == 201
    one = f"{here}/{made.json['id']}"
    assert api.get(here).json["items"] == [made.json]
    assert (made.json["kind"], made.json["words"]) == ("mail", "At 08:00 on Monday")
    assert made.json["payload"]["column"] == "email"
    assert made.json["payload"]["subject"] == "For {{ sid }}"
    assert len(api.get(f"{one}/next?count=3").json["items"]) == 3
    changed = api.send("PATCH", one, {"until": "2027-01-01T00:00:00+00:00", "payload": {"subject": "Else"}})
    assert changed.status == 200
    assert changed.json["payload"] == {**made.json["payload"], "subject": "Else"}
    stale = api.send("PATCH", one, {"name": "Late"}, if_match=made.headers["ETag"])
    assert stale.status == 412
    assert api.send("POST", f"{one}/disable").json["enabled"] is False
    assert api.send("POST", f"{one}/enable").json["next_run"] is not None
    assert api.send("POST", f"{one}/run").json["last_run"]["state"] == "running"
    steps = api.send("PATCH", one, {"steps": [{"action": text.id, "payload": sent["payload"]}]}).json["steps"]
    assert steps[0]["payload"]["subject"] == "For {{ sid }}"
    assert api.send("DELETE", one).status == 204
    assert api.get(one).status == 404


def test_json_and_reports_are_planned_and_a_token_never_comes_back(
    api: Program, session: Session, workflow: Workflow, json: Action
) -> None:
    here = f"/api/v2/workflows/{workflow.id}/schedules"
    soon = (clock.now() + timedelta(days=1)).isoformat()
    made = api.send(
        "POST", here, {"name": "Push", "action": json.id, "starts_at": soon, "payload": {"token": "s3cret"}}
    )  # fmt: skip
    assert made.status == 201
    assert "s3cret" not in made.text
    report = make_action(session, workflow, "<p>All</p>", "Report", "email_report")
    payload = {"to": ["dean@uni.example"], "subject": "All", "send_empty": False}
    made = api.send("POST", here, {"name": "R", "action": report.id, "crontab": "0 8 1 * *", "payload": payload})
    assert made.json["payload"]["to"] == ["dean@uni.example"]
    assert made.json["kind"] == "report"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"crontab": "99 * * * *"}, "crontab"),
        ({"crontab": "* * * * *"}, "crontab"),
        ({"crontab": ""}, "starts_at"),
        ({"crontab": "", "starts_at": "2020-01-01T00:00:00Z"}, "starts_at"),
        ({"starts_at": "soon"}, "starts_at"),
        ({"until": "2020-01-01T00:00:00Z"}, "until"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"notify": "often"}, "notify"),
        ({"addresses": ["dean"]}, "addresses"),
        ({"max_failures": 0}, "max_failures"),
        ({"name": ""}, "name"),
        ({"action": 999_999}, "action"),
        ({"payload": {"column": "email"}}, "payload.subject"),
        ({"payload": {"column": "gone", "subject": "x"}}, "payload.column"),
        ({"payload": {"column": "email", "subject": "{{ gone }}"}}, "payload.subject"),
        ({"payload": {"column": "email", "subject": "x", "cc": ["dean"]}}, "payload.cc"),
        ({"payload": {"column": "email", "subject": "x", "left_out": {}}}, "payload.left_out"),
    ],
)
def test_what_can_not_be_is_told_at_its_field(
    api: Program, workflow: Workflow, text: Action, changed: dict[str, Any], field: str
) -> None:
    sent = {"name": "W", "action": text.id, "crontab": "0 8 * * 1", "payload": {"column": "email", "subject": "x"}}
    refused = api.send("POST", f"/api/v2/workflows/{workflow.id}/schedules", {**sent, **changed})
    assert refused.status == 422
    assert list(refused.problems()) == [field]


# -- those of OnTask 11

MAIL, JSON = "/api/v1/scheduler/scheduled_email/", "/api/v1/scheduler/scheduled_json/"


def legacy(workflow: Workflow, planned: Action, **changed: Any) -> dict[str, Any]:
    payload = {
        "item_column": "email", "subject": "Your progress", "cc_email": "", "bcc_email": "tutor@uni.example",
        "track_read": False, "send_confirmation": True, "exclude_values": ["s2@uni.example"],
    }  # fmt: skip
    if planned.kind == "personalised_json":
        payload = {"item_column": "sid", "token": "s3cret"}
    kind = "json" if planned.kind == "personalised_json" else "email"
    sent = {
        "name": "Week 3 nudge", "description_text": "", "operation_type": f"action_run_personalized_{kind}",
        "workflow": workflow.id, "action": planned.id, "execute_start": "2119-05-03 12:32:18+10:30", "frequency": "",
        "execute_until": None, "payload": payload,
    }  # fmt: skip
    return {**sent, **changed, "payload": {**payload, **changed["payload"]} if "payload" in changed else payload}


def test_mails_and_json_are_planned_as_in_ontask_11(
    api: Program, workflow: Workflow, text: Action, json: Action, columns: dict[str, int]
) -> None:
    empty = {"count": 0, "next": None, "previous": None, "results": []}
    for address, action, door in ((MAIL, text, "email"), (JSON, json, "json")):
        assert api.get(address).json == empty
        sent = legacy(workflow, action)
        made = api.send("POST", address, sent)
        assert made.status == 201, made.text
        same = ("name", "description_text", "action", "workflow", "operation_type", "frequency", "execute_until")
        assert {name: made.json[name] for name in same} == {name: sent[name] for name in same}
        assert "s3cret" not in made.text
        one = f"/api/v1/scheduler/{made.json['id']}/rud_{door}/"
        again = api.send("PUT", one, {**made.json, "name": "Week 3 nudge2"})
        assert again.status == 200, again.text
        assert api.get(one).json["name"] == "Week 3 nudge2"
        assert api.send("PATCH", one, {"frequency": "0 8 * * 1"}).json["frequency"] == "0 8 * * 1"
        assert [found["id"] for found in api.get(address).json["results"]] == [made.json["id"]]
        other = "json" if door == "email" else "email"
        assert api.get(f"/api/v1/scheduler/{made.json['id']}/rud_{other}/").status == 404
        assert api.send("DELETE", one).status == 204
        assert api.get(one).status == 404
    assert api.send("POST", MAIL, legacy(workflow, json)).status == 500
    assert api.send("POST", JSON, {**legacy(workflow, text), "payload": {"token": "t"}}).status == 500


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"action": 999_999}, "Incorrect permission to manipulate action."),
        ({"execute_start": "1999-05-03T12:00:00+10:30"}, "Execution time is in the past. No execution possible."),
        ({"execute_start": None}, "Say when, or how often."),
        ({"execute_until": "2120-01-01T00:00:00Z"}, "What happens once has no end."),
        ({"frequency": "x"}, "A crontab has five parts"),
        ({"payload": {"item_column": "gone"}}, "Invalid column name for selecting items."),
        ({"payload": {"exclude_values": {}}}, "Exclude values must be a list."),
        ({"payload": {"item_column": None}}, "Personalized text need a column name in payload field item_column."),
        ({"payload": {"subject": ""}}, "Personalized text needs a subject."),
        ({"payload": {"item_column": "number", "exclude_values": []}}, 'Incorrect email value "1".'),
        ({"payload": {"cc_email": 7}}, "cc_email must be a space-separated list of emails."),
        ({"payload": {"bcc_email": "no address"}}, "bcc_email must be a space-separated list of emails."),
    ],
)
def test_refusals_have_the_words_of_ontask_11(
    api: Program, workflow: Workflow, text: Action, changed: dict[str, Any], reason: str
) -> None:
    refused = api.send("POST", MAIL, legacy(workflow, text, **changed))
    assert refused.status == 500
    assert refused.json["detail"].startswith(f"Scheduled action could not be created: {reason}")


def test_fields_that_can_not_be_read_are_told_as_ontask_11_does(
    api: Program, session: Session, workflow: Workflow, text: Action, json: Action
) -> None:
    sent = legacy(workflow, text)
    assert api.send("POST", MAIL, sent).status == 201
    assert "must make a unique set" in api.send("POST", MAIL, sent).json["non_field_errors"][0]
    wrong = api.send(
        "POST", MAIL, {**sent, "name": "", "operation_type": "x", "workflow": 999_999, "execute_start": "?"}
    )
    assert wrong.status == 400
    assert set(wrong.json) == {"name", "operation_type", "workflow", "execute_start"}
    assert (
        api.send("POST", JSON, legacy(workflow, json, name="n", payload={"token": ""}))
        .json["detail"]
        .endswith("in payload.")
    )
    assert api.send("POST", MAIL, {**sent, "name": "n", "payload": {}}).json["detail"].endswith("need a payload.")
    stranger: User = make_user(session, email="eve@uni.example")
    refused = program(session, stranger).send("POST", MAIL, {**sent, "name": "n"})
    assert refused.json["detail"].endswith("Incorrect permission to manipulate workflow.")
