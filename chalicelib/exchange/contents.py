"""What the parts of a file say: columns, attributes, conditions, views, messages. Repaired where that loses nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib import errors
from chalicelib.actions import service as action_service
from chalicelib.actions.html import clean, displaced
from chalicelib.actions.kinds import KINDS, Kind
from chalicelib.actions.language import TemplateError
from chalicelib.actions.language import references as references_of
from chalicelib.exchange import shapes
from chalicelib.exchange.document import Document, Row
from chalicelib.formulas import operands, tree
from chalicelib.formulas.check import typed_values
from chalicelib.formulas.columns import ColumnInfo
from chalicelib.tables import names, store
from chalicelib.tables.cells import UTC_ZONE

MAX_ATTRIBUTE_LENGTH = 1024


def columns(document: Document) -> None:
    """Tidy names and positions, refuse types and values that there are not, drop recipes that can’t be followed."""
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


def attributes(document: Document) -> None:
    """Give each attribute a name of its own and a value that fits."""
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


def conditions(document: Document) -> None:
    """Give each condition a name of its own and a formula that can be read; one without columns is refused."""
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


def views(document: Document) -> None:
    """Give each view a name of its own, columns of the file, an order and a filter that can be read."""
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


def actions(document: Document) -> None:
    """Give each message a name of its own, a kind that is known, a text that can be read and is safe."""
    infos = document.infos
    taken: set[str] = set()
    for row in document.rows["action"]:
        _make_unique(row, taken, "Message", document)
        where = f"Message “{row['name']}”"
        row["description"] = row["description"][: action_service.MAX_DESCRIPTION_LENGTH]
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
    name = " ".join(row["name"].split())[: action_service.MAX_NAME_LENGTH] or noun
    free, number = name, 2
    while free in taken:
        free, number = f"{name[: action_service.MAX_NAME_LENGTH - 8]} ({number})", number + 1
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
