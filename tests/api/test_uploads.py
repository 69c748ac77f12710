"""Large tables and exports: by way of files and jobs."""

from __future__ import annotations

from typing import Any
from urllib.request import Request, urlopen

import pytest
from sqlalchemy.orm import Session

from chalicelib.schedules import jobs
from chalicelib.tables.uploads.models import Upload
from chalicelib.workflows.models import Workflow
from tests.programs import Answer, Program

FILE = "sid,name,mark\n1,Ada,7\n2,Bo,\n"


@pytest.fixture
def path(workflow: Workflow) -> str:
    return f"/api/v2/workflows/{workflow.id}/table"


def post_file(form: dict[str, Any], content: bytes) -> None:
    """Send a file to S3, as curl does with -F."""
    line = '--x\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n'
    body = "".join(line.format(name, "") + value + "\r\n" for name, value in form["fields"].items())
    body += line.format("file", '; filename="f"')
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    urlopen(Request(form["url"], body.encode() + content + b"\r\n--x--\r\n", headers)).close()


def uploaded(session: Session, api: Program, path: str, content: str = FILE) -> str:
    """Send a file and have it read; return the upload's path."""
    form = api.send("POST", f"{path}/uploads", {"filename": "class.csv", "size": len(content)})
    assert form.status == 201
    post_file(form.json, content.encode())
    one = f"{path}/uploads/{form.json['id']}"
    assert api.send("POST", f"{one}/arrived", {}).status == 202
    work(session, form.json["id"])
    return one


def work(session: Session, upload_id: int) -> None:
    session.expire_all()
    jobs.run(session.get_one(Upload, upload_id).job_id or 0)
    session.expire_all()


def commit(session: Session, api: Program, one: str, body: dict[str, Any]) -> Answer:
    answer = api.send("POST", f"{one}/commit", body)
    assert answer.status == 202, answer.text
    work(session, answer.json["id"])
    return api.get(one)


def test_a_file_becomes_the_table_and_another_is_merged(session: Session, api: Program, path: str, aws: str) -> None:
    one = uploaded(session, api, path)
    told = api.get(one).json
    assert (told["state"], told["rows"]) == ("read", 2)
    assert {column["name"]: column["kind"] for column in told["columns"]} == {
        "sid": "integer", "name": "text", "mark": "integer",
    }  # fmt: skip
    done = commit(session, api, one, {"keys": ["sid"], "kinds": {"mark": "double"}})
    assert done.json["state"] == "done"
    assert api.get(path).json["rows"] == [
        {"sid": 1, "name": "Ada", "mark": 7.0},
        {"sid": 2, "name": "Bo", "mark": None},
    ]
    one = uploaded(session, api, path, "number,mark\n2,9\n3,5\n")
    match = {"how": "left", "left_on": "sid", "right_on": "number"}
    report = api.send("POST", f"{one}/commit?dry_run=true", match)
    assert (report.status, report.json["matched"], report.json["left_out"]) == (200, 1, 1)
    commit(session, api, one, match)
    assert [row["mark"] for row in api.get(path).json["rows"]] == [7.0, 9.0]


def test_what_is_wrong_with_a_file_is_said(session: Session, api: Program, path: str, aws: str) -> None:
    assert api.send("POST", f"{path}/uploads", {"filename": "x", "size": 0}).problems().keys() == {"file"}
    assert api.send("POST", f"{path}/uploads", {"filename": "x", "size": 10**12}).status == 413
    waiting = api.send("POST", f"{path}/uploads", {"filename": "x.csv", "size": 5}).json["id"]
    assert api.send("POST", f"{path}/uploads/{waiting}/arrived", {}).status == 404
    assert api.send("POST", f"{path}/uploads/{waiting}/commit", {}).status == 409
    one = uploaded(session, api, path, "a,b\n1,x\n1,y,z\n")
    told = api.get(one).json
    assert told["state"] == "refused"
    assert "line 3 has 3" in told["problem"]
    one = uploaded(session, api, path, "a,b\n1,x\n1,y\n")
    assert "columns.a" in api.send("POST", f"{one}/commit", {"keys": ["a"]}).problems()
    assert api.send("POST", f"{one}/commit", {"keys": ["c"]}).problems() == {
        "keys": "There is no column “c” in the file."
    }  # fmt: skip
    assert "columns.b" in api.send("POST", f"{one}/commit", {"kinds": {"b": "integer"}}).problems()
