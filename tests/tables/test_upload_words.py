"""What an upload says and keeps: missing values, empty sheets, guarded texts, imports that fail."""

from __future__ import annotations

import html
import io
import re
from typing import Any
from zipfile import ZipFile

import pytest
from openpyxl import Workbook

from tests.tables.conftest import Course, fields


def workbook(**sheets: list[list[Any]]) -> bytes:
    book = Workbook()
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    del book["Sheet"]
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def said(course: Course, address: str) -> str:
    page = course.browser.get(address)
    return html.unescape(course.browser.follow(page).body if page.status == 303 else page.body)


def test_missing_values_are_counted_for_each_column_before_and_after(course: Course, aws: str) -> None:
    content = "sid,total\n" + "".join(f"{n},{'' if n < 3 else n}\n" for n in range(1, 13))
    page = course.read(content)
    assert "missing for 2 of 12" in said(course, page)
    course.browser.post(f"{page}/look", fields(course.browser.follow(course.browser.get(page))))
    course.browser.post(f"{page}/check")
    course.work()
    assert "Missing in the file: “total” for 2 of 12." in said(course, page)


def test_one_empty_row_is_one(course: Course, aws: str) -> None:
    assert "1 empty row was left out." in said(course, course.read("sid,x\n1,2\n,\n3,4\n"))
    assert "2 empty rows were left out." in said(course, course.read("sid,x\n1,2\n,\n,\n3,4\n"))


def test_an_empty_sheet_is_no_dead_end(course: Course, aws: str) -> None:
    content = workbook(Notes=[["only a title"]], Marks=[["sid", "x"], [1, 2]])
    page = course.read(content, "class.xlsx")
    body = said(course, page)
    assert "The file has column names but no rows." in body
    assert "<option>Marks</option>" in body
    course.browser.post(f"{page}/read", {"sheet": "Marks"})
    course.work()
    assert "from the sheet “Marks”" in said(course, page)


def test_a_download_that_guards_texts_gives_the_same_values_when_it_is_uploaded(course: Course, aws: str) -> None:
    content = "sid,note\n1,'=1+2\n2,'@home\n3,'plain\n4,'-7\n"
    page = course.read(content)
    assert "was taken off 2 texts." in said(course, page)
    course.add(content)
    assert [row["note"] for row in course.contents()] == ["=1+2", "@home", "'plain", "'-7"]


def test_titles_above_the_column_names_are_skipped_and_told(course: Course, aws: str) -> None:
    body = said(course, course.read("Marks of 2026\nsid,x\n1,2\n"))
    assert "Above the column names the line “Marks of 2026” was skipped." in body
    assert "1 row and 2 columns" in body
    content = workbook(Marks=[["Marks of 2026", None], ["Group 3", None], ["sid", "x"], [1, 2]])
    body = said(course, course.read(content, "class.xlsx"))
    assert "Above the column names 2 lines “Marks of 2026”, “Group 3” were skipped." in body


def test_what_looks_like_a_title_can_hold_the_column_names(course: Course, aws: str) -> None:
    page = course.read("sid,,\nname,of,group\n1,2,3\n")
    assert "line “sid” was skipped" in said(course, page)
    assert "Read the file differently" in said(course, page)
    course.browser.post(f"{page}/read", {"titles": "keep"})
    course.work()
    body = said(course, page)
    assert "2 rows and 3 columns" in body
    assert "skipped" not in body.partition("What was repaired")[2].partition("</ul>")[0]
    assert re.search(r'<option value="keep" selected', course.browser.follow(course.browser.get(page)).body)


@pytest.mark.parametrize("prefix", ["", "x:"])
def test_cells_whose_formula_has_no_stored_value_are_named(course: Course, aws: str, prefix: str) -> None:
    rows = [["sid", "total", "note"], *[[f"s{n}", f"=B{n}*2" if n > 3 else n, f'="<{n}>"'] for n in range(1, 6)]]
    content = workbook(**{"Other": [["a"]], "Q & A": rows})
    if prefix:  # as other programs write the same
        content = renamed(content, prefix)
    page = course.read(content, "class.xlsx")
    course.browser.post(f"{page}/read", {"sheet": "Q & A"})
    course.work()
    body = said(course, page)
    assert "7 cells hold formulas without a stored value (C2, C3, C4, B5, C5, …) and arrive without a value." in body
    assert "save it there, and upload it again" in body
    course.browser.post(f"{page}/read", {"sheet": "Other"})
    course.work()
    assert "without a stored value" not in said(course, page)


def renamed(content: bytes, prefix: str) -> bytes:
    """The same workbook with a prefix to the names in its sheets, which means nothing."""
    out = io.BytesIO()
    with ZipFile(io.BytesIO(content)) as old, ZipFile(out, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            if name.startswith("xl/worksheets/"):
                part = re.sub(rb"<(/?)(\w)", rb"<\1" + prefix.encode() + rb"\2", part)
                part = part.replace(b"xmlns=", f"xmlns:{prefix[:-1]}=".encode())
            new.writestr(name, part)
    return out.getvalue()


def test_a_table_of_one_column_has_no_title(course: Course, aws: str) -> None:
    assert "3 rows and 1 column" in said(course, course.read("sid\n1\n2\n3\n"))


def test_an_import_that_fails_is_in_the_log(course: Course, aws: str) -> None:
    course.add("sid,name\n1,Ann\n2,Bo\n")
    page = course.read("sid,name\n7,Zoe\n", "late.csv")
    look = course.browser.follow(course.browser.get(page))
    match = course.browser.follow(course.browser.post(f"{page}/look", fields(look)))
    course.browser.post(f"{page}/match", fields(match))
    assert course.browser.post(f"{page}/check").status == 303
    names = """UPDATE ontask."column" SET allowed_values = '["Ann", "Bo"]' WHERE name = 'name'"""
    course.sql(names)  # meanwhile somebody says which names there may be
    course.work()
    detail = course.sql("SELECT detail FROM ontask.event WHERE type = 'import_failed'")
    assert (detail["name"], detail["source"]) == ("late.csv", "csv")
    assert "takes certain values only" in detail["problem"]
    assert "could not add data from “late.csv”" in said(course, f"{course.path}/log")
