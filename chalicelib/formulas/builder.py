"""What the rule builder in the browser has to know, so that operators and their words have one source."""

from __future__ import annotations

from typing import Any

from chalicelib.formulas.check import Columns
from chalicelib.formulas.operators import catalogue


def data(columns: Columns, time_zone: str = "") -> dict[str, Any]:
    """Return columns and operators for `templates/formulas/_builder.html`; the zone is said beside dates."""
    return {
        "columns": [
            {
                "id": column.id, "name": column.name, "type": column.type,
                "values": [_text(value) for value in column.allowed_values or ()],
            }
            for column in columns.values()
        ],
        "operators": catalogue(),
        "timeZone": time_zone,
    }  # fmt: skip


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
