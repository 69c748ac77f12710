"""The numbers of a run in depth, beside those of other runs of the same message, and its recipients as a file."""

from __future__ import annotations

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.audit import service as audit
from chalicelib.aws import files
from chalicelib.delivery import lanes, queries, reports, words
from chalicelib.delivery.chart import chart
from chalicelib.delivery.queries import statistics
from chalicelib.delivery.recipients_file import WRITE
from chalicelib.schedules import service as schedules
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, redirect, redirect_to, render
from chalicelib.web.urls import url_for

bp = Blueprint(__name__)

#: What the second chart draws.
ATTENTION = {"opened": "Learners who opened", "opens": "Opened in all", "clicked": "Learners who followed a link",
             "clicks": "Links followed in all"}  # fmt: skip


@page(bp, "/workflows/{workflow_id}/runs/{run_id}/{step}", role=WorkflowRole.VIEWER)
def show_numbers(request: Request, run_id: int, step: str) -> Answer:
    """Show the numbers; with `beside` next to those of other runs; with `job` the file of the recipients."""
    run = queries.run(request.session, request.workflow.id, run_id)
    if step == "file":
        return _file(request, run.id)
    if step != "numbers":
        raise errors.NotFound
    cards = queries.runs(request.session, request.workflow.id, action_id=run.action_id)
    chosen = [int(one) for one in request.query.all("beside") if one.isdigit()]
    others = [card for card in cards if card.id != run.id and card.planned]
    beside = [
        queries.run(request.session, request.workflow.id, card.id) for card in others if card.id in chosen
    ]  # fmt: skip
    found = statistics.opens(request.session, run.id)
    return render(
        "delivery/numbers.html", run=run, action_name=reports.action_name(request.session, run.action_id),
        totals=queries.totals(request.session, run.id), attention=statistics.attention(request.session, run.id),
        chart=chart(found, request.user.time_zone, ATTENTION), links=statistics.links(request.session, run.id),
        reasons=statistics.reasons(request.session, run.id), said=words.reason, states=words.states_of(run),
        blocks=statistics.blocks(request.session, run), others=others, chosen=chosen, is_push=lanes.is_push(run.lane),
        compared=statistics.compare(request.session, run, beside[: statistics.MAX_COMPARED]) if beside else [],
    )  # fmt: skip


@page(bp, "/workflows/{workflow_id}/runs/{run_id}", method="POST", role=WorkflowRole.VIEWER)
def write_recipients(request: Request, run_id: int) -> Answer:
    """Have the recipients written into a file, and go where it is waited for."""
    run = queries.run(request.session, request.workflow.id, run_id)
    job = schedules.enqueue(
        request.session, WRITE, {"run": run.id, "time_zone": request.user.time_zone},
        workflow_id=request.workflow.id, user_id=request.user.id,
    )  # fmt: skip
    audit.record(
        request.session, "recipients_exported", workflow_id=request.workflow.id, user_id=request.user.id,
        action_id=run.action_id, run_id=run.id,
    )  # fmt: skip
    return redirect(
        "delivery.show_numbers", workflow_id=request.workflow.id, run_id=run.id, step="file", job=job.id
    )  # fmt: skip


def _file(request: Request, run_id: int) -> Answer:
    """Have the file written, say how far it is, lead to it."""
    here = {"workflow_id": request.workflow.id, "run_id": run_id, "step": "file"}
    job_id = request.query.whole("job")
    if job_id is None:
        raise errors.NotFound
    job = schedules.get(request.session, request.workflow.id, request.user.id, WRITE, job_id)
    if request.query.get("get") and "key" in job.result:
        return redirect_to(files.download_link(job.result["key"], f"Recipients of {job.result['name']}.csv"))
    template = "delivery/_file.html" if request.wants_part else "delivery/file.html"
    return render(template, job=job, run_id=run_id, again=url_for("delivery.show_numbers", job=job.id, **here))
