"""Notice that somebody else changed what a form shows: the form carries a seal of every value that was on the screen.

Only what people fill in is sealed. Counters and times that the system writes are not, so they make no save stale.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from chalicelib import errors

_MAX_SHOWN = 300


class Stale(errors.Conflict):
    """Raised when a form shows what is not there any more; `fields` says by field what it is now, and by whom."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("Somebody else changed this while you had it open. What you typed is kept.")
        self.fields = dict(fields)


def seal(values: Mapping[str, Any]) -> str:
    """Return a short text for a hidden field: it tells for each value whether it is still the same."""
    return " ".join(f"{name}:{_digest(value)}" for name, value in values.items())


def check(
    seen: str, now: Mapping[str, Any], typed: Mapping[str, Any], *, who: str = "Somebody else",
    shown: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Compare what is stored now with what the form showed; a form without a seal compares nothing.

    `who` begins the sentence, such as "Olaf, at 14:03,"; `shown` has words for values that are no text. Raises Stale
    when a value was changed to something else than what was typed.
    """
    if not seen:
        return
    known = dict(part.rpartition(":")[::2] for part in seen.split())
    changed = [name for name, value in now.items() if known.get(name) != _digest(value) and value != typed.get(name)]
    if changed:
        words = {name: (shown or {}).get(name, str(now[name] or "")) for name in changed}
        raise Stale({name: _said(who, words[name]) for name in changed})


def _said(who: str, now: str) -> str:
    what = f"to “{now[:_MAX_SHOWN]}”" if now else "to nothing"
    return f"{who} changed this {what}. Yours is still here: save again to put it in its place, or reload the page."


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:12]
