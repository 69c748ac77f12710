"""What people say under "Read the file differently"."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.accounts.models import User
from chalicelib.tables import queries
from chalicelib.tables.uploads import plan, service
from chalicelib.tables.uploads.models import READING, Upload
from chalicelib.workflows.models import Workflow
from tests.tables.conftest import Course, fields, problems

Load = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def load(session: Session, user: User, workflow: Workflow, tmp_path: Path) -> Load:
    """Read a file in a certain way and import it with what is proposed; return the table's rows."""

    def work(content: bytes | str, **options: Any) -> list[dict[str, Any]]:
        path = tmp_path / "file"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        upload = Upload(workflow_id=workflow.id, user_id=user.id, filename="f.csv", state=READING,
                        created_at=clock.now(), options=options)  # fmt: skip
        session.add(upload)
        session.flush()
        service.read(session, upload, path, lambda _progress, _message: None)
        upload.choices = plan.first_choices(upload.understood)
        service.carry_out(session, upload)
        columns = queries.columns(session, workflow.id)
        shown = ", ".join(f'c{column.id} AS "{column.name}"' for column in columns)
        rows = session.execute(text(f"SELECT {shown} FROM learners.w{workflow.id} ORDER BY row_id"))
        return [dict(row) for row in rows.mappings()]

    return work


@pytest.mark.parametrize("separator", ["#", "~", "§"])
def test_any_character_may_separate_the_cells(load: Load, separator: str) -> None:
    content = "\n".join(separator.join(row) for row in [["sid", "name"], ["1", "Ana, B."], ["2", "Ben"]])
    assert load(content, delimiter=separator) == [{"sid": 1, "name": "Ana, B."}, {"sid": 2, "name": "Ben"}]


def test_single_quotes_may_stand_around_cells(load: Load) -> None:
    assert load("sid,name\n1,'Müller, Jan'\n2,'say \"hi\"'\n", quote="'")[0]["name"] == "Müller, Jan"


def test_quotes_may_mean_nothing(load: Load) -> None:
    rows = load('sid;name\n1;"A\n2;B"\n', quote="none", delimiter=";")
    assert [row["name"] for row in rows] == ['"A', 'B"']


def test_latin_1_can_be_asked_for(load: Load) -> None:
    assert load("sid,name\n1,Müller\n".encode("latin-1"), encoding="latin-1")[0]["name"] == "Müller"


def test_decimal_commas_and_their_thousands_are_numbers_when_people_say_so(load: Load) -> None:
    rows = load("sid;mark;share;big;zip\n1;7,5;8,5%;1.234,5;00123\n2;8;90%;999;00124\n", decimal=",")
    assert rows[0] == {"sid": 1, "mark": 7.5, "share": 8.5, "big": 1234.5, "zip": "00123"}


def test_thousands_commas_and_percents_are_numbers_when_people_say_so(load: Load) -> None:
    rows = load('sid,big,share\n1,"1,234.5",85%\n2,12,9.5%\n', decimal=".")
    assert rows[0] == {"sid": 1, "big": 1234.5, "share": 85}


@pytest.mark.parametrize(("first", "month", "day"), [("day", 4, 3), ("month", 3, 4)])
def test_the_order_of_day_and_month_is_what_people_say(load: Load, first: str, month: int, day: int) -> None:
    rows = load("sid,at\n1,03/04/2026 10:00\n2,05/06/2026 11:00\n", dates=first)
    assert rows[0]["at"] == datetime(2026, month, day, 10, tzinfo=UTC)


def test_a_date_that_does_not_exist_in_this_order_leaves_texts(load: Load) -> None:
    assert load("sid,at\n1,03/04/2026\n2,25/06/2026\n", dates="month")[0]["at"] == "03/04/2026"


def test_times_are_those_of_the_chosen_zone(load: Load) -> None:
    rows = load("sid,at\n1,2026-01-05 10:00\n2,2026-01-05T10:00:00Z\n", time_zone="Australia/Sydney")
    assert [row["at"] for row in rows] == [
        datetime(2026, 1, 4, 23, tzinfo=UTC), datetime(2026, 1, 5, 10, tzinfo=UTC),
    ]  # fmt: skip


def test_only_empty_cells_are_empty_unless_people_name_words(load: Load) -> None:
    rows = load("sid,mark,name\n1,NA,None\n2,5,Ben\n3,n/a,NA\n", missing=["NA", "N/A"])
    assert [row["mark"] for row in rows] == [None, 5, None]
    assert [row["name"] for row in rows] == ["None", "Ben", None]


def test_words_between_numbers_are_pointed_out(course: Course, aws: str) -> None:
    page = course.read("sid,mark\n1,-\n2,5\n3,6.5\n")
    look = course.browser.follow(course.browser.get(page))
    assert "values but for “-”; say under “Read the file differently” that this means empty" in look.body
    course.browser.post(f"{page}/read", {"missing": "-"})
    course.work()
    course.browser.post(f"{page}/look", fields(course.browser.follow(course.browser.get(page))))
    course.browser.post(f"{page}/check")
    course.work()
    assert [row["mark"] for row in course.contents()] == [None, 5, 6.5]


def test_lines_above_and_below_are_skipped(load: Load) -> None:
    content = "Report of today\n\nsid,name\n1,Ana\n2,Ben\nTotal,2\nprinted by us\n\n"
    assert [row["sid"] for row in load(content, skip=1, skip_end=2)] == [1, 2]


def test_skipping_all_lines_is_refused(load: Load) -> None:
    with pytest.raises(errors.Invalid, match="Nothing is left"):
        load("sid\n1\n", skip_end=9)


def workbook(rows: list[list[Any]]) -> bytes:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


TITLED = [["Class of today"], [], [None, "sid", "name"], [None, 1, "Ana"], [None, 2, "Ben"], [None, "Sum", 2]]


@pytest.mark.parametrize("options", [{"area": "B3:C5"}, {"area": "b3", "skip_end": 1}, {"skip": 2, "skip_end": 1}])
def test_a_part_of_a_sheet_is_read(load: Load, options: dict[str, Any]) -> None:
    assert load(workbook(TITLED), **options) == [{"sid": 1, "name": "Ana"}, {"sid": 2, "name": "Ben"}]


@pytest.mark.parametrize(
    ("area", "reason"),
    [
        ("B", "“B” is no range of cells"),
        ("C5:B3", "holds no cells"),
        ("A0", "holds no cells"),
        ("Z90", "There are no cells"),
    ],
)
def test_a_range_that_is_none_is_refused(load: Load, area: str, reason: str) -> None:
    with pytest.raises(errors.Invalid, match=reason):
        load(workbook(TITLED), area=area)


def test_a_sheet_that_is_not_there_is_refused_with_those_that_are(load: Load) -> None:
    with pytest.raises(errors.Invalid, match=r"There is no sheet “Marks”\. The workbook has: Sheet\."):
        load(workbook(TITLED), sheet="Marks")


def test_numbers_formatted_as_text_stay_text(load: Load) -> None:
    assert load(workbook([["sid", "phone"], [1, "4155550100"], [2, "4155550101"]]))[0]["phone"] == "4155550100"


def test_an_old_excel_file_is_read(load: Load) -> None:
    rows = load((Path(__file__).parent / "files" / "class.xls").read_bytes())
    assert rows[0] == {"sid": 300773633, "mark": 7.5, "born": datetime(2001, 2, 3, tzinfo=UTC), "zip": "007"}
    assert [row["zip"] for row in rows] == ["007", "123"]


def test_a_formula_is_the_value_that_the_workbook_keeps_for_it(load: Load) -> None:
    content, changed = workbook([["sid", "sum"], [1, 4711], [2, 4712]]), io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            if name.endswith("sheet1.xml"):
                part = part.replace(b"<v>4711</v>", b"<f>SUM(A2:A3)</f><v>4711</v>")
                assert b"<f>" in part
            new.writestr(name, part)
    assert [row["sum"] for row in load(changed.getvalue())] == [4711, 4712]


def test_what_makes_no_sense_is_said_beside_the_field(course: Course, aws: str) -> None:
    page = course.read("sid,name\n1,Ana\n2,Ben\n")
    refused = course.browser.post(f"{page}/read", {"delimiter_other": "ab"})
    assert refused.status == 422
    assert "Type the one character that stands between the cells." in problems(refused)
    page = course.read(workbook(TITLED[2:]), "class.xlsx")
    refused = course.browser.post(f"{page}/read", {"area": "nonsense"})
    assert any("is no range of cells" in message for message in problems(refused))


def test_the_closest_columns_are_named_when_none_is_a_key(course: Course, aws: str) -> None:
    page = course.read("name,room\nAna,A\nBen,A\nAna,B\n,B\n")
    look = course.browser.follow(course.browser.get(page))
    assert "No column tells the learners apart" in look.body
    assert "“name”: 1 row without a value, 1 row with the value of another" in look.body
    assert fields(look)["add_number"] == "1"
