"""Adding data through the pages, from the first click to Undo."""

from __future__ import annotations

import re

import pytest
import requests

from chalicelib.settings import settings
from tests.conftest import real_file
from tests.tables.conftest import Course, fields, problems, ways_back

CLASS = "sid,name,mark\n1,Ana,50\n2,Ben,\n3,Cleo,70\n"


def test_a_class_list_becomes_the_table(course: Course, aws: str) -> None:
    assert "Start with your class list" in course.browser.get(f"{course.path}/upload").body
    done = course.add(CLASS)
    assert "3 learners with 3 columns" in done.body
    assert course.contents() == [
        {"sid": 1, "name": "Ana", "mark": 50},
        {"sid": 2, "name": "Ben", "mark": None},
        {"sid": 3, "name": "Cleo", "mark": 70},
    ]
    overview = course.browser.get(course.path).body
    assert "started the table with" in overview
    assert "class.csv" in overview


def test_real_marks_are_added_to_a_real_class(course: Course, aws: str) -> None:
    course.add(real_file("oulad/ccc_2014j_class.csv").read_bytes())
    done = course.add(real_file("oulad/ccc_2014j_marks.csv").read_bytes(), "marks.csv")
    assert "0 new learners, 0 cells changed, 20 new columns" in done.body
    assert len(course.contents()) == 2498


def test_undo_takes_new_data_back_and_redo_brings_it_again(course: Course, aws: str) -> None:
    course.add(CLASS)
    before = course.contents()
    done = course.add("sid,mark,email\n1,55,ana@x.example\n4,10,dan@x.example\n", "more.csv")
    after = course.contents()
    assert len(after) == 4
    page = course.browser.post(ways_back(done)[0])
    assert page.status == 303
    assert course.contents() == before
    shown = course.browser.get(f"{course.path}/upload")
    course.browser.post(ways_back(shown)[0])
    assert course.contents() == after


def test_undo_of_the_first_file_leaves_an_empty_workflow(course: Course, aws: str) -> None:
    done = course.add(CLASS)
    page = course.browser.post(ways_back(done)[0])
    assert page.location.endswith("/upload")
    assert "Start with your class list" in course.browser.follow(page).body
    course.add(CLASS)
    assert len(course.contents()) == 3


def test_a_file_can_be_left_and_found_again(course: Course, aws: str) -> None:
    page = course.send(CLASS.encode(), "später.csv")
    assert "Reading “später.csv”" in course.browser.get(page).body
    assert "being read" in course.browser.get(f"{course.path}/upload").body
    course.work()
    listed = course.browser.get(f"{course.path}/upload").body
    assert "waits for your choices" in listed
    assert page in listed
    assert course.browser.get(page, htmx=True).headers["HX-Redirect"].endswith("/look")


def test_a_file_that_is_no_table_says_why_and_can_be_read_differently(course: Course, aws: str) -> None:
    page = course.read("made,by,us\nsid,name\n1,Ana\n")
    refused = course.browser.get(page)
    assert "the first line has 3, but line 2 has 2" in refused.body
    # The page that waits for the reading is left for this one; it does not take it in as its part.
    assert course.browser.get(page, htmx=True).headers["HX-Redirect"].endswith(page)
    course.browser.post(f"{page}/read", {"skip": "1"})
    course.work()
    look = course.browser.follow(course.browser.get(page))
    assert "1 row and 2 columns" in look.body


def test_the_size_is_checked_before_and_after_sending(course: Course, aws: str) -> None:
    assert course.begin("large.csv", 201_000_000)["status"] == 413
    assert course.begin("empty.csv", 0)["status"] == 422
    begun = course.begin("small.csv", 10)
    assert course.browser.post(begun["arrived"]).status == 404
    requests.post(begun["url"], data=begun["fields"], files={"file": b""}, timeout=10)
    assert course.browser.post(begun["arrived"]).status == 422


def test_administrators_say_which_kinds_of_files_are_taken(
    course: Course, aws: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ".csv,.tsv" in course.browser.get(f"{course.path}/upload").body
    monkeypatch.setenv("UPLOAD_KINDS", ".CSV, tsv")
    settings.cache_clear()
    page = course.browser.get(f"{course.path}/upload").body
    assert 'accept=".csv,.tsv"' in page
    assert "Files of the kind .csv, .tsv, up to" in page
    refused = course.begin("marks.xlsx", 10)
    assert (refused["status"], refused["message"]) == (
        422, "This is a .xlsx file; your administrators allow .csv, .tsv.",
    )  # fmt: skip
    assert course.begin("marks", 10)["status"] == 422
    workbook = course.read(b"PK\x03\x04 and so on", "marks.csv")
    assert "This file is a workbook; your administrators allow .csv, .tsv." in course.browser.get(workbook).body
    assert "1 row" in course.browser.follow(course.browser.get(course.read("sid\n3\n"))).body
    monkeypatch.undo()
    settings.cache_clear()


def test_the_form_is_bound_to_one_name_for_a_short_time(course: Course, aws: str) -> None:
    import base64
    import json

    begun = course.begin("../../etc/passwd", 10)
    assert begun["fields"]["key"].startswith(f"uploads/{course.user_id}/")
    policy = json.loads(base64.b64decode(begun["fields"]["policy"]))
    assert {"key": begun["fields"]["key"]} in policy["conditions"]
    assert ["content-length-range", 1, 200_000_000] in policy["conditions"]


def test_what_was_looked_at_is_what_is_read(course: Course, aws: str) -> None:
    begun = course.begin("class.csv", 10)
    for content in (CLASS, "sid\n999\n"):
        requests.post(begun["url"], data=begun["fields"], files={"file": content.encode()}, timeout=10)
        if content == CLASS:
            course.browser.post(begun["arrived"])
    course.work()
    page = begun["arrived"].removesuffix("/arrived")
    assert "3 rows and 3 columns" in course.browser.follow(course.browser.get(page)).body


def test_refused_choices_keep_what_was_typed(course: Course, aws: str) -> None:
    page = course.read("sid,name,mark\n1,Ana,50\n2,Ben,n/a\n")
    form = fields(course.browser.follow(course.browser.get(page)))
    refused = course.browser.post(f"{page}/look", {**form, "name-2": "sid", "kind-3": "integer"})
    assert refused.status == 422
    assert "Another column is called “sid” already." in problems(refused)
    assert 'name="name-2" value="sid"' in refused.body
    refused = course.browser.post(f"{page}/look", {**form, "kind-3": "integer"})
    assert any("1 values can't be read" in message and "“n/a” in row 2" in message for message in problems(refused))
    refused = course.browser.post(f"{page}/look", {**form, "key-1": "0", "key-2": "0"})
    assert "Choose at least one column as key: one that has another value for every learner." in problems(refused)


def test_removing_learners_needs_a_tick(course: Course, aws: str) -> None:
    course.add(CLASS)
    page = course.read("sid,mark\n1,60\n")
    look = course.browser.follow(course.browser.get(page))
    match = course.browser.follow(course.browser.post(f"{page}/look", fields(look)))
    check = course.browser.follow(course.browser.post(f"{page}/match", {**fields(match), "rows": "right"}))
    assert "Yes, remove 2 learners from the table" in check.body
    refused = course.browser.post(f"{page}/check")
    assert refused.status == 422
    assert "2 learners would be removed. Tick the box to say that this is right." in problems(refused)
    assert course.browser.post(f"{page}/check", {"may_drop": "1"}).status == 303
    course.work()
    assert [row["sid"] for row in course.contents()] == [1]


def test_a_key_that_would_have_gaps_needs_a_tick(course: Course, aws: str) -> None:
    course.add("sid,email\n1,a@uni.example\n2,b@uni.example\n")
    page = course.read("sid,mark\n3,60\n")
    look = course.browser.follow(course.browser.get(page))
    match = course.browser.follow(course.browser.post(f"{page}/look", fields(look)))
    check = course.browser.follow(course.browser.post(f"{page}/match", fields(match)))
    assert "“email” could no longer tell learners apart (1 without a value: 3). Stop using it as a key." in check.body
    refused = course.browser.post(f"{page}/check")
    assert refused.status == 422
    assert (
        "“email” could no longer tell learners apart: 1 learner would have no value in it (“3”). "
        "Tick the box to stop using it as a key." in problems(refused)
    )
    (box,) = re.findall(r'name="unmark" value="(\d+)"', refused.body)
    assert course.browser.post(f"{page}/check", {"unmark": box}).status == 303
    course.work()
    assert [row["sid"] for row in course.contents()] == [1, 2, 3]


def test_a_discarded_file_leaves_nothing(course: Course, aws: str) -> None:
    page = course.read(CLASS)
    course.browser.post(f"{page}/discard")
    assert course.browser.get(page).status == 404
    assert course.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'learners'") == 0
