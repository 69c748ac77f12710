"""Tables that programs send: typed rows, taken in like a file, so that both do the same and say the same."""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.tables import names, queries, store, values
from chalicelib.tables.columns import uses
from chalicelib.tables.columns.shape import IN_USE
from chalicelib.tables.models import Column
from chalicelib.tables.uploads import importing, plan, service, steps
from chalicelib.tables.uploads.models import READING, Upload
from chalicelib.workflows.models import Workflow

#: How each type is read from the text that we write ourselves.
_KINDS = {name: name for name in store.TYPES}
_FIELD = re.compile(r"(?:name|kind|key|target)-(\d+)")


@dataclass
class Frame:
    """Columns with their types, in order, and rows with a value of that type, or none, for each."""

    types: dict[str, str]
    rows: list[list[Any]]
    keys: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Match:
    """How the rows of a frame and those of the table come together: by one key each; see `plan.ROWS` and `plan.WINS`.

    `unmark` are names of keys that may stop being keys.
    """

    how: str
    left_on: str
    right_on: str
    wins: str = "keep"
    unmark: tuple[str, ...] = ()


def frame(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[Mapping[str, Any]], zone: ZoneInfo
) -> Frame:  # fmt: skip
    """Return the frame of rows by name; `columns` say order, types and keys, which are found out where they are absent.

    Raises errors.Invalid with a message for each place that does not fit, such as `rows.3.mark`.
    """
    wanted = {column["name"]: column for column in columns}
    if len(wanted) < len(columns):
        raise errors.Invalid("Two columns have the same name.", {"columns": "Two columns have the same name."})
    found = list(wanted or dict.fromkeys(name for row in rows for name in row))
    problems = {f"columns.{name}": said for name in found if (said := names.problem(name)) or name != names.tidy(name)}
    types: dict[str, str] = {}
    for name in found:
        try:
            types[name] = wanted.get(name, {}).get("type") or values.guess((row.get(name) for row in rows), zone)
        except ValueError as error:
            problems[f"columns.{name}"] = f"“{name}” can’t be read: {error}."
    made = Frame(types, [], {name for name in found if wanted.get(name, {}).get("key")})
    for number, row in enumerate(rows):
        made.rows.append(_cells(row, types, f"rows.{number}", zone, problems))
        if len(problems) > MAX_PROBLEMS:
            break
    if not found:
        problems["rows"] = "There is nothing in it."
    if problems:
        raise errors.Invalid(f"The table does not fit: {next(iter(problems.values()))}", problems)
    return made


MAX_PROBLEMS = 20


def _cells(
    row: Mapping[str, Any], types: Mapping[str, str], place: str, zone: ZoneInfo, problems: dict[str, str]
) -> list[Any]:  # fmt: skip
    for name in row:
        if name not in types:
            problems[f"{place}.{name}"] = f"“{name}” is not among the columns."
    found = []
    for name, kind in types.items():
        try:
            found.append(values.parsed(row.get(name), kind, zone))
        except ValueError as error:
            problems[f"{place}.{name}"] = f"“{name}”: {error}."
    return found


def mark_unique(made: Frame) -> None:
    """Make keys of all columns that have another value in every row, where none was named."""
    for position, (name, kind) in enumerate(made.types.items()):
        found = {row[position] for row in made.rows}
        if kind in {"integer", "text"} and None not in found and len(found) == len(made.rows):
            made.keys.add(name)


def put(
    session: Session, workflow: Workflow, user_id: int, made: Frame, *, anyway: bool = False
) -> dict[str, Any]:  # fmt: skip
    """Make the frame the workflow's table, in the place of the one that may be there, and return what came of it.

    Without keys of its own it has those of the table, else every column that can be one. Raises errors.Invalid when
    it can't be, errors.Conflict when something speaks of a column that would go and `anyway` does not say that this
    is known.
    """
    existing = queries.columns(session, workflow.id)
    if not made.keys:
        made.keys = {column.name for column in existing if column.is_key and column.name in made.types}
    if not made.keys:
        mark_unique(made)
    if not made.keys:
        message = "The data has no column with unique values per row. At least one column must have unique values."
        raise errors.Invalid(message, {"columns": message})
    lost = [column for column in existing if column.name not in made.types]
    if not anyway:
        _refuse_lost(session, workflow, lost)
    with _carefully(session, made):
        upload = _take_in(session, workflow, user_id, made)
        if existing:
            keys = [[_number(made, c.name), c.id] for c in existing if c.is_key and c.name in made.keys][:1]
            targets = _targets(made, existing)
            steps.choose_match(
                session, upload, {"method": plan.REPLACE, "keys": keys, "targets": targets}
            )  # fmt: skip
        return service.carry_out(session, upload)


def _refuse_lost(session: Session, workflow: Workflow, lost: Sequence[Column]) -> None:
    found = {column.name: uses.of_column(session, workflow, column) for column in lost}
    told = [f"“{name}” in {', '.join(line.words for line in lines)}" for name, lines in found.items() if lines]
    if told:
        message = f"Columns that are not in the new table are used: {'; '.join(told)}. Say `anyway=true` to drop them."
        raise errors.Conflict(message)


def merge(
    session: Session, workflow: Workflow, user_id: int, made: Frame, match: Match, *, dry_run: bool = False
) -> dict[str, Any]:  # fmt: skip
    """Merge the frame into the table and return what that does, as the wizard's last page tells it.

    With `dry_run` nothing is changed. Raises errors.Invalid when it can't be done.
    """
    existing = queries.columns(session, workflow.id)
    if not existing:
        raise errors.Conflict("There is no table to merge with. Make one first.")
    choices = _choices(made, match, existing)
    with _carefully(session, made, existing):
        nested = session.begin_nested()
        upload = _take_in(session, workflow, user_id, made)
        steps.choose_match(session, upload, choices)
        report = steps.preview(session, upload)
        if dry_run:
            nested.rollback()
            session.expire_all()
            return report
        importing.refuse(report, plan.make(upload.understood, upload.choices, existing))
        result = service.carry_out(session, upload)
        nested.commit()
    return {**report, **result}


def _choices(made: Frame, match: Match, existing: Sequence[Column]) -> dict[str, Any]:
    by_name = {column.name: column for column in existing}
    problems = {}
    if match.left_on not in by_name or not by_name[match.left_on].is_key:
        keys = ", ".join(f"“{column.name}”" for column in existing if column.is_key)
        problems["left_on"] = f"“{match.left_on}” does not tell the table’s learners apart; {keys} can."
    if match.right_on not in made.types:
        problems["right_on"] = f"There is no column “{match.right_on}” in the data."
    for name in match.unmark:
        if name not in by_name:
            problems["unmark"] = f"There is no column “{name}” in the table."
    if match.how not in plan.ROWS:
        problems["how"] = f"This must be one of {', '.join(plan.ROWS)}."
    if problems:
        raise errors.Invalid(next(iter(problems.values())), problems)
    number, key = _number(made, match.right_on), by_name[match.left_on]
    targets = {str(other): column_id for other, column_id in _targets(made, existing).items() if int(other) != number}
    taken = {other: plan.NEW if column_id == key.id else column_id for other, column_id in targets.items()}
    return {
        "method": plan.UPDATE, "rows": match.how, "wins": match.wins, "keys": [[number, key.id]], "targets": taken,
        "own_key": True, "unmark": [by_name[name].id for name in match.unmark],
    }  # fmt: skip


def _targets(made: Frame, existing: Sequence[Column]) -> dict[str, int]:
    by_name = {column.name: column.id for column in existing}
    return {str(_number(made, name)): by_name.get(name, plan.NEW) for name in made.types}


def _number(made: Frame, name: str) -> int:
    return list(made.types).index(name) + 1


def _take_in(session: Session, workflow: Workflow, user_id: int, made: Frame) -> Upload:
    upload = Upload(
        workflow_id=workflow.id, user_id=user_id, filename="data of a program", state=READING,
        options={"encoding": "utf-8", "delimiter": ",", "time_zone": "UTC"}, created_at=clock.now(),
    )  # fmt: skip
    session.add(upload)
    session.flush()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        _write(made, path)
        upload.size = path.stat().st_size
        service.read(session, upload, path, lambda _progress, _message: None)
    upload.choices = plan.first_choices(upload.understood)
    columns = {
        str(number): {"name": name, "kind": _KINDS[kind], "load": True, "key": name in made.keys}
        for number, (name, kind) in enumerate(made.types.items(), 1)
    }
    steps.choose_columns(session, upload, columns, add_number=False)
    return upload


def _write(made: Frame, path: Path) -> None:
    """Write the frame as a file whose header is ours, so that no name can be taken for something else."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(f"c{number}" for number in range(1, len(made.types) + 1))
        for row in made.rows:
            writer.writerow(_written(value) for value in row)


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    return repr(value) if isinstance(value, float) else str(value)


@contextmanager
def _carefully(session: Session, made: Frame, existing: Sequence[Column] = ()) -> Iterator[None]:
    """Wait for others a moment only, and tell problems by the names that the program knows."""
    session.execute(text(f"SET LOCAL lock_timeout = '{store.DDL_LOCK_SECONDS}s'"))
    try:
        yield
    except DBAPIError as error:
        if store.sqlstate(error) not in {store.LOCK_NOT_AVAILABLE, store.DEADLOCK}:
            raise
        raise errors.Conflict(IN_USE) from error
    except errors.Invalid as error:
        numbers = dict(enumerate(made.types, 1))
        raise errors.Invalid(error.message, by_name(error.fields, numbers, existing)) from error


def by_name(fields: Mapping[str, str], numbers: Mapping[int, str], existing: Sequence[Column]) -> dict[str, str]:
    """Return the problems of the wizard's fields by the names that programs know; `numbers` are the file's columns."""
    found, known = {}, {"key_number": "right_on", "key_column": "left_on", "rows": "how"}
    by_id = {f"unmark-{column.id}": column.name for column in existing}
    for place, message in fields.items():
        if numbered := _FIELD.fullmatch(place):
            found[f"columns.{numbers[int(numbered[1])]}"] = message
        elif place in by_id:
            told = message.partition(" Tick the box")[0]
            found["unmark"] = f"{told} Name it in `unmark` to stop using it as a key."
        else:
            found[known.get(place, place)] = message
    return found
