"""Checks a file's description before anything is made of it: its shape here, what it says in `contents`.

Files come from anywhere, so nothing in one is believed: not the shape of a field, not a reference, not a text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import available_timezones

import sqlalchemy as sa

from chalicelib import errors
from chalicelib.actions.conditions import MAX_CONDITIONS
from chalicelib.actions.language.formats import Formats
from chalicelib.exchange import contents, questions, rubrics, shapes
from chalicelib.exchange.document import MESSAGES, VERSION, WORKFLOW, Document, Row, fields, section
from chalicelib.workflows import references
from chalicelib.workflows import service as workflows
from chalicelib.workflows.references import PARTS, Part

MAX_COLUMNS = 1200
MAX_ACTIONS = 1000
MAX_ROWS_OF_A_PART = 20_000
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_NOUNS = {
    "column": "Column", "action": "Message", "condition": "Condition", "view": "View", "attribute": "Attribute",
    "question": "Question", "criterion": "Criterion", "rubric_cell": "Rubric text", "attachment": "Attachment",
}  # fmt: skip


def check(raw: Any, *, has_table: bool) -> Document:
    """Return the document of a description in our format.

    `has_table` tells whether the learners are in the file. Raises errors.Invalid naming object and rule.
    """
    try:
        raw = storable(raw)
    except RecursionError:
        raise errors.Invalid("The description is nested too deep.") from None
    about = _envelope(raw)
    document = Document(
        raw["format"], _text(about, "name"), _text(about, "description"), _time_zone(about),
        rows={part.table: _rows(part, raw.get(section(part), [])) for part in PARTS}, formats=_formats(about),
    )  # fmt: skip
    table = raw.get("table")
    if isinstance(table, dict) and not has_table and table.get("rows"):
        raise errors.Invalid("The file describes a table, but table.csv is not in it.")
    if has_table:
        document.learners = table["rows"] if isinstance(table, dict) and type(table.get("rows")) is int else -1
    _limits(document)
    _numbers(document)
    contents.columns(document)
    contents.attributes(document)
    contents.conditions(document)
    contents.views(document)
    contents.actions(document)
    questions.check(document)
    rubrics.check(document)
    _references(document)
    return document


def storable(value: Any) -> Any:
    """Return the value without the characters that the database has no place for."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("", value)
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {_UNSTORABLE.sub("", name): storable(item) for name, item in value.items()}
    return value


def _envelope(raw: Any) -> Mapping[str, Any]:
    if not isinstance(raw, dict) or raw.get("format") not in {WORKFLOW, MESSAGES}:
        raise errors.Invalid(f"The file does not say that it is a workflow (“format”: “{WORKFLOW}”).")
    version = raw.get("version")
    if type(version) is not int or version < 1:
        raise errors.Invalid("The file does not say which version of the format it has.")
    if version > VERSION:
        raise errors.Invalid(f"The file has version {version} of the format; this OnTask reads up to {VERSION}.")
    about = raw.get("workflow")
    if not isinstance(about, dict):
        raise errors.Invalid("The file does not describe a workflow.")
    return about


def _text(about: Mapping[str, Any], name: str) -> str:
    value = about.get(name, "")
    if not isinstance(value, str):
        raise errors.Invalid(f"The workflow’s {name} is no text.")
    return value.strip()


def _time_zone(about: Mapping[str, Any]) -> str:
    zone = about.get("time_zone", "UTC")
    return zone if isinstance(zone, str) and zone in available_timezones() else ""


def _formats(about: Mapping[str, Any]) -> dict[str, Any]:
    found = about.get("formats")
    return Formats.of(found).stored() if isinstance(found, dict) else {}


def _rows(part: Part, found: Any) -> list[Row]:
    if not isinstance(found, list) or len(found) > MAX_ROWS_OF_A_PART:
        raise errors.Invalid(f"“{section(part)}” is no list of a usable length.")
    return [_row(part, row, place) for place, row in enumerate(found, 1)]


def _row(part: Part, row: Any, place: int) -> Row:
    if not isinstance(row, dict):
        raise errors.Invalid(f"{_NOUNS.get(part.table, part.table)} {place} is no object.")
    where = f"{_NOUNS.get(part.table, part.table)} “{str(row.get('name', place))[:80]}”"
    if type(row.get("id")) is not int or not 0 < row["id"] < 2**31:
        raise errors.Invalid(f"{where} has no number.")
    return {"id": row["id"], **{column.name: _field(column, row, where) for column in fields(part)}}


def _field(column: sa.Column[Any], row: Row, where: str) -> Any:
    value = row.get(column.name)
    if value is None:
        if column.nullable:
            return None
        value = shapes.default(column)
    if isinstance(column.type, sa.DateTime):
        return _moment(value, f"{where}: “{column.name}”")
    wanted = shapes.type_of(column)
    if type(value) not in wanted or (type(value) is int and abs(value) >= 2**63):
        raise errors.Invalid(f"{where}: “{column.name}” is not of the right kind.")
    return value


def _moment(value: Any, where: str) -> str:
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (TypeError, ValueError, OverflowError):
        raise errors.Invalid(f"{where} is no date such as 2026-03-31T14:30:00Z.") from None


def _limits(document: Document) -> None:
    if len(document.columns) > MAX_COLUMNS:
        raise errors.Limit(f"A table can have {MAX_COLUMNS:,} columns; this has {len(document.columns):,}.", status=413)
    if len(document.rows["action"]) > MAX_ACTIONS:
        raise errors.Limit(f"A file can have {MAX_ACTIONS:,} messages.", status=413)
    for action in document.rows["action"]:
        if len(document.conditions_of(action)) > MAX_CONDITIONS:
            raise errors.Invalid(f"Message “{action['name']}” has more than {MAX_CONDITIONS} conditions.")
    if len(document.name) > workflows.MAX_NAME_LENGTH:
        document.name = document.name[: workflows.MAX_NAME_LENGTH]
        document.repairs.append("The name of the workflow was too long and was cut.")


def _numbers(document: Document) -> None:
    for part in PARTS:
        seen: set[int] = set()
        for row in document.rows[part.table]:
            if row["id"] in seen:
                raise errors.Invalid(f"Two {section(part)} have the number {row['id']}.")
            seen.add(row["id"])
    for part in PARTS:
        if part.is_of_actions and part.letter != "m":
            parents = next(one.table for one in PARTS if one.letter == part.parent_letter)
            known = {row["id"] for row in document.rows[parents]}
            for row in document.rows[part.table]:
                if row[part.parent] not in known:
                    named = row.get("name", row["id"])
                    raise errors.Invalid(f"{_NOUNS[part.table]} “{named}” belongs to no message of the file.")


def _references(document: Document) -> None:
    """Refuse a field that can't be walked; what refers to nothing in the file stays a reference to what is gone."""
    known = {f"{part.letter}{row['id']}" for part in PARTS for row in document.rows[part.table]}
    for part in PARTS:
        for row in document.rows[part.table]:
            where = f"{_NOUNS.get(part.table, part.table)} “{row.get('name', row['id'])}”"
            gone = sorted(reference for reference in _found(part, row, where) if reference not in known)
            if gone:
                document.repairs.append(f"{where} speaks of something that is not in the file any more.")
            row |= {name: None for name in ("view_id",) if f"v{row.get(name)}" in gone}


def _found(part: Part, row: Row, where: str) -> set[str]:
    seen: set[str] = set()

    def note(reference: str) -> str:
        seen.add(f"{reference[0]}{int(reference[1:])}")
        return reference

    try:
        references.changed(part.table, row, note)
    except (AttributeError, KeyError, TypeError, ValueError, errors.Invalid):
        raise errors.Invalid(f"{where} can’t be read: a reference in it has another shape.") from None
    return seen
