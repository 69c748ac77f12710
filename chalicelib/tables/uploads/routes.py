"""Add data: drop a file, look at what was understood, match it with the table, check, done; or take it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.settings import settings
from chalicelib.tables import queries as tables
from chalicelib.tables.uploads import decode, endings, forms, layout, plan, queries, service, steps
from chalicelib.tables.uploads.kinds import KINDS
from chalicelib.tables.uploads.models import DONE, IMPORTING, READ, REFUSED, Upload
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, data, redirect, render, text
from chalicelib.web.urls import url_for

bp = Blueprint(__name__)
LOOK, MATCH, CHECK = "look", "match", "check"


@page(bp, "/workflows/{workflow_id}/upload", role=WorkflowRole.EDITOR)
def show_upload(request: Request) -> Answer:
    """Show where to drop a file, what is not finished yet, and earlier tables."""
    return _show_add(request, {})


def _show_add(request: Request, problems: dict[str, str]) -> Answer:
    workflow_id = request.workflow.id
    return render(
        "tables/uploads/add.html", status=422 if problems else 200, problems=problems, form=request.form,
        unfinished=queries.unfinished(request.session, workflow_id),
        kept=queries.kept(request.session, workflow_id), max_mb=settings().max_upload_mb,
        endings=endings.allowed(), is_any=not settings().upload_kinds,
    )  # fmt: skip


@page(bp, "/workflows/{workflow_id}/upload", method="POST", role=WorkflowRole.EDITOR)
def begin_upload(request: Request) -> Answer:
    """Answer with the form by which the browser sends the file to S3, as JSON; or fetch a Google Sheet by its link."""
    if "link" in request.form:
        return _begin_link(request)
    try:
        size = request.form.whole("size") or 0
        name = request.form.get("filename")
        upload, form = service.begin(request.session, request.workflow.id, request.user.id, name, size)
    except errors.AppError as error:
        return data({"message": error.message}, error.status)
    arrived = url_for("tables.change_upload", step="arrived", workflow_id=request.workflow.id, upload_id=upload.id)
    return data({"url": form.url, "fields": form.fields, "arrived": arrived})


def _begin_link(request: Request) -> Answer:
    try:
        upload = service.begin_link(request.session, request.workflow.id, request.user.id, request.form.get("link"))
    except errors.Invalid as error:
        return _show_add(request, error.fields)
    return _away(request, upload)


@page(bp, "/workflows/{workflow_id}/uploads/{upload_id}", role=WorkflowRole.EDITOR)
def follow_upload(request: Request, upload_id: int) -> Answer:
    """Show how far the upload is, or go on with it when people have to choose."""
    upload = service.get(request.session, request.workflow.id, upload_id)
    if upload.state == READ:
        seen = upload.choices.get("seen") and (upload.choices.get("matched") or not request.workflow.row_count)
        return _to(request, upload, CHECK if seen and upload.problem else LOOK)
    if upload.state in {REFUSED, DONE} and request.wants_part:
        return _away(request, upload)
    if upload.state == REFUSED:
        return _show_refused(request, upload, {})
    if upload.state == DONE:
        return _done(request, upload)
    template = "tables/uploads/_progress.html" if request.wants_part else "tables/uploads/progress.html"
    return render(template, upload=upload, progress=queries.progress(request.session, upload))


def _show_refused(request: Request, upload: Upload, problems: dict[str, str]) -> Answer:
    return render(
        "tables/uploads/refused.html", status=422 if problems else 200, upload=upload, problems=problems,
        **_ways_to_read(request, upload),
    )  # fmt: skip


def _ways_to_read(request: Request, upload: Upload) -> dict[str, Any]:
    known = {**upload.understood, **upload.options}
    return {
        "encodings": decode.ENCODINGS, "delimiters": layout.DELIMITERS, "quotes": layout.QUOTES, "known": known,
        "zone": known.get("time_zone") or request.workflow.time_zone, "zones": forms.zones(),
    }  # fmt: skip


def _done(request: Request, upload: Upload) -> Answer:
    kept = {version.id for version in queries.kept(request.session, request.workflow.id)}
    return render("tables/uploads/done.html", upload=upload, can_undo=upload.result.get("version") in kept)


def _away(request: Request, upload: Upload) -> Answer:
    """Have HTMX load the whole page."""
    return redirect("tables.follow_upload", workflow_id=request.workflow.id, upload_id=upload.id)


def _to(request: Request, upload: Upload, step: str) -> Answer:
    return redirect("tables.show_upload_step", workflow_id=request.workflow.id, upload_id=upload.id, step=step)


@page(bp, "/workflows/{workflow_id}/uploads/{upload_id}/{step}", role=WorkflowRole.EDITOR)
def show_upload_step(request: Request, upload_id: int, step: str) -> Answer:
    """Show one step of the way: look, match or check; or send the detail of what would change as a CSV file."""
    upload = service.get(request.session, request.workflow.id, upload_id)
    shows: dict[str, Callable[[Request, Upload], Answer]] = {
        LOOK: _show_look, MATCH: _show_match, CHECK: _show_check, "detail": _download_detail,
    }  # fmt: skip
    if step not in shows:
        raise errors.NotFound
    if upload.state != READ:
        return _away(request, upload)
    return shows[step](request, upload)


@page(bp, "/workflows/{workflow_id}/uploads/{upload_id}/{step}", method="POST", role=WorkflowRole.EDITOR)
def change_upload(request: Request, upload_id: int, step: str) -> Answer:
    """Take what one step's form says and go to the next."""
    upload = service.get(request.session, request.workflow.id, upload_id)
    changes = {
        "arrived": _arrived, LOOK: _change_look, MATCH: _change_match, CHECK: _confirm, "read": _read_again,
        "discard": _discard,
    }  # fmt: skip
    if step not in changes:
        raise errors.NotFound
    return changes[step](request, upload)


def _arrived(request: Request, upload: Upload) -> Answer:
    try:
        service.arrived(request.session, upload)
    except errors.AppError as error:
        return data({"message": error.message}, error.status)
    return data({"page": url_for("tables.follow_upload", workflow_id=request.workflow.id, upload_id=upload.id)})


def _show_look(
    request: Request, upload: Upload, problems: dict[str, str] | None = None, choices: dict[str, Any] | None = None,
    add_number: bool | None = None,
) -> Answer:  # fmt: skip
    chosen = upload.choices["columns"] if choices is None else choices
    numbered = upload.choices.get("add_number", False) if add_number is None else add_number
    return render(
        "tables/uploads/look.html", status=422 if problems else 200, upload=upload, problems=problems or {},
        columns=queries.look(upload, chosen), kinds=KINDS, add_number=numbered,
        is_first=not tables.columns(request.session, request.workflow.id),
        near_keys=upload.understood["near_keys"], remembered=upload.choices.get("remembered", ""),
        **_ways_to_read(request, upload),
    )  # fmt: skip


def _change_look(request: Request, upload: Upload) -> Answer:
    choices = forms.look(request.form, upload.understood)
    add_number = request.form.checked("add_number")
    try:
        steps.choose_columns(request.session, upload, choices, add_number=add_number)
    except errors.Invalid as error:
        return _show_look(request, upload, error.fields or {"columns": error.message}, choices, add_number)
    is_first = not tables.columns(request.session, request.workflow.id)
    if not is_first and request.form.get("to") == CHECK:
        return _match_as_proposed(request, upload)
    return _to(request, upload, CHECK if is_first else MATCH)


def _match_as_proposed(request: Request, upload: Upload) -> Answer:
    """Leave the Match page out: what it would propose is what most people take."""
    pair = (upload.choices.get("proposed") or {}).get("pair")
    keys = upload.choices.get("keys") or ([pair] if pair else [])
    try:
        steps.choose_match(request.session, upload, {"keys": keys})
    except errors.Invalid as error:
        return _show_match(request, upload, error.fields or {"method": error.message})
    return _to(request, upload, CHECK)


def _show_match(
    request: Request, upload: Upload, problems: dict[str, str] | None = None, chosen: dict[str, Any] | None = None
) -> Answer:  # fmt: skip
    existing = tables.columns(request.session, request.workflow.id)
    if not existing:
        return _to(request, upload, CHECK)
    wanted = plan.read_columns(upload.understood, upload.choices["columns"])
    chosen = upload.choices if chosen is None else chosen
    targets = plan.default_targets(wanted, existing)
    targets |= {int(number): target for number, target in (chosen.get("targets") or {}).items()}
    proposed = upload.choices.get("proposed") or {}
    pair = tuple(proposed["pair"]) if proposed else plan.default_key(wanted, targets, existing)
    keys = [tuple(one) for one in chosen.get("keys") or [pair]]
    return render(
        "tables/uploads/match.html", status=422 if problems else 200, upload=upload, problems=problems or {},
        columns=wanted, existing=existing, targets=targets, keys=(keys + [(0, 0)] * plan.MAX_KEYS)[: plan.MAX_KEYS],
        method=chosen.get("method") or plan.UPDATE, rows=chosen.get("rows") or "outer",
        wins=chosen.get("wins") or "keep", rules=chosen.get("rules") or {}, row_words=plan.ROWS,
        win_words=plan.WINS, rule_words=forms.RULES, chosen=chosen, proposed=proposed,
        remembered=upload.choices.get("remembered", ""),
    )  # fmt: skip


def _change_match(request: Request, upload: Upload) -> Answer:
    choices = forms.match(request.form, upload.understood)
    try:
        steps.choose_match(request.session, upload, choices)
    except errors.Invalid as error:
        return _show_match(request, upload, error.fields or {"method": error.message}, choices)
    return _to(request, upload, CHECK)


def _show_check(request: Request, upload: Upload, problems: dict[str, str] | None = None) -> Answer:
    is_first = not tables.columns(request.session, request.workflow.id)
    if not is_first and not upload.choices.get("matched"):
        return _to(request, upload, MATCH)
    try:
        summary = steps.preview(request.session, upload)
    except errors.Invalid as error:
        told = error.fields or {"method": error.message, "columns": error.message}
        return _show_look(request, upload, told) if is_first else _show_match(request, upload, told)
    return render(
        "tables/uploads/check.html", status=422 if problems else 200, upload=upload, summary=summary,
        problems=problems or {}, form=request.form, rows_words=plan.ROWS, wins_words=plan.WINS, is_first=is_first,
    )  # fmt: skip


def _confirm(request: Request, upload: Upload) -> Answer:
    if upload.state in {IMPORTING, DONE}:
        return _away(request, upload)  # a second click
    form = request.form
    if form.get("rows") == "left":
        steps.choose_match(request.session, upload, {"rows": "left"})
        return _to(request, upload, CHECK)
    try:
        steps.confirm(
            request.session, request.user.id, upload, may_drop=form.checked("may_drop"), unmark=form.wholes("unmark")
        )  # fmt: skip
    except errors.Invalid as error:
        upload.choices = {name: value for name, value in upload.choices.items() if name != "unmark"}
        return _show_check(request, upload, error.fields or {"check": error.message})
    return _away(request, upload)


def _read_again(request: Request, upload: Upload) -> Answer:
    try:
        service.read_again(request.session, upload, forms.options(request.form, request.workflow.time_zone))
    except errors.Invalid as error:
        return _not_read_again(request, upload, error.fields)
    return _away(request, upload)


def _not_read_again(request: Request, upload: Upload, problems: dict[str, str]) -> Answer:
    return _show_look(request, upload, problems) if upload.state == READ else _show_refused(request, upload, problems)


def _download_detail(request: Request, upload: Upload) -> Answer:
    body = forms.changes_file(steps.detail(request.session, upload))
    answer = text(body, "text/csv; charset=utf-8")
    name = quote(f"Changes of {upload.filename}.csv", safe="")
    answer.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{name}"
    return answer


def _discard(request: Request, upload: Upload) -> Answer:
    service.discard(request.session, upload)
    return redirect("tables.show_upload", workflow_id=request.workflow.id, flash=f"“{upload.filename}” was not added.")
