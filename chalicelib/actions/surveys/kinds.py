"""The kinds of questions: what each is for, and which columns can hold its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from chalicelib.actions.kinds import Kind as ActionKind


class Kind(StrEnum):
    """How a question is asked; the value is stored."""

    TEXT = "text"
    LONG = "long_text"
    CHOICE = "choice"
    CHOICES = "choices"
    SCALE = "scale"
    NUMBER = "number"
    YES_NO = "yes_no"
    DATE = "date"
    TICK = "tick"
    SECTION = "section"
    PAGE = "page"


@dataclass(frozen=True)
class Traits:
    """`types` are those of the columns that can hold the answers; a heading has none."""

    noun: str
    sentence: str
    types: frozenset[str] = frozenset()


KINDS: Mapping[Kind, Traits] = {
    Kind.TEXT: Traits("short text", "A line of text.", frozenset({"text"})),
    Kind.LONG: Traits("long text", "Several lines.", frozenset({"text"})),
    Kind.CHOICE: Traits(
        "one of several", "One answer out of a list.", frozenset({"text", "integer", "double", "datetime"})
    ),
    Kind.CHOICES: Traits("any of several", "As many answers out of a list as fit.", frozenset({"text"})),
    Kind.SCALE: Traits("scale", "A number from one end to the other, such as 1 to 5.", frozenset({"integer"})),
    Kind.NUMBER: Traits("number", "A number, within limits if you like.", frozenset({"integer", "double"})),
    Kind.YES_NO: Traits("yes or no", "Yes, no, or no answer.", frozenset({"boolean"})),
    Kind.DATE: Traits("date and time", "A moment.", frozenset({"datetime"})),
    Kind.TICK: Traits("item to tick", "A box that is ticked when it is done.", frozenset({"boolean"})),
    Kind.SECTION: Traits("heading", "A heading above the questions that follow."),
    Kind.PAGE: Traits("new page", "What follows stands on a page of its own, under this heading."),
}
HEADINGS = frozenset({Kind.SECTION, Kind.PAGE})
#: Between the answers of a question with several, in their column; no answer may contain it.
SEPARATOR = "; "


def offered(action_kind: str) -> list[Kind]:
    """Return the kinds that an action of this kind can have; items of a to-do list are ticked."""
    if action_kind == ActionKind.TODO:
        return [Kind.TICK, Kind.SECTION, Kind.PAGE]
    return [kind for kind in KINDS if kind is not Kind.TICK]


def fitting(action_kind: str, column: Any) -> list[Kind]:
    """Return the kinds in which the column can be asked for; the usual one first."""
    kinds = [kind for kind in offered(action_kind) if column.type in KINDS[kind].types]
    if column.allowed_values:
        return [kind for kind in kinds if kind in {Kind.CHOICE, Kind.SCALE}]
    return [kind for kind in kinds if kind not in {Kind.CHOICE, Kind.SCALE}]
