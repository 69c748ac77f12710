"""Read a file into the upload's tables and write down what was understood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.tables import names
from chalicelib.tables.uploads import decode, excel, kinds, layout, staging

EXPLAINED_KEYS = 3

Report = Callable[[int, str], None]


@dataclass
class Options:
    """How people want the file to be read; what is empty is guessed."""

    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""
    skip: int = 0


@dataclass
class Text:
    """A CSV file in UTF-8 whose header begins at byte `start`."""

    path: Path
    start: int
    delimiter: str
    facts: dict[str, Any] = field(default_factory=dict)
    repairs: list[str] = field(default_factory=list)


def read(
    session: Session,
    upload_id: int,
    path: Path,
    options: Options,
    *,
    time_zone: str,
    logged: bool,
    report: Report = lambda _progress, _message: None,
) -> dict[str, Any]:
    """Load the file into `learners.u<id>` and `learners.t<id>`; return what was understood.

    `logged` makes `t<id>` fit to become the workflow's table. Temporary files are written beside `path`.
    Raises errors.Invalid when the file is no table; its message says where.
    """
    source = _text(path, options)
    found = layout.header(source.path, source.start, source.delimiter)
    report(15, "Copying the rows")
    rows = _copy(session, upload_id, source, len(found))
    if not rows:
        raise errors.Invalid("The file has column names but no rows.")
    report(40, "Looking at the values")
    samples = staging.samples(session, upload_id, len(found))
    facts = staging.build(session, upload_id, samples, time_zone, logged=logged)
    report(75, "Looking for what tells learners apart")
    headers = names.headers(found)
    staging.find_keys(session, upload_id, facts, _preferred([header.name for header in headers]))
    filled, columns = staging.count_rows(session, upload_id), []
    for number, (header, fact) in enumerate(zip(headers, facts, strict=True), 1):
        if not found[number - 1].strip() and fact.blanks == filled:
            source.repairs.append(f"Column {number} has neither a name nor a value and was left out.")
            continue
        columns.append(_column(number, found[number - 1], header, fact))
    if filled < rows:
        source.repairs.append(f"{rows - filled:,} empty rows were left out.")
    if not filled:
        raise errors.Invalid("The file has column names but no rows.")
    _explain_keys(session, upload_id, columns)
    return {
        **source.facts, "rows": filled, "columns": columns, "repairs": source.repairs,
        "sample": staging.first_rows(session, upload_id, len(found)), "skip": options.skip,
    }  # fmt: skip


def _text(path: Path, options: Options) -> Text:
    facts: dict[str, Any] = {"format": "csv", "sheet": "", "sheets": []}
    if excel.is_workbook(path):
        sheet, sheets = excel.to_csv(path, path.with_suffix(".sheet"), options.sheet)
        facts = {"format": "excel", "sheet": sheet, "sheets": sheets, "encoding": "utf-8", "delimiter": ","}
        converted = path.with_suffix(".sheet")
        return Text(converted, layout.begin(converted, 0, options.skip), ",", facts)
    decoded = decode.decode(path, path.with_suffix(".utf8"), options.encoding)
    start = layout.begin(decoded.path, decoded.start, options.skip)
    delimiter = options.delimiter or layout.delimiter(decoded.path, start)
    facts |= {"encoding": decoded.encoding, "delimiter": delimiter}
    return Text(decoded.path, start, delimiter, facts, list(decoded.repairs))


def _copy(session: Session, upload_id: int, source: Text, width: int) -> int:
    if not layout.needs_care(source.path, source.start, source.delimiter):
        try:
            return staging.copy(session, upload_id, source.path, source.start, source.delimiter, width)
        except staging.RefusedByCopy:
            pass  # Python's reader says where and why, or repairs it
    clean = source.path.with_suffix(".clean")
    source.repairs += layout.rewrite(source.path, source.start, source.delimiter, width, clean)
    try:
        return staging.copy(session, upload_id, clean, 0, source.delimiter, width)
    except staging.RefusedByCopy as error:
        raise errors.Invalid(f"The file can't be read as a table: {error}.") from error


def _preferred(found: Sequence[str]) -> list[int]:
    numbers = range(1, len(found) + 1)
    return sorted(numbers, key=lambda number: (not names.is_key_word(found[number - 1]), number))


def _column(number: int, found: str, header: names.Header, fact: staging.Facts) -> dict[str, Any]:
    notes = [header.repair] if header.repair else []
    notes += kinds.hints(fact.sample, fact.kind)
    if fact.blanks:
        notes.append(f"{fact.blanks:,} {'blank' if fact.blanks == 1 else 'blanks'}")
    return {
        "number": number, "header": found[:1000], "name": header.name, "kind": fact.kind,
        "blanks": fact.blanks, "unique": fact.unique, "notes": notes,
    }  # fmt: skip


def _explain_keys(session: Session, upload_id: int, columns: list[dict[str, Any]]) -> None:
    likely = [
        column
        for column in columns
        if names.is_key_word(column["name"]) and kinds.KINDS[column["kind"]].type in kinds.KEY_TYPES
    ]
    for column in likely[:EXPLAINED_KEYS]:
        if column["unique"]:
            continue
        number, table = column["number"], staging.typed(upload_id)
        shared = staging.duplicates(session, f"(SELECT row_id AS line, t{number} FROM {table}) AS s", f"t{number}")
        if shared:
            first = shared[0]
            column["notes"].append(
                f"“{first['value']}” is in {first['count']:,} rows, so this can't tell learners apart"
            )
