"""The learners that an action or one of its conditions speaks of, as rules: for pages that show only these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.actions import conditions, queries, service
from chalicelib.workflows.models import Workflow

#: Those who get it; those of them for whom no condition holds. A condition is "k5".
FILTER, NOBODY = "filter", "none"


@dataclass(frozen=True)
class Only:
    """Some learners: `name` as in an address, `words` follow "Only those ", `formulas` all hold for them."""

    name: str
    words: str
    formulas: tuple[Any, ...]


def find(session: Session, workflow: Workflow, action_id: int | None, name: str) -> Only | None:
    """Return the learners an address speaks of; None when it speaks of none.

    Raises errors.NotFound when there is no such action or condition.
    """
    if not name or action_id is None:
        return None
    action = service.get(session, workflow.id, action_id)
    chosen = (action.filter,) if action.filter else ()
    if name == FILTER:
        return Only(name, f"who get “{action.name}”", chosen)
    if name == NOBODY:
        others = tuple(negated(one.formula) for one in queries.conditions(session, action.id))
        return Only(name, f"who get “{action.name}” and for whom none of its conditions holds", (*chosen, *others))
    number = name.removeprefix("k")
    if not (name.startswith("k") and number.isascii() and number.isdigit() and len(number) <= 18):
        raise errors.NotFound
    condition = conditions.get(session, action, int(number))
    return Only(name, f"who get “{action.name}” and for whom “{condition.name}” holds", (*chosen, condition.formula))


def negated(formula: dict[str, Any]) -> dict[str, Any]:
    """Return the formula that holds for all others."""
    return {**formula, "not": not formula.get("not", False)}
