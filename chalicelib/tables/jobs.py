"""The table as a CSV file: read by COPY, stored in S3, downloaded from there."""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import Sequence
from datetime import datetime
from typing import IO, Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import database, errors
from chalicelib.aws import files
from chalicelib.schedules.jobs import Task, job
from chalicelib.tables import forms, paging, queries, store
from chalicelib.tables.models import Column

EXPORT = "export_table"
#: Makes spreadsheets read the file as UTF-8.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: What a spreadsheet takes for the beginning of a formula, in any width of letter.
_FORMULA = re.compile("[=+@\t\r\n\uff1d\uff0b\uff0d\uff20-]")
_FORMULA_SQL = "'^[=+@\\t\\r\\n\uff1d\uff0b\uff0d\uff20-]'"
#: A number that begins with a sign is only a number.
_NUMBER_SQL = r"'^[+-]?[0-9]+([.,][0-9]+)?$'"


@job(EXPORT)
def export_table(task: Task) -> dict[str, Any]:
    """Write the whole table, sorted as on the screen. Payload: `sort`, `time_zone`. Result: `key`, `rows`.

    Raises errors.NotFound when the table or the column to sort by is gone.
    """
    workflow_id = task.workflow_id or 0
    key = f"exports/{workflow_id}/{task.job_id}.csv"
    with tempfile.TemporaryFile() as file:
        with database.scope(statement_timeout_seconds=store.BULK_SECONDS) as session:
            rows = write(session, workflow_id, task.payload["sort"], task.payload["time_zone"], file)
        file.seek(0)
        files.put(key, file, "text/csv; charset=utf-8")
    return {"key": key, "rows": rows}


def write(session: Session, workflow_id: int, sort: str, time_zone: str, file: IO[bytes]) -> int:
    """Write header and rows into `file` and return the number of rows.

    Raises errors.NotFound as `export_table` does.
    """
    if not store.exists(session, store.table(workflow_id)):
        raise errors.NotFound("There is no table any more.")
    columns = forms.in_order(queries.columns(session, workflow_id))
    # COPY takes no bound values, so dates are written in the zone of the session.
    session.execute(text("SELECT set_config('TimeZone', :zone, true)"), {"zone": time_zone})
    file.write(BYTE_ORDER_MARK + _header(columns))
    order = paging.whole_order(forms.order(sort, columns))
    cells = ", ".join(_cell(column) for column in columns)
    cursor: Any = session.connection().connection.cursor()  # COPY needs the driver's own
    cursor.execute(
        f"COPY (SELECT {cells} FROM {store.table(workflow_id)} t ORDER BY {order}) TO STDOUT WITH (FORMAT csv)",
        stream=file,
    )
    return int(cursor.rowcount)


def _header(columns: Sequence[Column]) -> bytes:
    line = io.StringIO()
    names = [f"'{column.name}" if _FORMULA.match(column.name) else column.name for column in columns]
    csv.writer(line, lineterminator="\n").writerow(names)
    return line.getvalue().encode()


def _cell(column: Column) -> str:
    """Return SQL for a cell as it stands in the file: a text that looks like a formula gets an apostrophe."""
    name = f"c{column.id}"
    if column.type == "text":
        return f"CASE WHEN {name} ~ {_FORMULA_SQL} AND {name} !~ {_NUMBER_SQL} THEN '''' || {name} ELSE {name} END"
    # As text: COPY would write t and f for yes and no.
    return f"CAST({name} AS text)"


def filename(workflow_name: str, now: datetime) -> str:
    """Return what the file is called on people's machines: the workflow's name and the day."""
    plain = " ".join(re.sub(r'[\x00-\x1f/\\:*?"<>|]', " ", workflow_name).split()).strip(". ")
    return f"{plain[:100] or 'table'} {now:%Y-%m-%d}.csv"
