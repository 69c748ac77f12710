"""What the rule builder in the browser has to know, so that operators and their words have one source."""

from __future__ import annotations

from typing import Any

from chalicelib.formulas.check import Columns
from chalicelib.formulas.operators import OPERATORS


def data(columns: Columns) -> dict[str, Any]:
    """Return columns and operators for `templates/formulas/_builder.html`."""
    return {
        "columns": [
            {"id": column.id, "name": column.name, "type": column.type, "values": list(column.allowed_values or ())}
            for column in columns.values()
        ],
        "operators": [
            {"name": item.name, "words": item.words, "operands": item.operands, "types": sorted(item.types)}
            for item in OPERATORS.values()
        ],
    }
