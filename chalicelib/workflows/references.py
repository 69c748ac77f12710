"""The one walker over references: where the objects of a workflow speak of each other, and how to follow or change it.

A reference is a letter and an id: "w3" the workflow, "a3" an attribute, "c12" a column, "v4" a view, "m7" a
message, "k5" a condition, "q9" a question of a form, "r2" a criterion of a rubric, "l8" what a level of it says, "f6" a
file of a report. `PARTS` lists every table whose rows belong to a workflow and, for each field that holds references,
the function that walks it. All uses of references go through this list: who uses an object (`found`), the copy of a
workflow (`parts.insert`), exports and imports. A new table or field that holds ids is added here and nowhere else;
`tests/workflows/test_references.py` fails for a field with JSON or a foreign key that is not mentioned.

    change = {"c12": "c7", "k5": "k1"}.__getitem__
    stored = references.changed("action", row, change)    # the same row, speaking of c7 and k1
    used = references.found("action", row)                # {"c12", "k5", "w3"}

An export calls `changed` with numbers of its own (the place of each object in the file), an import with the new ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chalicelib.actions.kinds import KINDS, Kind
from chalicelib.actions.language import references as references_of
from chalicelib.actions.language import renumber
from chalicelib.actions.language.syntax import Output, Reference

Change = Callable[[Reference], Reference]
Walk = Callable[[Any, Change], Any]


def one(letter: str) -> Walk:
    """Walk a field that is an id; null is none."""

    def walk(value: int | None, change: Change) -> int | None:
        return None if value is None else _id(change(f"{letter}{value}"))

    return walk


def each(letter: str) -> Walk:
    """Walk a list of ids."""
    return lambda value, change: [_id(change(f"{letter}{item}")) for item in value or []]


def every(walk: Walk) -> Walk:
    """Walk a list of fields that are alike."""
    return lambda value, change: [walk(item, change) for item in value or []]


def digits(letter: str) -> Walk:
    """Walk a text that is an id when it has digits only, such as the choice of a form; other texts stay."""

    def walk(value: str, change: Change) -> str:
        return str(_id(change(f"{letter}{value}"))) if value.isdigit() else value

    return walk


def written(output: Output) -> Walk:
    """Walk a text of the template language.

    Raises TemplateError when it can't be read.
    """

    def walk(value: str, change: Change) -> str:
        others = {reference: change(reference) for reference in sorted(references_of(value, output))}
        return renumber(value, others, output) if others else value

    return walk


def formula(value: Any, change: Change) -> Any:
    """Walk a formula as it is stored: every rule names its column; null is no formula."""
    if isinstance(value, list):
        return [formula(member, change) for member in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _id(change(f"c{item}")) if name == "column" else formula(item, change) if name in {"all", "any"} else item
        for name, item in value.items()
    }


def keys(**walks: Walk) -> Walk:
    """Walk some keys of an object; the others hold no references."""

    def walk(value: dict[str, Any] | None, change: Change) -> dict[str, Any] | None:
        if value is None:
            return None
        return {
            name: walks[name](item, change) if name in walks and item is not None else item
            for name, item in value.items()
        }

    return walk


def _id(reference: Reference) -> int:
    return int(reference[1:])


@dataclass(frozen=True)
class Part:
    """A table of schema `ontask` whose rows belong to a workflow.

    `letter` begins the references to its rows, `parent` is the field by which a row belongs to what came earlier in
    PARTS. `holders` are the fields with references. `others` are fields with JSON that hold none.
    """

    table: str
    letter: str
    parent: str
    holders: Mapping[str, Walk] = field(default_factory=dict)
    others: frozenset[str] = frozenset()

    @property
    def parent_letter(self) -> str:
        """The letter of the rows that this part's rows belong to."""
        return {"workflow_id": "w", "action_id": "m", "criterion_id": "r"}[self.parent]

    @property
    def is_of_actions(self) -> bool:
        """Whether the rows are actions or what belongs to one."""
        return "m" in {self.letter, self.parent_letter} or self.parent_letter == "r"


#: What the next sending of a message begins with.
_SEND_DEFAULTS = keys(to_column_id=one("c"), subject=written("text"), opens_column=digits("c"), also=each("c"))

#: What is stored of each kind of scheduled work (see `schedules.operations`); it is in no copy of a workflow.
SCHEDULED: dict[str, Walk] = {
    "delivery.repeat": _SEND_DEFAULTS,
    "delivery.report": keys(subject=written("text")),
    "delivery.push": keys(item_column_id=one("c")),
}

#: What an imported message keeps for pages to come: the questions of a survey, the cells of a rubric, attached views.
_KEPT = keys(
    questions=every(keys(column=one("c"), condition=one("k"))), rubric=every(keys(column=one("c"))),
    attachments=each("v"),
)  # fmt: skip

#: How a column's values are worked out.
_RECIPE = keys(sources=each("c"), within=one("c"))

#: In the order in which rows can be inserted: parents first.
PARTS = (
    Part("attribute", "a", "workflow_id", {"workflow_id": one("w")}),
    Part("column", "c", "workflow_id", {"workflow_id": one("w"), "recipe": _RECIPE}, frozenset({"allowed_values"})),
    Part("view", "v", "workflow_id", {
        "workflow_id": one("w"), "columns": each("c"), "sort": formula, "filter": formula,
    }),
    Part("action", "m", "workflow_id", {
        "workflow_id": one("w"), "view_id": one("v"), "text": written("html"), "filter": formula,
        "send_defaults": _SEND_DEFAULTS, "kept": _KEPT,
    }, frozenset({"target"})),
    Part("condition", "k", "action_id", {"action_id": one("m"), "formula": formula}),
    Part("question", "q", "action_id", {
        "action_id": one("m"), "column_id": one("c"), "condition_id": one("k"),
    }, frozenset({"options"})),
    Part("criterion", "r", "action_id", {"action_id": one("m"), "column_id": one("c")}),
    Part("rubric_cell", "l", "criterion_id", {"criterion_id": one("r"), "feedback": written("html")}),
    Part("attachment", "f", "action_id", {"action_id": one("m"), "view_id": one("v")}),
)  # fmt: skip
#: The workflow itself: its row is nobody's part, but it refers to some.
WORKFLOW = Part("workflow", "w", "", {"learner_column_id": one("c")})
_BY_TABLE = {part.table: part for part in (WORKFLOW, *PARTS)}


def changed(table: str, row: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """Return the row with every reference replaced; its own id stays. Fields that the row lacks are left out.

    Raises TemplateError when a text can't be read, and what `change` raises for a reference it does not know.
    """
    holders = _holders(table, row)
    return {name: holders[name](value, change) if name in holders else value for name, value in row.items()}


def _holders(table: str, row: Mapping[str, Any]) -> Mapping[str, Walk]:
    """Return how the fields of this row are walked: the text of an action is of its kind's form."""
    holders = _BY_TABLE[table].holders
    if table == "action" and row.get("kind") in set(Kind):
        return {**holders, "text": written(KINDS[Kind(row["kind"])].output)}
    return holders


def found(table: str, row: Mapping[str, Any]) -> set[Reference]:
    """Return what the row refers to.

    Raises TemplateError when a text can't be read.
    """
    return {reference for field in row for reference in found_in(table, row, field)}


def found_in(table: str, row: Mapping[str, Any], field: str) -> set[Reference]:
    """Return what one field of the row refers to.

    Raises TemplateError when it is a text that can't be read.
    """
    holders = _holders(table, row)
    return found_by(holders[field], row[field]) if field in holders else set()


def found_by(walk: Walk, value: Any) -> set[Reference]:
    """Return what the walked value refers to.

    Raises TemplateError when it is a text that can't be read.
    """
    seen: set[Reference] = set()

    def note(reference: Reference) -> Reference:
        seen.add(reference)
        return reference

    walk(value, note)
    return seen
