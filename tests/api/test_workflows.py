"""Workflows for programs, and what holds for every address: problems, pieces of lists, repeats, states."""

from __future__ import annotations

from openapi_spec_validator import validate
from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import programs
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import Role
from chalicelib.audit.models import Event
from chalicelib.schedules import jobs
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow
from tests.conftest import Clock, make_user
from tests.programs import Program, program

LIST = "/api/v2/workflows"


def test_a_workflow_is_made_read_changed_and_deleted(session: Session, api: Program) -> None:
    made = api.send("POST", LIST, {"name": "Chem 101", "attributes": {"semester": "S1 – “é”"}})
    assert made.status == 201
    path = f"{LIST}/{made.json['id']}"
    assert made.headers["Location"].endswith(path)
    assert api.get(path).json == made.json
    assert made.json["attributes"] == {"semester": "S1 – “é”"}
    assert "“é”" in made.text, "other letters are not escaped"
    changed = api.send("PATCH", path, {"description": "For all", "attributes": {"year": "2026"}})
    assert changed.json == made.json | {
        "description": "For all", "attributes": {"year": "2026"}, "updated_at": changed.json["updated_at"],
    }  # fmt: skip
    assert api.send("DELETE", path).status == 204
    assert api.get(path).status == 404
    origins = set(session.scalars(select(Event.origin).where(Event.workflow_id == made.json["id"])))
    assert origins == {"API"}


def test_what_does_not_fit_is_told_by_field(api: Program, workflow: Workflow) -> None:
    answer = api.send("POST", LIST, {"description": 5, "colour": "red"})
    assert answer.status == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.problems() == {
        "name": "This field is required.", "description": "This must be a text.",
        "colour": "This is not known here; name, description, attributes are.",
    }  # fmt: skip
    assert api.send("POST", LIST, {"name": workflow.name}).problems() == {
        "name": "There is a workflow with this name already."
    }
    assert "attributes" in api.send("POST", LIST, {"name": "New", "attributes": {"x": " "}}).problems()
    assert [one["name"] for one in api.get(LIST).json["items"]] == [workflow.name], "nothing is left of it"


def test_what_is_no_json_is_refused(api: Program) -> None:
    for body in ('{"name": ', '{"name": NaN}', "[" * 100_000, '{"name": "a\\u0000"}'):
        answer = api.send("POST", LIST, body)
        assert (answer.status, answer.json["code"]) == (400, "unreadable")
    assert api.send("POST", LIST, "name,x", content_type="text/csv").status == 415
    assert api.send("POST", LIST, {"name": "x" * 5_000_001}).status == 413


def test_unknown_addresses_and_verbs_are_told_in_json(api: Program, workflow: Workflow) -> None:
    assert api.get("/api/v2/nothing").json["title"] == "Not found"
    answer = api.send("PUT", f"{LIST}/{workflow.id}", {})
    assert answer.status == 405
    assert answer.headers["Allow"] == "DELETE, GET, PATCH"
    assert answer.headers["X-Request-Id"] == answer.json["request_id"]


def test_a_list_comes_in_pieces(session: Session, user: User, api: Program) -> None:
    for number in range(5):
        workflows.create(session, user.id, f"Class {number}")
    seen, path = [], f"{LIST}?limit=2"
    while path:
        page = api.get(path).json
        seen += [one["name"] for one in page["items"]]
        path = page["next"] and page["next"].removeprefix("http://127.0.0.1:8910")
    assert seen == [f"Class {number}" for number in range(5)]
    assert api.get(f"{LIST}?limit=0").problems() == {"limit": "Ask for 1 to 1,000 at once."}
    for cursor in ("x", "bm9uZQ=="):
        assert "cursor" in api.get(f"{LIST}?cursor={cursor}").problems()


def test_a_stale_save_is_refused(api: Program, workflow: Workflow) -> None:
    path = f"{LIST}/{workflow.id}"
    seal = api.get(path).headers["ETag"]
    assert api.send("PATCH", path, {"name": "First"}, if_match=seal).status == 200
    answer = api.send("PATCH", path, {"name": "Second"}, if_match=seal)
    assert (answer.status, answer.json["code"]) == (412, "precondition")
    assert api.get(path).json["name"] == "First"
    assert api.send("DELETE", path, if_match=seal).status == 412


def test_a_request_with_a_key_is_done_once(session: Session, api: Program, frozen_clock: Clock) -> None:
    first = api.send("POST", LIST, {"name": "Once"}, idempotency_key="k1")
    again = api.send("POST", LIST, {"name": "Once"}, idempotency_key="k1")
    assert (again.status, again.text) == (201, first.text)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert api.send("POST", LIST, {"name": "Other"}, idempotency_key="k1").status == 422
    assert len(api.get(LIST).json["items"]) == 1
    refused = api.send("POST", LIST, {"name": "Once"}, idempotency_key="k2")
    assert refused.status == 422
    assert api.send("POST", LIST, {"name": "Twice"}, idempotency_key="k2").status == 201, "a refusal keeps no key"
    frozen_clock.advance(days=1, seconds=1)
    assert api.send("POST", LIST, {"name": "Next day"}, idempotency_key="k1").status == 201


def test_a_copy_is_made_by_a_job(session: Session, api: Program, workflow: Workflow) -> None:
    asked = api.send("POST", f"{LIST}/{workflow.id}/clone", {})
    assert asked.status == 202
    path = asked.headers["Location"].removeprefix("http://127.0.0.1:8910")
    assert api.get(path).json["state"] == "queued"
    jobs.run(asked.json["id"])
    session.expire_all()
    told = api.get(path).json
    assert told["state"] == "done"
    assert api.get(f"{LIST}/{told['result']['workflow']}").json["name"] == "Copy of Biology 101"


def test_a_job_of_somebody_else_is_nobodys(session: Session, api: Program, workflow: Workflow) -> None:
    asked = api.send("POST", f"{LIST}/{workflow.id}/clone", {})
    stranger = program(session, make_user(session, "stranger@uni.example"))
    assert stranger.get(f"/api/v2/jobs/{asked.json['id']}").status == 404


def test_the_description_is_valid_and_has_every_address(api: Program) -> None:
    told = Program().get("/api/v2/openapi.json").json
    validate(told)
    there = {(method.upper(), path) for path, methods in told["paths"].items() for method in methods}
    assert there == {(one.method, one.path) for one in programs.declarations if not one.is_legacy}
    names = [one["operationId"] for methods in told["paths"].values() for one in methods.values()]
    assert len(names) == len(set(names))


def test_the_log_is_read_by_programs_each_its_own(
    session: Session, user: User, api: Program, workflow: Workflow
) -> None:
    path = f"{LIST}/{workflow.id}/events"
    api.send("PATCH", f"{LIST}/{workflow.id}", {"description": "New"})
    first = api.get(f"{path}?limit=1").json
    (event,) = first["items"]
    assert (event["type"], event["said"], event["origin"]) == ("workflow_renamed", "renamed the workflow", "API")
    rest = api.get(first["next"].partition("8910")[2]).json["items"]
    assert [one["type"] for one in rest] == ["workflow_created"]
    assert [one["type"] for one in api.get(f"{path}?type=workflow_created").json["items"]] == ["workflow_created"]
    assert api.get(f"{path}?since=soon").problems() == {"since": "Write a day as 2026-03-31."}
    stranger = program(session, make_user(session, "olaf@uni.example"))
    assert stranger.get(path).status == 404
    assert {one["type"] for one in stranger.get("/api/v2/events").json["items"]} <= {"token_made"}
    admin = program(session, make_user(session, "ana@uni.example", Role.ADMIN))
    assert workflow.id in {one["workflow_id"] for one in admin.get("/api/v2/events").json["items"]}


def test_the_program_of_an_administrator_reaches_the_workflows_of_others(
    session: Session, workflow: Workflow, frozen_clock: Clock
) -> None:
    admin = make_user(session, "root@uni.example", role=Role.ADMIN)
    api, path = program(session, admin), f"{LIST}/{workflow.id}"
    (told,) = api.get(LIST).json["items"]
    assert (told["id"], told["role"]) == (workflow.id, "administrator")
    assert [one["id"] for one in api.get("/api/v1/workflow/workflows/").json["results"]] == [workflow.id]
    assert api.get(path).json["name"] == "Biology 101"
    assert api.send("PATCH", path, {"description": "Seen to"}).json["description"] == "Seen to"
    rows = {"rows": [{"sid": 1}]}
    assert api.send("PUT", f"{path}/table", rows).status == 200
    assert api.get(f"{path}/rows/1").json == {"sid": 1}
    asked = api.send("POST", f"{path}/clone", {})
    jobs.run(asked.json["id"])
    session.expire_all()
    copied = api.get(asked.headers["Location"].removeprefix("http://127.0.0.1:8910")).json["result"]["workflow"]
    assert api.get(f"{LIST}/{copied}").json["role"] == "owner"
    assert api.get(f"{path}/schedules").status == 200
    events = select(Event.id).where(Event.type == "workflow_reached", Event.user_id == admin.id)
    assert len(session.scalars(events).all()) == 1
    frozen_clock.advance(days=1, seconds=1)
    assert api.get(path).status == 200
    assert len(session.scalars(events).all()) == 2
    refused = api.send("POST", f"{path}/schedules", {"name": "Mail", "kind": "message"})
    assert refused.status == 403
    assert api.send("DELETE", path).status == 204
    assert api.get(path).status == 404
    other = program(session, make_user(session, "ole@uni.example"))
    assert other.get(LIST).json["items"] == []
    assert other.get(path).status == 404
