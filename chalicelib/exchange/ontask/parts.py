"""The rubric and the attached views of OnTask's actions, as rows of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib import errors
from chalicelib.actions.html import clean
from chalicelib.actions.rubrics.queries import level_of
from chalicelib.exchange.document import Document, Row
from chalicelib.exchange.ontask import layouts, texts
from chalicelib.exchange.ontask.layouts import Item


def add_rubric(
    document: Document, action: Item, number: int, columns: Mapping[str, Row], texts_of: Mapping[str, Any], where: str
) -> None:  # fmt: skip
    """Add criteria and cells; in OnTask the criteria stand in the order of the table.

    `columns` are those of the file by name, `texts_of` what texts may speak of (see `texts.translate`).
    """
    cells = layouts.items(action.get("rubric_cells"), f"{where}: “rubric_cells”")
    pairs = layouts.questions(action, where)
    used = {layouts.name_of(one.get("column"), f"{where}: its rubric") for one in [*pairs, *cells]}
    if gone := sorted(used - columns.keys()):
        raise errors.Invalid(f"{where}: its rubric speaks of a column “{gone[0][:80]}” that is not there.")
    criteria: dict[str, int] = {}
    for position, name in enumerate(sorted(used, key=lambda one: columns[one]["position"]), 1):
        criteria[name] = len(document.rows["criterion"]) + 1
        document.rows["criterion"].append(
            {
                "id": criteria[name], "action_id": number, "column_id": columns[name]["id"], "position": position,
            }
        )  # fmt: skip
    for cell in cells:
        name = layouts.name_of(cell.get("column"), f"{where}: its rubric")
        _add_cell(document, cell, criteria[name], columns[name], texts_of, where)


def _add_cell(
    document: Document, cell: Item, criterion: int, column: Row, texts_of: Mapping[str, Any], where: str
) -> None:  # fmt: skip
    at, levels = cell.get("loa_position"), column["allowed_values"] or []
    if type(at) is not int:
        raise errors.Invalid(f"{where}: a cell of its rubric has no level.")
    if not 0 <= at < len(levels):
        document.repairs.append(f"{where}: a text for a level that “{column['name']}” does not have was left out.")
        return
    made = texts.translate(layouts.text(cell, "feedback_text", where), **texts_of)
    document.repairs += [f"{where}, its rubric: {problem}." for problem in made.lost]
    document.rows["rubric_cell"].append(
        {
            "id": len(document.rows["rubric_cell"]) + 1, "criterion_id": criterion,
            "level": level_of(levels[at], column["type"]).key, "feedback": made.text,
            "description": clean(layouts.text(cell, "description_text", where))[0],
        }
    )  # fmt: skip


def add_attachments(document: Document, action: Item, number: int, views: Mapping[str, int], where: str) -> None:
    """Add the attached views; OnTask sends them as CSV."""
    for position, view in enumerate(layouts.items(action.get("attachments"), f"{where}: “attachments”"), 1):
        name = layouts.name_of(view, f"{where}: an attached view")
        if name not in views:
            raise errors.Invalid(f"{where} attaches the view “{name[:80]}”, which is not there.")
        document.rows["attachment"].append(
            {
                "id": len(document.rows["attachment"]) + 1, "action_id": number, "view_id": views[name],
                "format": "csv", "position": position,
            }
        )  # fmt: skip
