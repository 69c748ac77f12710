"""When the time of events is over they go into files, and then out of the database."""

from __future__ import annotations

import gzip
import json

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from chalicelib.accounts.models import User
from chalicelib.audit import retention
from chalicelib.audit import service as audit
from chalicelib.audit.models import Event
from chalicelib.schedules import due, jobs
from chalicelib.workflows.models import Workflow
from tests.conftest import Clock

YEAR = 365


def test_old_events_are_archived_and_deleted_without_what_is_the_learners_own(
    session: Session, workflow: Workflow, user: User, frozen_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: dict[str, bytes] = {}
    monkeypatch.setattr("chalicelib.aws.files.put", lambda key, body, content_type: files.update({key: body}))
    monkeypatch.setattr(retention, "BATCH", 2)
    session.execute(text("DELETE FROM ontask.event"))
    for number in range(3):
        audit.record(
            session, "row_changed", workflow_id=workflow.id, user_id=user.id, row_id=number, values={"7": [1, 2]}
        )  # fmt: skip
        session.flush()
        frozen_clock.advance(days=1)
    frozen_clock.advance(days=2 * YEAR - 1)
    young = audit.record(session, "signed_in", user_id=user.id)
    session.flush()
    due.tidy()
    due.tidy()
    (job_id,) = session.scalars(text("SELECT id FROM ontask.job WHERE kind = 'audit.archive'"))
    jobs.run(job_id)
    left = session.scalars(select(Event.row_id).order_by(Event.id)).all()
    assert left == [2, young.row_id], "the third is two years old tomorrow"
    (archived,) = files.values()
    lines = [json.loads(line) for line in gzip.decompress(archived).splitlines()]
    assert [(line["type"], line["row_id"]) for line in lines] == [("row_changed", 0), ("row_changed", 1)]
    assert b"values" not in gzip.decompress(archived)
    frozen_clock.advance(days=5 * YEAR)
    assert retention.archive() == 2
    assert session.scalar(text("SELECT count(*) FROM ontask.event")) == 0
    assert len(files) == 2
    assert all(key.startswith("events/20") and key.endswith(".jsonl.gz") for key in files)
