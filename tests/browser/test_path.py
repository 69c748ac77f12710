"""The main job in a real browser: from a file to a personal mail in every inbox, on a desktop and on a phone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, Visit

COUNT = 30
PACE_MS = 40


def class_list(folder: Path) -> Path:
    """A class with one bad, one empty and one doubled address."""
    lines = ["Student id;First name;Email;Quiz 1"]
    for number in range(1, COUNT + 1):
        address = {5: "nobody", 6: "", 7: "l8@uni.example"}.get(number, f"l{number}@uni.example")
        lines.append(f"{number:05};Léa {number};{address};{'' if number % 10 == 0 else number * 3}")
    file = folder / "class.csv"
    file.write_bytes("\n".join(lines).encode("cp1252"))
    return file


def marks_list(folder: Path) -> Path:
    """A newer file for the same class: another column, one changed mark, one new learner."""
    lines = ["Student id,Quiz 1,Group"]
    lines += [f"{number:05},{99 if number == 1 else number * 3},{'AB'[number % 2]}" for number in range(1, 10)]
    file = folder / "marks.csv"
    file.write_text("\n".join([*lines, "00099,50,A"]))
    return file


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_from_a_file_to_a_mail_in_every_inbox(visit: Visit, tmp_path: Path, size: dict[str, int]) -> None:
    page = visit.page
    page.set_viewport_size(size)  # type: ignore[arg-type]
    visit.enter()
    visit.go("/workflows")
    page.fill("input[name=name]", "Biology 101")
    page.get_by_role("button", name="Create the workflow").click()
    add_data(visit, tmp_path)
    update_data(visit, tmp_path)
    page.get_by_role("link", name="Messages", exact=True).click()
    page.fill("input[name=name]", "After quiz 1")
    page.get_by_role("button", name="Create it").click()
    write_message(visit)
    choose_who_gets_it(visit)
    before = len(visit.product.mails())
    send(visit)
    # The filter takes 30 of 31 learners; a bad and two missing addresses are left out. Two learners share an address,
    # but each has a text of their own.
    expect(page.locator(".line")).to_contain_text(re.compile(r"Delivered\s*27"), timeout=30_000)
    visit.check()
    mails = visit.product.mails()[before:]
    assert sorted(mails) == sorted(
        [[f"l{8 if number == 7 else number}@uni.example"] for number in range(2, COUNT + 1) if number not in {5, 6}]
    )
    page.get_by_role("link", name="See the mail to l12@uni.example").click()
    expect(page.frame_locator("iframe").locator("body")).to_contain_text("Dear Léa 12, your result was 36.")
    visit.check()


def add_data(visit: Visit, folder: Path) -> None:
    """Upload the class, correct what was guessed, import."""
    page = visit.page
    page.get_by_role("link", name="Add your learners").first.click()
    visit.check()
    page.set_input_files("#f-file", class_list(folder))
    expect(page.get_by_role("heading", name="What is in “class.csv”")).to_be_visible()
    expect(page.locator("main")).to_contain_text("30 rows and 4 columns, separated by semicolon")
    expect(page.get_by_label("Read “Student id” as")).to_have_value("text")  # 00001 stays 00001
    expect(page.get_by_label("Read “Quiz 1” as")).to_have_value("integer")
    expect(page.get_by_label("“Student id” tells learners apart")).to_be_checked()
    expect(page.get_by_role("row").filter(has_text="missing for 3 of 30")).to_have_count(1)
    visit.check()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("heading", name="What will change")).to_be_visible()
    visit.check()
    page.get_by_role("button", name="Add 30 learners").click()
    expect(page.get_by_role("heading", name="“class.csv” is in the table")).to_be_visible()
    visit.check()


def update_data(visit: Visit, folder: Path) -> None:
    """Merge a newer file by its key after looking at what will change."""
    page = visit.page
    page.get_by_role("link", name="Add more data").click()
    page.set_input_files("#f-file", marks_list(folder))
    expect(page.get_by_role("heading", name="What is in “marks.csv”")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("heading", name="How “marks.csv” fits to your table")).to_be_visible()
    visit.check()
    page.get_by_role("button", name="See what changes").click()
    expect(page.locator(".figures")).to_contain_text(
        re.compile(r"New learners\s*\+1\s*Recognised\s*9\s*Cells that change\s*~1")
    )
    visit.check()
    page.get_by_role("button", name="Change the table").click()
    page.get_by_role("link", name="Look at the table").click()
    expect(page.locator("main")).to_contain_text("31 learners × 5 columns")
    expect(page.get_by_role("row").filter(has_text="Léa 1").first).to_contain_text("99")


def write_message(visit: Visit) -> None:
    """Write a text with a value and a condition that is made on the way, and look at it as several learners."""
    page = visit.page
    text = page.locator(".message-text")
    text.click()

    def write(words: str, *keys: str) -> None:
        page.keyboard.type(words, delay=5)
        for key in keys:
            page.wait_for_timeout(PACE_MS)
            page.keyboard.press(key)
        page.wait_for_timeout(PACE_MS)

    write("Dear {first", "Enter")
    write(", your result was {{ Quiz 1 }}.", "Enter")
    page.get_by_role("button", name="Condition: show").click()
    page.get_by_role("menuitem", name="New condition…").click()
    page.get_by_label("Name", exact=True).fill("low quiz 1")
    page.get_by_role("button", name="Add a rule").click()
    page.get_by_label("Column", exact=True).select_option("Quiz 1")
    page.get_by_label("Comparison").select_option("is less than")
    page.get_by_label("Value", exact=True).fill("50")
    expect(page.locator("#count")).to_contain_text("14 of 31 learners")
    visit.check()
    page.get_by_role("button", name="Add the condition").click()
    expect(text.get_by_role("group", name="if low quiz 1")).to_be_visible()
    write("Look at chapter 3 again.")
    expect(page.locator("#save-state")).to_have_text("Saved")
    preview = page.frame_locator("#mail").locator("body")
    expect(preview).to_contain_text("Dear Léa 1, your result was 99.")
    expect(preview).not_to_contain_text("chapter 3")
    expect(page.get_by_text("they get only what you wrote for everybody")).to_contain_text("17")
    page.get_by_role("link", name="Next learner").click()
    expect(preview).to_have_text(re.compile(r"Dear Léa 2, your result was 6\.\s*Look at chapter 3 again\."))
    page.get_by_label("Find a learner").fill("léa 25")
    page.get_by_role("link", name="Léa 25").click()
    expect(preview).to_contain_text("Dear Léa 25, your result was 75.")
    visit.check()
    write_unknown_name(visit)


def write_unknown_name(visit: Visit) -> None:
    """A name nobody knows is refused with the nearest one, which one click takes."""
    page = visit.page
    page.get_by_role("button", name="Show the source").click()
    source = page.get_by_label("Text of the message, in HTML")
    kept = source.input_value()
    source.fill(kept.replace("{{ Quiz 1 }}", "{{ Quizz 1 }}"))
    expect(page.locator("#save-state")).to_have_text("Not saved: see below the text")
    expect(page.locator("#text-problems")).to_contain_text("Line 1, column")
    visit.check()
    page.get_by_role("button", name="Use “Quiz 1”").click()
    expect(page.locator("#save-state")).to_have_text("Saved")
    expect(source).to_have_value(kept)
    page.get_by_role("button", name="Back to the visual editor").click()


def choose_who_gets_it(visit: Visit) -> None:
    """Leave out learners by a filter."""
    page = visit.page
    page.get_by_role("link", name="Choose who gets it").click()
    page.get_by_role("button", name="Add a rule").click()
    page.get_by_label("Column", exact=True).select_option("Student id")
    page.get_by_label("Comparison").select_option("is not")
    page.get_by_label("Value", exact=True).fill("00001")
    expect(page.locator("#count")).to_contain_text("30 of 31 learners")
    page.locator("#panel").get_by_role("button", name="Save").click()
    expect(page.locator("#who")).to_contain_text("Sent to 30 of 31")
    visit.check()


def send(visit: Visit) -> None:
    """Fill in the send page, leave out what can't be sent to, confirm, undo, and send again."""
    page = visit.page
    page.get_by_role("link", name="Send…").click()
    page.get_by_label("Subject").fill("Your quiz, {{ First name }}")
    page.get_by_label("Leave out").first.check()
    expect(page.locator("#receipt")).to_contain_text("27")
    visit.check()
    button = page.get_by_role("button", name="Send 27 messages")
    button.click()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("main")).to_contain_text("Taken back. Nothing was sent.")
    page.get_by_role("link", name="Open the message").click()
    page.get_by_role("link", name="Send…").click()
    expect(page.get_by_label("Subject")).to_have_value("Your quiz, {{ First name }}")  # as it was chosen before
    page.get_by_role("button", name="Send 27 messages").click()
    expect(page.locator("main")).to_contain_text("3 learners have no usable address.")  # but this is asked each time
    page.get_by_label("Leave out").first.check()
    page.get_by_role("button", name="Send 27 messages").click()
    expect(page.locator("main")).to_contain_text("Nothing has left yet")
