"""Files as people have them: every encoding, separator, accident and Excel habit."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.accounts.models import User
from chalicelib.tables import queries
from chalicelib.tables.uploads import service
from chalicelib.tables.uploads.models import READING, Upload
from chalicelib.workflows.models import Workflow
from tests.conftest import real_file

Read = Callable[..., Upload]
Import = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def read(session: Session, user: User, workflow: Workflow, tmp_path: Path) -> Read:
    """Read a file and return the upload, ready for people's choices."""

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


@pytest.fixture
def load(session: Session, user: User, workflow: Workflow, tmp_path: Path) -> Import:
    """Import a file and return the table's rows by the columns' names."""

    def work(content: bytes | str, **options: Any) -> list[dict[str, Any]]:
        path = tmp_path / "class.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        service.import_file(session, workflow, user.id, path, **options)
        columns = queries.columns(session, workflow.id)
        shown = ", ".join(f'c{column.id} AS "{column.name}"' for column in columns)
        rows = session.execute(text(f"SELECT {shown} FROM learners.w{workflow.id} ORDER BY row_id"))
        return [dict(row) for row in rows.mappings()]

    return work


def kinds(upload: Upload) -> dict[str, str]:
    return {column["name"]: column["kind"] for column in upload.understood["columns"]}


def notes(upload: Upload, name: str) -> list[str]:
    return next(column["notes"] for column in upload.understood["columns"] if column["name"] == name)


@pytest.mark.parametrize(
    ("encoding", "mark", "understood"),
    [
        ("utf-8", b"", "utf-8"),
        ("utf-8", b"\xef\xbb\xbf", "utf-8"),
        ("cp1252", b"", "cp1252"),
        ("utf-16-le", b"\xff\xfe", "utf-16-le"),
        ("utf-16-be", b"\xfe\xff", "utf-16-be"),
        ("utf-16-le", b"", "utf-16-le"),
        ("utf-16-be", b"", "utf-16-be"),
    ],
)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_encodings_and_separators_are_found_out(
    read: Read, encoding: str, mark: bytes, understood: str, separator: str
) -> None:
    lines = [["sid", "Größe", "note"], ["1", "Müller", "a"], ["2", "Ó Brien", "b"]]
    content = mark + "\r\n".join(separator.join(line) for line in lines).encode(encoding)
    upload = read(content)
    assert list(kinds(upload)) == ["sid", "Größe", "note"]
    assert upload.understood["encoding"] == understood
    assert upload.understood["delimiter"] == separator
    assert upload.understood["sample"] == lines[1:]


def test_a_separator_inside_quotes_is_not_one(load: Import) -> None:
    rows = load('sid;name;mark\n1;"Müller; Jan";5\n2;"said ""hi""";6\n')
    assert [row["name"] for row in rows] == ["Müller; Jan", 'said "hi"']


def test_a_cell_may_hold_several_lines(load: Import) -> None:
    rows = load('sid,note\n1,"first\nsecond"\n2,b\n')
    assert [row["note"] for row in rows] == ["first\nsecond", "b"]


def test_an_inch_mark_does_not_join_rows(load: Import) -> None:
    rows = load('sid,what,who\n1,5" disk,a\n2,6" disk,b\n3,7",c\n4,8",d\n')
    assert [(row["sid"], row["what"], row["who"]) for row in rows] == [
        (1, '5" disk', "a"), (2, '6" disk', "b"), (3, '7"', "c"), (4, '8"', "d"),
    ]  # fmt: skip


def test_a_mixture_of_line_ends_is_read(load: Import) -> None:
    assert len(load("sid,a\r\n1,x\n2,y\r\n3,z")) == 3


def test_line_ends_of_an_old_mac_are_read(load: Import) -> None:
    assert [row["a"] for row in load("sid,a\r1,x\r2,y\r")] == ["x", "y"]


def test_the_end_mark_of_postgres_is_a_text_like_any_other(load: Import) -> None:
    rows = load("name\na\n\\.\nb\n")
    assert [row["name"] for row in rows] == ["a", "\\.", "b"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "The file is empty."),
        (b"\n \n\t\n", "The file is empty."),
        (b"sid,name\n", "The file has column names but no rows."),
        (b"sid,name\n,\n,\n", "The file has column names but no rows."),
        (b"sid,name\n1,a\n2,b,c\n3,d\n4\n", "the first line has 2, but line 3 has 3, line 5 has 1"),
        (b'sid,name\n1,"a\n2,b\n', 'a quote (") opens a cell and is never closed'),
        (b'sid,name\n1,"a"b\n2,c"\n', "Line 2 can't be read: text follows after the closing quote (\")"),
        (b"%PDF-1.7\n%\xe2\xe3", "This is a PDF document, not a table."),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "This is a picture, not a table."),
        (bytes(range(256)) * 40, "This file holds no text."),
        (b"PK\x03\x04" + b"\x00" * 200, "The file can't be opened as an Excel workbook"),
        (",".join(f"c{n}" for n in range(500)).encode() + b"\n", "The file has 500 columns; 400 are possible."),
    ],
)
def test_what_is_no_table_is_refused_with_the_reason(read: Read, content: bytes, reason: str) -> None:
    with pytest.raises(errors.Invalid) as refused:
        read(content)
    assert reason in refused.value.message


def test_empty_lines_and_cells_beyond_the_header_are_left_out_and_told(read: Read) -> None:
    upload = read("sid,name\n1,a\n\n2,b,,\n,\n")
    assert upload.understood["rows"] == 2
    assert upload.understood["repairs"] == [
        "2 empty lines were left out.",
        "Empty cells at the end of lines 4 were left out.",
    ]


def test_rows_of_separators_only_are_left_out_and_told(read: Read) -> None:
    upload = read("sid,name\n1,a\n,\n2,b\n")
    assert upload.understood["rows"] == 2
    assert upload.understood["repairs"] == ["1 empty row was left out."]


def test_invisible_zeros_are_left_out_and_told(load: Import, read: Read) -> None:
    content = b"sid,name\n1,A\x00na\n2,Ben\n"
    assert read(content).understood["repairs"] == ["1 invisible characters (code 0) were left out."]
    assert load(content)[0]["name"] == "Ana"


def test_letters_that_windows_does_not_know_are_told(read: Read) -> None:
    upload = read(b"sid,name\n1,M\xfcller\n2,\x81\n")
    assert upload.understood["repairs"] == [
        "1 characters are unreadable in Windows-1252 (Western Europe) and shown as �."
    ]


def test_headers_become_names_that_can_be_used_and_repairs_are_told(read: Read) -> None:
    long = "x" * 300
    upload = read(f'sid,,sid,"a ""b""",__x,50 %,{{{{ name }}}},🎓,{long},"two\nlines"\n1,2,3,4,5,6,7,8,9,10\n')
    names = [column["name"] for column in upload.understood["columns"]]
    assert names == [
        "sid", "Column 2", "sid (2)", "a ”b”", "x", "50 %", "{{ name }}", "🎓", "x" * 254 + "…", "two lines"
    ]  # fmt: skip
    assert notes(upload, "Column 2") == ["had no name"]
    assert notes(upload, "sid (2)") == ["another column is called “sid” too"]
    assert notes(upload, "a ”b”") == ["quotes in the name became curly ones"]
    assert notes(upload, "x" * 254 + "…") == ["the name had 300 characters and was cut"]


def test_odd_headers_get_through_to_the_table(load: Import) -> None:
    rows = load("sid,50 %,{{ name }},a'b,;--,🎓\n1,2,3,4,5,6\n")
    assert rows == [{"sid": 1, "50 %": 2, "{{ name }}": 3, "a’b": 4, ";--": 5, "🎓": 6}]


def test_a_column_without_name_and_value_is_left_out(read: Read) -> None:
    upload = read("sid,name,,\n1,a,,\n2,b,,\n")
    assert list(kinds(upload)) == ["sid", "name"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2"], "integer"),
        (["1", ""], "integer"),
        (["-5", "0"], "integer"),
        (["00123", "00456"], "text"),
        (["1234567890123456", "2"], "text"),
        (["1.5", "2"], "double"),
        (["1.5", ""], "double"),
        (["300773633.0", "315500979.0"], "integer_decimals"),
        (["1.5", "2e3"], "double"),
        (["1e5", "2e3"], "text"),
        (["NaN", "1"], "text"),
        (["inf", "1.5"], "text"),
        (["1_000", "2"], "text"),
        (["0x1F", "2"], "text"),
        (["1,234", "5,678"], "text"),
        (["true", "FALSE"], "boolean"),
        (["True", ""], "boolean"),
        (["yes", "no"], "text"),
        (["2026-03-01", "2026-12-31"], "datetime"),
        (["2026-03-01 10:30", "2026-03-01T10:30:00Z"], "datetime"),
        (["2026-02-30", "2026-01-01"], "text"),
        (["10:30", "11:45"], "text"),
        (["10-11-12", "01-02-03"], "text"),
        (["2024Q1", "2024Q2"], "text"),
        (["31/12/2026", "01/02/2026"], "text"),
        (["NA", "None"], "text"),
        (["", ""], "double"),
        ([" 5 ", "\u00a07"], "integer"),
        (["99999999999999999999999", "1"], "text"),
        (["1e999", "1.5"], "text"),
    ],
)
def test_types_are_what_people_mean(read: Read, values: list[str], kind: str) -> None:
    lines = "".join(f'"k{number}","{value}"\n' for number, value in enumerate(values))
    assert kinds(read(f"id,value\n{lines}"))["value"] == kind


@pytest.mark.parametrize(
    ("usual", "odd", "kind"),
    [
        ("7", "n/a", "text"), ("7", "7.5", "double"), ("7", "007", "text"), ("7", "NaN", "text"), ("7", "1_0", "text"),
        ("7", "0x1F", "text"), ("7", "7-", "text"), ("7.0", "7.5", "double"), ("1.5", "1.5.2", "text"),
        ("1.5", "Infinity", "text"), ("true", "yes", "text"), ("2026-01-01", "tomorrow", "text"),
        ("2026-01-01", "2026-13-01", "text"), ("", "word", "text"), ("", "7", "integer"),
        ("7", "1234567890123456", "text"),
    ],
)  # fmt: skip
def test_a_row_beyond_the_sample_refutes_the_guess(read: Read, usual: str, odd: str, kind: str) -> None:
    rows = [usual] * 1000
    rows[800] = odd
    content = "id,value\n" + "".join(f"k{number},{value}\n" for number, value in enumerate(rows))
    assert kinds(read(content))["value"] == kind


def test_blanks_and_odd_looks_are_told_on_their_column(read: Read) -> None:
    upload = read('sid,zip,share,when,sum\n1,01234,85%,31/12/2026,"1,000"\n2,04321,90%,01/12/2026,"2,000"\n3,,,,\n')
    assert notes(upload, "zip") == ["leading zeros kept", "missing for 1 of 3"]
    assert notes(upload, "share")[0].startswith("looks like percentages")
    assert notes(upload, "when")[0].startswith("dates with the day first")
    assert notes(upload, "sum")[0].startswith("looks like numbers with thousands separators")
    assert upload.choices["columns"]["1"]["key"] is True


def test_what_looks_odd_can_be_read_as_it_is_meant(load: Import) -> None:
    rows = load(
        'sid,share,us,eu,sum,comma,ok,zip\n1,85%,12/31/2026,31.12.2026,"1,000.5","1.000,5",yes,007\n',
        read_as={
            "share": "double_percent", "us": "datetime_month", "eu": "datetime_day", "sum": "double_grouped",
            "comma": "double_comma", "ok": "boolean_words", "zip": "integer",
        },
    )  # fmt: skip
    new_year = datetime(2026, 12, 31, tzinfo=UTC)
    assert rows == [
        {"sid": 1, "share": 85, "us": new_year, "eu": new_year, "sum": 1000.5, "comma": 1000.5, "ok": True, "zip": 7}
    ]


def test_times_are_local_to_the_workflow(load: Import, workflow: Workflow) -> None:
    workflow.time_zone = "Europe/Madrid"
    rows = load("sid,at\n1,2026-07-01 12:00\n2,2026-07-01T12:00:00Z\n")
    assert [row["at"].astimezone(UTC).hour for row in rows] == [10, 12]


def test_keys_are_found_and_reasons_given(read: Read) -> None:
    upload = read("sid,email,name,mark\n1,a@x.example,Ana,5\n1,b@x.example,Ben,6\n2,,Cleo,7\n")
    unique = {column["name"]: column["unique"] for column in upload.understood["columns"]}
    assert unique == {"sid": False, "email": True, "name": True, "mark": True}
    assert "“1” is in 2 rows, so this can't tell learners apart" in notes(upload, "sid")


def test_texts_too_long_for_an_index_are_no_keys(read: Read) -> None:
    import random

    chance = random.Random(1)
    essays = ["".join(chance.choices("abcdefghij klmnop", k=9000)) for _ in range(3)]
    upload = read("essay,n\n" + "".join(f"{essay},{number % 2}\n" for number, essay in enumerate(essays)))
    assert not any(column["unique"] for column in upload.understood["columns"])
    assert upload.choices["add_number"] is True


def test_without_a_key_the_learners_are_numbered(load: Import, session: Session, workflow: Workflow) -> None:
    rows = load("name,mark\nAna,1\nAna,2\nBen,1\nBen,2\n")
    assert [row["Number"] for row in rows] == [1, 2, 3, 4]
    assert [column.name for column in queries.columns(session, workflow.id) if column.is_key] == ["Number"]


def test_rows_without_a_value_in_the_key_are_left_out(load: Import) -> None:
    rows = load("sid,email\n1,a@x.example\n2,\n3,c@x.example\n", keys=["email"])
    assert [row["sid"] for row in rows] == [1, 3]


def workbook(*sheets: tuple[str, list[list[Any]]]) -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    for title, rows in sheets:
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def test_an_excel_sheet_is_read_with_whole_numbers_and_dates(load: Import) -> None:
    half_past_ten = datetime.fromisoformat("2026-03-01T10:30")
    rows = load(
        workbook(
            ("Class", [
                ["sid", "mark", "born", "seen", "at", "ok", "zip"],
                [300773633, 7.5, date(2001, 2, 3), half_past_ten, time(10, 30), True, "007"],
                [None] * 7,
                [300773634, 8, date(2002, 2, 3), datetime.fromisoformat("2026-03-01"), time(11, 30), False, "008"],
            ])
        )
    )  # fmt: skip
    assert rows[0] == {
        "sid": 300773633, "mark": 7.5, "born": datetime(2001, 2, 3, tzinfo=UTC),
        "seen": datetime(2026, 3, 1, 10, 30, tzinfo=UTC), "at": "10:30", "ok": True, "zip": "007",
    }  # fmt: skip
    assert len(rows) == 2


def test_another_sheet_can_be_chosen(read: Read) -> None:
    content = workbook(("Cover", []), ("One", [["sid"], [1]]), ("Two", [["sid", "x"], [1, 2], [3, 4]]))
    upload = read(content)
    assert upload.understood["sheets"] == ["Cover", "One", "Two"]
    assert upload.understood["sheet"] == "One"
    upload = read(content, sheet="Two")
    assert upload.understood["rows"] == 2


def test_an_empty_workbook_is_refused(read: Read) -> None:
    with pytest.raises(errors.Invalid, match="no cells"):
        read(workbook(("Cover", [])))


@pytest.mark.parametrize(
    "name",
    ["all_data", "blended_participation", "forum_participation", "midterm_answers", "midterm_results", "moodle_grades",
     "student_list", "FakeNameGenerator.com_adbc811b", "project_rubric"],
)  # fmt: skip
def test_the_files_of_the_tutorial_are_read(session: Session, user: User, workflow: Workflow, name: str) -> None:
    result = service.import_file(session, workflow, user.id, real_file(f"tutorial/{name}.csv"))
    assert result["rows"] == workflow.row_count
    keys = [column.name for column in queries.columns(session, workflow.id) if column.is_key]
    assert keys
    assert set(keys) <= {"SID", "Identifier", "email", "Email address", "Number"}


def test_a_cell_of_a_hundred_thousand_letters_is_kept(load: Import) -> None:
    rows = load(f"sid,essay\n1,{'x' * 100_000}\n")
    assert len(rows[0]["essay"]) == 100_000
