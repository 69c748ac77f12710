"""A formula out of a form's field."""

from __future__ import annotations

import json
from typing import Any

from chalicelib import errors
from chalicelib.formulas.tree import holds_nothing


def read(text: str) -> dict[str, Any] | None:
    """Return the formula in the hidden field of the rule builder; None when it is empty.

    Raises errors.Invalid when the field holds something else.
    """
    if not text.strip():
        return None
    try:
        formula = json.loads(text)
    except (ValueError, RecursionError):
        formula = None
    if not isinstance(formula, dict):
        raise errors.Invalid("The rules could not be read. Please reload the page and try again.")
    return None if holds_nothing(formula) else formula
