"""How the texts of a workflow show numbers and times where they don't say it themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from chalicelib import errors
from chalicelib.actions.language import filters
from chalicelib.actions.language.syntax import Filter

MAX_PATTERN = 100


@dataclass(frozen=True)
class Formats:
    """`decimals` of numbers that have some, None: as many as there are; `date` is a pattern as in the filter."""

    decimals: int | None = None
    date: str = filters.DEFAULT_DATE

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> Formats:
        """Return stored ones; what is missing or can't be used is as usual."""
        found = stored or {}
        try:
            return read(str(found.get("decimals", "")), str(found.get("date", "")))
        except errors.Invalid:
            return USUAL

    def stored(self) -> dict[str, Any]:
        """Return what differs from the usual."""
        usual = asdict(USUAL)
        return {name: value for name, value in asdict(self).items() if value != usual[name]}


USUAL = Formats()


def read(decimals: str, date: str) -> Formats:
    """Return formats from what people typed; nothing is as usual.

    Raises errors.Invalid (fields `decimals`, `date`).
    """
    problems: dict[str, str] = {}
    decimals, date = decimals.strip(), date.strip()
    if decimals and not (decimals.isascii() and decimals.isdigit() and int(decimals) <= filters.MAX_DECIMALS):
        problems["decimals"] = "Choose one of the list."
    if len(date) > MAX_PATTERN:
        problems["date"] = f"Use at most {MAX_PATTERN} characters; this has {len(date)}."
    elif date and (problem := filters.check(Filter("date", (date,)))):
        problems["date"] = problem
    if problems:
        raise errors.Invalid("Some fields need another look.", problems)
    return Formats(int(decimals) if decimals else None, date or filters.DEFAULT_DATE)
