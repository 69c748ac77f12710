"""The workflow as it was when the rows of a run were read: an export of the same moment, kept with the run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import delete, text
from sqlalchemy.orm import Session

from chalicelib import database
from chalicelib.aws import files
from chalicelib.delivery import plan
from chalicelib.delivery.models import Message, Run
from chalicelib.exchange import queries as exchanged
from chalicelib.exchange import service as exchange
from chalicelib.workflows.models import Workflow

_ONE_MOMENT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def plan_run(run_id: int, fill: Callable[[Session, Run], int]) -> int | None:
    """Write a run's messages by `fill` and keep the workflow of the same moment; return how many will be sent.

    None when the run was undone, or is planned already. It is planned once the snapshot is stored: if that fails,
    both are made anew.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "snapshot.zip"
        with database.scope(statement_timeout_seconds=plan.TIMEOUT_SECONDS) as session:
            at_one_moment(session)
            run = plan.unplanned(session, run_id)
            if run is None:
                return None
            session.execute(delete(Message).where(Message.run_id == run.id))  # of an attempt that broke off
            count = fill(session, run)
            write(session, run, path)
        size = keep(run_id, path)
    with database.scope() as session:
        run = plan.unplanned(session, run_id)
        if run is None:
            return None
        run.snapshot_size = size
        return plan.ready(session, run, count)


def at_one_moment(session: Session) -> None:
    """Have this transaction see one moment, whatever changes meanwhile. Call it before anything is read."""
    session.execute(_ONE_MOMENT)


def write(session: Session, run: Run, target: Path) -> None:
    """Write the workflow as this transaction sees it.

    Raises errors.Invalid when a text can't be read.
    """
    workflow = session.get_one(Workflow, run.workflow_id)
    messages = [message.id for message in exchanged.messages(session, workflow.id)]
    exchange.export(session, workflow, target, messages)


def keep(run_id: int, source: Path) -> int:
    """Store what was written; return its bytes. Call it outside of any transaction.

    Raises errors.Unavailable when it can't be stored just now.
    """
    with source.open("rb") as file:
        files.put(key(run_id), file, "application/zip")
    return source.stat().st_size


def key(run_id: int) -> str:
    """Return where the snapshot of a run is stored."""
    return f"reports/{run_id}/snapshot"
