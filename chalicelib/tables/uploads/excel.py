"""From a sheet of an Excel or OpenDocument file to CSV."""

from __future__ import annotations

import csv
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from chalicelib import errors

#: A zip archive (xlsx, xlsm, xlsb, ods) and the older compound file (xls).
_MAGIC = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


def is_workbook(path: Path) -> bool:
    """Tell by its first bytes whether the file may be a workbook."""
    with path.open("rb") as stream:
        return stream.read(4) in _MAGIC


def to_csv(source: Path, target: Path, sheet: str = "") -> tuple[str, list[str]]:
    """Write a sheet (the first one with cells unless named) to `target`; return its name and the names of all.

    Raises errors.Invalid when the file can't be opened or holds no cells.
    """
    from python_calamine import CalamineError, PasswordError, load_workbook

    try:
        book = load_workbook(str(source))
        names = list(book.sheet_names)
        for name in [sheet] if sheet in names else names:
            rows = book.get_sheet_by_name(name).to_python(skip_empty_area=True)
            if any(any(cell not in {"", None} for cell in row) for row in rows):
                _write(rows, target)
                return name, names
    except PasswordError as error:
        raise errors.Invalid("The workbook is protected by a password. Remove it and upload the file again.") from error
    except (CalamineError, OSError, ValueError) as error:
        raise errors.Invalid("The file can't be opened as an Excel workbook; it may be damaged.") from error
    raise errors.Invalid("The sheet is empty." if sheet else "The workbook has no cells.")


def _write(rows: list[list[Any]], target: Path) -> None:
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        for row in rows:
            cells = [_text(cell) for cell in row]
            if any(cells):
                writer.writerow(cells)


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
