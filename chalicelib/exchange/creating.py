"""From a checked document to a workflow, or to messages in one that is there. The caller's transaction holds all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.accounts.models import User
from chalicelib.exchange.document import HERE, Document, Row, insertable
from chalicelib.tables import arrivals, queries, store
from chalicelib.workflows import parts
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow

_HERE = f"w{HERE}"


def workflow(session: Session, user_id: int, import_id: int, document: Document, name: str) -> Workflow:
    """Create the workflow under this name with everything in the document and the waiting learners.

    Raises errors.Invalid (field `name`) when the name can't be used, errors.Conflict when the learners are gone.
    """
    zone = document.time_zone or session.get_one(User, user_id).time_zone
    made = workflows.create(session, user_id, name, document.description, zone)
    made.formats = document.formats
    new = parts.insert(session, insertable(document), {_HERE: f"w{made.id}"})
    if document.columns:
        ids = {row["id"]: int(new[f"c{row['id']}"][1:]) for row in document.columns}
        made.row_count = arrivals.take_over(session, import_id, made.id, ids)
    session.flush()
    return made


def problems(session: Session, target: Workflow, document: Document) -> list[str]:
    """Return why the messages can't be added to the workflow; nothing when they can."""
    if target.row_count is None:
        return ["This workflow has no learners yet. Add your data first; messages need its columns."]
    there = parts.read(session, target.id)
    live = {table: {row["name"] for row in _live(there[table])} for table in ("action", "view")}
    found = [
        f"There is a {noun} “{row['name']}” already. Rename or delete one of them first."
        for table, noun in (("action", "message"), ("view", "view"))
        for row in document.rows[table] if row["name"] in live[table]
    ]  # fmt: skip
    existing = {column.name: column for column in queries.columns(session, target.id)}
    for row in document.columns:
        found += _column_problems(row, existing.get(row["name"]))
    found += _name_problems(document, there, existing)
    return found


def _live(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row.get("deleted_at") is None]


def _column_problems(row: Row, column: Any) -> list[str]:
    where = f"Column “{row['name']}”"
    if column is None:
        return [f"{where} tells learners apart and is missing here."] if row["is_key"] else []
    found = []
    if row["type"] != column.type:
        found.append(f"{where} has the type {column.type} here, but {row['type']} in the file.")
    if row["is_key"] != column.is_key:
        found.append(f"{where} is a key {'here' if column.is_key else 'in the file'}, but not in the other.")
    if (row["allowed_values"] or None) != (column.allowed_values or None):
        found.append(f"{where} has other allowed values here than in the file.")
    return found


def _name_problems(document: Document, there: parts.Rows, existing: Mapping[str, Any]) -> list[str]:
    """Columns, attributes and conditions share one space of names: what comes must not take one that is in use."""
    attributes = {row["name"] for row in _live(there["attribute"])}
    conditions = {row["name"] for row in _live(there["condition"])}
    found = [
        f"The condition “{row['name']}” of the file is called like a column or attribute that is here."
        for row in document.rows["condition"] if row["name"] in attributes or row["name"] in existing
    ]  # fmt: skip
    for noun, table, others in (
        ("column", "column", attributes | conditions), ("attribute", "attribute", existing.keys() | conditions)
    ):  # fmt: skip
        for row in document.rows[table]:
            is_there = row["name"] in (existing if table == "column" else attributes)
            if row["name"] in others and not is_there:
                found.append(f"The {noun} “{row['name']}” of the file has a name that is in use here.")
    return found


def messages(session: Session, target: Workflow, document: Document) -> dict[str, int]:
    """Add the messages to the workflow, with empty columns for those that it lacks; return what was added.

    Raises errors.Invalid when they don't fit.
    """
    if found := problems(session, target, document):
        raise errors.Invalid(" ".join(found))
    store.lock_for_bulk(session, target.id)
    rows = insertable(document)
    known = {_HERE: f"w{target.id}"}
    existing = queries.columns(session, target.id)
    known |= _take_out(rows["column"], {column.name: f"c{column.id}" for column in existing}, "c")
    attributes = _live(parts.read(session, target.id)["attribute"])
    known |= _take_out(rows["attribute"], {row["name"]: f"a{row['id']}" for row in attributes}, "a")
    last = max((column.position for column in existing), default=0)
    for step, row in enumerate(rows["column"], 1):
        row["position"] = last + step
    new = parts.insert(session, rows, known)
    fields = [store.Field(int(new[f"c{row['id']}"][1:]), row["type"]) for row in rows["column"]]
    arrivals.add_columns(session, target.id, fields)
    workflows.touch(target)
    session.flush()
    return {"messages": len(rows["action"]), "columns": len(fields), "attributes": len(rows["attribute"])}


def _take_out(rows: list[dict[str, Any]], there: Mapping[str, str], letter: str) -> dict[str, str]:
    """Leave those out of `rows` that the workflow has; return what they are there."""
    known = {f"{letter}{row['id']}": there[row["name"]] for row in rows if row["name"] in there}
    rows[:] = [row for row in rows if row["name"] not in there]
    return known
