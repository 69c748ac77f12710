"""Cells of an .xlsx workbook that hold a formula and no stored value: written by a program that never worked them out.

Such cells arrive empty, whatever reads them. Nothing is worked out here; they are only named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import IO
from zipfile import BadZipFile, ZipFile

CHUNK = 1 << 20
#: A cell with its formula is never longer: Excel takes 8,192 characters, each at most six bytes as XML writes them.
OVERLAP = 1 << 16
NAMED = 5
_CELL = re.compile(
    rb'<(?:\w+:)?c\b[^>]*?\br="([A-Z]{1,3}[0-9]{1,7})"[^>]*>\s*<(?:\w+:)?f\b(?:[^>]*/>|[^>]*>[^<]*</(?:\w+:)?f>)'
    rb"\s*(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)


@dataclass(frozen=True)
class Unworked:
    """How many cells there are, and the names of the first ones."""

    count: int
    cells: list[str]

    @property
    def words(self) -> str:
        """Say so, and what to do."""
        named = ", ".join(self.cells) + (", …" if self.count > len(self.cells) else "")
        many = f"{self.count:,} cells hold formulas" if self.count > 1 else "1 cell holds a formula"
        return (
            f"{many} without a stored value ({named}) and arrive{'' if self.count > 1 else 's'} without a value. Open "
            "the file in Excel or LibreOffice, save it there, and upload it again."
        )


def find(path: Path, sheet: str) -> Unworked | None:
    """Return such cells of a sheet; None when there is none or the file is no .xlsx."""
    try:
        with ZipFile(path) as archive, archive.open(_part(archive, sheet)) as stream:
            found = list(_cells(stream))
    except (BadZipFile, KeyError, OSError):
        return None
    return Unworked(len(found), found[:NAMED]) if found else None


def _part(archive: ZipFile, sheet: str) -> str:
    """Return the name of the file that holds the sheet.

    Raises KeyError when there is none.
    """
    keys = {unescape(one["name"]): one["id"] for one in _tags(archive, "xl/workbook.xml", "sheet")}
    targets = {one["Id"]: one["Target"] for one in _tags(archive, "xl/_rels/workbook.xml.rels", "Relationship")}
    target = targets[keys[sheet]]
    return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"


def _tags(archive: ZipFile, part: str, tag: str) -> list[dict[str, str]]:
    """Return the attributes of each such tag, without the prefixes of their names."""
    with archive.open(part) as stream:
        text = stream.read(CHUNK).decode("utf-8", "replace")
    found = re.findall(rf"<(?:\w+:)?{tag}\s[^>]*>", text)
    return [dict(re.findall(r'(?:\w+:)?(\w+)="([^"]*)"', one)) for one in found]


def _cells(stream: IO[bytes]) -> Iterator[str]:
    kept = b""
    while block := stream.read(CHUNK):
        kept += block
        end = 0
        for match in _CELL.finditer(kept):
            yield match[1].decode()
            end = match.end()
        kept = kept[max(end, len(kept) - OVERLAP) :]
