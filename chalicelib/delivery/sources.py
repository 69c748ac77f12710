"""What a run takes from its workflow and action: columns, conditions, attributes and the names in a subject.

Plain SQL, because the tables belong to other domains.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.actions import links
from chalicelib.actions.language.names import Names, of_message
from chalicelib.actions.language.syntax import PERSONAL, Allowed, Output, TemplateError
from chalicelib.actions.language.translate import ids_to_names, names_to_ids, outdated, references, shows_rubric
from chalicelib.actions.links import Link
from chalicelib.delivery.order import MAX_SUBJECT_LENGTH
from chalicelib.formulas.columns import ColumnInfo


@dataclass(frozen=True)
class SourceColumn(ColumnInfo):
    """A column as far as sending is concerned."""

    is_key: bool = False
    #: It counts, or once counted, who opened mails.
    counts: bool = False


@dataclass(frozen=True)
class Sources:
    """The columns, conditions and attributes a message can refer to; of an attribute `id`, `name` and `value`."""

    columns: dict[int, SourceColumn]
    conditions: list[dict[str, Any]]
    attributes: list[dict[str, Any]]
    links: list[Link] = field(default_factory=list)
    #: How the workflow's texts show numbers and times, where that is not the usual way.
    formats: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> Names:
        """Their names, for translating what people write."""
        return of_message(
            {column.id: (column.name, column.type) for column in self.columns.values()},
            {condition["id"]: condition["name"] for condition in self.conditions},
            {attribute["id"]: attribute["name"] for attribute in self.attributes},
            {link.id: link.name for link in self.links},
        )  # fmt: skip

    @property
    def counters(self) -> list[SourceColumn]:
        """The columns that count opens already; others hold marks and the like, which a count would spoil."""
        return [
            column for column in self.columns.values()
            if column.counts and column.type == "integer" and not column.is_key
        ]  # fmt: skip

    @property
    def label_column_id(self) -> int | None:
        """The column by which a learner is called in lists: the first key."""
        return next((column.id for column in self.columns.values() if column.is_key), None)


#: What new columns that count opens are called, before a number.
OPENS_PREFIX = "EmailRead_"
_OPENS_TAG = re.compile(r"\{(?=[{%])")
# One statement for all, as every page of sending needs them.
_SOURCES = text(f"""
    SELECT 1 AS part, position, id, name, NULL AS value, starts_with(name, '{OPENS_PREFIX}') OR EXISTS (
            SELECT 1 FROM ontask.run WHERE run.workflow_id = :workflow_id AND run.opens_column_id = c.id) AS is_on,
        type, is_key, CAST(NULL AS jsonb) AS formula
    FROM ontask.column c
    WHERE workflow_id = :workflow_id AND deleted_at IS NULL
    UNION ALL
    SELECT 2, position, id, name, NULL, false, NULL, false, formula FROM ontask.condition
    WHERE action_id = :action_id AND deleted_at IS NULL
    UNION ALL
    SELECT *, NULL, false, NULL FROM ({links.SHARED}) shared
    UNION ALL
    SELECT 5, 0, id, name, NULL, false, NULL, false, formats FROM ontask.workflow WHERE id = :workflow_id
    ORDER BY part, position, id
""")  # noqa: S608  both parts are ours


def read(session: Session, workflow_id: int, action_id: int) -> Sources:
    """Return what the action's text may refer to, and how values are shown in it."""
    rows = session.execute(_SOURCES, {**links.parameters(workflow_id), "action_id": action_id}).all()
    columns = {
        row.id: SourceColumn(row.id, row.name, row.type, is_key=row.is_key, counts=row.is_on)
        for row in rows if row.part == 1
    }  # fmt: skip
    conditions = [{"id": row.id, "name": row.name, "formula": row.formula} for row in rows if row.part == 2]
    attributes = [{"id": row.id, "name": row.name, "value": row.value} for row in rows if row.part == 3]
    led_to = [Link(row.id, row.name, row.value, row.is_on) for row in rows if row.part == 4]
    formats: dict[str, Any] = next((row.formula for row in rows if row.part == 5), {})
    return Sources(columns, conditions, attributes, led_to, formats)


def action_name(session: Session, action_id: int) -> str:
    """Return what the message is called."""
    return session.scalar(text("SELECT name FROM ontask.action WHERE id = :id"), {"id": action_id}) or ""


def remember(session: Session, action_id: int, choices: dict[str, Any]) -> None:
    """Have the action's next send form begin with these choices."""
    statement = "UPDATE ontask.action SET send_defaults = send_defaults || CAST(:choices AS jsonb) WHERE id = :id"
    session.execute(text(statement), {"id": action_id, "choices": json.dumps(choices)})


def subject_by_ids(sources: Sources, subject: str, allowed: Allowed = PERSONAL) -> str:
    """Return a subject as it is stored, from one that people wrote; `allowed` says what it may show.

    Raises errors.Invalid (field `subject`) when it is empty, too long or has a mistake.
    """
    subject = " ".join(subject.split())
    if not subject:
        raise errors.Invalid("The mail needs a subject.", {"subject": "Type a subject."})
    if len(subject) > MAX_SUBJECT_LENGTH:
        message = f"Use at most {MAX_SUBJECT_LENGTH} characters; this has {len(subject)}."
        raise errors.Invalid("The subject is too long.", {"subject": message})
    try:
        return names_to_ids(subject, sources.names, "text", allowed)
    except TemplateError as error:
        raise errors.Invalid("The subject has a mistake.", {"subject": error.message}) from error


def as_subject(name: str) -> str:
    """Return a stored subject that shows just this name, whatever signs are in it."""
    return _OPENS_TAG.sub("{ ", name[:MAX_SUBJECT_LENGTH])


def subject_by_names(sources: Sources, stored: str) -> str:
    """Return a stored subject as people see it; one that can't be read becomes empty."""
    try:
        return ids_to_names(stored, sources.names, "text")
    except TemplateError:
        return ""


def used(sources: Sources, stored: str, output: Output) -> set[str]:
    """Return the references of a stored text.

    Raises errors.Invalid when it is broken or refers to something that was deleted or is of another type by now.
    """
    try:
        if found := outdated(stored, sources.names, output):
            raise errors.Invalid(f"Open the message and repair it. {found}")
        return references(stored, output)
    except TemplateError as error:
        raise errors.Invalid(f"The message has a mistake: {error.message}") from error


class DraftText:
    """A subject and a text that are not part of a run (yet): enough to render them.

    `details` are those of `delivery.details`; formats of values go with them. Raises errors.Invalid as `used` does.
    """

    def __init__(
        self, found: Sources, subject: str, text: str, time_zone: str, details: Mapping[str, Any] | None = None,
        output: Output = "html",
    ) -> None:  # fmt: skip
        self.subject, self.text, self.time_zone, self.details = subject, text, time_zone, dict(details or {})
        if found.formats:
            self.details["formats"] = found.formats
        references = used(found, text, output) | used(found, subject, "text")
        if output == "html" and shows_rubric(text):
            for criterion in self.details.get("rubric", []):
                references |= {criterion["column"]}
                references |= {name for shown in criterion["feedback"].values() for name in used(found, shown, "html")}
        self.value_types = {f"c{key}": column.type for key, column in found.columns.items() if f"c{key}" in references}
        if closed := links.closed(found.links, references):
            raise errors.Invalid(closed)
        self.attributes = {f"a{one['id']}": one["value"] for one in found.attributes if f"a{one['id']}" in references}
        self.attributes |= {one.reference: one.token for one in found.links if one.reference in references}
        self.value_ids = sorted(int(name[1:]) for name in self.value_types)
        self.conditions = [item for item in found.conditions if f"k{item['id']}" in references]
