"""All pieces as files: the form, what the names come to, the page where the ZIP is waited for."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from chalice import Blueprint

from chalicelib import clock, errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import service as actions
from chalicelib.actions.kinds import KINDS, Kind
from chalicelib.audit import service as audit
from chalicelib.aws import files
from chalicelib.delivery import details, learners, sources
from chalicelib.delivery.archives import jobs, names
from chalicelib.delivery.archives.names import Look, Wish
from chalicelib.delivery.order import MAX_LEFT_OUT, Sendable
from chalicelib.schedules import service as schedules
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, redirect, redirect_to, render
from chalicelib.web.templates import zone

bp = Blueprint(__name__)

ARCHIVE = "/workflows/{workflow_id}/actions/{action_id}/zip"
#: How long the link to a ZIP works.
KEPT = timedelta(hours=24)


@page(bp, ARCHIVE, role=WorkflowRole.EDITOR)
def show_archive_form(request: Request, action_id: int) -> Answer:
    """Show the form with good guesses, and what the names come to."""
    action = _action(request, action_id)
    found = sources.read(request.session, request.workflow.id, action.id)
    return _form(request, action, found, names.first_wish(found.columns, found.label_column_id))


@page(bp, ARCHIVE, method="POST", role=WorkflowRole.EDITOR)
def begin_archive(request: Request, action_id: int) -> Answer:
    """Have the ZIP made; with `do=look` only show what the names come to.

    Names that differ from the values have to be seen before.
    """
    action = _action(request, action_id)
    found = sources.read(request.session, request.workflow.id, action.id)
    wish = _wish(request)
    if request.form.get("do") == "look":
        return _form(request, action, found, wish)
    try:
        seen = _checked(request, action, found, wish)
    except errors.Invalid as error:
        return _form(request, action, found, wish, error, status=422)
    if seen.needs_eyes and request.form.get("seen") != _mark(wish):
        alert = errors.Invalid("Some files get other names than the values say. Look at them, then make the files.")
        return _form(request, action, found, wish, alert, status=422)
    job = schedules.enqueue(
        request.session, jobs.BUILD, {"action": action.id, "wish": asdict(wish)}, workflow_id=request.workflow.id,
        user_id=request.user.id,
    )  # fmt: skip
    audit.record(
        request.session, "archive_requested", workflow_id=request.workflow.id, user_id=request.user.id,
        action_id=action.id, name=action.name, columns=_called(found, wish), suffix="".join(wish.end),
        for_moodle=wish.for_moodle, with_pdf=wish.with_pdf, left_out=len(wish.skip_rows), files=seen.files,
    )  # fmt: skip
    return redirect("delivery.show_archive", workflow_id=request.workflow.id, action_id=action.id, job_id=job.id)


@page(bp, ARCHIVE + "/{job_id}", role=WorkflowRole.EDITOR)
def show_archive(request: Request, action_id: int, job_id: int) -> Answer:
    """Show how far the ZIP is; HTMX asks for this part until it is there. With `?file=1` lead to it."""
    action = _action(request, action_id)
    job = schedules.get(request.session, request.workflow.id, request.user.id, jobs.BUILD, job_id)
    if job.payload["action"] != action.id:
        raise errors.NotFound
    until = job.ended_at + KEPT if job.ended_at else None
    is_over = until is not None and clock.now() >= until
    asked = job.created_at.astimezone(zone(request.user.time_zone))
    name = f"OnTask_zip_{asked:%Y-%m-%d_%H-%M-%S}.zip"
    if request.query.checked("file"):
        if "key" not in job.result or is_over:
            raise errors.NotFound("These files are not ready, or not kept any more.")
        audit.record(
            request.session, "archive_downloaded", workflow_id=request.workflow.id, user_id=request.user.id,
            action_id=action.id, name=action.name, files=job.result["files"],
        )  # fmt: skip
        return redirect_to(files.download_link(job.result["key"], name))
    template = "delivery/archives/_built.html" if request.wants_part else "delivery/archives/built.html"
    return render(template, action=action, job=job, filename=name, until=until, is_over=is_over)


def _action(request: Request, action_id: int) -> Sendable:
    action = actions.get(request.session, request.workflow.id, action_id)
    if not KINDS[Kind(action.kind)].has_zip:
        raise errors.NotFound
    return action


def _wish(request: Request) -> Wish:
    form = request.form
    return Wish(
        first=form.whole("first"), second=form.whole("second"), suffix=form.get("suffix").strip(),
        for_moodle=form.checked("for_moodle"), with_pdf=form.checked("with_pdf"),
        skip_rows=tuple(dict.fromkeys(form.wholes("skip_rows"))),
    )  # fmt: skip


def _checked(request: Request, action: Sendable, found: sources.Sources, wish: Wish) -> Look:
    """Return what the names come to; raise errors.Invalid for what can't be made."""
    if request.workflow.row_count is None:
        raise errors.Invalid("There are no learners yet. Add them first.")
    if len(wish.skip_rows) > MAX_LEFT_OUT:
        raise errors.Invalid(f"At most {MAX_LEFT_OUT:,} learners can be left out by name; use the message’s filter.")
    if not action.text.strip():
        raise errors.Invalid("There is no text yet. Write it first.")
    of_kind = details.of(request.session, action, found)
    sources.DraftText(found, "", action.text, request.workflow.time_zone, of_kind)
    seen = names.look(request.session, request.workflow, action, found, wish)
    if seen.bad:
        message = "For some learners there is no name as Moodle wants it; they are listed below."
        raise errors.Invalid(message, {"first": "Moodle’s column has values such as “Participant 123456”."})
    if not seen.files:
        raise errors.Invalid("Nobody is chosen. Look at the filter and at who is left out.")
    if wish.with_pdf and seen.files > jobs.MAX_PDFS:
        message = f"At most {jobs.MAX_PDFS:,} PDFs are made at once; these would be {seen.files:,}."
        raise errors.Invalid(message, {"with_pdf": f"{message} Leave some learners out by the filter, or the tick."})
    return seen


def _called(found: sources.Sources, wish: Wish) -> list[str]:
    return [found.columns[key].name for key in (wish.first, wish.second) if key is not None]


def _mark(wish: Wish) -> str:
    """Return what stands for these names in the form that shows them."""
    return repr((wish.first, wish.second, wish.suffix, wish.for_moodle, sorted(wish.skip_rows)))


def _form(
    request: Request, action: Sendable, found: sources.Sources, wish: Wish, error: errors.Invalid | None = None, *,
    status: int = 200,
) -> Answer:  # fmt: skip
    problems = dict(error.fields) if error else {}
    alert = error.message if error else ""
    seen = None
    try:
        if request.workflow.row_count is not None:
            seen = names.look(request.session, request.workflow, action, found, wish)
            _checked(request, action, found, wish)
    except errors.Invalid as found_error:
        problems, alert = {**found_error.fields, **problems}, alert or found_error.message
    context: dict[str, Any] = {
        "action": action, "columns": list(found.columns.values()), "wish": wish, "look": seen, "alert": alert,
        "problems": problems, "mark": _mark(wish),
    }  # fmt: skip
    if request.wants_part:
        return render("delivery/archives/_names.html", **context)
    return render("delivery/archives/form.html", status=status, **context, **_left_out(request, action, found, wish))


def _left_out(request: Request, action: Sendable, found: sources.Sources, wish: Wish) -> dict[str, Any]:
    """Return what the list of those who are left out shows; it is that of the form to send."""
    search = request.form.get("find")
    picker = learners.Picker(request.session, found, request.workflow, action, wish.skip_rows[:MAX_LEFT_OUT])
    try:
        return {"left_out": picker.left_out(), "matches": picker.search(search), "search": search}
    except errors.Invalid:
        return {"left_out": [], "matches": [], "search": search}
