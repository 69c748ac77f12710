"""How a question is asked, how its answer stands in the field, and how what was typed becomes an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib import errors
from chalicelib.actions.surveys.kinds import SEPARATOR, Kind
from chalicelib.actions.surveys.queries import Item
from chalicelib.tables import cells

#: So many answers stand beside each other as buttons; more of them in a drop-down.
MAX_BUTTONS = 8


def widget(item: Item) -> str:
    """Return how the question is drawn: line, area, number, date, tick, buttons, list, boxes or scale."""
    if item.kind is Kind.CHOICE:
        return "buttons" if len(item.column.allowed_values or []) <= MAX_BUTTONS else "list"
    drawn = {
        Kind.LONG: "area", Kind.NUMBER: "number", Kind.DATE: "date", Kind.TICK: "tick", Kind.YES_NO: "buttons",
        Kind.CHOICES: "boxes", Kind.SCALE: "scale",
    }  # fmt: skip
    return drawn.get(item.kind, "line")


def choices(item: Item, zone: ZoneInfo) -> Mapping[str, str]:
    """Return the answers to choose from, by what is sent; empty where people type."""
    if item.kind is Kind.YES_NO:
        return {"yes": "Yes", "no": "No"}
    if item.kind is Kind.CHOICES:
        return {value: value for value in item.question.options.get("choices", [])}
    if item.kind in {Kind.CHOICE, Kind.SCALE}:
        return {cells.written(value, zone): cells.shown(value, zone) for value in cells.allowed(item.column, zone)}
    return {}


def written(item: Item, value: Any, zone: ZoneInfo) -> list[str]:
    """Return a value as it stands in the fields of a form; no text when there is none."""
    if value is None:
        return []
    if item.kind is Kind.CHOICES:
        return [part for part in str(value).split(SEPARATOR) if part]
    if item.kind is Kind.TICK:
        return ["yes"] if value else []
    text = cells.written(value, zone)
    return [text.replace(" ", "T")[:16]] if item.kind is Kind.DATE else [text]


def said(value: Any, zone: ZoneInfo) -> str:
    """Return a value as people read it; nothing when there is none."""
    return "" if value is None else cells.shown(value, zone)


def read(item: Item, typed: Sequence[str], zone: ZoneInfo, was: Any) -> Any:
    """Return what was typed as an answer, None for none; `was` is the answer so far.

    Raises errors.Invalid, at the question's field, when it is none.
    """
    filled = [text for text in typed if text.strip()]
    if item.kind is Kind.TICK:
        return True if filled else (None if was is None else False)
    if not filled:
        return None
    if item.kind is Kind.CHOICES:
        return _several(item, filled)
    text = filled[-1].strip() if item.kind is Kind.TEXT else filled[-1]
    value = cells.read(text, item.column, zone, field=item.field)
    if item.kind is Kind.NUMBER:
        _check_limits(item, value)
    return value


def _several(item: Item, filled: Sequence[str]) -> str:
    known = item.question.options.get("choices", [])
    if any(text not in known for text in filled):
        raise _refused(item, "Choose from the list.")
    return SEPARATOR.join(choice for choice in known if choice in filled)


def _check_limits(item: Item, value: Any) -> None:
    low, high = item.question.options.get("min"), item.question.options.get("max")
    if low is not None and value < low:
        raise _refused(item, f"Type {low:g} or more.")
    if high is not None and value > high:
        raise _refused(item, f"Type {high:g} or less.")


def _refused(item: Item, message: str) -> errors.Invalid:
    return errors.Invalid(message, {item.field: message})
