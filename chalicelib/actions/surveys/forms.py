"""The form of a question, turned into what the service takes; every field says what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib import errors
from chalicelib.actions.surveys.kinds import HEADINGS, SEPARATOR, Kind
from chalicelib.formulas import operands
from chalicelib.tables.columns import lists
from chalicelib.tables.columns.forms import Reader
from chalicelib.web.request import Values

MAX_HELP_LENGTH = 1000
MAX_LABEL_LENGTH = 60
#: A scale with more steps is a number.
MAX_STEPS = 21
_INTERVAL = re.compile(r"\s*(-?\d{1,6})\s*(?:-|–|to|\.\.)\s*(-?\d{1,6})\s*", re.ASCII)


@dataclass(frozen=True)
class Wish:
    """A question as it was filled in. `description` is what learners read, for a heading too.

    `type` is that of a new column; `allowed` its values as stored, None for any. `condition_id` may be anything.
    """

    kind: Kind
    description: str
    help: str = ""
    name: str = ""
    type: str = "text"
    allowed: list[Any] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    is_required: bool = False
    is_once: bool = False
    condition_id: int | None = None
    due_at: datetime | None = None
    active_from: datetime | None = None
    active_until: datetime | None = None


def read(form: Values, kinds: Sequence[Kind], zone: ZoneInfo, column_type: str = "") -> Wish:
    """Read the form of a question; `kinds` are those it can have, `column_type` is that of a column that is there.

    Raises errors.Invalid with a message for each field that does not fit.
    """
    reader = Reader(form, zone)
    kind = _kind(reader, kinds)
    description, help_ = form.get("description").strip(), form.get("help").strip()
    if len(help_) > MAX_HELP_LENGTH:
        reader.problems["help"] = f"Use at most {MAX_HELP_LENGTH:,} characters; this has {len(help_):,}."
    if not description:
        what = "Type the heading." if kind in HEADINGS else "Type what learners read."
        reader.problems["description"] = what
    condition_id = reader.attempt(lambda: form.whole("condition"), None)
    if kind in HEADINGS:
        reader.finish()
        return Wish(kind, description, help_, condition_id=condition_id)
    type_, allowed, options = _answers(reader, kind, column_type)
    made = Wish(
        kind, description, help_, form.get("name"), type_, allowed, options, form.checked("is_required"),
        form.checked("is_once"), condition_id, reader.moment("due_at"), reader.moment("active_from"),
        reader.moment("active_until"),
    )  # fmt: skip
    reader.finish()
    return made


def _kind(reader: Reader, kinds: Sequence[Kind]) -> Kind:
    try:
        kind = Kind(reader.form.get("kind") or kinds[0])
    except ValueError:
        kind = kinds[0]
        reader.problems["kind"] = "Choose how it is asked."
    if kind not in kinds:
        reader.problems["kind"] = "This can’t be asked in that way. Choose another."
    return kind


def _answers(reader: Reader, kind: Kind, column_type: str) -> tuple[str, list[Any] | None, dict[str, Any]]:
    """Return the type of the column, its allowed values and the kind's options."""
    if kind is Kind.CHOICE:
        nothing: tuple[str, list[Any]] = ("text", [])
        type_, values = reader.attempt(lambda: _choices(reader, column_type), nothing)
        return type_, values, {}
    if kind is Kind.CHOICES:
        several: list[str] = []
        return "text", None, {"choices": reader.attempt(lambda: _several(reader), several)}
    if kind is Kind.SCALE:
        flat: tuple[list[Any], dict[str, Any]] = ([], {})
        return "integer", *reader.attempt(lambda: _scale(reader), flat)
    if kind is Kind.NUMBER:
        type_ = column_type or ("double" if reader.form.checked("decimals") else "integer")
        return type_, None, _limits(reader, type_)
    types = {Kind.YES_NO: "boolean", Kind.TICK: "boolean", Kind.DATE: "datetime"}
    return types.get(kind, "text"), None, {}


def listed(typed: str) -> list[str]:
    """Return the answers that were typed: one on each line, or in one line with commas, or as an interval."""
    lines = [line.strip() for line in typed.splitlines() if line.strip()]
    if len(lines) == 1 and (found := _INTERVAL.fullmatch(lines[0])):
        low, high = int(found[1]), int(found[2])
        if low < high and high - low < lists.MAX_VALUES:
            return [str(number) for number in range(low, high + 1)]
    if len(lines) == 1 and "," in lines[0]:
        return [part.strip() for part in lines[0].split(",") if part.strip()]
    return lines


def _choices(reader: Reader, column_type: str) -> tuple[str, list[Any]]:
    found = listed(reader.form.get("choices"))
    type_ = column_type or ("integer" if all(re.fullmatch(r"-?\d{1,18}", one, re.ASCII) for one in found) else "text")
    values = lists.read("\n".join(found), type_, reader.zone, field="choices")
    if len(values) < lists.LEAST:
        raise errors.Invalid("Too few answers.", {"choices": f"List at least {lists.LEAST} answers."})
    return type_, values


def _several(reader: Reader) -> list[str]:
    values = lists.read("\n".join(listed(reader.form.get("choices"))), "text", reader.zone, field="choices")
    if not values:
        raise errors.Invalid("No answers.", {"choices": "List the answers to choose from."})
    if any(SEPARATOR.strip() in value for value in values):
        raise errors.Invalid("A semicolon.", {"choices": "No answer may have a semicolon: it stands between them."})
    return values


def _scale(reader: Reader) -> tuple[list[Any], dict[str, Any]]:
    low, high = _whole(reader, "low", 1), _whole(reader, "high", 5)
    if not low < high or high - low >= MAX_STEPS:
        message = f"The end must be above the beginning, with at most {MAX_STEPS} steps."
        raise errors.Invalid(message, {"high": message})
    ends = {name: reader.form.get(name).strip()[:MAX_LABEL_LENGTH] for name in ("low_label", "high_label")}
    return list(range(low, high + 1)), {"low": low, "high": high, **ends}


def _whole(reader: Reader, name: str, usual: int) -> int:
    found = reader.form.whole(name)
    if found is not None and abs(found) > 10**6:
        raise errors.Invalid("Out of reach.", {name: "Type a smaller number."})
    return usual if found is None else found


def _limits(reader: Reader, type_: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("min", "max"):
        typed = reader.form.get(name).strip()
        if not typed:
            continue
        try:
            found[name] = operands.read(typed, type_, reader.zone)
        except ValueError as error:
            reader.problems[name] = f"{str(error)[0].upper()}{str(error)[1:]}."
    if "min" in found and "max" in found and found["min"] > found["max"]:
        reader.problems["max"] = "The highest number must not be below the lowest."
    return found
