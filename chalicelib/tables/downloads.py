"""The table as a file, exactly what the page shows: as CSV, for Excel, as JSON.

PostgreSQL writes the cells, Python only carries them: which rows there are, and in which order, is worked out once
into a temporary table; COPY has no bound values, so it reads from there.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.formulas import sql
from chalicelib.tables import store
from chalicelib.tables.grid import Flag
from chalicelib.tables.paging import Order
from chalicelib.tables.scope import Scope

#: Makes spreadsheets read the file as UTF-8.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: What a spreadsheet takes for the beginning of a formula, in any width of letter.
_FORMULA_SQL = "'^[=+@\\t\\r\\n\uff1d\uff0b\uff0d\uff20-]'"
#: A number that begins with a sign is only a number.
_NUMBER_SQL = r"'^[+-]?[0-9]+([.,][0-9]+)?$'"
#: What Excel can hold: characters of a cell, rows with the header, columns, digits of a number.
EXCEL_CELL, EXCEL_ROWS, EXCEL_COLUMNS, EXCEL_WHOLE = 32_767, 1_048_576, 16_384, 10**15
#: COPY writes values as they are when these, which no value has, are its signs.
_RAW = r"(FORMAT csv, DELIMITER E'\x02', QUOTE E'\x01')"


@dataclass(frozen=True)
class Cell:
    """A column of the file: the SQL of its value, its type, its key in the table of labels."""

    label: str
    value: str
    type: str


@dataclass(frozen=True)
class Format:
    """A kind of file: the end of its name, its content type, its words."""

    ending: str
    content_type: str
    words: str


FORMATS = {
    "csv": Format("csv", "text/csv; charset=utf-8", "CSV"),
    "xlsx": Format("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "Excel"),
    "json": Format("json", "application/json", "JSON"),
}


def write(
    session: Session, kind: str, scope: Scope, shown: Mapping[str, tuple[str, str]], flags: Sequence[Flag],
    order: Order, file: IO[bytes], *, is_safe: bool = True,
) -> int:  # fmt: skip
    """Write the rows of the scope into `file` and return their number.

    `shown` maps the columns `c<id>`, in their order, to name and type; `is_safe`: texts of a CSV file that look like a
    formula get an apostrophe. Raises errors.Invalid when Excel can't hold them.
    """
    # COPY takes no bound values, so dates are written in the zone of the session.
    session.execute(sa.text("SELECT set_config('TimeZone', :zone, true)"), {"zone": scope.time_zone})
    rows = _choose(session, scope, flags, order)
    labels = {**{name: label for name, (label, _) in shown.items()}, **{flag.name: flag.label for flag in flags}}
    _name(session, labels)
    cells = [Cell(name, f"t.{name}", kind_of) for name, (_, kind_of) in shown.items()]
    cells += [Cell(flag.name, f"w.{flag.name}", "boolean") for flag in flags]
    if kind == "xlsx":
        _check_excel(session, scope, cells, rows)
        _write_excel(session, scope, cells, file)
    elif kind == "json":
        _write_json(session, scope, cells, file)
    else:
        _write_csv(session, scope, cells, file, is_safe)
    return rows


def _choose(session: Session, scope: Scope, flags: Sequence[Flag], order: Order) -> int:
    columns = "".join(f", {flag.name} boolean" for flag in flags)
    session.execute(sa.text("DROP TABLE IF EXISTS pg_temp.wanted"))
    session.execute(sa.text(f"CREATE TEMP TABLE wanted (n bigint, row_id bigint{columns}) ON COMMIT DROP"))
    table = scope.table()
    holds = [sql.condition(flag.formula, scope.columns, table, scope.rules_zone) for flag in flags]
    number: Any = sa.literal_column(f"row_number() OVER (ORDER BY {order.sql()})")
    rows = sa.select(number, table.c.row_id, *holds).select_from(table).where(*scope.where(table))
    names = ["n", "row_id", *(flag.name for flag in flags)]
    wanted = sa.table("wanted", *(sa.column(name) for name in names), schema="pg_temp")
    return int(session.execute(sa.insert(wanted).from_select(names, rows)).rowcount)  # type: ignore[attr-defined]


def _name(session: Session, labels: Mapping[str, str]) -> None:
    session.execute(sa.text("DROP TABLE IF EXISTS pg_temp.labels"))
    session.execute(sa.text("CREATE TEMP TABLE labels (n int, key text, label text) ON COMMIT DROP"))
    statement = sa.text("INSERT INTO pg_temp.labels VALUES (:n, :key, :label)")
    values = [{"n": n, "key": key, "label": label} for n, (key, label) in enumerate(labels.items())]
    session.execute(statement, values)


def _copy(session: Session, query: str, options: str, file: Any) -> None:
    cursor: Any = session.connection().connection.cursor()  # COPY needs the driver's own
    cursor.execute(f"COPY ({query}) TO STDOUT WITH {options}", stream=file)


def _from(scope: Scope) -> str:
    return f"FROM pg_temp.wanted w JOIN {store.table(scope.workflow_id)} t ON t.row_id = w.row_id"


def _iso(value: str) -> str:
    """Return SQL for an instant with its offset, every microsecond kept."""
    return f"to_json({value}) #>> '{{}}'"


def looks_like_formula(value: str) -> str:
    """Return SQL for whether a spreadsheet may take a text for a formula; the download puts an apostrophe before it."""
    return f"{value} ~ {_FORMULA_SQL} AND {value} !~ {_NUMBER_SQL}"


def _write_csv(session: Session, scope: Scope, cells: Sequence[Cell], file: IO[bytes], is_safe: bool) -> None:
    def tame(value: str) -> str:
        return f"CASE WHEN {looks_like_formula(value)} THEN '''' || {value} ELSE {value} END" if is_safe else value

    def written(cell: Cell) -> str:
        if cell.type == "text":
            return tame(cell.value)
        # As text: COPY would write t and f for yes and no.
        return _iso(cell.value) if cell.type == "datetime" else f"CAST({cell.value} AS text)"

    file.write(BYTE_ORDER_MARK)
    head = ", ".join(tame(f"(SELECT label FROM pg_temp.labels WHERE key = '{cell.label}')") for cell in cells)
    _copy(session, f"SELECT {head}", "(FORMAT csv)", file)
    body = ", ".join(written(cell) for cell in cells)
    _copy(session, f"SELECT {body} {_from(scope)} ORDER BY w.n", "(FORMAT csv)", file)


def _write_json(session: Session, scope: Scope, cells: Sequence[Cell], file: IO[bytes]) -> None:
    members = ", ".join(
        f"(SELECT CAST(to_json(label) AS text) || ': ' FROM pg_temp.labels WHERE key = '{cell.label}')"
        f" || coalesce(CAST(to_json({cell.value}) AS text), 'null')"
        for cell in cells
    )
    comma = "CASE WHEN w.n = (SELECT max(n) FROM pg_temp.wanted) THEN '' ELSE ',' END"
    row = f"'{{' || array_to_string(ARRAY[{members}], ', ') || '}}' || {comma}"
    file.write(b"[\n")
    _copy(session, f"SELECT {row} {_from(scope)} ORDER BY w.n", _RAW, file)
    file.write(b"]\n")


def _check_excel(session: Session, scope: Scope, cells: Sequence[Cell], rows: int) -> None:
    if rows >= EXCEL_ROWS or len(cells) > EXCEL_COLUMNS:
        raise errors.Invalid(f"Excel holds at most {EXCEL_ROWS - 1:,} learners. Download the table as CSV.")
    texts = [f"coalesce(max(length({cell.value})), 0)" for cell in cells if cell.type == "text"]
    if texts:
        longest = session.scalar(sa.text(f"SELECT greatest(0, {', '.join(texts)}) {_from(scope)}")) or 0
        if longest > EXCEL_CELL:
            message = f"Excel holds at most {EXCEL_CELL:,} characters in a cell; a text here has {longest:,}."
            raise errors.Invalid(f"{message} Download the table as CSV.")


def _write_excel(session: Session, scope: Scope, cells: Sequence[Cell], file: IO[bytes]) -> None:
    """Write a workbook with one sheet; texts are texts in it, whatever they begin with, and dates ISO with offset."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as book:
        for name, content in _BOOK.items():
            book.writestr(name, content)
        with book.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            sheet.write(_SHEET_BEGINS)
            head = _row("'1'", [_text(f"(SELECT label FROM pg_temp.labels WHERE key = '{c.label}')") for c in cells])
            _copy(session, f"SELECT {head}", _RAW, sheet)
            body = _row("CAST(w.n + 1 AS text)", [_excel(cell) for cell in cells])
            _copy(session, f"SELECT {body} {_from(scope)} ORDER BY w.n", _RAW, sheet)
            sheet.write(b"</sheetData></worksheet>")


def _row(number: str, written: Sequence[str]) -> str:
    """Return SQL for a row; `written` are the cells behind their address."""
    parts = ", ".join(
        f"coalesce('<c r=\"{_letters(at)}' || {number} || '\"' || {cell}, '')" for at, cell in enumerate(written)
    )
    return f"'<row r=\"' || {number} || '\">' || array_to_string(ARRAY[{parts}], '') || '</row>'"


def _letters(at: int) -> str:
    letters = ""
    at += 1
    while at:
        at, rest = divmod(at - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _excel(cell: Cell) -> str:
    value = cell.value
    if cell.type == "boolean":
        return f"' t=\"b\"><v>' || CAST(CAST({value} AS integer) AS text) || '</v></c>'"
    if cell.type == "datetime":
        return _text(_iso(value))
    if cell.type == "text":
        return _text(value)
    # A number of more digits than Excel keeps is written as a text; so is what is no number.
    is_kept = f"abs({value}) < {EXCEL_WHOLE}" if cell.type == "integer" else f"abs({value}) < 1e308"
    number = f"'><v>' || CAST({value} AS text) || '</v></c>'"
    return f"CASE WHEN {is_kept} THEN {number} ELSE {_text(f'CAST({value} AS text)')} END"


#: Characters that XML can't hold become the sign for an unreadable one; line ends are written out.
_UNREADABLE = "".join(chr(code) for code in range(1, 32) if code not in {9, 10, 13})
_UNREADABLE_SQL = "E'" + "".join(f"\\x{ord(char):02x}" for char in _UNREADABLE) + "'"


def _text(value: str) -> str:
    plain = f"translate({value}, {_UNREADABLE_SQL}, '{chr(0xFFFD) * len(_UNREADABLE)}')"
    for sign, written in (("'&'", "&amp;"), ("'<'", "&lt;"), ("'>'", "&gt;"), (r"E'\n'", "&#10;"), (r"E'\r'", "&#13;")):
        plain = f"replace({plain}, {sign}, '{written}')"
    return f"' t=\"inlineStr\"><is><t xml:space=\"preserve\">' || {plain} || '</t></is></c>'"


_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_SHEET_BEGINS = f'{_XML}<worksheet xmlns="{_MAIN}"><sheetData>'.encode()
_BOOK = {
    "[Content_Types].xml": f'{_XML}<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_KIND}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_KIND}.worksheet+xml"/></Types>',
    "_rels/.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
    '<sheet name="Learners" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}


def filename(names: Sequence[str], ending: str, now: datetime) -> str:
    """Return what the file is called on people's machines: the workflow's name, the view's, and the day."""
    plain = [plain_name(name) for name in names]
    return f"{' – '.join(name for name in plain if name) or 'table'} {now:%Y-%m-%d}.{ending}"


def plain_name(name: str) -> str:
    """Return a name as a part of a file's; nothing when no sign of it may be in one."""
    return " ".join(re.sub(r'[\x00-\x1f/\\:*?"<>|]', " ", name).split()).strip(". ")[:100]


def temporary() -> IO[bytes]:
    """Return a file that is gone when it is closed."""
    return tempfile.TemporaryFile()
