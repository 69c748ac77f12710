"""Where an object of a workflow is used, in words: what people read before they delete it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy.orm import Session

from chalicelib.actions.language import TemplateError
from chalicelib.actions.language.syntax import Reference
from chalicelib.schedules import needs
from chalicelib.workflows import parts
from chalicelib.workflows.models import Workflow
from chalicelib.workflows.references import PARTS, found_in

#: The subject of an earlier sending does not count: the next form to send shows what is wrong with it.
_NOT_COUNTED = {"send_defaults"}
_WORDS = {
    ("action", "text"): "the text of the message “{name}”",
    ("action", "filter"): "who gets the message “{name}”",
    ("condition", "formula"): "the condition “{name}”",
    ("column", "recipe"): "how the column “{name}” is worked out",
    ("rubric_cell", "feedback"): "a feedback of the rubric “{name}”",
}


def of(session: Session, workflow: Workflow, reference: Reference) -> list[str]:
    """Return the live objects of the workflow that speak of this one, each in words; what can't be read is left out."""
    found = list(
        dict.fromkeys(words for table, row in _rows(session, workflow.id) for words in _uses(table, row, reference))
    )
    found += [f"the schedule “{one.name}”" for one in needs.using(session, workflow.id, {reference})]
    if reference == f"c{workflow.learner_column_id}":
        found.append("the access of learners")
    return found


def _rows(session: Session, workflow_id: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the live rows, those without a name with the name of the message they belong to."""
    live = parts.live(session, workflow_id)
    actions = {row["id"]: row["name"] for row in live["action"]}
    criteria = {row["id"]: actions[row["action_id"]] for row in live["criterion"]}
    for table, rows in live.items():
        for row in rows:
            belongs = criteria.get(row.get("criterion_id")) or actions.get(row.get("action_id"), "")
            yield table, {"name": belongs, **row}


def _uses(table: str, row: dict[str, Any], reference: Reference) -> Iterator[str]:
    holders = next(part.holders for part in PARTS if part.table == table)
    for field in holders.keys() - _NOT_COUNTED:
        try:
            if field in row and reference in found_in(table, row, field):
                yield _WORDS.get((table, field), f"{table} “{{name}}”").format(name=row["name"])
        except TemplateError:
            continue
