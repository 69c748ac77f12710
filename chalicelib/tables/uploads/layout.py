"""Where the table in a text file begins, what separates its cells, and what is wrong with it."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from chalicelib import errors

#: The characters that may stand around a cell, or none.
NO_QUOTE = "none"
QUOTES = {'"': 'double quotes: "…"', "'": "single quotes: '…'", NO_QUOTE: "nothing"}
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
#: Rows of a file whose separators are compared.
SNIFFED_LINES = 60
#: More columns than a class ever has; a table of PostgreSQL ends at 1,600.
MAX_COLUMNS = 400
#: A line of more bytes is no line of a table.
MAX_LINE_BYTES = 1 << 22
BLOCK = 1 << 20
#: So many lines may stand above the column names.
MAX_TITLES = 5
#: Written with the apostrophe first, which is what the search then jumps to.
_GUARD = re.compile(rb"'(?=[=+@\t\r\n-]|\xef\xbc)")
#: How accents that stand beside their letter begin in UTF-8, and so the parts of Korean and Japanese ones.
_APART = (
    b"\xcc", b"\xcd", b"\xe1\x84", b"\xe1\x85", b"\xe1\x86", b"\xe1\x87", b"\xe3\x82\x99", b"\xe3\x82\x9a",
)  # fmt: skip
SHOWN_PROBLEMS = 5


def begin(path: Path, start: int, skip: int = 0) -> int:
    """Return the byte where the header begins: `skip` lines and then all empty ones are passed over.

    Raises errors.Invalid when nothing is left.
    """
    with path.open("rb") as stream:
        stream.seek(start)
        for _ in range(skip):
            stream.readline(MAX_LINE_BYTES)
        while True:
            here = stream.tell()
            line = stream.readline(MAX_LINE_BYTES)
            if not line:
                raise errors.Invalid("The file is empty." if not skip else "Nothing is left after the skipped lines.")
            if line.strip(b' ,;|\t\r\n"'):
                return here


def delimiter(path: Path, start: int) -> str:
    """Guess the separator: the one that cuts the first lines into the most cells, equally many in each."""
    with path.open("rb") as stream:
        stream.seek(start)
        text = stream.read(1 << 17).decode("utf-8", "ignore")
    best, best_score = ",", 1.0
    for candidate in DELIMITERS:
        widths = _widths(text, candidate)
        if not widths:
            continue
        share = Counter(widths).get(widths[0], 0) / len(widths)
        score = widths[0] * share if widths[0] > 1 else 1.0
        if score > best_score:
            best, best_score = candidate, score
    return best


def _widths(text: str, candidate: str) -> list[int]:
    widths: list[int] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=candidate):
            if row:
                widths.append(len(row))
            if len(widths) == SNIFFED_LINES:
                return widths
    except csv.Error:
        return []
    return widths[:-1] if len(widths) > 2 else widths  # the last one may have been cut


def cut_end(path: Path, start: int, lines: int) -> None:
    """Cut the last `lines` lines off the file; empty ones at its very end do not count.

    Raises errors.Invalid when nothing would be left.
    """
    with path.open("r+b") as stream:
        end, left = stream.seek(0, io.SEEK_END), lines
        tail = b""
        while left and end > start:
            begin = max(start, end - BLOCK)
            stream.seek(begin)
            tail = (stream.read(end - begin) + tail).rstrip() if not tail else stream.read(end - begin) + tail
            while left and (at := tail.rfind(b"\n")) >= 0:
                tail, left = tail[:at], left - 1
            end = begin
        if left:
            raise errors.Invalid("Nothing is left without the skipped lines.")
        stream.truncate(end + len(tail))


def _dialect(separator: str, quote: str) -> dict[str, Any]:
    """Return how Python's reader takes a file apart; `quote` is a character, or NO_QUOTE."""
    if quote == NO_QUOTE:
        return {"delimiter": separator, "quoting": csv.QUOTE_NONE, "strict": True}
    return {"delimiter": separator, "quotechar": quote, "strict": True}


def header(path: Path, start: int, separator: str, quote: str = '"') -> list[str]:
    """Return the cells of the first line.

    Raises errors.Invalid when it can't be read or has too many cells.
    """
    with path.open("rb") as raw:
        raw.seek(start)
        with io.TextIOWrapper(raw, encoding="utf-8", newline="") as stream:
            try:
                cells = next(csv.reader(stream, **_dialect(separator, quote)))
            except csv.Error as error:
                raise errors.Invalid(f"Line 1, with the column names, can't be read: {_in_words(error)}") from error
    if len(cells) > MAX_COLUMNS:
        raise errors.Invalid(f"The file has {len(cells):,} columns; {MAX_COLUMNS} are possible.")
    return cells


def needs_care(path: Path, start: int, separator: str) -> bool:
    """Tell whether PostgreSQL might read quotes, line ends or `\\.` otherwise than a spreadsheet would.

    PostgreSQL opens a quotation in the middle of a cell (5" disk) and may then join two rows without a word.
    """
    edge = re.escape(separator.encode())
    # Written with the quote first, which is what the search then jumps to.
    stray = re.compile(rb'"(?<=[^"\r\n' + edge + rb']")(?=[^"\r\n' + edge + rb"])")
    with path.open("rb") as stream:
        stream.seek(start)
        while block := stream.read(BLOCK):
            block += stream.readline()  # whole lines only
            if block.startswith(b"\\.") or b"\n\\." in block:
                return True
            if b'"' in block and (stray.search(block) or any(line.count(b'"') % 2 for line in block.split(b"\n"))):
                return True
    return False


def titles(path: Path, start: int, separator: str, quote: str = '"') -> list[str]:
    """Return the lines above the column names that are no row of a table.

    Each has one cell, and is followed by a line with more. Where empty cells are beside it, it could be a line of names
    of which most are missing; then what follows must look like names itself.
    """
    found: list[str] = []
    is_sure = True
    with path.open("rb") as stream:
        stream.seek(start)
        for _ in range(MAX_TITLES + 1):
            try:
                line = stream.readline(MAX_LINE_BYTES).decode("utf-8", "replace")
                cells = [cell.strip() for row in csv.reader([line], **_dialect(separator, quote)) for cell in row]
            except csv.Error:
                return []
            filled = [cell for cell in cells if cell]
            if len(filled) != 1:
                are_names = bool(filled) and (is_sure or not any(not cell or cell[0].isdigit() for cell in cells))
                return found if are_names else []
            is_sure = is_sure and len(cells) == 1
            found.append(filled[0])
    return []


def may_be_guarded(path: Path, start: int) -> bool:
    """Tell whether a cell may begin with an apostrophe that keeps spreadsheets from running the rest."""
    with path.open("rb") as stream:
        stream.seek(start)
        while block := stream.read(BLOCK):
            if _GUARD.search(block + stream.readline()):
                return True
    return False


def may_be_apart(path: Path, start: int) -> bool:
    """Tell whether a letter and its accent may be two characters somewhere."""
    with path.open("rb") as stream:
        stream.seek(start)
        while block := stream.read(BLOCK):
            block += stream.readline()
            if not block.isascii() and any(mark in block for mark in _APART):
                return True
    return False


def rewrite(path: Path, start: int, separator: str, width: int, target: Path, quote: str = '"') -> list[str]:
    """Write the rows to `target` in the strictest form of CSV, with commas; return what was repaired on the way.

    Raises errors.Invalid that names the lines that can't be rows of a table with `width` columns.
    """
    with path.open("rb") as raw, target.open("w", encoding="utf-8", newline="") as out:
        raw.seek(start)
        before = _lines_before(path, start)
        with io.TextIOWrapper(raw, encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream, **_dialect(separator, quote))
            writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
            checked = _Checked(width)
            try:
                for cells in reader:
                    if (row := checked.row(cells, reader.line_num + before)) is not None:
                        writer.writerow(row)
            except csv.Error as error:
                line = reader.line_num + before
                raise errors.Invalid(f"Line {line:,} can't be read: {_in_words(error)}") from error
    return checked.repairs()


def _lines_before(path: Path, start: int) -> int:
    with path.open("rb") as stream:
        return stream.read(start).count(b"\n")


class _Checked:
    """Judges rows one by one and remembers what was odd about them."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.empty = 0
        self.cut: list[int] = []
        self.ragged: list[str] = []

    def row(self, cells: list[str], line: int) -> list[str] | None:
        """Return the row to write, None for an empty one."""
        if not any(cell.strip() for cell in cells):
            self.empty += 1
            return None
        if len(cells) > self.width and not any(cell.strip() for cell in cells[self.width :]):
            self.cut.append(line)
            return cells[: self.width]
        if len(cells) != self.width:
            self.ragged.append(f"line {line:,} has {len(cells)}")
            if len(self.ragged) >= SHOWN_PROBLEMS:
                self._refuse()
        return cells

    def repairs(self) -> list[str]:
        if self.ragged:
            self._refuse()
        lines = []
        if self.empty:
            lines.append(f"{self.empty:,} empty lines were left out.")
        if self.cut:
            lines.append(f"Empty cells at the end of lines {_some(self.cut)} were left out.")
        return lines

    def _refuse(self) -> None:
        found = ", ".join(self.ragged)
        raise errors.Invalid(
            f"Not every line has the same number of cells: the first line has {self.width}, but {found}. "
            "Often a comma or a quote inside a cell is the reason."
        )


def _some(numbers: Iterable[int]) -> str:
    numbers = list(numbers)
    shown = ", ".join(f"{number:,}" for number in numbers[:SHOWN_PROBLEMS])
    return shown + (f" and {len(numbers) - SHOWN_PROBLEMS:,} more" if len(numbers) > SHOWN_PROBLEMS else "")


def _in_words(error: csv.Error) -> str:
    message = str(error)
    if "unexpected end of data" in message:
        return 'a quote (") opens a cell and is never closed.'
    if "expected after" in message:
        return 'text follows after the closing quote (") of a cell.'
    if "field larger" in message:
        return 'a cell is very long; is a closing quote (") missing?'
    return f"{message}."
