"""Workflows as files, for oneself and by administrators for others."""

from __future__ import annotations

from urllib.request import urlopen

import pytest
from sqlalchemy.orm import Session

from chalicelib.accounts.models import User
from chalicelib.accounts.roles import Role
from chalicelib.exchange.models import Import
from chalicelib.schedules import jobs
from chalicelib.workflows.models import Workflow
from tests.api.test_uploads import post_file
from tests.conftest import make_user
from tests.factories import make_table
from tests.programs import Program, program

BASE = "http://127.0.0.1:8910"


@pytest.fixture
def admin(session: Session) -> Program:
    """A program of an administrator's."""
    return program(session, make_user(session, "root@uni.example", Role.ADMIN))


def export(session: Session, api: Program, workflow: Workflow, query: str = "") -> bytes:
    asked = api.send("POST", f"/api/v2/workflows/{workflow.id}/export{query}", {"learners": True})
    assert asked.status == 202, asked.text
    jobs.run(asked.json["id"])
    session.expire_all()
    job = api.get(asked.headers["Location"].removeprefix(BASE)).json
    assert "key" not in job["result"]
    with urlopen(job["file"]) as file:
        return bytes(file.read())


def bring(session: Session, api: Program, content: bytes, query: str, **confirm: object) -> int:
    form = api.send("POST", f"/api/v2/imports{query}", {"filename": "chem.zip", "size": len(content)}).json
    post_file(form, content)
    one = f"/api/v2/imports/{form['id']}"
    assert api.send("POST", f"{one}/arrived{query}", {}).status == 202
    run(session, form["id"])
    told = api.get(one + query).json
    assert (told["state"], told["holds"]["learners"]) == ("read", 1)
    confirmed = api.send("POST", f"{one}/confirm{query}", confirm)
    assert confirmed.status == 202, confirmed.text
    run(session, form["id"])
    return int(api.get(one + query).json["workflow"])


def run(session: Session, import_id: int) -> None:
    session.expire_all()
    jobs.run(session.get_one(Import, import_id).job_id or 0)
    session.expire_all()


def test_a_workflow_goes_out_and_comes_back(session: Session, api: Program, workflow: Workflow, aws: str) -> None:
    make_table(session, workflow, {"sid": "integer", "mark": "double"}, [(1, 2.5)])
    made = bring(session, api, export(session, api, workflow), "", name="Back again")
    told = api.get(f"/api/v2/workflows/{made}").json
    assert (told["name"], told["role"]) == ("Back again", "owner")
    assert api.get(f"/api/v2/workflows/{made}/table").json["rows"] == [{"sid": 1, "mark": 2.5}]


def test_administrators_do_both_for_others(
    session: Session, user: User, api: Program, admin: Program, workflow: Workflow, aws: str
) -> None:
    make_table(session, workflow, {"sid": "integer"}, [(1,)])
    query = f"?user={user.email}"
    content = export(session, admin, workflow, query)
    made = bring(session, admin, content, query, replace=True)
    assert [one["id"] for one in api.get("/api/v2/workflows").json["items"]] == [made], "it took the other's place"


def test_others_do_nothing_for_others(session: Session, user: User, admin: Program, workflow: Workflow) -> None:
    stranger = program(session, make_user(session, "stranger@uni.example"))
    query = f"?user={user.email}"
    assert stranger.send("POST", f"/api/v2/workflows/{workflow.id}/export{query}", {}).status == 403
    assert stranger.send("POST", f"/api/v2/workflows/{workflow.id}/export", {}).status == 404
    assert stranger.send("POST", f"/api/v2/imports{query}", {"filename": "x", "size": 1}).status == 403
    nobody = admin.send("POST", "/api/v2/imports?user=nobody@uni.example", {"filename": "x", "size": 1})
    assert nobody.problems().keys() == {"user"}
    assert admin.send("POST", "/api/v2/imports", {"filename": "x"}).problems().keys() == {"size"}


def test_an_import_that_is_not_read_is_not_confirmed(session: Session, api: Program, aws: str) -> None:
    form = api.send("POST", "/api/v2/imports", {"filename": "chem.zip", "size": 5}).json
    assert api.send("POST", f"/api/v2/imports/{form['id']}/confirm", {}).status == 409
    post_file(form, b"no zip")
    api.send("POST", f"/api/v2/imports/{form['id']}/arrived", {})
    run(session, form["id"])
    assert api.get(f"/api/v2/imports/{form['id']}").json["state"] == "refused"
    other = program(session, make_user(session, "stranger@uni.example"))
    assert other.get(f"/api/v2/imports/{form['id']}").status == 404
