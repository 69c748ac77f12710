"""The class of the tutorial, rebuilt from its files by somebody who clicks Next and reads what is on the screen."""

from __future__ import annotations

from typing import Any

from tests.conftest import Page, real_file
from tests.tables.conftest import Course, fields, problems


def wizard(course: Course, name: str, **choices: Any) -> dict[str, Page]:
    """Send a file and click Next with the given choices; return the pages that were seen on the way."""
    page, seen = course.read(real_file(f"tutorial/{name}.csv").read_bytes(), f"{name}.csv"), {}
    seen["look"] = course.browser.follow(course.browser.get(page))
    step = course.browser.post(f"{page}/look", {**fields(seen["look"]), **choices.get("look", {})})
    if step.location.endswith("/match"):
        seen["match"] = course.browser.follow(step)
        step = course.browser.post(f"{page}/match", {**fields(seen["match"]), **choices.get("match", {})})
    seen["check"] = course.browser.follow(step)
    step = course.browser.post(f"{page}/check", choices.get("check", {}))
    assert step.status == 303, problems(step)
    course.work()
    seen["done"] = course.browser.get(page)
    return seen


def test_the_class_of_the_tutorial_takes_a_few_clicks(course: Course, aws: str) -> None:
    seen = wizard(course, "student_list")
    learners = len(course.contents())
    assert f"{learners} learners with 12 columns" in seen["done"].body

    seen = wizard(course, "midterm_results")
    assert "0 new learners" in seen["done"].body

    # The row of solutions is no learner: it is named before anything happens, and one choice leaves it out.
    page = course.read(real_file("tutorial/midterm_answers.csv").read_bytes(), "midterm_answers.csv")
    match = course.browser.follow(
        course.browser.post(f"{page}/look", fields(course.browser.follow(course.browser.get(page))))
    )
    check = course.browser.follow(course.browser.post(f"{page}/match", fields(match)))
    assert "New: 0" in check.body
    assert "“email” could no longer tell learners apart (1 without a value: 0)" in check.body
    check = course.browser.follow(course.browser.post(f"{page}/check", {"rows": "left"}))
    assert "1 learner of the file is not in the table and is left out, such as 0" in check.body
    course.browser.post(f"{page}/check")
    course.work()

    # Whole numbers with a decimal point are recognised, and said to be.
    for name in ("blended_participation", "forum_participation", "project_rubric"):
        seen = wizard(course, name)
        assert "written like 3.0, read as whole numbers" in seen["look"].body
        assert "0 new learners" in seen["done"].body

    # Whoever takes what is proposed leaves a page out.
    page = course.read(real_file("tutorial/forum_participation.csv").read_bytes(), "forum_participation.csv")
    look = course.browser.follow(course.browser.get(page))
    step = course.browser.post(f"{page}/look", {**fields(look), "to": "check"})
    assert step.location.endswith("/check")
    assert "stay as they are" not in course.browser.follow(step).body
    course.browser.post(f"{page}/discard")

    # The learning system's own numbers are other ones; people are recognised by their address.
    seen = wizard(course, "moodle_grades")
    assert "These find 15 of 15 rows" in seen["match"].body
    assert "“Full name”" not in seen["check"].body
    assert "0 new learners" in seen["done"].body

    rows = course.contents()
    assert len(rows) == learners
    mei = next(row for row in rows if row["SID"] == 300773633)
    told = {name: mei[name] for name in ("email", "Total", "Structure", "Days online 3", "Video_1_W2", "Status")}
    assert told == {
        "email": "euhz6532@bogus.com", "Total": 70, "Structure": "High", "Days online 3": 7, "Video_1_W2": 63.81,
        "Status": told["Status"],
    }  # fmt: skip
    assert told["Status"]
    assert mei["Full name"] == "Mei Tung"


def test_the_whole_class_in_one_file_is_the_same_class(course: Course, aws: str) -> None:
    wizard(course, "all_data")
    assert next(row for row in course.contents() if row["SID"] == 320250819)["Total"] == 60
    assert all(row["SID"] > 1000 for row in course.contents())


def test_the_list_of_invented_names_is_read(course: Course, aws: str) -> None:
    seen = wizard(course, "FakeNameGenerator.com_adbc811b")
    assert "500 learners with 5 columns" in seen["done"].body
