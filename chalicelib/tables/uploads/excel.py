"""From a sheet of an Excel or OpenDocument file to CSV."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from chalicelib import errors

#: A zip archive (xlsx, xlsm, xlsb, ods) and the older compound file (xls).
_MAGIC = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


_DIGITS = re.compile(r"[+-]?\d+([.,]\d+)?")


def is_workbook(path: Path) -> bool:
    """Tell by its first bytes whether the file may be a workbook."""
    with path.open("rb") as stream:
        return stream.read(4) in _MAGIC


@dataclass(frozen=True)
class Sheet:
    """What became of a workbook: the sheet that was read, the names of all, columns whose numbers are texts."""

    name: str
    names: list[str]
    texts: frozenset[int]


@dataclass(frozen=True)
class Area:
    """The part of a sheet that holds the table; rows and columns count from 0, None means to the end."""

    top: int = 0
    left: int = 0
    bottom: int | None = None
    right: int | None = None


WHOLE = Area()


def area(written: str) -> Area:
    """Read a range of cells as Excel writes it: B3:F40, or B3 for everything from there on.

    Raises errors.Invalid when it is none.
    """
    if not written:
        return WHOLE
    found = re.fullmatch(r"\$?([A-Z]{1,3})\$?(\d{1,7})(?::\$?([A-Z]{1,3})\$?(\d{1,7}))?", written.strip().upper())
    if found is None:
        raise errors.Invalid(f"“{written[:40]}” is no range of cells. Write it like B3:F40.")
    left, top, right, bottom = found.groups()
    made = Area(int(top) - 1, _place(left) - 1, int(bottom) if bottom else None, _place(right) if right else None)
    if made.top < 0 or (made.bottom or made.top + 1) <= made.top or (made.right or made.left + 1) <= made.left:
        raise errors.Invalid(f"“{written[:40]}” holds no cells. Write the upper left cell first, like B3:F40.")
    return made


def _place(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number


def sheets(source: Path) -> list[str]:
    """Return the names of a workbook's sheets; none when it can't be opened."""
    from python_calamine import CalamineError, load_workbook

    try:
        return list(load_workbook(str(source)).sheet_names)
    except (CalamineError, OSError, ValueError):
        return []


def to_csv(source: Path, target: Path, sheet: str = "", part: Area = WHOLE, skip: int = 0, skip_end: int = 0) -> Sheet:
    """Write a sheet (the first one with cells unless named) to `target`: `part` of it without the skipped rows.

    Raises errors.Invalid when the file can't be opened, the sheet is not there or holds no cells.
    """
    from python_calamine import CalamineError, PasswordError, load_workbook

    try:
        book = load_workbook(str(source))
        names = list(book.sheet_names)
        if sheet and sheet not in names:
            raise errors.Invalid(f"There is no sheet “{sheet[:80]}”. The workbook has: {', '.join(names)[:400]}.")
        for name in [sheet] if sheet else names:
            rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
            rows = [row[part.left : part.right] for row in rows[part.top : part.bottom][skip:]]
            while rows and not _has_value(rows[-1]):
                rows.pop()
            rows = rows[: len(rows) - skip_end]
            if any(_has_value(row) for row in rows):
                return Sheet(name, names, _write(_without_edges(rows), target))
    except PasswordError as error:
        raise errors.Invalid("The workbook is protected by a password. Remove it and upload the file again.") from error
    except (CalamineError, OSError, ValueError) as error:
        raise errors.Invalid("The file can't be opened as an Excel workbook; it may be damaged.") from error
    if not sheet and not skip and part == WHOLE:
        raise errors.Invalid("The workbook has no cells.")
    raise errors.Invalid(
        "There are no cells in this part." if part != WHOLE or skip else f"The sheet “{sheet}” is empty."
    )


def _has_value(row: list[Any]) -> bool:
    return any(cell not in {"", None} for cell in row)


def _without_edges(rows: list[list[Any]]) -> list[list[Any]]:
    """Leave out the empty columns on both sides."""
    filled = [place for row in rows for place, cell in enumerate(row) if cell not in {"", None}]
    return [row[min(filled) : max(filled) + 1] for row in rows]


def _write(rows: list[list[Any]], target: Path) -> frozenset[int]:
    texts: set[int] = set()
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        is_header = True
        for row in rows:
            cells = [_text(cell) for cell in row]
            if not any(cells):
                continue
            writer.writerow(cells)
            if not is_header:
                # A number that is formatted as text is one on purpose: a code, a phone number.
                texts |= {n for n, cell in enumerate(row, 1) if isinstance(cell, str) and _DIGITS.fullmatch(cell)}
            is_header = False
    return frozenset(texts)


def _text(cell: Any) -> str:
    if isinstance(cell, str):
        return cell.replace("\0", "")
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):  # a workbook knows no whole numbers
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(sep=" ", timespec="seconds")
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, time):
        return cell.isoformat(timespec="minutes" if not cell.second else "seconds")
    if isinstance(cell, timedelta):
        return str(cell)
    return "" if cell is None else str(cell)
