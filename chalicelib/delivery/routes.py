"""The send pages, the same for all kinds of actions: the fields, who is left out, what will happen."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from chalice import Blueprint

from chalicelib import clock, errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import service as actions
from chalicelib.actions.kinds import SWITCHED_OFF, Kind, offered
from chalicelib.delivery import (
    attachments,
    checks,
    choosing,
    drafts,
    forms,
    learners,
    planning,
    queries,
    repeat_forms,
    service,
    sources,
    ways,
)
from chalicelib.delivery.forms import SendForm
from chalicelib.delivery.models import RunDraft
from chalicelib.delivery.order import Sendable
from chalicelib.delivery.push import tokens
from chalicelib.delivery.reporting import pages as report_pages
from chalicelib.settings import settings
from chalicelib.tables.history.words import size
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, data, document, redirect, render, text
from chalicelib.web.templates import zone
from chalicelib.web.urls import url_for

bp = Blueprint(__name__)

SEND = "/workflows/{workflow_id}/actions/{action_id}/send"
#: The second step: who is left out.
WHO = "who"
#: Not a step: a file with all learners whose address can't be used.
BAD_ONES = "bad"


@page(bp, SEND, role=WorkflowRole.EDITOR)
def show_send(request: Request, action_id: int) -> Answer:
    """Show the form: one that is kept, or a new one with the choices of the last time, and what they come to."""
    action = _action(request, action_id)
    found = sources.read(request.session, request.workflow.id, action.id)
    wanted = request.query.get("draft")
    draft = drafts.find(request.session, request.user.id, action.id, wanted)
    if draft is None and wanted:
        return _gone(request, action, wanted)
    if draft is None:
        last = queries.defaults(request.session, action, request.workflow.id, found)
        of_mails = "subject" in ways.of(action).FIELDS
        return _page(request, action, found, forms.first(request.user, found, last, of_mails=of_mails))
    if request.query.get("step") == BAD_ONES:
        return _bad_ones(request, action, found, drafts.form_of(draft))
    if request.query.get("step") == WHO:
        return _who(request, action, found, draft)
    return _page(request, action, found, drafts.form_of(draft))


def _bad_ones(request: Request, action: Sendable, found: sources.Sources, form: SendForm) -> Answer:
    lines = queries.bad_addresses(request.session, request.workflow, action, form.to_column_id, found)
    answer = text(lines, "text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = 'attachment; filename="addresses.csv"'
    return answer


def _gone(request: Request, action: Sendable, draft_id: str) -> Answer:
    """Lead on whoever comes back to a form that was sent, or is not kept any more."""
    here = {"workflow_id": request.workflow.id}
    if (run := service.confirmed(request.session, request.workflow.id, draft_id)) is not None:
        return redirect("delivery.show_run", **here, run_id=run.id, flash="This was sent. Here is what came of it.")
    note = Flash("That form is not kept any more. This is a new one.", kind="warning")
    return redirect("delivery.show_send", **here, action_id=action.id, flash=note)


@page(bp, SEND, method="POST", role=WorkflowRole.SENDER)
def confirm_send(request: Request, action_id: int) -> Answer:
    """Start the run, or the repeated sending; a refused form comes back as it was typed."""
    action = _action(request, action_id)
    if (run := service.confirmed(request.session, request.workflow.id, request.form.get("draft"))) is not None:
        return redirect("delivery.show_run", workflow_id=request.workflow.id, run_id=run.id)
    draft = _kept(request, action)
    form = _form(request, draft)
    try:
        with request.session.begin_nested():  # what is refused leaves nothing behind but the form
            if form.when != "now":
                answer = planning.keep(request, action, form, ways.of(action).order(request, form))
            else:
                run = ways.of(action).confirm(request, action, form)
                run.wants_notice = form.wants_notice
                answer = redirect("delivery.show_run", workflow_id=request.workflow.id, run_id=run.id)
            drafts.drop(request.session, draft)
    except (errors.Invalid, errors.Conflict) as error:
        _keep_token(request, action, form)
        found = sources.read(request.session, request.workflow.id, action.id)
        shown = (
            _who
            if _step(request) == WHO and not getattr(error, "fields", {}).keys() & _of_first_step(action)
            else _page
        )
        subject: Any = draft if shown is _who else form
        answer = shown(request, action, found, subject, error)
        answer.keep = True
    return answer


def _of_first_step(action: Sendable) -> set[str]:
    """Return the fields that only the first step can mend."""
    return {*_problem_names(action)} - {"typed", "leave_out_bad"}


def _keep_token(request: Request, action: Sendable, form: SendForm) -> None:
    """Store a token that was typed into a form that is refused: a secret is not shown again, so it would be lost."""
    if "token" not in ways.of(action).FIELDS or not form.token.strip():
        return
    try:
        tokens.check(form.token.strip())
    except errors.Invalid:
        return
    tokens.put(request.session, action.id, form.token)


@page(bp, SEND + "/prepare", method="POST", role=WorkflowRole.EDITOR)
def prepare_send(request: Request, action_id: int) -> Answer:
    """Keep the form as it is, and do what the button says that was pressed; nothing is sent.

    Without a button: tell what the form comes to by now.
    """
    action = _action(request, action_id)
    if service.confirmed(request.session, request.workflow.id, request.form.get("draft")) is not None:
        return _gone(request, action, request.form.get("draft"))  # another window has sent it
    draft = _kept(request, action)
    here: dict[str, Any] = {"workflow_id": request.workflow.id, "action_id": action.id}
    do = request.form.get("do")
    if do == "discard":
        drafts.drop(request.session, draft)
        return redirect("actions.show_action", **here, flash="The form is thrown away. Nothing was sent.")
    if do in {"attach", "arrived"}:
        return _attach(request, draft, do)
    if key := request.form.get("detach"):
        attachments.take_off(draft, key)
        return redirect("delivery.show_send", **here, draft=draft.id)
    if do == "back":
        return redirect("delivery.show_send", **here, draft=draft.id)
    found = sources.read(request.session, request.workflow.id, action.id)
    if _step(request) == WHO:
        return _choose(request, action, found, draft, do)
    if do == "next":
        return redirect("delivery.show_send", **here, draft=draft.id, step=WHO)
    if request.wants_part:
        return _live(request, action, found, draft)
    return redirect("delivery.show_send", **here, draft=draft.id)


def _attach(request: Request, draft: RunDraft, do: str) -> Answer:
    """Answer with the form by which the browser sends a file to S3, or note that it has arrived; as JSON."""
    try:
        if do == "arrived":
            attachments.arrived(draft, request.form.get("key"))
            here = {"workflow_id": request.workflow.id, "action_id": draft.action_id}
            return data({"page": url_for("delivery.show_send", **here, draft=draft.id)})
        count = request.form.whole("size") or 0
        key, form = attachments.begin(draft, request.form.get("filename"), count)
    except errors.AppError as error:
        answer = data({"message": error.message}, error.status)
        answer.keep = True
        return answer
    return data({"url": form.url, "fields": form.fields, "key": key})


def _live(request: Request, action: Sendable, found: sources.Sources, draft: RunDraft) -> Answer:
    """Answer to typing: what the form comes to, what is wrong at which field, and where a reload finds it."""
    form = _form(request, draft)
    problems = _live_problems(request, action, found, form)
    answer = render(
        "delivery/_receipt.html", **_receipt(request, action, found, form), problems=problems, live=True,
        problem_names=_problem_names(action), step="",
    )  # fmt: skip
    answer.headers["HX-Replace-Url"] = url_for(
        "delivery.show_send", workflow_id=request.workflow.id, action_id=action.id, draft=draft.id
    )
    return answer


def _choose(request: Request, action: Sendable, found: sources.Sources, draft: RunDraft, do: str) -> Answer:
    """Take over which values are left out: the boxes, or all that the search finds."""
    drafts.leave_out(draft, shown=request.form.all("shown"), out=request.form.all("out"))
    look = choosing.look(request.form)
    form = drafts.form_of(draft)
    among = ways.of(action).audience(request, action, found, form)
    if among is not None and do in {"all", "none"}:
        every = choosing.every(request.session, among, form, look)
        drafts.leave_out(draft, shown=every, out=every if do == "all" else ())
    if do in {"first", "following"}:
        look = replace(look, after=request.form.get("following") if do == "following" else "")
    if request.wants_part:
        request.session.flush()
        return _who(request, action, found, draft, look=look, part=True)
    at = {"find": look.find, "only": look.only, "after": look.after}
    return redirect(
        "delivery.show_send", workflow_id=request.workflow.id, action_id=action.id, draft=draft.id, step=WHO,
        **{name: value for name, value in at.items() if value},
    )  # fmt: skip


@page(bp, SEND + "/learners", method="POST", role=WorkflowRole.EDITOR)
def find_learners(request: Request, action_id: int) -> Answer:
    """Show the learners who are left out by name and those a search found."""
    action = _action(request, action_id)
    found = sources.read(request.session, request.workflow.id, action.id)
    skipped = list(dict.fromkeys(request.form.wholes("skip_rows")))
    picker = learners.Picker(request.session, found, request.workflow, action, skipped)
    search = request.form.get("find").strip()
    return render(
        "delivery/_left_out.html", left_out=picker.left_out(), matches=picker.search(search), search=search
    )  # fmt: skip


@page(bp, SEND + "/sample/{row_id}", role=WorkflowRole.EDITOR)
def show_sample(request: Request, action_id: int, row_id: int) -> Answer:
    """Show one learner's mail, for the frame in the receipt; a report is the same whatever the row."""
    action = _action(request, action_id)
    if action.kind == Kind.REPORT:
        return report_pages.sample(request, action)
    return document(learners.sample(request.session, request.workflow, action, row_id))


def _action(request: Request, action_id: int) -> Sendable:
    return actions.get(request.session, request.workflow.id, action_id)


def _step(request: Request) -> str:
    return request.form.get("step")


def _kept(request: Request, action: Sendable) -> RunDraft:
    """Keep the form that was sent; the second step has none of the fields, so it needs one that is kept."""
    draft_id = request.form.get("draft")[:64]
    if _step(request) == WHO:
        drafts.get(request.session, request.user.id, action.id, draft_id)
    return drafts.save(request.session, request.user.id, action, draft_id or forms.new_id(), request.form)


def _form(request: Request, draft: RunDraft) -> SendForm:
    """Return the form that was just sent, with what is not kept."""
    sent = forms.from_values(request.form, draft.id)
    return replace(drafts.form_of(draft), token=request.form.get("token"), expected=sent.expected, typed=sent.typed)


def _page(
    request: Request, action: Sendable, found: sources.Sources, form: SendForm, error: errors.AppError | None = None
) -> Answer:  # fmt: skip
    columns = list(found.columns.values())
    soon = (clock.now() + timedelta(minutes=1)).astimezone(zone(request.user.time_zone))
    is_new = request.method == "GET" and not request.query.get("draft")
    unfinished = drafts.unfinished(request.session, request.user.id, action.id) if is_new else []
    return render(
        "delivery/send.html", columns=columns, earliest=f"{soon:%Y-%m-%dT%H:%M}",
        counters=found.counters, may_count_opens=settings().count_opens,
        may_count_clicks=settings().count_clicks, privacy_notice=settings().privacy_notice,
        max_files=attachments.MAX_FILES, max_bytes=attachments.max_bytes(),
        even_so=request.query.checked("even_so"),
        attributes=[one["name"] for one in found.attributes], sender=settings().mail_from,
        unfinished=unfinished, repeat=form.repeat, step="", **repeat_forms.fields(),
        **_head(request, action, form, error), **_receipt(request, action, found, form),
    )  # fmt: skip


def _who(
    request: Request, action: Sendable, found: sources.Sources, draft: RunDraft, error: errors.AppError | None = None,
    *, look: choosing.Look | None = None, part: bool = False,
) -> Answer:  # fmt: skip
    """Show the second step; `part`: only the list and what comes of it."""
    form = drafts.form_of(draft)
    among = ways.of(action).audience(request, action, found, form)
    if among is None:
        return redirect("delivery.show_send", workflow_id=request.workflow.id, action_id=action.id, draft=draft.id)
    look = look or choosing.look(request.form if request.method == "POST" else request.query)
    return render(
        "delivery/_who.html" if part else "delivery/who.html", columns=list(found.columns.values()), look=look,
        page_of=choosing.page(request.session, among, form, look), item=found.columns[among.to_column_id], step=WHO,
        part=part,
        **_head(request, action, form, error), **_receipt(request, action, found, form),
    )  # fmt: skip


def _head(
    request: Request, action: Sendable, form: SendForm, error: errors.AppError | None
) -> dict[str, Any]:  # fmt: skip
    return {
        "status": 422 if error else 200, "problems": getattr(error, "fields", {}), "live": False,
        "alert": error.message if error else "", "before": queries.sent_lately(request.session, action.id),
        "undo_seconds": settings().undo_seconds, "problem_names": _problem_names(action),
        "changing": planning.changing(request, form),
    }  # fmt: skip


def _receipt(request: Request, action: Sendable, found: sources.Sources, form: SendForm) -> dict[str, Any]:
    """Return what the receipt shows."""
    way = ways.of(action)
    shown = way.summary(request, action, found, form)
    if action.kind not in offered():
        shown |= {"obstacle": SWITCHED_OFF}
    return {
        "is_safe_mode": False, "is_report": False, "size": size,
        "max_mail": settings().max_mail_mb * 1_000_000,
        "action": action, "form": form, "fields": way.FIELDS,
        "summary": way.SUMMARY, "zone": request.user.time_zone,
        "is_kept": request.method == "POST" or bool(request.query.get("draft")),
        "can_send": WorkflowRole(request.role).covers(WorkflowRole.SENDER),
        **repeat_forms.shown(form.repeat, request.user.time_zone), **shown,
        "asks_number": form.when == "now" and checks.asks_number(shown["count"] or 0),
    }  # fmt: skip


def _problem_names(action: Sendable) -> list[str]:
    """Return the fields of the first step that may have a problem."""
    fields = ways.of(action).FIELDS
    names = {"item": ["to_column_id"], "track": ["opens_column"], "again": [], "exclude": []}
    return sorted(name for field in fields for name in names.get(field, [field]))


def _live_problems(request: Request, action: Sendable, found: sources.Sources, form: SendForm) -> dict[str, str]:
    """Return what is wrong with what was typed so far; a field that is still empty is not wrong yet."""
    problems: dict[str, str] = {}
    try:
        ways.of(action).check(request, action, found, form)
    except errors.Invalid as error:
        problems = error.fields
    return {name: problem for name, problem in problems.items() if getattr(form, name, True)}
