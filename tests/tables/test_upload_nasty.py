"""Nasty files, each with the exact message that refuses it or the exact repair that is told."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.tables.uploads import service
from chalicelib.tables.uploads.models import READING, Upload
from chalicelib.workflows.models import Workflow

Read = Callable[..., Upload]
NO_TEXT = "This file holds no text. Save the table as CSV or Excel and upload that."
DAMAGED = "The file can't be opened as an Excel workbook; it may be damaged."
RAGGED = "Not every line has the same number of cells: the first line has 2, but {}. " \
         "Often a comma or a quote inside a cell is the reason."  # fmt: skip


def no_table(what: str) -> str:
    return f"This is {what}, not a table. Save the table as CSV or Excel and upload that."


def sheet(*rows: list[Any]) -> bytes:
    book = Workbook()
    active = book.active
    assert active is not None
    for row in rows:
        active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def archive(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr(name, "sid,name\n1,a\n")
    return stream.getvalue()


@pytest.fixture
def read(session: Session, workflow: Workflow, tmp_path: Path) -> Read:
    """Read a file and return the upload with what was understood."""

    def work(content: bytes | str, **options: Any) -> Upload:
        path = tmp_path / "file"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        upload = Upload(workflow_id=workflow.id, filename="f.csv", state=READING, created_at=clock.now(),
                        options=options)  # fmt: skip
        session.add(upload)
        session.flush()
        service.read(session, upload, path, lambda _progress, _message: None)
        return upload

    return work


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "The file is empty.", id="no bytes"),
        pytest.param(b"\r\n \t\r\n", "The file is empty.", id="blanks only"),
        pytest.param(b"\xef\xbb\xbf", "The file is empty.", id="a byte order mark only"),
        pytest.param(b"\0" * 500, "The file is empty.", id="zeros of a broken disk"),
        pytest.param(b";;;\n;;;\n", "The file is empty.", id="separators only"),
        pytest.param("sid,name", "The file has column names but no rows.", id="a header without a line end"),
        pytest.param("sid,name\n,\n , \n", "The file has column names but no rows.", id="a header and empty rows"),
        pytest.param("sid,name\n1,a\n2,b,c\n", RAGGED.format("line 3 has 3"), id="a cell too many"),
        pytest.param("sid,name\n1,a\n2\n", RAGGED.format("line 3 has 1"), id="a cell missing"),
        pytest.param("sid,name\n1,Müller, Jan\n2,b\n", RAGGED.format("line 2 has 3"), id="a comma outside quotes"),
        pytest.param("sid,name\n" + "1,2,3\n" * 9, RAGGED.format(", ".join(f"line {n} has 3" for n in range(2, 7))),
                     id="all rows ragged"),
        pytest.param('sid,name\n1,"a\n2,b\n',
                     'Line 3 can\'t be read: a quote (") opens a cell and is never closed.', id="an open quote"),
        pytest.param('sid,name\n1,"a"b\n',
                     'Line 2 can\'t be read: text follows after the closing quote (") of a cell.',
                     id="text after a quote"),
        pytest.param('"sid,name\n1,2\n', 'Line 1, with the column names, can\'t be read: a quote (") opens a cell and'
                     " is never closed.", id="an open quote in the header"),
        pytest.param('sid,essay\n1,"' + "x" * 140_000 + '\n2,"b"\n', "Line 2 can't be read: a cell is very long; is a"
                     ' closing quote (") missing?', id="a quote that swallows the file"),
        pytest.param(b"%PDF-1.7 x", no_table("a PDF document"), id="PDF"),
        pytest.param(b"\x89PNG\r\n\x1a\n", no_table("a picture"), id="PNG"),
        pytest.param(b"\xff\xd8\xff\xe0JFIF", no_table("a picture"), id="JPEG"),
        pytest.param(b"GIF89a", no_table("a picture"), id="GIF"),
        pytest.param(b"\x1f\x8b\x08\0\0", no_table("a compressed file; unpack it first"), id="gzip"),
        pytest.param(b"{\\rtf1 sid,name}", no_table("a text document"), id="RTF"),
        pytest.param(b"<!DOCTYPE html><table></table>", no_table("a web page"), id="a web page"),
        pytest.param(b"<html><table></table></html>", no_table("a web page"), id="HTML called xls"),
        pytest.param(bytes(range(1, 256)) * 40, NO_TEXT, id="random bytes"),
        pytest.param(bytes(range(256)) * 40, NO_TEXT, id="random bytes with zeros"),
        pytest.param(b"\x7fELF\x02\x01\x01" + b"\x00\x01" * 900, no_table("a program"), id="a program"),
        pytest.param(archive("class.csv"), DAMAGED, id="a zip archive"),
        pytest.param(archive("word/document.xml"), DAMAGED, id="a Word document"),
        pytest.param(sheet(["sid"], [1])[:900], DAMAGED, id="half of a workbook"),
        pytest.param(b"\xd0\xcf\x11\xe0" + b"\0" * 900, DAMAGED, id="a damaged old workbook"),
        pytest.param(sheet(), "The workbook has no cells.", id="an empty workbook"),
        pytest.param(sheet(["sid", "name"]), "The file has column names but no rows.", id="a sheet with a header only"),
        pytest.param(",".join("abc" for _ in range(401)) + "\n1\n", "The file has 401 columns; 400 are possible.",
                     id="too many columns"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_is_refused(read: Read, content: bytes | str, reason: str) -> None:
    with pytest.raises(errors.Invalid) as refused:
        read(content)
    assert refused.value.message == reason


@pytest.mark.parametrize(
    ("content", "rows", "repairs"),
    [
        pytest.param("sid,name\n1,a\n\n\n2,b\n", 2, ["2 empty lines were left out."], id="empty lines"),
        pytest.param("sid,name\n1,a,,\n2,b,\n", 2, ["Empty cells at the end of lines 2, 3 were left out."],
                     id="empty cells at the end of rows"),
        pytest.param("sid,name,,\n1,a,,\n", 1, ["Column 3 has neither a name nor a value and was left out.",
                     "Column 4 has neither a name nor a value and was left out."], id="empty columns at the end"),
        pytest.param(b"sid,name\n1,A\0na\n", 1, ["1 invisible characters (code 0) were left out."],
                     id="zeros in cells"),
        pytest.param(b"sid,name\n1,M\xfcl\x81\n", 1,
                     ["1 characters are unreadable in Windows-1252 (Western Europe) and shown as �."],
                     id="letters that Windows does not know"),
        pytest.param("\n\n,,\nsid,name\n1,a\n", 1, [], id="empty lines above the header"),
        pytest.param("\ufeffsid,name\r\n1,a\r\n2,b", 2, [], id="a byte order mark, no line end"),
        pytest.param('sid,name\n1,5" disk\n2,6" disk\n', 2, [], id="inch marks"),
        pytest.param("sid,name\r1,a\r2,b\r", 2, [], id="an old Mac"),
        pytest.param("sid,name\r\n1,a\n2,b\r\n", 2, [], id="mixed line ends"),
        pytest.param('sid,name\n1,"a\nb"\n2,c\n', 2, [], id="a line end in a cell"),
        pytest.param("sid,name\n1,\\.\n2,\\N\n", 2, [], id="marks of PostgreSQL"),
        pytest.param("sid;name\n1;a,b\n2;c,d\n", 2, [], id="commas in a file of semicolons"),
        pytest.param("sid,name\n1,=cmd|' /C calc'!A0\n", 1, [], id="a formula"),
        pytest.param("sid,name\n1,🎓 \u202eanA\n", 1, [], id="emoji and a change of direction"),
        pytest.param("sid,name\n" + "1,Ana\n" * 3, 3, [], id="one learner three times"),
        pytest.param("sid\tname\n1\ta\n".encode("utf-16"), 1, [], id="Unicode text of Excel"),
        pytest.param(sheet([], ["sid", None, "name"], [1, None, "a"], [None] * 3), 1,
                     ["Column 2 has neither a name nor a value and was left out."], id="gaps in a sheet"),
        pytest.param(sheet(["sid", "x"], [1, "#N/A"], [2, "#DIV/0!"]), 2, [], id="errors in a sheet"),
    ],
)  # fmt: skip
def test_a_file_that_can_be_repaired_is_read_and_says_what_was_done(
    read: Read, content: bytes | str, rows: int, repairs: list[str]
) -> None:
    understood = read(content).understood
    assert (understood["rows"], understood["repairs"]) == (rows, repairs)


@pytest.mark.parametrize(
    ("header", "name", "note"),
    [
        pytest.param("", "Column 2", "had no name", id="no name"),
        pytest.param("sid", "sid (2)", "another column is called “sid” too", id="the name of another"),
        pytest.param("a 'b'", "a ’b’", "quotes in the name became curly ones", id="quotes"),
        pytest.param("__row", "row", "underscores at the beginning of the name were left out", id="underscores"),
        pytest.param("n" * 256, "n" * 254 + "…", "the name had 256 characters and was cut", id="a long name"),
    ],
)
def test_a_header_that_can_not_stay_is_repaired_and_marked(read: Read, header: str, name: str, note: str) -> None:
    column = read(f"sid,{header}\n1,x\n").understood["columns"][1]
    assert (column["name"], column["notes"]) == (name, [note])


@pytest.mark.parametrize(
    ("values", "kind", "note"),
    [
        pytest.param(["007", "12"], "text", "leading zeros kept", id="leading zeros"),
        pytest.param(["1234567890123456", "1234567890123457"], "text", "long numbers kept digit by digit", id="long"),
        pytest.param(["1,5", "2,5"], "text", "looks like numbers with decimal commas; say so under “Read as” to"
                     " calculate with them", id="decimal commas"),
        pytest.param(["85%", "9%"], "text", "looks like percentages; say so under “Read as” to calculate with them",
                     id="percentages"),
        pytest.param(["01/02/2026", "03/04/2026"], "text",
                     "looks like dates; say under “Read as” whether the day or the month comes first",
                     id="either date"),
        pytest.param(["01/31/2026", "03/04/2026"], "text",
                     "dates with the month first; choose that under “Read as” to use them as dates", id="month first"),
        pytest.param(["2026-01-05 10:00", "2026-01-06"], "datetime", "times without an offset are read as those of UTC",
                     id="times without a zone"),
        pytest.param(["5", "n/a"], "text", "values but for “n/a”; say under “Read the file differently” that this means"
                     " empty", id="words for nothing"),
    ],
)  # fmt: skip
def test_a_column_that_looks_like_something_else_says_so(
    read: Read, values: list[str], kind: str, note: str
) -> None:  # fmt: skip
    rows = "".join(f'r{number},"{value}"\n' for number, value in enumerate(values))
    column = read(f"sid,x\n{rows}").understood["columns"][1]
    assert (column["kind"], column["notes"]) == (kind, [note])
