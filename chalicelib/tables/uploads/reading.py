"""Read a file into the upload's tables and write down what was understood."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.tables import names
from chalicelib.tables.uploads import decode, excel, kinds, layout, staging, unworked

KEEP = "keep"
EXPLAINED_KEYS = 3
#: Columns whose different values are counted when none tells learners apart.
CANDIDATES = 20

Report = Callable[[int, str], None]


@dataclass(frozen=True)
class Options:
    """How people want the file to be read; what is empty is guessed.

    `area` is a range of cells of a sheet, `skip` and `skip_end` are lines above the header and at the end, `decimal` is
    the mark in numbers, `dates` what comes first in 31/12/2026 (day or month), `time_zone` where times without an
    offset were written down, `missing` the words that mean "no value"; `titles` is "keep" where what looks like
    titles above the column names is not to be skipped.
    """

    encoding: str = ""
    delimiter: str = ""
    quote: str = ""
    decimal: str = ""
    dates: str = ""
    time_zone: str = ""
    sheet: str = ""
    area: str = ""
    skip: int = 0
    skip_end: int = 0
    missing: tuple[str, ...] = ()
    titles: str = ""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Options:
        """Read them from an upload's row."""
        known = {one.name: stored[one.name] for one in fields(cls) if one.name in stored}
        return cls(**{**known, "missing": tuple(known.get("missing", ()))})


@dataclass
class Text:
    """A CSV file in UTF-8 whose header begins at byte `start`."""

    path: Path
    start: int
    delimiter: str
    quote: str = '"'
    texts: frozenset[int] = frozenset()
    facts: dict[str, Any] = field(default_factory=dict)
    repairs: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


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
    if not options.skip and options.titles != KEEP:
        _skip_titles(source)
    found = layout.header(source.path, source.start, source.delimiter, source.quote)
    report(15, "Copying the rows")
    rows = _copy(session, upload_id, source, len(found))
    if not rows:
        raise errors.Invalid("The file has column names but no rows.")
    report(40, "Looking at the values")
    if layout.may_be_guarded(source.path, source.start) and (count := staging.unguard(session, upload_id, len(found))):
        texts = "1 text" if count == 1 else f"{count:,} texts"
        source.repairs.append(f"The apostrophe that guards texts beginning with =, +, - or @ was taken off {texts}.")
    if layout.may_be_apart(source.path, source.start):
        staging.compose(session, upload_id, len(found))
    if options.missing:
        staging.empty_words(session, upload_id, len(found), options.missing)
    samples = staging.samples(session, upload_id, len(found))
    habits = kinds.Habits(options.decimal, options.dates)
    zone = options.time_zone or time_zone
    facts = staging.build(
        session, upload_id, samples, zone, logged=logged, habits=habits, texts=source.texts
    )  # fmt: skip
    report(75, "Looking for what tells learners apart")
    headers = names.headers(found)
    staging.find_keys(session, upload_id, facts, _preferred([header.name for header in headers]))
    filled, columns = staging.count_rows(session, upload_id), []
    for number, (header, fact) in enumerate(zip(headers, facts, strict=True), 1):
        if not found[number - 1].strip() and fact.blanks == filled:
            source.repairs.append(f"Column {number} has neither a name nor a value and was left out.")
            continue
        columns.append(_column(number, found[number - 1], header, fact, zone, filled))
    if filled < rows:
        empty = rows - filled
        source.repairs.append("1 empty row was left out." if empty == 1 else f"{empty:,} empty rows were left out.")
    if not filled:
        raise errors.Invalid("The file has column names but no rows.")
    _explain_keys(session, upload_id, columns)
    return {
        **source.facts, "rows": filled, "columns": columns, "repairs": source.repairs,
        "warnings": source.warnings, "time_zone": zone,
        "sample": staging.first_rows(session, upload_id, len(found)),
        "near_keys": _near_keys(session, upload_id, columns),
    }  # fmt: skip


def _skip_titles(source: Text) -> None:
    """Begin below the titles of a report, and say so."""
    found = layout.titles(source.path, source.start, source.delimiter, source.quote)
    if not found:
        return
    source.start = layout.begin(source.path, source.start, len(found))
    shown = ", ".join(f"“{title[:60]}”" for title in found)
    lines = "the line" if len(found) == 1 else f"{len(found)} lines"
    source.repairs.append(f"Above the column names {lines} {shown} {'was' if len(found) == 1 else 'were'} skipped.")
    source.facts["titles"] = len(found)


def _text(path: Path, options: Options) -> Text:
    if excel.is_workbook(path):
        return _sheet(path, options)
    decoded = decode.decode(path, path.with_suffix(".utf8"), options.encoding)
    start = layout.begin(decoded.path, decoded.start, options.skip)
    if options.skip_end:
        layout.cut_end(decoded.path, start, options.skip_end)
    delimiter = options.delimiter or layout.delimiter(decoded.path, start)
    facts = {"format": "csv", "sheet": "", "sheets": [], "encoding": decoded.encoding, "delimiter": delimiter}
    return Text(decoded.path, start, delimiter, options.quote or '"', facts=facts, repairs=list(decoded.repairs))


def _sheet(path: Path, options: Options) -> Text:
    target, part = path.with_suffix(".sheet"), excel.area(options.area)
    sheet = excel.to_csv(path, target, options.sheet, part, options.skip, options.skip_end)
    facts = {"format": "excel", "sheet": sheet.name, "sheets": sheet.names, "encoding": "utf-8", "delimiter": ","}
    empty = unworked.find(path, sheet.name)
    warnings = [empty.words] if empty else []
    return Text(target, layout.begin(target, 0), ",", texts=sheet.texts, facts=facts, warnings=warnings)


def _copy(session: Session, upload_id: int, source: Text, width: int) -> int:
    plain = source.quote == '"' and source.delimiter.isascii()
    if plain and not layout.needs_care(source.path, source.start, source.delimiter):
        try:
            return staging.copy(session, upload_id, source.path, source.start, source.delimiter, width)
        except staging.RefusedByCopy:
            pass  # Python's reader says where and why, or repairs it
    clean = source.path.with_suffix(".clean")
    source.repairs += layout.rewrite(source.path, source.start, source.delimiter, width, clean, source.quote)
    try:
        return staging.copy(session, upload_id, clean, 0, ",", width)
    except staging.RefusedByCopy as error:
        raise errors.Invalid(f"The file can't be read as a table: {error}.") from error


def _preferred(found: Sequence[str]) -> list[int]:
    numbers = range(1, len(found) + 1)
    return sorted(numbers, key=lambda number: (not names.is_key_word(found[number - 1]), number))


def _column(number: int, found: str, header: names.Header, fact: staging.Facts, zone: str, rows: int) -> dict[str, Any]:
    notes = [header.repair] if header.repair else []
    notes += kinds.hints(fact.sample, fact.kind)
    if kinds.KINDS[fact.kind].type == "datetime" and any(kinds.lacks_offset(text) for text in fact.sample):
        notes.append(f"times without an offset are read as those of {zone}")
    if fact.blanks:
        notes.append(f"missing for {fact.blanks:,} of {rows:,}")
    return {
        "number": number, "header": found[:1000], "name": header.name, "kind": fact.kind,
        "blanks": fact.blanks, "unique": fact.unique, "notes": notes,
    }  # fmt: skip


def _near_keys(session: Session, upload_id: int, columns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the columns that come closest to telling learners apart, when none does."""
    if any(column["unique"] and not column["blanks"] for column in columns):
        return []
    usable = [column for column in columns if kinds.KINDS[column["kind"]].type in kinds.KEY_TYPES]
    usable.sort(key=lambda column: not names.is_key_word(column["name"]))
    counts = staging.near_keys(session, upload_id, [column["number"] for column in usable[:CANDIDATES]])
    by_number = {column["number"]: column["name"] for column in usable}
    found = [{"name": by_number[n], "blanks": blanks, "shared": shared} for n, (blanks, shared) in counts.items()]
    return sorted(found, key=lambda one: one["blanks"] + one["shared"])[:EXPLAINED_KEYS]


def _explain_keys(session: Session, upload_id: int, columns: list[dict[str, Any]]) -> None:
    likely = [
        column
        for column in columns
        if names.is_key_word(column["name"]) and kinds.KINDS[column["kind"]].type in kinds.KEY_TYPES
    ]
    for column in likely[:EXPLAINED_KEYS]:
        number, table = column["number"], staging.typed(upload_id)
        if column["unique"]:
            if kinds.KINDS[column["kind"]].type == "text" and (pair := staging.alike(session, upload_id, number)):
                column["notes"].append(f"“{pair[0]}” and “{pair[1]}” differ only in large and small letters")
            continue
        shared = staging.duplicates(session, f"(SELECT row_id AS line, t{number} FROM {table}) AS s", f"t{number}")
        if shared:
            first = shared[0]
            column["notes"].append(
                f"“{first['value']}” is in {first['count']:,} rows, so this can't tell learners apart"
            )
