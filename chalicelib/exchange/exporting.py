"""From the database to a document: the ticked messages, or a workflow with or without its learners."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.actions.language import TemplateError
from chalicelib.actions.language.syntax import Reference
from chalicelib.exchange.document import HERE, MESSAGES, WORKFLOW, Document, Row, fields
from chalicelib.workflows import parts, references
from chalicelib.workflows.models import Workflow
from chalicelib.workflows.references import PARTS, Part


def workflow(session: Session, exported: Workflow, action_ids: Collection[int]) -> tuple[Document, list[int]]:
    """Return the workflow with these messages, and the ids of its columns in the document's order.

    `learners` is left to whoever writes them. Raises errors.Invalid when a text can't be read.
    """
    rows = _live(session, exported, action_ids)
    rows["column"].sort(key=lambda row: (row["position"], row["id"]))
    made = _numbered(rows, exported.id)
    document = Document(WORKFLOW, exported.name, exported.description, exported.time_zone, rows=made)
    document.formats = exported.formats
    return document, [row["id"] for row in rows["column"]]


def messages(session: Session, exported: Workflow, action_ids: Collection[int]) -> Document:
    """Return these messages with what they speak of: columns, attributes and views, but no learners.

    Raises errors.Invalid when there is none, or a text can't be read.
    """
    document, _ = workflow(session, exported, action_ids)
    if not document.rows["action"]:
        raise errors.Invalid("Tick at least one message.", {"action": "Tick at least one message."})
    document.kind, document.description = MESSAGES, ""
    only_messages(document)
    return document


def only_messages(document: Document) -> None:
    """Leave out what none of the messages speaks of."""
    needed = _closure(document.rows)
    for part in PARTS:
        if not part.is_of_actions:
            document.rows[part.table] = [
                row for row in document.rows[part.table] if f"{part.letter}{row['id']}" in needed
            ]


def _live(session: Session, exported: Workflow, action_ids: Collection[int]) -> parts.Rows:
    """Return the rows that are not deleted; of messages and their parts only those that are asked for."""
    try:
        rows = parts.read(session, exported.id)
    except TemplateError as error:
        raise errors.Invalid(f"A text can’t be exported because it can’t be read: {error}") from error
    found: parts.Rows = {}
    for part in PARTS:
        kept = [row for row in rows[part.table] if row.get("deleted_at") is None]
        if part.letter == "m":
            kept = [row for row in kept if row["id"] in action_ids]
        elif part.is_of_actions:
            parents = {row["id"] for one in PARTS if one.letter == part.parent_letter for row in found[one.table]}
            kept = [row for row in kept if row[part.parent] in parents]
        found[part.table] = kept
    return found


def _closure(rows: parts.Rows) -> set[Reference]:
    """Return what the messages and their parts speak of, and what that speaks of in turn."""
    by_reference = {f"{part.letter}{row['id']}": (part, row) for part in PARTS for row in rows[part.table]}
    of_actions = [part for part in PARTS if part.is_of_actions]
    waiting = {f"{part.letter}{row['id']}" for part in of_actions for row in rows[part.table]}
    seen: set[Reference] = set()
    while waiting:
        reference = waiting.pop()
        seen.add(reference)
        if reference in by_reference:
            part, row = by_reference[reference]
            waiting |= references.found(part.table, row) - seen
    return seen


class _Numbers:
    """The file's own numbers, counted for each kind of object; what is gone gets one after those of the file."""

    def __init__(self) -> None:
        self._numbers: dict[Reference, Reference] = {}
        self._counts: dict[str, int] = {}

    def __getitem__(self, reference: Reference) -> Reference:
        letter = reference[0]
        if reference not in self._numbers:
            self._counts[letter] = self._counts.get(letter, 0) + 1
            self._numbers[reference] = f"{letter}{self._counts[letter]}"
        return self._numbers[reference]


def _numbered(rows: parts.Rows, workflow_id: int) -> dict[str, list[Row]]:
    numbers = _Numbers()
    assert numbers[f"w{workflow_id}"] == f"w{HERE}", "the workflow is the first of its kind"
    for part in PARTS:
        for row in rows[part.table]:
            numbers[f"{part.letter}{row['id']}"]
    return {part.table: [_row(part, row, numbers) for row in rows[part.table]] for part in PARTS}


def _row(part: Part, row: dict[str, Any], numbers: _Numbers) -> Row:
    changed = references.changed(part.table, row, numbers.__getitem__)
    number = int(numbers[f"{part.letter}{row['id']}"][1:])
    return {"id": number, **{column.name: _written(changed[column.name]) for column in fields(part)}}


def _written(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
