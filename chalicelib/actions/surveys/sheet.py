"""Answers of many learners typed into one sheet: only the cells that somebody changed are taken."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.actions.editor import Editor
from chalicelib.actions.surveys import answers, fields, sending
from chalicelib.actions.surveys.asking import Form
from chalicelib.actions.surveys.running import Run
from chalicelib.tables import cells
from chalicelib.web.request import Values

#: A cell is called by its row and its question.
FIELD = re.compile(r"r(\d{1,18})q(\d{1,18})", re.ASCII)


@dataclass
class Saved:
    """What became of a sheet: how many answers are new, what is wrong by cell, and the seals of the new ones."""

    number: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    seals: dict[str, str] = field(default_factory=dict)


def save(session: Session, editor: Editor, form: Values, user_id: int, run: Run) -> Saved:
    """Keep the answers that are others than those that were shown; their seals come as `was-<cell>`."""
    by_id = {item.id: item for item in run.items}
    typed: dict[int, dict[int, list[str]]] = {}
    for name in form.as_dict():
        found = FIELD.fullmatch(name)
        if found and int(found[2]) in by_id:
            typed.setdefault(int(found[1]), {})[int(found[2])] = form.all(name)
    saved = Saved()
    for row_id, questions in typed.items():
        row = Form(session, editor.workflow, editor.action, row_id, user_id, run.zone, is_staff=True, editor=editor)
        _save_row(row, {by_id[key].field: texts for key, texts in questions.items()}, form, saved)
    return saved


def _save_row(row: Form, typed: dict[str, list[str]], form: Values, saved: Saved) -> None:
    try:
        changed = _changed(row, typed, form, saved)
    except errors.NotFound as error:
        saved.problems |= {f"r{row.row_id}{name}": error.message for name in typed}
        return
    if not changed:
        return
    try:
        saved.number += sending.send(row, changed, answers.ENTRY).stored
    except errors.Invalid as error:
        saved.problems |= {f"r{row.row_id}{name}": message for name, message in error.fields.items()}


def _changed(row: Form, typed: dict[str, list[str]], form: Values, saved: Saved) -> dict[str, list[str]]:
    """Return the cells that somebody changed and that can be read; note the seals they will have."""
    changed = {}
    for item in row.visible():
        if item.field not in typed:
            continue
        cell = f"r{row.row_id}{item.field}"
        try:
            value = fields.read(item, typed[item.field], row.zone, row.values[item.column.id])
        except errors.Invalid as error:
            saved.problems[cell] = next(iter(error.fields.values()), error.message)
            continue
        if cells.seal(value) != form.get(f"was-{cell}"):
            changed[item.field] = typed[item.field]
        saved.seals[cell] = cells.seal(value)
    return changed
