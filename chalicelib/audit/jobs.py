"""The log as a file."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib import database
from chalicelib.audit import queries, retention
from chalicelib.audit.words import said
from chalicelib.aws import files
from chalicelib.schedules.jobs import Task, job

EXPORT = "export_log"
#: What a search is made of, by the names in the form.
ASKED = ("text", "words", "user", "action", "run", "row", "outcome", "since", "until")
HEADER = ["Number", "Time", "Who", "What", "Message", "Run", "Outcome", "Door", "Request", "Details"]
#: Spreadsheets run a text that begins so.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@job(EXPORT)
def export_log(task: Task) -> dict[str, Any]:
    """Write the lines that were looked for. Payload: `asked`, `time_zone`. Result: `key`, `rows`."""
    asked, zone = task.payload["asked"], ZoneInfo(task.payload["time_zone"])
    search = queries.Search(
        task.workflow_id, text=asked.get("text", ""), words=asked.get("words", ""), user_id=int(asked.get("user", 0)),
        action_id=int(asked.get("action", 0)), run_id=int(asked.get("run", 0)), row_id=int(asked.get("row", 0)),
        outcome=asked.get("outcome", ""), since=_day(asked.get("since")),
        until=_day(asked.get("until")), time_zone=zone.key,
    )  # fmt: skip
    key, rows = f"exports/{task.workflow_id}/{task.job_id}.csv", 0
    with tempfile.TemporaryFile() as file:
        lines = io.TextIOWrapper(file, encoding="utf-8-sig", newline="", write_through=True)
        writer = csv.writer(lines)
        writer.writerow(HEADER)
        with database.scope(statement_timeout_seconds=300) as session:
            for line in queries.every(session, search):
                writer.writerow([_safe(cell) for cell in _cells(line, zone)])
                rows += 1
        lines.flush()
        file.seek(0)
        files.put(key, file, "text/csv; charset=utf-8")
    return {"key": key, "rows": rows}


@job(retention.ARCHIVE)
def archive_events(task: Task) -> dict[str, Any]:
    """Move the events whose time is over into files. Result: `events`, how many."""
    task.report(1, "Moving old events into files")
    return {"events": retention.archive()}


def _cells(line: queries.Line, zone: ZoneInfo) -> list[str]:
    return [
        str(line.id), line.at.astimezone(zone).isoformat(timespec="seconds"), line.who or "OnTask", said(line.type),
        line.action, str(line.run_id or ""), line.outcome, line.origin, line.correlation_id,
        json.dumps(line.detail, ensure_ascii=False) if line.detail else "",
    ]  # fmt: skip


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
