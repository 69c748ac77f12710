"""The page of one run: numbers, chart, learners, each mail as it was sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from chalice import Blueprint
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.audit import service as audit
from chalicelib.aws import files
from chalicelib.delivery import (
    attachments,
    lanes,
    learners,
    models,
    queries,
    reports,
    service,
    snapshots,
    words,
)
from chalicelib.delivery.chart import chart
from chalicelib.delivery.letters import service as letters
from chalicelib.delivery.push import objects
from chalicelib.delivery.reporting import files as report_files
from chalicelib.delivery.reporting import service as reporting
from chalicelib.exchange import service as exchange
from chalicelib.tables import downloads
from chalicelib.tables.history.words import size
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, document, redirect, redirect_to, render
from chalicelib.web.templates import plural, zone

bp = Blueprint(__name__)

RUN = "/workflows/{workflow_id}/runs/{run_id}"
#: The list of learners can be narrowed to these states and news.
FILTERS = {
    "": "Everybody", "queued": "Queued", "sent": "Sent", "delivered": "Delivered", "opened": "Opened",
    "clicked": "Clicked", "bounced": "Bounced", "failed": "Failed", "in_doubt": "In doubt", "skipped": "Left out",
    "complained": "Marked as spam", "cancelled": "Cancelled",
}  # fmt: skip
#: Deliveries and opens are heard of after the last mail is out; for so long the page goes on looking.
NEWS_MAY_COME = timedelta(minutes=10)


@page(bp, RUN, role=WorkflowRole.VIEWER)
def show_run(request: Request, run_id: int) -> Answer:
    """Show one run; with `file` lead to a file of a report, with `attached` to one that went along.

    With `snapshot` lead to the workflow as it was when the run's rows were read.
    """
    run = queries.run(request.session, request.workflow.id, run_id)
    if request.query.checked("snapshot"):
        return _snapshot(request, run)
    if number := request.query.whole("attached"):
        return redirect_to(attachments.link(run.attached, number))
    if number := request.query.whole("file"):
        return redirect_to(reporting.link(run, number))
    return render("delivery/run.html", **(_live(request, run) | _learners(request, run)))


def _snapshot(request: Request, run: models.Run) -> Answer:
    may_export = WorkflowRole(request.role).covers(exchange.MAY_EXPORT)
    if run.snapshot_size is None or run.planned_at is None or not may_export:
        raise errors.NotFound
    taken = run.planned_at.astimezone(zone(request.user.time_zone))
    name = f"{downloads.plain_name(request.workflow.name) or 'workflow'} {taken:%Y-%m-%d %H.%M}.zip"
    audit.record(
        request.session, "snapshot_downloaded", workflow_id=run.workflow_id, user_id=request.user.id,
        action_id=run.action_id, run_id=run.id, name=reports.action_name(request.session, run.action_id),
    )  # fmt: skip
    return redirect_to(files.download_link(snapshots.key(run.id), name))


@page(bp, RUN + "/live", role=WorkflowRole.VIEWER)
def show_live(request: Request, run_id: int) -> Answer:
    """Show the part of the page that changes while mails go out."""
    run = queries.run(request.session, request.workflow.id, run_id)
    return render("delivery/_live.html", **_live(request, run))


@page(bp, RUN + "/learners", role=WorkflowRole.VIEWER)
def show_learners(request: Request, run_id: int) -> Answer:
    """Show the list of learners as it is now, or as a filter or search narrows it."""
    run = queries.run(request.session, request.workflow.id, run_id)
    return render("delivery/_learners.html", **_learners(request, run))


@page(bp, RUN + "/messages/{message_id}", role=WorkflowRole.VIEWER)
def show_message(request: Request, run_id: int, message_id: int) -> Answer:
    """Show one mail as it was sent, and what was heard of it."""
    run = queries.run(request.session, request.workflow.id, run_id)
    message = queries.message(request.session, run.id, message_id)
    labels = learners.Called(request.session, request.workflow.id).labels([message.row_id])
    if lanes.is_push(run.lane):
        return _object(request, run, message)
    is_gone = message.state == models.SKIPPED or queries.is_erased(message)
    mail = None if is_gone else queries.rendered(request.session, message)
    return render(
        "delivery/message.html", run=run, message=message, mail=mail, label=labels.get(message.row_id, ""),
        events=queries.mail_events(request.session, message.id), states=words.states_of(run), reason=words.reason,
        can_send=_can_send(request), in_doubt=_in_doubt(message),
    )  # fmt: skip


def _object(request: Request, run: models.Run, message: models.Message) -> Answer:
    """Show an object as it was sent, and what was answered."""
    is_gone = message.state == models.SKIPPED or queries.is_erased(message)
    text = "" if is_gone else objects.shown(run, message.values, message.flags)
    return render(
        "delivery/push/message.html", run=run, message=message, text=text, states=words.OBJECT_STATES,
        reason=words.reason, can_send=_can_send(request), in_doubt=_in_doubt(message),
    )  # fmt: skip


@page(bp, RUN + "/messages/{message_id}/body", role=WorkflowRole.VIEWER)
def show_body(request: Request, run_id: int, message_id: int) -> Answer:
    """Show the mail itself, for the frame in its page."""
    run = queries.run(request.session, request.workflow.id, run_id)
    message = queries.message(request.session, run.id, message_id)
    if message.state == models.SKIPPED or queries.is_erased(message) or lanes.is_push(run.lane):
        raise errors.NotFound
    return document(learners.framed(queries.rendered(request.session, message).html))


@page(bp, RUN + "/messages/{message_id}/again", method="POST", role=WorkflowRole.SENDER)
def send_again(request: Request, run_id: int, message_id: int) -> Answer:
    """Send a mail once more of which nobody knows whether it arrived."""
    run = queries.run(request.session, request.workflow.id, run_id)
    message = queries.message(request.session, run.id, message_id)
    service.send_again(request.session, request.user.id, message)
    noun = "object for" if lanes.is_push(run.lane) else "mail to"
    return _back(request, run, f"The {noun} {message.recipient} is queued again.")


def _noun(run: models.Run) -> str:
    return "object" if lanes.is_push(run.lane) else "mail"


def _retry(session: Session, user_id: int, run: models.Run) -> str:
    count = service.retry_failed(session, user_id, run)
    return f"{plural(count, _noun(run))} queued again."


def _all_again(session: Session, user_id: int, run: models.Run) -> str:
    count = 0
    while found := queries.messages(session, run.id, state=models.UNKNOWN).rows:
        for message in found:
            service.send_again(session, user_id, message)
        count += len(found)
    return f"{plural(count, _noun(run))} queued again."


def _letters_again(session: Session, user_id: int, run: models.Run) -> str:
    count = letters.send_again(session, user_id, letters.of_run(session, run))
    return f"{plural(count, 'message')} back in the queue."


def _step(change: Callable[[Session, int, models.Run], None], said: str) -> Callable[[Session, int, models.Run], str]:
    def take(session: Session, user_id: int, run: models.Run) -> str:
        change(session, user_id, run)
        return said

    return take


#: What the buttons of the page do, and what is said afterwards.
STEPS = {
    "undo": _step(service.undo, "Taken back. Nothing was sent."),
    "pause": _step(service.pause, "Paused. What is already out stays out."),
    "resume": _step(service.resume, "Going on."),
    "cancel": _step(service.cancel, "Cancelled. Nothing more is sent."),
    "retry": _retry,
    "again": _all_again,
    "letters": _letters_again,
}


@page(bp, RUN + "/{step}", method="POST", role=WorkflowRole.SENDER)
def change_run(request: Request, run_id: int, step: str) -> Answer:
    """Undo, pause, resume, cancel, try the failed ones or those in doubt again."""
    run = queries.run(request.session, request.workflow.id, run_id)
    if step not in STEPS:
        raise errors.NotFound
    return _back(request, run, STEPS[step](request.session, request.user.id, run))


def _back(request: Request, run: models.Run, said: str) -> Answer:
    return redirect("delivery.show_run", workflow_id=request.workflow.id, run_id=run.id, flash=said)


def _can_send(request: Request) -> bool:
    return WorkflowRole(request.role).covers(WorkflowRole.SENDER)


def _in_doubt(message: models.Message) -> bool:
    return message.state == models.UNKNOWN or (
        message.state == models.SENDING
        and (message.in_doubt_at is not None or (message.lease_until is not None and message.lease_until < clock.now()))
    )


def _is_open(run: models.Run) -> bool:
    """Tell whether the numbers may still change while somebody looks at them."""
    return run.state not in models.ENDED or (run.ended_at is not None and clock.now() < run.ended_at + NEWS_MAY_COME)


def _live(request: Request, run: models.Run) -> dict[str, Any]:
    totals = queries.totals(request.session, run.id)
    left = totals.queued + totals.sending
    seconds_to_undo = (run.release_at - clock.now()).total_seconds() if run.release_at else 0.0
    return {
        "run": run, "totals": totals, "is_push": lanes.is_push(run.lane),
        "files": report_files.names(run.details.get("files", [])),
        "can_send": _can_send(request), "run_state": words.run_state(run.state, totals.errors),
        "action_name": reports.action_name(request.session, run.action_id),
        "who": queries.who_began(request.session, run),
        "size": size, "may_export": WorkflowRole(request.role).covers(exchange.MAY_EXPORT),
        "undo_seconds": max(0, int(seconds_to_undo)) if run.state == models.HELD else 0,
        "letters": letters.of_run(request.session, run), "letter_names": letters.NAMES,
        "is_open": _is_open(run), "spoken": words.spoken,
        "seconds_left": queries.seconds_left(request.session, run, left) if run.state == models.RUNNING else 0.0,
        "chart": chart(queries.timeline(request.session, run.id), request.user.time_zone),
    }  # fmt: skip


def _learners(request: Request, run: models.Run) -> dict[str, Any]:
    state = request.query.get("state")
    if state not in FILTERS:
        raise errors.NotFound
    search, after = request.query.get("search").strip(), request.query.whole("after") or 0
    called = learners.Called(request.session, request.workflow.id)
    found = queries.messages(
        request.session, run.id, state=state, search=search, row_ids=called.search(search), after=after
    )  # fmt: skip
    row_ids = [message.row_id for message in found.rows]
    return {
        "run": run, "filters": FILTERS, "messages": found.rows,
        "next_after": found.after, "state": state, "search": search, "after": after,
        "labels": called.labels(row_ids), "reason": words.reason,
        "states": words.states_of(run), "is_push": lanes.is_push(run.lane),
        "in_doubt": _in_doubt, "can_send": _can_send(request),
        "is_open": _is_open(run),
    }  # fmt: skip
