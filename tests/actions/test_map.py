"""Who gets what: parts of the text with their readers, conditions at once, missing values, and the rows behind them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.actions import coverage
from chalicelib.actions.editor import Editor
from chalicelib.actions.language.change import with_default, without_condition
from chalicelib.actions.language.compile import compile_template
from chalicelib.workflows.models import Workflow
from tests.actions.conftest import Desk, words
from tests.factories import make_condition

TESTS = ["low", "high", "not low", "low and high", "low or high", "not (low or passed)", "passed"]


def editor_of(desk: Desk) -> Editor:
    workflow = desk.session.get_one(Workflow, desk.action.workflow_id)
    return Editor(desk.session, workflow, desk.stored())


@pytest.fixture
def conditions(desk: Desk) -> dict[str, int]:
    """Marks 0 to 40 are low, 90 and 100 high; the one without a mark is neither."""
    return {
        "low": desk.add("low", desk.rule("quiz", "less", "50")),
        "high": desk.add("high", desk.rule("quiz", "greater", "80")),
    }


def parts(desk: Desk) -> list[tuple[str, str, int]]:
    editor = editor_of(desk)
    assert editor.coverage
    return [(one.label, one.words, n) for one, n in zip(editor.reading.parts, editor.coverage.parts, strict=True)]


def test_each_part_has_its_readers(desk: Desk, conditions: dict[str, int]) -> None:
    desk.save(
        "<p>Dear {{ name }}</p>{% if low %}<p>Read.{% if passed %}Nested{% endif %}</p>{% elif high %}<p>Great</p>"
        "{% else %}<p>Fine</p>{% endif %}<p>Bye</p>"
    )
    assert parts(desk) == [
        ("", "Dear [name]", 12), ("if low", "Read.", 5), ("if passed", "Nested", 0), ("or else if high", "Great", 2),
        ("otherwise", "Fine", 5), ("", "Bye", 12),
    ]  # fmt: skip
    body = desk.get("/map").body
    assert re.search(r'or else if high</span></td><td>Great</td>\s*<td class="num">2<', body)
    assert re.search(r'<td>Nested</td>\s*<td class="num">0 <span class="pill pill-warn">nobody<', body)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from(TESTS), min_size=1, max_size=3), st.booleans())
def test_the_map_counts_what_is_really_written(
    desk: Desk, conditions: dict[str, int], tests: list[str], has_else: bool
) -> None:
    branches = "".join(
        f"{{% {'elif' if at else 'if'} {test} %}}PART{at}{{% endif_ %}}" for at, test in enumerate(tests)
    )
    text = branches.replace("{% endif_ %}", "") + ("{% else %}REST" if has_else else "") + "{% endif %}"
    assert desk.save(text)[0] == 200
    mails = [desk.mail(row) for row in range(1, 13)]
    for _, said, n in parts(desk):
        assert n == sum(said in mail for mail in mails), (text, said)


def test_conditions_at_once(desk: Desk, conditions: dict[str, int]) -> None:
    desk.add("passed too", desk.rule("passed", "equal", "true"))
    editor = editor_of(desk)
    found = coverage.overlap(
        desk.session, editor.workflow, editor.columns, None, {one.id: one.formula for one in editor.conditions}
    )
    low, high = conditions["low"], conditions["high"]
    third = max(one.id for one in editor.conditions)
    assert found.pairs == {(low, low): 5, (high, high): 2, (third, third): 6, (high, third): 2}
    assert found.by_number == {0: 1, 1: 9, 2: 2}
    page = words(desk.get("/map"))
    assert "None of them for 1, exactly one for 9, 2 at once for 2" in page
    assert (
        "passed too"
        not in words(desk.get("/map", condition=low)).partition("Conditions at once")[2].partition("Choose")[0]
    )


def test_two_hundred_conditions_and_a_long_text_have_a_map(desk: Desk) -> None:
    ids = [make_condition(desk.session, desk.action, f"c{n}", desk.rule("quiz", "less", str(n))).id for n in range(200)]
    desk.action.text = "".join(f"{{% if @k{key} %}}<p>{key}</p>{{% endif %}}" for key in ids)
    desk.session.flush()
    assert desk.get("/map").status == 200
    assert desk.get().status == 200


def test_rules_that_cannot_be_run_leave_a_map_that_says_so(desk: Desk, conditions: dict[str, int]) -> None:
    desk.action.filter = {"all": [{"column": 999_999, "op": "is_null"}]}
    desk.session.flush()
    assert "have to be repaired" in words(desk.get("/map"))


# -- notices and missing values


def notices(desk: Desk) -> str:
    found = re.search(r'<div id="notices">(.*?)</div>\n', desk.get().body, re.S)
    assert found
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", found[1]))


def test_the_band_says_what_to_look_at(desk: Desk, conditions: dict[str, int]) -> None:
    assert "“low” and “high” are not used in the text" in notices(desk)
    desk.save("<p>{% if low or high %}a{% endif %}</p>")
    assert "None of the conditions holds for 5 of 12" in notices(desk)
    desk.filter(desk.rule("quiz", "less", "50"))
    said = notices(desk)
    assert "“high” holds for nobody" in said
    assert "“low” holds for everybody" in said
    desk.filter(desk.rule("quiz", "less", "-1"))
    assert "Nobody gets it" in notices(desk)


def test_pictures_without_words_are_told(desk: Desk) -> None:
    desk.save('<p><img src="https://x.example/a.png" alt="A plan"></p>')
    assert "no words" not in notices(desk)
    desk.save('<p><img src="https://x.example/a.png"><img src="https://x.example/b.png" alt=""></p>')
    assert "2 pictures have no words" in notices(desk)


def test_missing_values_are_counted_where_they_are_read(desk: Desk, conditions: dict[str, int]) -> None:
    desk.save("<p>{{ quiz }} {% if low %}{{ name }}{% endif %}</p>")
    said = notices(desk)
    assert "“quiz” is missing for 1 of 12" in said
    assert "“name”" not in said, "those without a name are not low"
    desk.save('<p>{{ quiz | default: "–" }} {{ name }}</p>')
    assert "“name” is missing for 2 of 12" in notices(desk)
    assert "“quiz” is missing" not in notices(desk)


def test_missing_values_are_marked_in_the_preview_only(desk: Desk) -> None:
    desk.save("<p>Dear {{ name }}, {{ quiz | round: 1 }}</p>")
    assert "no name" in desk.mail(12)
    assert "no quiz" in desk.mail(12)
    assert "no name" not in desk.mail(1)
    assert compile_template(desk.stored().text).render({}) == "<p>Dear , </p>"


def test_a_default_is_added_by_one_click_and_undone(desk: Desk) -> None:
    desk.save("<p>Dear {{ name }}, {% if passed %}{{ name }}{% endif %}</p>")
    fields = {"column": desk.columns["name"], "words": ' "you" & <me> '}
    page = desk.browser.follow(desk.post("/map", fields))
    assert "Written instead" in words(page)
    assert desk.mail(12).startswith("<p>Dear ”you” &amp; &lt;me&gt;,")
    assert "“name” is missing" not in notices(desk)
    undo = re.search(r'action="([^"]*/versions\?version=\d+)"', page.body)
    assert undo
    desk.browser.post(undo[1])
    assert "“name” is missing for 2 of 12" in notices(desk)


@pytest.mark.parametrize("text", ["", "   ", "x" * 201])
def test_a_default_needs_words(desk: Desk, text: str) -> None:
    desk.save("<p>{{ name }}</p>")
    before = desk.stored().text
    shown = desk.follow(desk.post("/map", {"column": desk.columns["name"], "words": text}))
    assert "Type the words" in shown
    assert desk.stored().text == before


# -- the rows behind a number


def rows(desk: Desk, **query: Any) -> str:
    return words(desk.browser.get(f"/workflows/{desk.action.workflow_id}/table", **query))


def test_the_table_shows_only_those_who_are_meant(desk: Desk, conditions: dict[str, int]) -> None:
    desk.filter(desk.rule("passed", "equal", "true"))
    here = {"message": desk.action.id}
    assert "s07" in rows(desk, **here, only="filter")
    assert "s06" not in rows(desk, **here, only="filter")
    high = rows(desk, **here, only=f"k{conditions['high']}")
    assert "s11" in high
    assert "s09" not in high
    assert "Only those who get “Reminder” and for whom “high” holds" in high
    none = rows(desk, **here, only="none")
    assert "s12" in none
    assert "s11" not in none
    for wrong in ("k999999", "k", "nonsense", "k" + "9" * 30):
        assert desk.browser.get(f"/workflows/{desk.action.workflow_id}/table", **here, only=wrong).status == 404


# -- changes to stored texts


@pytest.mark.parametrize(
    ("text", "kept", "removed"),
    [
        ("a{% if @k1 %}b{% endif %}c", "abc", "ac"),
        ("{% if @k1 %}b{% else %}c{% endif %}", "bc", "c"),
        ("{% if @k1 and @k2 %}b{% endif %}", "{% if @k2 %}b{% endif %}", "{% if @k2 %}b{% endif %}"),
        ("{% if not (@k1 or @k2) %}b{% endif %}", "{% if not @k2 %}b{% endif %}", "{% if not @k2 %}b{% endif %}"),
        ("{% if @k1 %}a{% elif @k2 %}b{% else %}c{% endif %}", "a{% if @k2 %}b{% else %}c{% endif %}",
         "{% if @k2 %}b{% else %}c{% endif %}"),
        ("{% if @k2 %}{% if @k1 %}a{% endif %}b{% endif %}", "{% if @k2 %}ab{% endif %}", "{% if @k2 %}b{% endif %}"),
        ('<a href="https://x/{% if @k1 %}a{% endif %}">l</a>', '<a href="https://x/a">l</a>',
         '<a href="https://x/">l</a>'),
    ],
)  # fmt: skip
def test_a_condition_leaves_a_text(text: str, kept: str, removed: str) -> None:
    assert without_condition(text, "k1", keeps_content=True) == kept
    assert without_condition(text, "k1", keeps_content=False) == removed


def test_a_default_goes_where_none_is() -> None:
    text = '<img src="https://x/{{ @c1 }}">{{ @c1 | round: 1 }}{{ @c1 | default: "a" }}{{ @c2 }}'
    assert with_default(text, "c1", "b") == (
        '<img src="https://x/{{ @c1 | default: &quot;b&quot; }}">{{ @c1 | round: 1 | default: "b" }}'
        '{{ @c1 | default: "a" }}{{ @c2 }}'
    )
