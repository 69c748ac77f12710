"""Our files: a zip with `workflow.json`, `table.csv` and a README, made and opened within limits."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from chalicelib import errors
from chalicelib.exchange.document import Document

DESCRIPTION, TABLE, README = "workflow.json", "table.csv", "README.txt"
#: A description is small; a table may be as large unpacked as a worker's disk easily takes.
MAX_DESCRIPTION_BYTES = 50_000_000
MAX_TABLE_BYTES = 2_000_000_000
_CHUNK = 1 << 20
_ABOUT = """This file was exported from OnTask.

workflow.json  the columns, views, messages and conditions, as JSON
table.csv      the learners: one line each, in the order and with the names of the columns in workflow.json

table.csv is UTF-8 with commas. An empty field is a missing value, "" an empty text. Dates are in UTC.
The whole format is described in docs/export-format.md of the product.
"""


def write(target: Path, document: Document, writer: Callable[[IO[bytes]], int] | None) -> None:
    """Write the document, and the learners that `writer` writes; it returns their number."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        if writer is not None:
            with archive.open(TABLE, "w", force_zip64=True) as file:
                document.learners = writer(file)
        archive.writestr(DESCRIPTION, json.dumps(document.to_json(), ensure_ascii=False, indent=1))
        archive.writestr(README, _ABOUT)


def is_ours(path: Path) -> bool:
    """Tell whether the file is a zip."""
    return zipfile.is_zipfile(path)


def read(path: Path, table: Path) -> tuple[dict[str, Any], bool]:
    """Return the description of a file of ours, and whether the learners are in it; they are written to `table`.

    Raises errors.Invalid when it is no such file, errors.Limit when it is too large unpacked.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if DESCRIPTION not in names:
                raise errors.Invalid(f"This zip has no {DESCRIPTION}, so it was not exported from here.")
            with archive.open(DESCRIPTION) as file:
                raw = file.read(MAX_DESCRIPTION_BYTES + 1)
            if len(raw) > MAX_DESCRIPTION_BYTES:
                raise errors.Limit(f"{DESCRIPTION} is larger than {MAX_DESCRIPTION_BYTES / 1e6:,.0f} MB.", status=413)
            if TABLE in names:
                with archive.open(TABLE) as file, table.open("wb") as target:
                    _copy(file, target)
            return parse(raw, DESCRIPTION), TABLE in names
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise errors.Invalid("The file is damaged: it can’t be unpacked.") from error


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    left = MAX_TABLE_BYTES
    while chunk := source.read(min(_CHUNK, left + 1)):
        left -= len(chunk)
        if left < 0:
            raise errors.Limit(f"{TABLE} is larger than {MAX_TABLE_BYTES / 1e9:,.0f} GB.", status=413)
        target.write(chunk)


def parse(raw: bytes, name: str) -> Any:
    """Return the value of a JSON text.

    Raises errors.Invalid when it is none.
    """
    try:
        return json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise errors.Invalid(f"{name} is no JSON: {str(error)[:200]}.") from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
