"""What people fill in about messages, as dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chalicelib.formulas import forms as formulas
from chalicelib.web.request import Values


@dataclass(frozen=True)
class ConditionForm:
    """A condition as it was filled in; `formula` is None while it has no rules, `seen` the seal of what was shown."""

    name: str
    description: str
    formula: dict[str, Any] | None
    seen: str = ""


def condition(values: Values) -> ConditionForm:
    """Read the form of a condition.

    Raises errors.Invalid when the rules did not come from the rule builder.
    """
    return ConditionForm(
        values.get("name"), values.get("description").strip(), formulas.read(values.get("formula")), values.get("seen")
    )  # fmt: skip
