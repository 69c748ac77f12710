"""The text of a message: saving it, what is refused and where, and that nothing anybody typed is lost."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.accounts.models import User
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow
from tests.actions.conftest import Desk, desk_of, words
from tests.conftest import Clock
from tests.factories import make_table
from tests.test_access import member


@pytest.fixture
def colleague(desk: Desk, workflow: Workflow) -> Desk:
    """Another editor at the same message."""
    return desk_of(desk, member(desk.session, workflow, WorkflowRole.EDITOR))


def refused(desk: Desk, text: str) -> list[dict[str, Any]]:
    """Save what can't be saved; return what is wrong with it."""
    before = (desk.stored().text, desk.stored().version)
    status, answer = desk.save(text)
    assert status == 422, answer
    assert (desk.stored().text, desk.stored().version) == before
    found: list[dict[str, Any]] = answer["problems"]
    return found


def rename_column(desk: Desk, old: str, new: str) -> None:
    path = f"/workflows/{desk.action.workflow_id}/columns/{desk.columns[old]}"
    form = dict(re.findall(r'name="(seen|position)"[^>]*value="([^"]*)"', desk.browser.get(path).body))
    assert desk.browser.post(path, {**form, "name": new}).status == 303


# -- saving


def test_the_script_is_told_the_new_version(desk: Desk) -> None:
    assert desk.save("<p>Dear {{ name }}</p>") == (200, {"version": 2, "removed": []})
    assert desk.save("<p>Dear {{ name }}!</p>") == (200, {"version": 3, "removed": []})
    assert desk.text() == "<p>Dear {{ name }}!</p>"


def test_without_the_script_the_form_saves_and_stays_at_the_learner(desk: Desk) -> None:
    page = desk.post("/text", {"text": "<p>Dear {{ name }}</p>\r\n<p>Bye</p>", "version": "1", "row": "7"})
    shown = desk.browser.follow(page)
    assert "Saved." in words(shown)
    assert "As Name 7 sees it" in words(shown)
    assert desk.text() == "<p>Dear {{ name }}</p>\n<p>Bye</p>"


def test_what_is_stored_speaks_of_ids(desk: Desk) -> None:
    low = desk.add("low", desk.rule("quiz", "less", "50"))
    desk.save("<p>{% if low %}{{ quiz | round: 1 }}{% endif %}</p>")
    assert desk.stored().text == f"<p>{{% if @k{low} %}}{{{{ @c{desk.columns['quiz']} | round: 1 }}}}{{% endif %}}</p>"


def test_a_text_can_be_emptied(desk: Desk) -> None:
    desk.save("<p>Hello</p>")
    assert desk.save("")[0] == 200
    assert desk.text() == ""


def test_a_large_text_comes_back_whole(desk: Desk) -> None:
    long = "".join(f"<p>{n}: {{{{ name }}}} — “ünï” & co</p>\n" for n in range(4_000))
    assert len(long) > 120_000
    assert desk.save(long)[0] == 200
    assert desk.text() == long.replace(" & ", " &amp; ")
    (problem,) = refused(desk, "x" * 200_001)
    assert "at most 200,000 characters" in problem["message"]


def test_nul_and_private_signs_are_left_out(desk: Desk) -> None:
    assert desk.save("<p>a\0b\ue0000\ue001c</p>")[0] == 200
    assert desk.text() == "<p>ab0c</p>"


def test_the_same_text_twice_is_one_version(desk: Desk) -> None:
    assert desk.save("<p>a</p>", 1)[1]["version"] == 2
    assert desk.save("<p>a</p>", 1) == (200, {"version": 2, "removed": []}), "the first answer may have been lost"


def test_a_text_with_blanks_before_it_comes_back_as_it_was(desk: Desk) -> None:
    desk.save("\n\n<p>a</p>\n")
    assert desk.text() == "\n\n<p>a</p>\n"


def test_the_log_has_one_line_for_an_hour_of_typing_without_pause(
    desk: Desk, session: Session, frozen_clock: Clock
) -> None:
    for second in range(12):
        frozen_clock.advance(minutes=5)
        desk.save(f"<p>{second}</p>")
    count = text("SELECT count(*) FROM ontask.event WHERE type = 'action_text_changed'")
    assert session.scalar(count) == 1
    frozen_clock.advance(minutes=11)
    desk.save("<p>later</p>")
    assert session.scalar(count) == 2


# -- two people at once


def test_a_stale_save_is_refused_with_what_is_there_now(desk: Desk, colleague: Desk) -> None:
    assert desk.save("<p>mine {{ name }}</p>", 1)[0] == 200
    status, answer = colleague.save("<p>theirs</p>", 1)
    assert status == 409
    assert (answer["version"], answer["text"]) == (2, "<p>mine {{ name }}</p>")
    assert desk.text() == "<p>mine {{ name }}</p>"
    assert colleague.save("<p>theirs</p>", answer["version"])[0] == 200
    assert desk.text() == "<p>theirs</p>"


def test_a_stale_form_keeps_what_was_typed(desk: Desk, colleague: Desk) -> None:
    desk.save("<p>mine</p>", 1)
    page = colleague.post("/text", {"text": "<p>{{ name }} & theirs</p>", "version": "1"})
    assert page.status == 422
    assert "changed elsewhere while you were writing" in words(page)
    assert "{{ name }} &amp; theirs&lt;/p&gt;</textarea>" in page.body
    assert desk.text() == "<p>mine</p>"
    version = re.search(r'name="version" value="(\d+)"', page.body)
    assert version
    assert colleague.post("/text", {"text": "<p>theirs</p>", "version": version[1]}).status == 303
    assert desk.text() == "<p>theirs</p>"


def test_saves_in_a_row_of_one_person_are_never_stale(desk: Desk) -> None:
    version = 1
    for word in ("<script>x</script>a", "a & b", "<p>c", "<p>c</p>"):
        status, answer = desk.save(word, version)
        assert status == 200
        version = answer["version"]


@pytest.mark.parametrize("version", ["", "0", "-1", "9" * 30])
def test_a_save_without_a_right_version_never_wins(desk: Desk, version: str) -> None:
    desk.save("<p>mine</p>")
    assert desk.post("/text", {"text": "<p>other</p>", "version": version}).status == 422
    assert desk.stored().text == "<p>mine</p>"


# -- what is refused


def test_an_unknown_name_is_refused_with_its_place_and_the_nearest_names(desk: Desk) -> None:
    desk.save("<p>before</p>")
    desk.add("low quiz", desk.rule("quiz", "less", "50"))
    found = refused(desk, "<p>Dear\n  {{ nme }}, {% if low quix %}a{% endif %}</p>")
    assert [(one["line"], one["column"], one["name"], one["suggestions"]) for one in found] == [
        (2, 6, "nme", ["name"]), (2, 20, "low quix", ["low quiz"]),
    ]  # fmt: skip
    assert "no column" in found[0]["message"]
    assert desk.stored().text == "<p>before</p>"


def test_without_the_script_mistakes_are_told_beside_what_was_typed(desk: Desk) -> None:
    page = desk.post("/text", {"text": "<p>\n{{ nme }}</p>", "version": "1"})
    assert page.status == 422
    assert "Line 2, column 4: There is no column, attribute or condition “nme”. Did you mean “name”?" in words(page)
    assert "{{ nme }}&lt;/p&gt;</textarea>" in page.body
    assert desk.stored().text == ""


def test_a_condition_of_another_message_is_unknown(desk: Desk, workflow: Workflow) -> None:
    desk.browser.post(f"/workflows/{workflow.id}/actions", {"name": "Another"})
    desk.add("low", desk.rule("quiz", "less", "50"))
    assert desk.save("{% if low %}a{% endif %}")[0] == 200
    desk.post("/copy")
    desk.add("only here", desk.rule("quiz", "less", "50"))
    copied = desk.session.scalar(text("SELECT max(id) FROM ontask.action"))
    path = f"/workflows/{workflow.id}/actions/{copied}/text"
    assert desk.browser.post(path, {"text": "{% if low %}b{% endif %}", "version": "1"}).status == 303
    assert desk.browser.post(path, {"text": "{% if only here %}b{% endif %}", "version": "2"}).status == 422


def test_an_if_around_half_a_paragraph_is_refused(desk: Desk) -> None:
    desk.add("low", desk.rule("quiz", "less", "50"))
    (problem,) = refused(desk, "<p>a</p>\n<p>{% if low %}b</p><p>c{% endif %}</p>")
    assert (problem["line"], "inside the same one" in problem["message"]) == (2, True)
    (problem,) = refused(desk, "<p>{% if low %}a<div>b</div>c{% endif %}</p>")
    assert "inside the same one" in problem["message"], "browsers end a paragraph where a block begins"


@pytest.mark.parametrize(
    "source",
    [
        "<table>{% if low %}only for low{% endif %}<tr><td>a</td></tr></table>",
        "<table><tr>{% if low %}<p>only for low</p>{% endif %}<td>a</td></tr></table>",
        '<table><tr><td>a</td></tr>{% if low %}<img src="https://x.example/low.png">{% endif %}</table>',
    ],
)
def test_a_part_that_would_leave_its_condition_is_refused(desk: Desk, source: str) -> None:
    desk.add("low", desk.rule("quiz", "less", "50"))
    (problem,) = refused(desk, source)
    assert "stands in a table but in none of its cells" in problem["message"]


def test_rows_and_cells_can_be_shown_for_some(desk: Desk) -> None:
    desk.add("low", desk.rule("quiz", "less", "50"))
    rows = (
        "<table>{% if low %}<tr><td>low & {{ name }}</td></tr>{% endif %}"
        "<tr><td>all</td>{% if low %}<td>x</td>{% endif %}</tr></table>"
    )
    assert desk.save(rows)[0] == 200
    assert re.findall(r"<td>(.*?)</td>", desk.mail(1)) == ["low &amp; Name 1", "all", "x"]
    assert re.findall(r"<td>(.*?)</td>", desk.mail(9)) == ["all"]


# -- HTML


def test_what_cannot_be_in_a_mail_is_taken_out_and_said(desk: Desk) -> None:
    source = (
        '<p onclick="x()" class="a">a</p><script>alert(1)</script><a href="javascript:x">b</a>'
        '<img src="data:image/png;base64,AA"><form><b>c</b></form>'
    )
    status, answer = desk.save(source)
    assert (status, answer["removed"]) == (200, ["onclick", "script", "javascript:", "data:", "form"])
    assert desk.text() == "<p>a</p><a>b</a><img><b>c</b>"
    page = desk.browser.follow(desk.post("/text", {"text": "<p>x</p><script>y</script>", "version": "2"}))
    assert "Saved. Taken out, because mails can’t have it: script." in words(page)
    page = desk.browser.follow(desk.post("/text", {"text": "<p>y</p>", "version": "3"}))
    assert "Taken out" not in words(page)


def test_what_people_type_is_text_on_the_page(desk: Desk) -> None:
    source = (
        '<p>&lt;/textarea&gt;&lt;script&gt;alert(1)&lt;/script&gt; "quotes" \'single\' {{ name | default: "a <b" }}</p>'
    )
    assert desk.save(source)[0] == 200
    page = desk.get()
    assert page.body.count("</textarea>") == 1
    assert "<script>alert" not in page.body
    assert desk.save(desk.text(), 2) == (200, {"version": 2, "removed": []}), "what is shown is what is stored"


def test_braces_that_are_no_tags_stay(desk: Desk) -> None:
    assert desk.save("<p>{ a } {x} }} %} {</p>")[0] == 200
    assert desk.text() == "<p>{ a } {x} }} %} {</p>"
    assert [one["line"] for one in refused(desk, "<p>\n{{</p>")] == [2]


# -- names change


@pytest.mark.parametrize(
    ("new", "shown"),
    [
        ("Full name", "{{ Full name }}"),
        ("Quiz | total", '{{ "Quiz | total" }}'),
        ("a }} b", '{{ "a }} b" }}'),
        ("<b>{{ x }}</b>", '{{ "&lt;b&gt;{{ x }}&lt;/b&gt;" }}'),
        ("a &amp; b", '{{ "a &amp;amp; b" }}'),
        ("日本 😀", '{{ "日本 😀" }}'),
        ("not", '{{ "not" }}'),
        ("@c1", '{{ "@c1" }}'),
    ],
)
def test_a_renamed_column_changes_what_people_see_and_nothing_that_is_stored(desk: Desk, new: str, shown: str) -> None:
    desk.save("<p>{{ name }}</p>")
    before = (desk.stored().text, desk.stored().version)
    rename_column(desk, "name", new)
    assert desk.text() == f"<p>{shown}</p>"
    assert (desk.stored().text, desk.stored().version) == before
    assert desk.save(desk.text()) == (200, {"version": before[1], "removed": []})
    assert desk.mail(1) == "<p>Name 1</p>"


def test_a_renamed_condition_changes_what_people_see(desk: Desk) -> None:
    low = desk.add("low", desk.rule("quiz", "less", "50"))
    desk.save("{% if low %}a{% endif %}")
    before = desk.stored().text
    page = desk.get(f"/conditions/{low}")
    formula = re.search(r"name=\"formula\" value='([^']*)'", page.body)
    assert formula
    desk.post(f"/conditions/{low}", {"name": "low or (absent)", "formula": unescape(formula[1])})
    assert desk.text() == '{% if "low or (absent)" %}a{% endif %}'
    assert desk.stored().text == before


def test_two_columns_that_swap_names_keep_their_places(desk: Desk) -> None:
    desk.save("{{ name }} {{ home }}")
    for old, new in (("name", "x"), ("home", "name"), ("name", "home")):
        rename_column(desk, old, new)
    assert desk.text() == "{{ home }} {{ name }}"
    assert desk.save(desk.text())[1]["version"] == 2


def test_a_column_renamed_like_a_condition_does_not_become_it(desk: Desk) -> None:
    desk.add("low", desk.rule("quiz", "less", "50"))
    desk.save("<p>{{ name }}{% if low %} is low{% endif %}</p>")
    before = desk.stored().text
    # As an earlier table that comes back does; on its page the column would not get this name.
    rename = text("UPDATE ontask.column SET name = 'low' WHERE id = :id")
    desk.session.execute(rename, {"id": desk.columns["name"]})
    desk.session.expire_all()
    assert desk.text() == '<p>{{ low }}{% if "low (condition)" %} is low{% endif %}</p>'
    assert '"name": "low (condition)"' in unescape(desk.get().body)
    assert desk.save(desk.text()) == (200, {"version": 2, "removed": []})
    assert desk.stored().text == before
    assert (desk.mail(1), desk.mail(9)) == ("<p>Name 1 is low</p>", "<p>Name 9</p>")


def test_an_invisible_sign_in_a_name_does_no_harm(desk: Desk) -> None:
    rename_column(desk, "name", "\ufefffirst\u200bname")
    assert desk.save("{{ first name }}")[0] == 200
    assert desk.mail(1) == "Name 1"
    assert desk.save("{{\u200bfirst\u200bname\ufeff}}") == (200, {"version": 2, "removed": []})


# -- columns that are gone


def drop(desk: Desk, name: str) -> None:
    """Take a column away as an earlier table that comes back does."""
    desk.session.execute(
        text("UPDATE ontask.column SET deleted_at = now() WHERE id = :id"), {"id": desk.columns[name]}
    )  # fmt: skip
    desk.session.expire_all()


def test_a_text_whose_column_is_gone_can_be_repaired(desk: Desk) -> None:
    desk.save("<p>Dear {{ name }}, {{ quiz }}</p>")
    gone = f"deleted column {desk.columns['name']}"
    drop(desk, "name")
    assert desk.text() == f'<p>Dear {{{{ "{gone}" }}}}, {{{{ quiz }}}}</p>'
    (problem,) = refused(desk, desk.text() + " more")
    assert (problem["line"], problem["column"], problem["name"]) == (1, 12, gone)
    assert f"not there any more: {gone}" in desk.mail(1)
    assert f"not there any more: {gone}" in desk.follow(desk.post("/test", {"row": "1"}))
    assert desk.save("<p>Dear {{ sid }}, {{ quiz }}</p>")[0] == 200
    assert desk.mail(1) == "<p>Dear s01, 0</p>"


def test_a_yes_no_column_that_became_text_is_not_taken_for_yes(desk: Desk) -> None:
    desk.save("<p>{% if passed %}Well done{% else %}Try again{% endif %}</p>")
    assert (desk.mail(1), desk.mail(9)) == ("<p>Try again</p>", "<p>Well done</p>")
    table, column = f"learners.w{desk.action.workflow_id}", desk.columns["passed"]
    desk.session.execute(text(f"ALTER TABLE {table} ALTER c{column} TYPE text USING 'no'"))
    desk.session.execute(text("UPDATE ontask.column SET type = 'text' WHERE id = :id"), {"id": column})
    desk.session.expire_all()
    assert "no yes/no column any more: passed" in desk.mail(1)
    assert "no yes/no column any more: passed" in desk.follow(desk.post("/test", {"row": "1"}))
    assert "no yes/no column any more: passed" in words(desk.get("/send"))
    assert "neither a condition nor a yes/no column" in refused(desk, desk.text() + "!")[0]["message"]


# -- who may


def test_a_viewer_reads_the_text_and_cannot_save(desk: Desk, workflow: Workflow) -> None:
    desk.save("<p>Dear {{ name }}</p>")
    viewer = desk_of(desk, member(desk.session, workflow, WorkflowRole.VIEWER))
    page = viewer.get()
    assert page.status == 200
    assert "readonly" in page.body
    assert "Save the text" not in page.body
    assert viewer.post("/text", {"text": "<p>x</p>", "version": "2"}).status == 403
    assert desk.text() == "<p>Dear {{ name }}</p>"


def test_another_workflow_with_the_same_names_is_not_meant(desk: Desk, session: Session, user: User) -> None:
    make_table(session, workflows.create(session, user.id, "Chemistry"), {"name": "text", "theirs": "text"}, [])
    assert desk.save("{{ name }}")[0] == 200
    assert desk.stored().text == f"{{{{ @c{desk.columns['name']} }}}}"
    assert refused(desk, "{{ theirs }}")
