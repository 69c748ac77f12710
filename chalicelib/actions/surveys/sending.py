"""Send a form: check it, keep its answers, say what came too late. Hidden and locked questions are left alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib import errors
from chalicelib.actions.surveys import answers, fields
from chalicelib.actions.surveys.asking import GRACE, Form
from chalicelib.actions.surveys.kinds import Kind
from chalicelib.actions.surveys.queries import Item
from chalicelib.web.request import Values

NEEDED = "Please answer this."


@dataclass(frozen=True)
class Sent:
    """What became of a form: how many answers are new, and those that came too late, with what was typed."""

    stored: int
    late: Sequence[tuple[str, str]]


def typed_in(form: Values, items: Sequence[Item]) -> dict[str, list[str]]:
    """Return what was typed at the questions that the browser sent, by field."""
    return {item.field: form.all(item.field) for item in items if not item.is_heading and item.field in form}


def send(form: Form, typed: Mapping[str, Sequence[str]], origin: str, *, is_trial: bool = False) -> Sent:
    """Take the answers of a form that is complete; in a trial they are checked, but not kept.

    Raises errors.Invalid with a message for each field that does not fit, and nothing is kept then.
    """
    answers.lock(form.session, form.workflow.id, form.row_id)
    form.look_again()
    values = form.overlaid(typed) if form.is_branching else form.values
    open_ = [item for item in form.visible(values, grace=GRACE) if not item.is_heading]
    new = _checked(form, open_, typed)
    changed = {key: value for key, value in new.items() if _differs(form.values[key], value)}
    if changed and not is_trial:
        answers.add(form.session, form.action, form.row_id, form.person, origin, changed)
    if not form.is_staff:
        answers.forget_draft(form.session, form.action, form.row_id, form.person)
    return Sent(len(changed), _late(form, values, open_, typed))


def _checked(form: Form, open_: Sequence[Item], typed: Mapping[str, Sequence[str]]) -> dict[int, Any]:
    new, found = _read(form, open_, typed)
    if found:
        raise errors.Invalid("Some answers are missing or do not fit.", found)
    return new


def problems(form: Form, asked: Sequence[Item], typed: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return what is wrong with some of the answers, by field."""
    return _read(form, [item for item in asked if not item.is_heading], typed)[1]


def _read(
    form: Form, asked: Sequence[Item], typed: Mapping[str, Sequence[str]]
) -> tuple[dict[int, Any], dict[str, str]]:  # fmt: skip
    new: dict[int, Any] = {}
    found: dict[str, str] = {}
    for item in asked:
        if form.is_locked(item):
            continue
        value = was = form.values[item.column.id]
        if item.field in typed:
            try:
                value = new[item.column.id] = fields.read(item, typed[item.field], form.zone, was)
            except errors.Invalid as error:
                found |= error.fields
                continue
        is_missing = not value if item.kind is Kind.TICK else value is None
        if is_missing and item.question.is_required and not form.is_staff:
            found[item.field] = NEEDED
    return new, found


def _differs(old: Any, new: Any) -> bool:
    return bool(old != new) or (old is None) != (new is None)


def _late(
    form: Form, values: Mapping[int, Any], open_: Sequence[Item], typed: Mapping[str, Sequence[str]]
) -> list[tuple[str, str]]:  # fmt: skip
    """Return what was typed at questions that are closed by now; what conditions hide is nobody's business."""
    shown = {item.id for item in open_}
    found = []
    for item in form.meant(values):
        filled = [text for text in typed.get(item.field, []) if text.strip()]
        if item.id in shown or item.is_heading or not filled:
            continue
        if filled != fields.written(item, form.values[item.column.id], form.zone):
            found.append((item.label, ", ".join(filled)))
    return found
