"""Views and messages of OnTask as rows of a document, and what of them has to wait for pages to come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chalicelib import errors
from chalicelib.actions import targets
from chalicelib.actions.kinds import KINDS, Channel, Kind
from chalicelib.actions.surveys import kinds as question_kinds
from chalicelib.actions.targets import Target
from chalicelib.exchange.document import Document, Row
from chalicelib.exchange.ontask import formulas, layouts, parts, texts
from chalicelib.exchange.ontask.layouts import Item
from chalicelib.formulas.columns import ColumnInfo

#: OnTask's names of what we have pages for: what it is here.
_OURS = {
    "personalized_text": Kind.TEXT, "rubric_text": Kind.RUBRIC, "email_report": Kind.REPORT, "survey": Kind.SURVEY,
    "todo_list": Kind.TODO, "personalized_json": Kind.JSON, "json_report": Kind.JSON_REPORT,
}  # fmt: skip
#: What comes as a message, by OnTask's names: what we call it.
_OTHERS = {"personalized_canvas_email": "a message for Canvas"}


@dataclass
class Known:
    """What the names in the file stand for: rows of columns, numbers of the rest. `original` has names by number.

    `filters` maps a filter's identity to the view that it belongs to.
    """

    columns: dict[str, Row] = field(default_factory=dict)
    original: dict[int, str] = field(default_factory=dict)
    attributes: dict[str, int] = field(default_factory=dict)
    views: dict[str, int] = field(default_factory=dict)
    filters: dict[int, int] = field(default_factory=dict)

    @property
    def infos(self) -> dict[str, ColumnInfo]:
        """What formulas have to know of the columns, by name."""
        return {name: ColumnInfo(row["id"], name, row["type"]) for name, row in self.columns.items()}

    def column(self, item: Any, where: str) -> int:
        """Return the number of the column in `{"name": …}`.

        Raises errors.Invalid when there is no such column.
        """
        name = layouts.name_of(item, where)
        if name not in self.columns:
            raise errors.Invalid(f"{where} speaks of a column “{name[:80]}” that is not there.")
        return int(self.columns[name]["id"])


def add_view(document: Document, known: Known, view: Item) -> None:
    """Add a view; its filter may be shared with messages that follow."""
    name = layouts.name_of(view, "A view")
    where = f"View “{name}”"
    number = len(document.rows["view"]) + 1
    found = layouts.view_filter(view)
    document.rows["view"].append(
        {
            "id": number, "name": name, "description": layouts.text(view, "description_text", where),
            "columns": [known.column(one, where) for one in layouts.items(view.get("columns"), f"{where}: “columns”")],
            "filter": formulas.translate(layouts.formula_of(found), known.infos, f"{where}, filter") if found else None,
        }
    )  # fmt: skip
    known.views[name] = number
    if found and _identity(found):
        known.filters[_identity(found)] = number


def _identity(found: Item) -> int:
    identity = found.get("object_id")
    return identity if type(identity) is int and identity > 0 else 0


def add_action(document: Document, known: Known, action: Item) -> None:
    """Add a message with its conditions; what no page shows yet is kept in it and told."""
    name = layouts.name_of(action, "A message")
    where = f"Message “{name}”"
    number = len(document.rows["action"]) + 1
    original = layouts.kind(action)
    kind = _OURS.get(original, Kind.TEXT)
    row: Row = {
        "id": number, "name": name, "description": layouts.text(action, "description_text", where),
        "kind": kind.value, "is_shuffled": action.get("shuffle") is True,
    }  # fmt: skip
    kept: Row = {} if original in _OURS else {"kind": original}
    found = layouts.action_filter(action, where)
    if found:
        row["filter"] = formulas.translate(layouts.formula_of(found), known.infos, f"{where}, filter")
        row["view_id"] = known.filters.get(_identity(found)) if row["filter"] else None
        if description := layouts.text(found, "description_text", where):
            kept["filter_description"] = description
    conditions = _conditions(document, known, action, number, where)
    _take_text(row, kept, known, conditions, layouts.content(action, where), document, where)
    if KINDS[kind].channel is Channel.PUSH:
        _take_target(row, kept, layouts.text(action, "target_url", where), document, where)
    _keep(row, kept, known, conditions, action, where)
    document.rows["action"].append({**row, "kept": kept or None})
    if KINDS[kind].channel is Channel.FORM:
        _add_questions(document, known, conditions, action, row, where)
    elif kind is Kind.RUBRIC:
        parts.add_rubric(document, action, number, known.columns, _speaks_of(known, conditions), where)
    elif kind is Kind.REPORT:
        parts.add_attachments(document, action, number, known.views, where)
    _tell(document, row, kept)


def _conditions(document: Document, known: Known, action: Item, number: int, where: str) -> dict[str, int]:
    """Add the conditions and return their numbers by name."""
    made: dict[str, int] = {}
    for position, one in enumerate(layouts.conditions(action, where), 1):
        name = layouts.name_of(one, f"{where}: a condition")
        place = f"{where}, condition “{name}”"
        if name in made:
            raise errors.Invalid(f"{where} has two conditions “{name}”.")
        formula = formulas.translate(layouts.formula_of(one), known.infos, place)
        if formula is None:
            raise errors.Invalid(f"{place} uses no column. A condition must use at least one.")
        made[name] = len(document.rows["condition"]) + 1
        document.rows["condition"].append(
            {
                "id": made[name], "action_id": number, "name": name, "position": position, "formula": formula,
                "description": layouts.text(one, "description_text", place),
            }
        )  # fmt: skip
    return made


def _take_text(
    row: Row, kept: Row, known: Known, conditions: dict[str, int], content: str, document: Document, where: str
) -> None:  # fmt: skip
    traits, is_plain = KINDS[Kind(row["kind"])], kept.get("kind") in _OTHERS
    made = texts.translate(
        content, **_speaks_of(known, conditions), is_html=not is_plain, output=traits.output, allowed=traits.allows
    )  # fmt: skip
    row["text"] = made.text
    if made.lost or (content and is_plain):
        kept["text"] = content
    document.repairs += [f"{where}: {problem}. The original is kept." for problem in made.lost]


def _take_target(row: Row, kept: Row, url: str, document: Document, where: str) -> None:
    """Have the JSON go where it went, as the fields of a form: so OnTask sends it, and so the other system reads it."""
    if not url:
        return
    try:
        row["target"] = targets.check(Target(url, is_form=True)).stored()
    except errors.Invalid as error:
        kept["target_url"] = url
        document.repairs.append(f"{where} has an address that nothing can be sent to: {error.message}")


def _speaks_of(known: Known, conditions: dict[str, int]) -> dict[str, Any]:
    """Return what texts may speak of, as `texts.translate` takes it."""
    values = {name: f"a{number}" for name, number in known.attributes.items()}
    values |= {name: f"c{column['id']}" for name, column in known.columns.items()}
    return {
        "values": values, "conditions": {name: f"k{number}" for name, number in conditions.items()},
        "yes_no": {f"c{column['id']}" for column in known.columns.values() if column["type"] == "boolean"},
    }  # fmt: skip


def _keep(row: Row, kept: Row, known: Known, conditions: dict[str, int], action: Item, where: str) -> None:
    """Note what has no place in an action of ours."""
    channel = KINDS[Kind(row["kind"])].channel
    if action.get("serve_enabled") is True:
        kept["is_served"] = True
    for name, ours in (("target_url", "target_url"), ("active_from", "active_from"), ("active_to", "active_until")):
        found = layouts.text(action, name, where)
        if found and (name != "target_url" or channel is not Channel.PUSH):
            kept[ours] = found
    if channel is Channel.FORM:  # the others are questions; by this one OnTask finds the learner
        keys = {column["id"] for column in known.columns.values() if column["is_key"]}
        pairs = [_question(one, known, conditions, where) for one in layouts.questions(action, where)]
        if found_by := [one for one in pairs if one["column"] in keys]:
            kept["questions"] = found_by


def _add_questions(
    document: Document, known: Known, conditions: dict[str, int], action: Item, row: Row, where: str
) -> None:  # fmt: skip
    """Add the questions of a survey or the items of a to-do list, in the order of the columns, as OnTask asks them.

    There an answer that can't be changed is locked while it is empty, too; here the first one stays.
    """
    columns = {column["id"]: column for column in document.columns}
    asked = [_question(pair, known, conditions, where) for pair in layouts.questions(action, where)]
    asked.sort(key=lambda one: columns[one["column"]]["position"])
    for position, one in enumerate(asked, 1):
        column = columns[one["column"]]
        info = ColumnInfo(column["id"], column["name"], column["type"], tuple(column["allowed_values"] or ()) or None)
        fitting = question_kinds.fitting(row["kind"], info)
        if column["is_key"]:
            continue
        if not fitting:
            document.repairs.append(f"{where}: “{column['name']}” can’t be asked for and was left out.")
            continue
        document.rows["question"].append(
            {
                "id": len(document.rows["question"]) + 1, "action_id": row["id"], "column_id": column["id"],
                "condition_id": one["condition"], "kind": fitting[0].value, "position": position,
                "is_once": not one["changes_allowed"], "options": {},
            }
        )  # fmt: skip


def _question(pair: Item, known: Known, conditions: dict[str, int], where: str) -> Row:
    condition = pair.get("condition")
    name = layouts.name_of(condition, f"{where}: a question’s condition") if condition else ""
    if name and name not in conditions:
        raise errors.Invalid(f"{where}: a question depends on the condition “{name[:80]}”, which is not there.")
    return {
        "column": known.column(pair.get("column"), f"{where}: a question"),
        "condition": conditions[name] if name else None, "changes_allowed": pair.get("changes_allowed") is True,
    }  # fmt: skip


def _tell(document: Document, row: Row, kept: Row) -> None:
    name = row["name"]
    words_of = {
        "questions": "the column by which learners are found", "target_url": "the address it goes to",
        "is_served": "that learners may open it", "active_from": "when it opens", "active_until": "when it closes",
        "text": "its original text",
        "filter_description": "the description of its filter",
    }  # fmt: skip
    told = [words for part, words in words_of.items() if part in kept]
    if kind := kept.get("kind"):
        shown = _OTHERS.get(kind, kind[:40])
        ending = f": {', '.join(told)}" if told else ""
        document.kept.append(f"“{name}” is {shown}. It comes as a message; the rest is kept{ending}.")
    elif told:
        document.kept.append(f"“{name}”: {', '.join(told)}.")
    if row.get("target"):
        document.repairs.append(f"“{name}” sends the fields of a form, as OnTask does. Set its token before you send.")
