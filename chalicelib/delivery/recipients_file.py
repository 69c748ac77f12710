"""The recipients of a run as a file: what became of each mail."""

from __future__ import annotations

import csv
import io
import tempfile
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib import database
from chalicelib.aws import files
from chalicelib.delivery import learners, queries, reports, words
from chalicelib.delivery.queries import statistics
from chalicelib.schedules.jobs import Task, job

WRITE = "delivery.recipients"
HEADER = ["Learner", "Address", "State", "Why", "Sent", "Delivered", "Opened first", "Opened", "Followed a link first",
          "Links followed", "By programs", "Answer"]  # fmt: skip
#: Spreadsheets run a text that begins so.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@job(WRITE)
def write(task: Task) -> dict[str, Any]:
    """Write the file. Payload: `run`, `time_zone`. Result: `key`, `rows`, `name`."""
    workflow_id, zone = task.workflow_id or 0, ZoneInfo(task.payload["time_zone"])
    key, count = f"exports/{workflow_id}/{task.job_id}.csv", 0
    with tempfile.TemporaryFile() as file:
        lines = io.TextIOWrapper(file, encoding="utf-8-sig", newline="", write_through=True)
        writer = csv.writer(lines)
        writer.writerow(HEADER)
        with database.scope(statement_timeout_seconds=300) as session:
            run = queries.run(session, workflow_id, int(task.payload["run"]))
            name = reports.action_name(session, run.action_id)
            called, states = learners.Called(session, workflow_id), words.states_of(run)
            for rows in statistics.recipients(session, run.id):
                labels = called.labels([row.row_id for row in rows])
                writer.writerows(
                    [_safe(cell) for cell in _cells(row, labels.get(row.row_id, ""), states[row.state][0], zone)]
                    for row in rows
                )
                count += len(rows)
        lines.flush()
        file.seek(0)
        files.put(key, file, "text/csv; charset=utf-8")
    return {"key": key, "rows": count, "name": name}


def _cells(row: Any, label: str, state: str, zone: ZoneInfo) -> list[str]:
    moments = (row.sent_at, row.delivered_at, row.opened_at, row.clicked_at)
    sent, delivered, opened, clicked = (
        moment.astimezone(zone).isoformat(timespec="seconds") if moment else "" for moment in moments
    )
    return [
        label, row.recipient, state, words.reason(row.reason), sent, delivered, opened, str(row.open_count), clicked,
        str(row.click_count), str(row.machine_count), row.answer,
    ]  # fmt: skip


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
