"""Single mails of the product itself, such as the news that a workflow was shared: no run, no tracking."""

from __future__ import annotations

from sqlalchemy.orm import Session

from chalicelib.schedules import service as schedules

NOTE = "delivery.note"


def send(session: Session, workflow_id: int, to: str, subject: str, text: str) -> None:
    """Have a mail of plain text sent by a job, at the lane's rate. What becomes of it is not followed."""
    schedules.enqueue(session, NOTE, {"to": to, "subject": subject, "text": text}, workflow_id=workflow_id)
