"""Reads a table tag: `{% table "Name", "Quiz 1" sort: "Quiz 1" descending max: 50 %}`.

Columns stand in double quotes, or as `@c12` in stored texts; `sort` and `max` may come in any order, or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from chalicelib.actions.language.syntax import Reference, Table

MAX_COLUMNS = 100
#: More rows than this are a file, not a table in a text.
MAX_ROWS = 100_000
#: Stands for a column after a mistake, so that the rest of the tag is read.
NOBODY = "c0"

_TOKEN = re.compile(r'\s*(?:"(?P<quoted>[^"]*)"|(?P<reference>@c[1-9][0-9]*)\b|(?P<word>[^\s",:]+)|(?P<sign>[,:"]))')
_EXAMPLE = 'Write each column in double quotes, such as table "Name", "Quiz 1".'

#: Given what stands in the tag and where, the column it names; None when that was told as a mistake.
Lookup = Callable[[str, int], Reference | None]


class TableError(Exception):
    """Raised with the offset in the text of the tag."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset, self.message = offset, message


def parse_table(text: str, start: int, lookup: Lookup) -> Table:
    """Return the table that a tag stands for, from its text after the word table.

    Raises TableError.
    """
    return _Reader(text, start, lookup).table()


@dataclass
class _Reader:
    text: str
    position: int
    lookup: Lookup
    columns: list[Reference] = field(default_factory=list)
    sort: Reference | None = None
    is_descending: bool = False
    most: int | None = None

    def table(self) -> Table:
        start = self.position
        while found := self._next():
            if found["sign"] == ",":
                continue
            if found["word"] == "sort":
                self._read_sort(found)
            elif found["word"] == "max":
                self._read_most(found)
            else:
                self.columns.append(self._column(found))
        if not self.columns:
            raise TableError(start, f"A table needs its columns. {_EXAMPLE}")
        if len(self.columns) > MAX_COLUMNS:
            raise TableError(start, f"A table can have at most {MAX_COLUMNS} columns.")
        return Table(tuple(self.columns), self.sort, self.is_descending, self.most)

    def _next(self) -> re.Match[str] | None:
        found = _TOKEN.match(self.text, self.position)
        if found:
            self.position = found.end()
        return found

    def _column(self, found: re.Match[str] | None) -> Reference:
        if found is None:
            raise TableError(len(self.text), f"The name of a column is missing here. {_EXAMPLE}")
        offset = found.start(found.lastgroup or 0)
        if found["quoted"] is None and found["reference"] is None:
            hint = "This quote is not closed." if found["sign"] == '"' else _EXAMPLE
            raise TableError(offset, hint)
        return self.lookup(found["reference"] or found["quoted"], offset) or NOBODY

    def _option(self, found: re.Match[str], is_twice: bool) -> re.Match[str] | None:
        """Return what follows the colon of an option."""
        offset = found.start("word")
        if is_twice:
            raise TableError(offset, f"This table has a {found['word']} already.")
        colon = self._next()
        if colon is None or colon["sign"] != ":":
            raise TableError(offset, 'Write a colon after the word, such as sort: "Name" or max: 50.')
        return self._next()

    def _read_sort(self, found: re.Match[str]) -> None:
        self.sort = self._column(self._option(found, self.sort is not None))
        at = self.position
        order = self._next()
        if order and order["word"] in ("ascending", "descending"):
            self.is_descending = order["word"] == "descending"
        else:
            self.position = at

    def _read_most(self, found: re.Match[str]) -> None:
        number = self._option(found, self.most is not None)
        text = number["word"] if number else None
        if text is None or not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= MAX_ROWS:
            raise TableError(found.start("word"), f"After max comes a whole number from 1 to {MAX_ROWS:,}.")
        self.most = int(text)
