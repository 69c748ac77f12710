"""One object sent to try: outside of any run, once, with the answer for the person who asked."""

from __future__ import annotations

from typing import Any

from chalicelib import database, errors
from chalicelib.actions import service as actions
from chalicelib.aws.mailer import MailError
from chalicelib.delivery.push import service
from chalicelib.delivery.push.pusher import Pusher
from chalicelib.schedules.jobs import Task, job
from chalicelib.settings import settings
from chalicelib.workflows.models import Workflow


@job(service.TEST)
def send_test(task: Task) -> dict[str, Any]:
    """Send one learner's object, or a report, and keep the status and the first part of the answer."""
    with database.scope() as session:
        workflow = session.get_one(Workflow, task.workflow_id)
        action = actions.get(session, workflow.id, int(task.payload["action"]))
        parcel = service.test_parcel(session, workflow, action, task.payload["row"], task.job_id)
    if settings().safe_mode_address:
        return {"answer": "Nothing was sent: this installation is in safe mode."}
    if task.attempts > 1:  # nobody knows whether the first one arrived
        raise errors.Invalid("The test broke off. Try once more.")
    try:
        reply, _ = Pusher().ask(parcel)
    except MailError as error:
        raise errors.Invalid(error.reason) from error
    return {"answer": str(reply), "is_good": 200 <= reply.status < 300}
