"""Checks a file's description before anything is made of it: what does not fit is repaired or refused.

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
from chalicelib.actions import service as actions
from chalicelib.actions.conditions import MAX_CONDITIONS
from chalicelib.actions.html import clean, displaced
from chalicelib.actions.kinds import KINDS, Kind
from chalicelib.actions.language import TemplateError
from chalicelib.actions.language import references as references_of
from chalicelib.exchange import questions, rubrics, shapes
from chalicelib.exchange.document import MESSAGES, VERSION, WORKFLOW, Document, Row, fields, section
from chalicelib.formulas import operands, tree
from chalicelib.formulas.check import typed_values
from chalicelib.formulas.columns import ColumnInfo
from chalicelib.tables import names, store
from chalicelib.tables.cells import UTC_ZONE
from chalicelib.workflows import references
from chalicelib.workflows import service as workflows
from chalicelib.workflows.references import PARTS, Part

MAX_COLUMNS = 1200
MAX_ACTIONS = 1000
MAX_ROWS_OF_A_PART = 20_000
MAX_ATTRIBUTE_LENGTH = 1024
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
        rows={part.table: _rows(part, raw.get(section(part), [])) for part in PARTS},
    )  # fmt: skip
    table = raw.get("table")
    if isinstance(table, dict) and not has_table and table.get("rows"):
        raise errors.Invalid("The file describes a table, but table.csv is not in it.")
    if has_table:
        document.learners = table["rows"] if isinstance(table, dict) and type(table.get("rows")) is int else -1
    _limits(document)
    _numbers(document)
    _columns(document)
    _attributes(document)
    _conditions(document)
    _views(document)
    _actions(document)
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


def _columns(document: Document) -> None:
    tidied = names.headers([row["name"] for row in document.columns])
    for row, header in zip(document.columns, tidied, strict=True):
        if header.name != row["name"]:
            why = header.repair or "blanks and signs that nobody sees were left out"
            document.repairs.append(f"Column “{row['name'][:80]}” is called “{header.name}”: {why}.")
            row["name"] = header.name
        if row["type"] not in store.TYPES:
            raise errors.Invalid(f"Column “{row['name']}” has the unknown type “{row['type'][:40]}”.")
        row["allowed_values"] = _allowed(row)
        if row["active_from"] and row["active_until"] and row["active_from"] >= row["active_until"]:
            row["active_from"] = row["active_until"] = None
            document.repairs.append(
                f"Column “{row['name']}”: its active window ended before it began and was left out."
            )
    _positions(document)
    _recipes(document)


def _allowed(row: Row) -> list[Any] | None:
    found = []
    for value in row["allowed_values"] or []:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        try:
            if isinstance(value, dict | list) or value is None:
                raise ValueError
            read = operands.read(text, row["type"], UTC_ZONE) if text or row["type"] != "text" else ""
        except ValueError:
            raise errors.Invalid(
                f"Column “{row['name']}”: “{text[:60]}” is in its list of allowed values but not of its type."
            ) from None
        found.append(text if row["type"] == "datetime" else read)
    return list(dict.fromkeys(found)) or None


def _positions(document: Document) -> None:
    wanted = list(range(1, len(document.columns) + 1))
    if sorted(row["position"] for row in document.columns) != wanted:
        document.repairs.append("The positions of the columns had gaps; they were numbered anew.")
    else:
        document.columns.sort(key=lambda row: row["position"])
    for position, row in enumerate(document.columns, 1):
        row["position"] = position


def _recipes(document: Document) -> None:
    known = {row["id"] for row in document.columns}
    for row in document.columns:
        if row["recipe"] and not shapes.is_recipe(row["recipe"], known):
            row["recipe"] = None
            document.repairs.append(f"Column “{row['name']}” keeps its values, but not how they were worked out.")


def _attributes(document: Document) -> None:
    taken = {row["name"] for row in document.columns}
    for row in document.rows["attribute"]:
        _rename(row, taken, "Attribute", document)
        if len(row["value"]) > MAX_ATTRIBUTE_LENGTH:
            row["value"] = row["value"][:MAX_ATTRIBUTE_LENGTH]
            document.repairs.append(f"Attribute “{row['name']}” was longer than {MAX_ATTRIBUTE_LENGTH:,} characters.")


def _rename(row: Row, taken: set[str], noun: str, document: Document) -> None:
    """Give the row a name that is allowed and not in `taken`, and note it there."""
    (header,) = names.headers([row["name"]])
    name = header.name
    if name in taken:
        name = names.unused(name, taken)
    if name != row["name"]:
        document.repairs.append(
            f"{noun} “{row['name'][:80]}” is called “{name}”, as its name was taken or not allowed."
        )
        row["name"] = name
    taken.add(name)


def _conditions(document: Document) -> None:
    infos = document.infos
    shared = {row["name"] for row in [*document.columns, *document.rows["attribute"]]}
    for action in document.rows["action"]:
        taken = set(shared)
        for row in document.conditions_of(action):
            _rename(row, taken, f"Message “{action['name']}”: condition", document)
            where = f"Message “{action['name']}”, condition “{row['name']}”"
            row["formula"] = _formula(row["formula"], infos, where, document)
            if row["formula"] is None:
                raise errors.Invalid(f"{where} uses no column. A condition must use at least one.")


def _formula(formula: Any, infos: Mapping[int, ColumnInfo], where: str, document: Document) -> Row | None:
    """Return the formula in its usual form; a rule that can't be used is noted, for people to repair."""
    if tree.holds_nothing(formula):
        return None
    try:
        group = tree.parse(formula)
    except errors.Invalid as error:
        raise errors.Invalid(f"{where}: {error.message}") from error
    for rule in tree.rules(group):
        try:
            typed_values(rule, infos, UTC_ZONE)
        except ValueError as error:
            document.repairs.append(f"{where} has a rule to be repaired: {error}.")
    return tree.dump(group)


def _views(document: Document) -> None:
    infos = document.infos
    taken: set[str] = set()
    for row in document.rows["view"]:
        _make_unique(row, taken, "View", document)
        where = f"View “{row['name']}”"
        for number in row["columns"]:
            if type(number) is not int or number not in infos:
                raise errors.Invalid(f"{where} shows column {str(number)[:20]}, which is not in the file.")
        row["columns"] = list(dict.fromkeys(row["columns"]))
        row["sort"] = [
            {"column": step["column"], "descending": step.get("descending") is True}
            for step in row["sort"]
            if isinstance(step, dict) and type(step.get("column")) is int and step["column"] in infos
        ]
        row["filter"] = _formula(row["filter"], infos, f"{where}, filter", document)


def _actions(document: Document) -> None:
    infos = document.infos
    taken: set[str] = set()
    for row in document.rows["action"]:
        _make_unique(row, taken, "Message", document)
        where = f"Message “{row['name']}”"
        row["description"] = row["description"][: actions.MAX_DESCRIPTION_LENGTH]
        row["filter"] = _formula(row["filter"], infos, f"{where}, filter", document)
        if row["kind"] not in set(Kind):
            document.repairs.append(f"{where} is of a kind that is unknown here; it comes as a text.")
            row["kind"] = Kind.TEXT.value
        row["text"] = _text_of(row, where, document)
        row["target"] = shapes.target(row["target"], where)
        row["send_defaults"] = shapes.send_defaults(row["send_defaults"], where)
        row["kept"] = shapes.kept(row["kept"], where)


def _text_of(row: Row, where: str, document: Document) -> str:
    output = KINDS[Kind(row["kind"])].output
    if output == "html":
        return _clean(row["text"], where, document)
    try:
        references_of(row["text"], output)
    except TemplateError as error:
        raise errors.Invalid(f"{where}: its text can’t be read: {error.problems[0]}") from error
    return str(row["text"])


def _make_unique(row: Row, taken: set[str], noun: str, document: Document) -> None:
    """Give a message or view a name that no other has, and note it in `taken`."""
    name = " ".join(row["name"].split())[: actions.MAX_NAME_LENGTH] or noun
    free, number = name, 2
    while free in taken:
        free, number = f"{name[: actions.MAX_NAME_LENGTH - 8]} ({number})", number + 1
    if free != row["name"]:
        document.repairs.append(f"{noun} “{row['name'][:80]}” is called “{free[:80]}”.")
        row["name"] = free
    taken.add(free)


def _clean(text: str, where: str, document: Document) -> str:
    try:
        references_of(text)
        cleaned, removed = clean(text)
        references_of(cleaned)
    except TemplateError as error:
        raise errors.Invalid(f"{where}: its text can’t be read: {error.problems[0]}") from error
    if displaced(text):
        raise errors.Invalid(f"{where}: its text has something in a table but in none of its cells.")
    if removed:
        document.repairs.append(f"{where}: what can’t be in a mail was taken out of its text: {', '.join(removed)}.")
    return cleaned


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
