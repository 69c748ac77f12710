"""Search: a condition that holds for rows in which some cell contains a text."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from chalicelib.tables.models import Column

MAX_LENGTH = 200


def matching(columns: Sequence[Column], search: str, time_zone: str) -> tuple[str, dict[str, Any]]:
    """Return a condition, and its values, that holds for rows in which some cell contains the searched text.

    Letters are compared without case and accents; % and _ mean themselves. Numbers and dates are searched as
    they are shown, and only when they can contain the text.
    """
    needle = unicodedata.normalize("NFC", search.strip())[:MAX_LENGTH]
    if not needle:
        return "true", {}
    values: dict[str, Any] = {"needle": needle}
    found = []
    if texts := ", ".join(f"c{column.id}" for column in columns if column.type == "text"):
        # All texts at once: one call is cheaper than one for each cell. Nobody searches for a line's end. The
        # needle is a subquery, as it would be computed for each row otherwise.
        cells = f"lower(unaccent(concat_ws(E'\\n', {texts})))"
        found.append(f"strpos({cells}, (SELECT lower(unaccent(CAST(:needle AS text))))) > 0")
    for column in columns:
        name = f"c{column.id}"
        if column.type in {"integer", "double"} and set(needle) <= set("0123456789.+-e"):
            found.append(f"strpos(CAST({name} AS text), :needle) > 0")
        elif column.type == "datetime" and set(needle) <= set("0123456789-: "):
            shown = f"to_char({name} AT TIME ZONE CAST(:zone AS text), 'YYYY-MM-DD HH24:MI')"
            found.append(f"strpos({shown}, :needle) > 0")
            values["zone"] = time_zone
        elif column.type == "boolean" and needle.lower() in {"yes", "no"}:
            found.append(name if needle.lower() == "yes" else f"NOT {name}")
    return "(" + " OR ".join(found or ["false"]) + ")", values
