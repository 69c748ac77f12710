"""What people choose under Match: several keys, ways to compare them, a rule for each column; what is remembered."""

from __future__ import annotations

import csv
import html
import io
import re
from typing import Any

import pytest

from chalicelib import clock, database
from chalicelib.actions.rubrics.models import Criterion
from chalicelib.actions.surveys.models import Question
from chalicelib.tables import queries
from chalicelib.tables.uploads import service, steps
from chalicelib.tables.uploads.models import Upload
from chalicelib.workflows.models import Workflow
from tests.conftest import Page
from tests.factories import make_action
from tests.tables.conftest import Course, fields, problems

EXISTING = "k,v\n1,a\n2,b\n3,c\n4,b\n"
NEW = "k,v,w\n3,z,1\n4,,2\n5,y,3\n"
LEFT = [(1, "a", None), (2, "b", None), (3, "z", 1), (4, "b", 2)]
WAYS = [
    ("inner", LEFT[2:]), ("left", LEFT), ("right", [*LEFT[2:], (5, "y", 3)]), ("outer", [*LEFT, (5, "y", 3)]),
    ("append", [(1, "a", None), (2, "b", None), (3, "c", None), (4, "b", None), (5, "y", 3)]),
]  # fmt: skip


def rows(course: Course) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in course.contents()]


def match_page(course: Course, content: str, name: str = "more.csv") -> tuple[str, Page]:
    page = course.read(content, name)
    look = course.browser.follow(course.browser.get(page))
    return page, course.browser.follow(course.browser.post(f"{page}/look", fields(look)))


def check(course: Course, page: str, match: Page, **choices: Any) -> Page:
    answer = course.browser.post(f"{page}/match", {**fields(match), **choices})
    assert answer.status == 303, problems(answer)
    return course.browser.follow(answer)


def confirm(course: Course, page: str, **ticks: Any) -> None:
    answer = course.browser.post(f"{page}/check", {"may_drop": "1", **ticks})
    assert answer.status == 303, problems(answer)
    course.work()


def column_id(course: Course, name: str) -> int:
    with database.scope() as session:
        return next(column.id for column in queries.columns(session, course.workflow_id) if column.name == name)


@pytest.mark.parametrize(("way", "expected"), WAYS)
def test_the_worked_example_in_the_wizard(course: Course, aws: str, way: str, expected: Any) -> None:
    course.add(EXISTING)
    course.add(NEW, "new.csv", rows=way)
    assert rows(course) == expected


@pytest.mark.parametrize(("way", "expected"), WAYS)
def test_the_worked_example_in_a_job(course: Course, aws: str, way: str, expected: Any) -> None:
    course.add(EXISTING)
    page = course.read(NEW, "new.csv")
    with database.scope() as session:
        upload = service.get(session, course.workflow_id, int(page.rpartition("/")[2]))
        steps.choose_columns(session, upload, upload.choices["columns"], add_number=False)
        steps.choose_match(session, upload, {"rows": way})
        steps.confirm(session, course.user_id, upload, may_drop=True)
    course.work()
    assert rows(course) == expected


def test_each_column_has_its_own_rule(course: Course, aws: str) -> None:
    course.add("k,keep,erase,fill,skip\n1,a,b,c,d\n2,a,b,,d\n")
    page, match = match_page(course, "k,keep,erase,fill,skip\n1,,,C,D\n2,A,B,C,D\n")
    check(course, page, match, **{"rule-2": "keep", "rule-3": "erase", "rule-4": "fill", "target-5": "-1"})
    confirm(course, page)
    assert rows(course) == [(1, "a", None, "c", "d"), (2, "A", "B", "C", "d")]


def test_two_columns_together_recognise_learners(course: Course, aws: str) -> None:
    course.add("id,course,no,mark\n1,bio,1,5\n2,bio,2,6\n3,chem,1,7\n")
    page, match = match_page(course, "course,no,mark\nbio,1,50\nchem,1,70\nchem,9,90\n")
    pair = {
        "key_number": "1", "key_column": column_id(course, "course"), "key_number-2": "2",
        "key_column-2": column_id(course, "no"), "rows": "left",
    }  # fmt: skip
    shown = check(course, page, match, **pair)
    assert "bio / 1" in shown.body
    confirm(course, page)
    assert rows(course) == [(1, "bio", 1, 50), (2, "bio", 2, 6), (3, "chem", 1, 70)]


def test_columns_that_do_not_tell_learners_apart_together_are_refused(course: Course, aws: str) -> None:
    course.add("id,course,no\n1,bio,1\n2,bio,1\n")
    page, match = match_page(course, "course,no\nbio,1\nchem,1\n")
    pair = {
        "key_number": "1", "key_column": column_id(course, "course"), "key_number-2": "2",
        "key_column-2": column_id(course, "no"),
    }  # fmt: skip
    refused = course.browser.post(f"{page}/match", {**fields(match), **pair})
    expected = "“course” and “no” of the table would not tell learners apart: it has “bio / 1” 2 times."
    assert problems(refused)[0] == expected


@pytest.mark.parametrize(
    ("existing", "new", "choice"),
    [
        ("email,v\nAnn@Uni.example,1\nBen@Uni.example,2\n", "email,v\nann@uni.example,10\nBEN@uni.example,20\n",
         "ignore_case"),
        ("email,v\n00123,1\nx7,2\n", "email,v\n123,10\nx7,20\n", "as_numbers"),
    ],
)  # fmt: skip
def test_keys_that_are_written_differently_are_offered_and_recognised(
    course: Course, aws: str, existing: str, new: str, choice: str
) -> None:
    course.add(existing)
    before = [row[0] for row in rows(course)]
    page, match = match_page(course, new)
    shown = check(course, page, match)
    if choice == "ignore_case":
        assert "2 rows would be recognised if large and small letters and leading zeros did not matter" in shown.body
    check(course, page, match, **{choice: "1"})
    confirm(course, page)
    assert rows(course) == [(before[0], 10), (before[1], 20)]


def test_two_learners_who_differ_only_by_case_are_refused_then(course: Course, aws: str) -> None:
    course.add("email,v\nAnn@uni.example,1\nann@uni.example,2\n")
    page, match = match_page(course, "email,v\nAnn@uni.example,5\n")
    refused = course.browser.post(f"{page}/match", {**fields(match), "ignore_case": "1"})
    assert problems(refused) == [
        "“email” of the table would not tell learners apart: it has “ann@uni.example” 2 times."
    ]


def test_a_key_of_another_name_may_also_be_a_column_of_its_own(course: Course, aws: str) -> None:
    course.add(EXISTING)
    page, match = match_page(course, "student,v\n3,z\n9,n\n")
    check(course, page, match, key_number="1", key_column=column_id(course, "k"), own_key="1")
    confirm(course, page)
    assert rows(course) == [(1, "a", None), (2, "b", None), (3, "z", 3), (4, "b", None), (9, "n", 9)]
    page, match = match_page(course, "student,v\n4,q\n", "other.csv")
    check(course, page, match, key_number="1", key_column=column_id(course, "k"), own_key="1")
    confirm(course, page)
    assert rows(course)[3] == (4, "q", 4)


def test_every_change_can_be_downloaded(course: Course, aws: str) -> None:
    course.add("k,v\n1,a\n2,b\n3,=SUM(A1)\n")
    page, match = match_page(course, "k,v\n2,B\n3,c\n4,-5\n")
    shown = check(course, page, match, rows="right")
    assert "Download every change" in shown.body
    answer = course.browser.get(f"{page}/detail")
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert list(csv.reader(io.StringIO(answer.body.removeprefix("\ufeff")))) == [
        ["Learner", "What", "Column", "Before", "Afterwards"], ["4", "new learner", "", "", ""],
        ["1", "removed", "", "", ""], ["2", "changed", "v", "b", "B"], ["3", "changed", "v", "'=SUM(A1)", "c"],
    ]  # fmt: skip
    assert rows(course)[0] == (1, "a")


def test_a_new_column_that_was_ticked_becomes_a_key_when_it_can_be_one(course: Course, aws: str) -> None:
    course.add("sid,name\n1,Ana\n2,Ben\n")
    course.add("sid,email\n1,a@uni.example\n2,b@uni.example\n", "mail.csv")
    with database.scope() as session:
        keys = [column.name for column in queries.columns(session, course.workflow_id) if column.is_key]
    assert keys == ["sid", "email"]


def test_what_was_chosen_is_proposed_for_the_next_file_of_this_source(course: Course, aws: str) -> None:
    course.add("sid;name\n1;Ana\n2;Ben\n")
    page = course.read("printed\nstudent;points;junk\n1;7,5;x\n2;8;y\n", "marks 2026-03-02.csv")
    course.browser.post(f"{page}/read", {"skip": "1", "decimal": ","})
    course.work()
    look = fields(course.browser.follow(course.browser.get(page)))
    look.pop("load-3")
    match = course.browser.follow(course.browser.post(f"{page}/look", {**look, "name-2": "Quiz", "kind-1": "text"}))
    check(course, page, match, key_number="1", key_column=column_id(course, "sid"), rows="left", wins="erase",
          ignore_case="1")  # fmt: skip
    confirm(course, page)
    again = course.read("printed\nstudent;points;junk\n1;9,5;x\n3;8;y\n", "marks 2026-03-09 (1).csv")
    look = course.browser.follow(course.browser.get(again))
    assert "as you chose them for “marks 2026-03-02.csv”" in look.body
    shown = fields(look)
    assert (shown["name-2"], shown["kind-1"], "load-3" in shown) == ("Quiz", "text", False)
    match = course.browser.follow(course.browser.post(f"{again}/look", shown))
    proposed = fields(match)
    assert (proposed["rows"], proposed["wins"], proposed["ignore_case"]) == ("left", "erase", "1")
    assert (proposed["key_number"], proposed["key_column"]) == ("1", str(column_id(course, "sid")))
    check(course, again, match)
    confirm(course, again)
    assert rows(course) == [(1, "Ana", 9.5), (2, "Ben", 8.0)]


def test_a_file_that_is_not_like_the_last_one_is_read_as_it_is(course: Course, aws: str) -> None:
    page = course.read("printed\nsid,name\n1,Ana\n2,Ben\n", "class.csv")
    course.browser.post(f"{page}/read", {"skip": "1"})
    course.work()
    course.browser.post(f"{page}/look", fields(course.browser.follow(course.browser.get(page))))
    course.browser.post(f"{page}/check")
    course.work()
    again = course.read("sid,name\n", "class.csv")
    assert "The file has column names but no rows." in course.browser.get(again).body
    again = course.read("sid\n3\n", "class.csv")
    assert "1 row and 1 column" in course.browser.follow(course.browser.get(again)).body


def test_a_failed_import_keeps_what_was_read_for_another_try(course: Course, aws: str) -> None:
    course.add(EXISTING)
    page, match = match_page(course, NEW)
    check(course, page, match)
    assert course.browser.post(f"{page}/check").status == 303
    v = column_id(course, "v")
    course.sql(f'UPDATE ontask."column" SET allowed_values = \'["a", "b", "c"]\' WHERE id = {v} RETURNING 1')
    course.work()
    assert rows(course) == [(1, "a"), (2, "b"), (3, "c"), (4, "b")]
    shown = course.browser.follow(course.browser.get(page))
    assert "“v” takes certain values only; 2 of the file are none of them: “y”, “z”." in shown.body
    course.sql(f'UPDATE ontask."column" SET allowed_values = NULL WHERE id = {v} RETURNING 1')
    confirm(course, page)
    assert len(rows(course)) == 5


def test_who_would_lose_a_key_is_named(course: Course, aws: str) -> None:
    course.add("sid,email\n1,a@uni.example\n2,b@uni.example\n")
    page, match = match_page(course, "sid,email\n2,a@uni.example\n")
    shown = check(course, page, match)
    assert re.search(r"could no longer tell learners apart \(1 shared: a@uni.example\)", shown.body)


def test_the_wizard_leaves_no_tables_behind(course: Course, aws: str) -> None:
    course.add(EXISTING)
    course.add(NEW, "new.csv")
    left = course.sql("SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'learners'"
                      " AND tablename !~ '^[wv]'")  # fmt: skip
    assert left is None
    with database.scope() as session:
        assert {upload.state for upload in session.query(Upload)} == {"done"}


def test_learners_are_recognised_by_the_columns_whose_other_values_agree(course: Course, aws: str) -> None:
    """Each course counts its participants anew: their numbers find somebody, but somebody else."""
    course.add("id,email,who\nP1,a@x.edu,Ann\nP2,b@x.edu,Bo\nP3,c@x.edu,Cy\n")
    _, match = match_page(course, "id,address,who,mark\nP1,c@x.edu,Cy,5\nP2,a@x.edu,Ann,6\nP3,b@x.edu,Bo,7\n")
    chosen = fields(match)
    assert (chosen["key_number"], chosen["key_column"]) == ("2", str(column_id(course, "email")))
    assert "These find 3 of 3 rows of the file" in match.body


def test_names_decide_between_columns_that_find_the_same_learners(course: Course, aws: str) -> None:
    course.add("mail,id,who\na@x.edu,1,Ann\nb@x.edu,2,Bo\n")
    _, match = match_page(course, "id,mail,mark\n1,a@x.edu,5\n2,b@x.edu,6\n")
    assert fields(match)["key_number"] == "1"


def test_marks_that_happen_to_be_somebodys_number_recognise_nobody(course: Course, aws: str) -> None:
    course.add(EXISTING)
    _, match = match_page(course, "k,w\n8,1\n9,2\n")
    assert fields(match)["key_number"] == "1"
    assert "These find" not in match.body


def test_each_column_is_told_what_becomes_of_it(course: Course, aws: str) -> None:
    course.add("sid,name,mark\n1,Ana,5\n2,Ben,6\n")
    page, match = match_page(course, "id,name,points,note\n1,Ana,7,x\n2,Ben,8,y\n")
    given = fields(match)
    given |= {
        "key_number": "1",
        "key_column": str(column_id(course, "sid")),
        "target-3": str(column_id(course, "mark")),
    }
    shown = check(course, page, match, **{**given, "target-4": "-1"}).body
    table = shown.partition("What becomes of it</th>")[2].partition("</table>")[0]
    assert re.findall(r"<td>(.*?)</td><td>(.*?)</td><td>(.*?)</td>", table) == [
        ("sid", "id", "recognises learners"), ("mark", "points", "updated, keeps its name"),
        ("name", "name", "updated"), ("–", "note", "left out"),
    ]  # fmt: skip


def test_the_match_page_is_left_out_by_whom_takes_what_is_proposed(course: Course, aws: str) -> None:
    course.add(EXISTING)
    page = course.read(NEW, "more.csv")
    look = fields(course.browser.follow(course.browser.get(page)))
    step = course.browser.post(f"{page}/look", {**look, "to": "check"})
    assert step.location.endswith("/check")
    assert course.browser.post(f"{page}/check").status == 303
    course.work()
    assert rows(course) == [*LEFT, (5, "y", 3)]
    page = course.read("v,w\nzzz,77\n", "strange.csv")
    look = fields(course.browser.follow(course.browser.get(page)))
    shown = course.browser.post(f"{page}/look", {**look, "to": "check"})
    assert shown.status == 422
    assert "Choose the column of the file by which learners are recognised." in problems(shown)


def test_keys_that_differ_only_by_case_are_named(course: Course, aws: str) -> None:
    page = course.read("email,x\nAnn@uni.example,1\nbo@uni.example,2\nann@uni.example,3\n")
    shown = course.browser.follow(course.browser.get(page)).body
    assert "“Ann@uni.example” and “ann@uni.example” differ only in large and small letters" in shown


def test_a_file_that_breaks_a_rubric_or_a_survey_says_so_before_it_is_added(course: Course, aws: str) -> None:
    course.add("sid,structure,mood\n1,High,ok\n2,Low,bad\n")
    with database.scope() as session:
        columns = {column.name: column for column in queries.columns(session, course.workflow_id)}
        columns["structure"].allowed_values, columns["mood"].allowed_values = ["Low", "High"], ["ok", "bad"]
        workflow, now = session.get_one(Workflow, course.workflow_id), clock.now()
        rubric = make_action(session, workflow, name="Feedback", kind="rubric_text")
        survey = make_action(session, workflow, name="Pulse", kind="survey")
        session.add(Criterion(action_id=rubric.id, column_id=columns["structure"].id, position=1, created_at=now))
        session.add(
            Question(action_id=survey.id, column_id=columns["mood"].id, kind="choice", position=1, created_at=now)
        )
    page, match = match_page(course, "sid,structure,mood\n1,Top,ok\n2,Low,sad\n")
    told = problems(check(course, page, match))
    assert "“structure” takes certain values only; they are those of the rubric of “Feedback”" in told[0]
    assert "1 value of the file is none of them: “Top”." in told[0]
    assert "those of a question of “Pulse”" in told[1]
    assert course.browser.post(f"{page}/check").status == 422
    page, match = match_page(course, "sid,other\n1,x\n2,y\n", "other.csv")
    shown = html.unescape(check(course, page, match, method="replace").body)
    assert "“structure” is used in the rubric of “Feedback”." in shown
    assert "“mood” is used in a question of “Pulse”." in shown
