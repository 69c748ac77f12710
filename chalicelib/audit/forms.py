"""What somebody looks for in the log, as fields of a form or address."""

from __future__ import annotations

from datetime import date

from chalicelib import errors
from chalicelib.audit.queries import KINDS, Search
from chalicelib.web.request import Values

#: How events went, as the form says it.
OUTCOMES = {"well": "went well", "not": "did not"}


def search(values: Values, workflow_id: int | None, time_zone: str) -> Search:
    """Return the search.

    Raises errors.Invalid (fields `since`, `until`) for a day that is none.
    """
    kind, outcome = values.get("kind"), values.get("outcome")
    return Search(
        workflow_id, text=values.get("text").strip()[:200], words=values.get("words"),
        user_id=values.whole("user") or 0, action_id=values.whole("action") or 0, run_id=values.whole("run") or 0,
        row_id=values.whole("row") or 0, kind=kind if kind in KINDS else "",
        outcome=outcome if outcome in OUTCOMES else "", since=_day(values.get("since"), "since"),
        until=_day(values.get("until"), "until"), time_zone=time_zone,
    )  # fmt: skip


def _day(text: str, name: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise errors.Invalid("A day was expected.", {name: "Write a day as 2026-03-31."}) from None
