"""Files for programs: sent to S3 by a form, read by a job, put into the table by another."""

from __future__ import annotations

from typing import Any

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.tables import queries as tables
from chalicelib.tables.uploads import frames, plan, queries, service, steps
from chalicelib.tables.uploads.kinds import KINDS
from chalicelib.tables.uploads.models import READ, Upload
from chalicelib.web import schemas
from chalicelib.web.api import ApiRequest, answer, api, public_url
from chalicelib.web.responses import Answer

LIST = "/api/v2/workflows/{workflow_id}/table/uploads"
ONE = LIST + "/{upload_id}"
NAMES = {"type": "array", "items": schemas.TEXT}
COMMIT = schemas.fields(
    keys=NAMES, kinds={"type": "object", "additionalProperties": {"type": "string", "enum": list(KINDS)}},
    method={"type": "string", "enum": [plan.UPDATE, plan.REPLACE]}, how={"type": "string", "enum": list(plan.ROWS)},
    left_on=schemas.TEXT, right_on=schemas.TEXT, wins={"type": "string", "enum": list(plan.WINS)}, unmark=NAMES,
)  # fmt: skip
EXAMPLE = {"id": 9, "state": "read", "problem": "", "rows": 120, "columns": [{"name": "sid", "kind": "integer"}]}


@api(
    "POST", LIST, role=WorkflowRole.EDITOR, summary="Announce a file, and learn where to send it", statuses=(201,),
    body=schemas.fields({"filename": schemas.TEXT, "size": schemas.WHOLE}),
    example={"id": 9, "url": "https://bucket.example/", "fields": {"key": "uploads/1/9"}},
)  # fmt: skip
def begin_upload(request: ApiRequest) -> Answer:
    """Answer with the form by which the file goes to S3: post `fields` and then `file` to `url`, within 15 minutes."""
    sent = request.json
    upload, form = service.begin(
        request.session, request.workflow.id, request.user.id, sent["filename"], sent["size"]
    )  # fmt: skip
    return answer({"id": upload.id, "url": form.url, "fields": form.fields}, 201, {"Location": _address(upload)})


def _address(upload: Upload) -> str:
    path = ONE.replace("{workflow_id}", str(upload.workflow_id)).replace("{upload_id}", str(upload.id))
    return public_url(path)


def _shown(request: ApiRequest, upload: Upload) -> dict[str, Any]:
    columns = upload.understood.get("columns", [])
    return {
        "id": upload.id, "filename": upload.filename, "state": upload.state, "problem": upload.problem,
        "progress": queries.progress(request.session, upload).percent, "rows": upload.understood.get("rows"),
        "columns": [{name: one[name] for name in ("name", "kind", "unique", "blanks", "notes")} for one in columns],
        "repairs": upload.understood.get("repairs", []), "result": upload.result,
    }  # fmt: skip


@api("GET", ONE, role=WorkflowRole.EDITOR, summary="How far it is, and what was understood", example=EXAMPLE)
def show_upload(request: ApiRequest, upload_id: int) -> Answer:
    """Show an upload: `waiting`, `reading`, `read` (now commit it), `importing`, `done`, `refused` (why)."""
    return answer(_shown(request, service.get(request.session, request.workflow.id, upload_id)))


@api("POST", ONE + "/arrived", role=WorkflowRole.EDITOR, summary="Have the file read", statuses=(202,), example=EXAMPLE)
def read_upload(request: ApiRequest, upload_id: int) -> Answer:
    """Have the file read that was sent; asking twice is harmless."""
    upload = service.get(request.session, request.workflow.id, upload_id)
    service.arrived(request.session, upload)
    return answer(_shown(request, upload), 202, {"Location": _address(upload)})


@api(
    "POST", ONE + "/commit", role=WorkflowRole.EDITOR, summary="Put it into the table", body=COMMIT,
    query={"dry_run": "true: only tell what it would do"}, statuses=(200, 202), example=EXAMPLE,
)  # fmt: skip
def commit_upload(request: ApiRequest, upload_id: int) -> Answer:
    """Have the file put into the table as it is said; what is not said is what people get who only click Next."""
    upload = service.get(request.session, request.workflow.id, upload_id)
    if upload.state != READ:
        raise errors.Conflict(f"This upload is {upload.state}; only one that was read can be committed.")
    existing = tables.columns(request.session, request.workflow.id)
    names = {one["number"]: one["name"] for one in upload.understood["columns"]}
    try:
        _choose(request, upload, names)
        report = steps.preview(request.session, upload)
        if request.query.checked("dry_run"):
            return answer(report)
        marks = [column.id for column in existing if column.name in request.json.get("unmark", [])]
        steps.confirm(request.session, request.user.id, upload, may_drop=True, unmark=marks)
    except errors.Invalid as error:
        raise errors.Invalid(error.message, frames.by_name(error.fields, names, existing)) from error
    return answer(_shown(request, upload), 202, {"Location": _address(upload)})


def _choose(request: ApiRequest, upload: Upload, names: dict[int, str]) -> None:
    sent, existing = request.json, tables.columns(request.session, request.workflow.id)
    _refuse_unknown(sent, set(names.values()))
    first = plan.first_choices(upload.understood)
    columns = {number: dict(choice) for number, choice in first["columns"].items()}
    for choice in columns.values():
        choice["kind"] = sent.get("kinds", {}).get(choice["name"], choice["kind"])
        choice["key"] = choice["name"] in sent["keys"] if "keys" in sent else choice["key"]
    steps.choose_columns(
        request.session, upload, columns, add_number=not any(choice["key"] for choice in columns.values())
    )
    if not existing:
        return
    by_name = {column.name: column.id for column in existing}
    choices = {"method": sent.get("method"), "rows": sent.get("how"), "wins": sent.get("wins"), "own_key": True}
    if "left_on" in sent and "right_on" in sent:
        number = next(number for number, name in names.items() if name == sent["right_on"])
        if sent["left_on"] not in by_name:
            message = f"There is no column “{sent['left_on']}” in the table."
            raise errors.Invalid(message, {"left_on": message})
        choices["keys"] = [[number, by_name[sent["left_on"]]]]
    steps.choose_match(request.session, upload, choices)


def _refuse_unknown(sent: dict[str, Any], names: set[str]) -> None:
    problems = {
        field: f"There is no column “{name}” in the file."
        for field in ("keys", "kinds", "right_on")
        for name in ([sent[field]] if isinstance(sent.get(field), str) else sent.get(field, []))
        if name not in names
    }
    if problems:
        raise errors.Invalid(next(iter(problems.values())), problems)
