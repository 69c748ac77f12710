"""Reads how a value is shown: `| default: "there" | round: 1`, what follows the name in a tag."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from chalicelib.actions.language import filters
from chalicelib.actions.language.syntax import Filter

MAX_FILTERS = 5

_FILTER = re.compile(
    r"\s*\|\s*(?P<name>[^\s:|\",]*)"
    r"(?:\s*:\s*(?P<arguments>(?:\"[^\"]*\"|[^\s\",|]+)(?:\s*,\s*(?:\"[^\"]*\"|[^\s\",|]+))*))?"
)
_ARGUMENT = re.compile(r"\"([^\"]*)\"|([^\s\",|]+)")
_NUMBER = re.compile(r"[0-9]{1,4}")


class StepError(Exception):
    """Raised with the offset in the text of the tag, and names that look like the one that is unknown."""

    def __init__(self, offset: int, message: str, suggestions: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.offset, self.message, self.suggestions = offset, message, list(suggestions)


def parse_steps(text: str, position: int) -> tuple[Filter, ...]:
    """Return the filters that stand in the text of a tag from `position` on.

    Raises StepError.
    """
    found: list[Filter] = []
    while text[position:].strip():
        match = _FILTER.match(text, position)
        if match is None:
            raise StepError(position, "After the name comes | and a filter, such as | round: 1.")
        found.append(_step(match))
        if len(found) > MAX_FILTERS:
            raise StepError(match.start("name"), f"A value can have at most {MAX_FILTERS} filters.")
        position = match.end()
    return tuple(found)


def _step(match: re.Match[str]) -> Filter:
    name, offset = match["name"], match.start("name")
    if name not in filters.NAMES:
        close = difflib.get_close_matches(name.lower(), filters.NAMES, n=1)
        raise StepError(offset, f"There is no filter “{name}”: use {', '.join(filters.NAMES)}.", close)
    step = Filter(name, tuple(_argument(one, offset) for one in _ARGUMENT.finditer(match["arguments"] or "")))
    if wrong := filters.check(step):
        raise StepError(offset, wrong)
    return step


def _argument(found: re.Match[str], offset: int) -> str | int:
    if found[2] is None:
        return found[1]
    if not _NUMBER.fullmatch(found[2]):
        raise StepError(offset, "Write a text in double quotes, or a whole number.")
    return int(found[2])
