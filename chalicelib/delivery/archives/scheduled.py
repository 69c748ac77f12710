"""Putting all learners' versions into a ZIP at a time, or again and again."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import queries
from chalicelib.actions import service as actions
from chalicelib.actions.kinds import KINDS
from chalicelib.delivery import sources
from chalicelib.delivery.archives import names
from chalicelib.delivery.archives.jobs import BUILD
from chalicelib.schedules import occurrences, operations
from chalicelib.schedules import service as schedules
from chalicelib.schedules.operations import Doing, Offer, Operation, Outcome, Stage
from chalicelib.web.urls import absolute_url_for
from chalicelib.workflows.models import Workflow

ARCHIVE = "delivery.archive"


def _begin(session: Session, doing: Doing) -> Outcome:
    """Have the files made, with the names that the form of ZIPs begins with."""
    workflow, user_id = doing.workflow, doing.schedule.user_id
    action = actions.get(session, workflow.id, doing.stage.action_id or 0)
    if not action.text.strip():
        raise errors.Invalid("There is no text yet. Write it first.")
    found = sources.read(session, workflow.id, action.id)
    wish = names.first_wish(found.columns, found.label_column_id)
    look = names.look(session, workflow, action, found, wish)
    if look.bad:
        raise errors.Invalid("For some learners there is no name as Moodle wants it. Look at the table.")
    if not look.files:
        return Outcome(occurrences.DONE, "Nobody was chosen, so there are no files.")
    payload = {"action": action.id, "wish": asdict(wish)}
    job = schedules.enqueue(session, BUILD, payload, workflow_id=workflow.id, user_id=user_id)
    page = absolute_url_for("delivery.show_archive", workflow_id=workflow.id, action_id=action.id, job_id=job.id)
    return Outcome(occurrences.DONE, f"{look.files:,} files, for whoever made the schedule, for 24 hours: {page}")


def _offers(session: Session, workflow: Workflow) -> list[Offer]:
    kinds = [kind for kind, traits in KINDS.items() if traits.has_zip]
    found = queries.labels(session, workflow.id, kinds)
    return [Offer(f"Put “{name}” for each learner into a ZIP", Stage(ARCHIVE, key, {})) for key, name in found.items()]


operations.register(
    Operation(
        kind=ARCHIVE, title="ZIP", begin=_begin, offers=_offers, role=WorkflowRole.EDITOR,
        facts=lambda _session, _workflow_id, _stage: [("Makes", "a ZIP of a page for each learner, for 24 hours")],
    )
)  # fmt: skip
