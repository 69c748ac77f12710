"""The language of messages: what people write, what is stored, what learners read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.actions import html
from chalicelib.actions.language import (
    Names,
    RenderError,
    TemplateError,
    ids_to_names,
    names_to_ids,
    references,
)
from chalicelib.actions.language.compile import compile_template

NAMES = Names(
    {
        "name": "c1", "quiz": "c2", "quiz 1": "c3", "Quiz | total": "c4", "page": "c5", "Passed?": "c6", "day": "c7",
        "a and b": "c8", "low quiz": "k1", "high": "k2", "not here": "k3", "a": "k4", "b": "k5",
    },
    yes_no={"c6"},
)  # fmt: skip


def written(source: str, output: Any = "html", **context: Any) -> str:
    """Return what a learner reads."""
    return compile_template(names_to_ids(source, NAMES, output), output).render(context)


def mistakes(source: str) -> list[str]:
    with pytest.raises(TemplateError) as caught:
        names_to_ids(source, NAMES)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    "source",
    [
        "Dear {{ name }}, {{ quiz 1 | round: 1 }} of {{ quiz }}",
        '{{ "Quiz | total" | default: "none" | round: 2 }}',
        "{% if low quiz and not (high or not here) %}a{% elif high %}b{% else %}c{% endif %}",
        "<ul>{% if low quiz %}<li>one</li>{% endif %}<li>two</li></ul>",
        "<table><tbody>{% if low quiz %}<tr><td>one</td></tr>{% endif %}</tbody></table>",
        '<a href="https://uni.example/{{ name }}?q={{ quiz }}">x</a><img src="{{ page }}" alt="{{ name }}">',
        '{{ day | date: "dd/mm/yyyy hh:mm", "Asia/Tokyo" }}',
    ],
)
def test_what_people_wrote_comes_back(source: str) -> None:
    stored = names_to_ids(source, NAMES)
    assert "name" not in stored
    assert names_to_ids(ids_to_names(stored, NAMES), NAMES) == stored
    assert html.clean(stored)[0] == stored


def test_a_renamed_column_changes_what_people_see_and_nothing_else() -> None:
    stored = names_to_ids("Dear {{ name }}", NAMES)
    assert stored == "Dear {{ @c1 }}"
    assert ids_to_names(stored, Names({"First | name": "c1"})) == 'Dear {{ "First | name" }}'


def test_the_longest_known_name_wins() -> None:
    assert names_to_ids("{{ quiz 1 }}", NAMES) == "{{ @c3 }}"


def test_an_unknown_name_is_refused_with_its_place_and_a_suggestion() -> None:
    assert mistakes("<p>Dear</p>\n<p>{{ nme }}</p>") == [
        "Line 2, column 7: There is no column, attribute or condition “nme”. Did you mean “name”?"
    ]


def test_all_mistakes_are_told_at_once() -> None:
    assert len(mistakes("{{ x1 }} {{ x2 }} {% if y %}{% endif %} {{ name | evil }}")) == 4


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ name", "not closed"),
        ("{% if low quiz %}a", "endif"),
        ("a{% endif %}", "endif"),
        ("{% else %}", "else"),
        ("{% if low quiz %}{% else %}{% elif high %}{% endif %}", "elif"),
        ("{% for x in y %}{% endfor %}", "no tag “for”"),
        ("{% include 'x' %}", "no tag “include”"),
        ("{{ name.upper() }}", "no column"),
        ("{{ name + 1 }}", "no column"),
        ("{{ }}", "name"),
        ("{% if %}{% endif %}", ""),
        ("{% if low quiz and %}x{% endif %}", ""),
        ("{% if name %}x{% endif %}", "neither a condition nor a yes/no column"),
        ("{% if low quiz %}<p>a{% endif %}</p>", "inside the same one"),
        ("<p>{% if low quiz %}</p><p>{% endif %}</p>", "inside the same one"),
        ('<p style="color:{{ name }}">x</p>', "style"),
        ("<p {{ name }}>x</p>", ""),
        ('{{ name | round: "x" }}', "number of decimals"),
        ('{{ day | date: "qq" }}', "no part"),
        ('{{ day | date: "dd", "Mars/Base" }}', "no time zone"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(source: str, message: str) -> None:
    assert message in mistakes(source)[0]


def test_yes_no_columns_and_conditions_can_be_tested() -> None:
    source = "{% if Passed? and low quiz %}both{% elif Passed? %}passed{% else %}no{% endif %}"
    assert written(source, c6=True, k1=True) == "both"
    assert written(source, c6=True, k1=False) == "passed"
    assert written(source, c6=None, k1=True) == "no"


def test_words_of_the_language_can_be_part_of_names() -> None:
    assert written("{% if not here %}x{% endif %}", k3=True) == "x"
    assert written("{% if not not here %}x{% endif %}", k3=True) == ""
    assert written('{% if "a" and "b" %}x{% endif %}', k4=True, k5=False) == ""


@pytest.mark.parametrize("value", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}", "a & b"])
def test_values_are_text_whatever_they_contain(value: str) -> None:
    page = written('<p>{{ name }}</p><img src="https://x.example" alt="{{ name }}">', c1=value)
    assert "<script" not in page
    assert page.count("<img") == 1
    assert "49" not in page
    assert written("{{ name }}", "text", c1=value) == value


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", " JaVaScRiPt:alert(1)", "data:text/html,x", "//evil.example", "java\nscript:x", "x", ""],
)
def test_an_address_that_leads_elsewhere_is_left_out(address: str) -> None:
    assert written('<a href="{{ page }}">x</a>', c5=address) == '<a href="">x</a>'


def test_an_address_keeps_values_as_values() -> None:
    page = written('<a href="https://uni.example/?q={{ name }}">x</a>', c1="a&b=c d")
    assert page == '<a href="https://uni.example/?q=a%26b%3Dc%20d">x</a>'


def test_missing_values_are_empty_or_the_default() -> None:
    assert written('a{{ name }}b{{ name | default: "there" }}', c1=None) == "abthere"
    assert written('{{ quiz | default: "none" | round: 1 }}', c2=None) == "none"


@pytest.mark.parametrize(
    ("source", "context", "shown"),
    [
        ("{{ quiz }}", {"c2": 3.0}, "3"),
        ("{{ quiz }}", {"c2": 0.1 + 0.2}, "0.3"),
        ("{{ quiz | round: 1 }}", {"c2": 2.25}, "2.3"),
        ("{{ quiz | percent: 1 }}", {"c2": 0.853}, "85.3%"),
        ("{{ quiz }}", {"c2": True}, "yes"),
        ("{{ name }}", {"c1": "00123"}, "00123"),
        ('{{ day | date: "dd/mm/yyyy hh:mm" }}', {"c7": datetime(2026, 3, 1, 12, 5, tzinfo=UTC)}, "01/03/2026 12:05"),
        ('{{ day | date: "hh:mm", "Asia/Tokyo" }}', {"c7": datetime(2026, 3, 1, 12, 5, tzinfo=UTC)}, "21:05"),
        ('{{ day | date: "dddd d mmmm" }}', {"c7": datetime(2026, 3, 1, tzinfo=UTC)}, "Sunday 1 March"),
    ],
)
def test_values_look_as_people_expect(source: str, context: dict[str, Any], shown: str) -> None:
    assert written(source, **context) == shown


def test_a_part_that_is_not_shown_leaves_no_empty_lines_in_plain_text() -> None:
    source = "Dear {{ name }},\n\n{% if low quiz %}\nTry again.\n{% endif %}\n\nBye"
    assert written(source, "text", c1="Ana", k1=True) == "Dear Ana,\n\nTry again.\n\nBye"
    assert written(source, "text", c1="Ana", k1=False) == "Dear Ana,\n\nBye"


def test_json_values_stay_inside_their_strings() -> None:
    assert written('{"name": "{{ name }}"}', "json", c1='a"b\\c') == '{"name": "a\\"b\\\\c"}'


def test_a_huge_message_is_stopped() -> None:
    with pytest.raises(RenderError, match="longer than"):
        written("{{ name }}" * 20, c1="x" * 100_000)


def test_a_text_full_of_mistakes_is_refused_without_a_search_for_each() -> None:
    with pytest.raises(TemplateError) as caught:
        names_to_ids("{{ nme }} " * 5_000 + "{{" * 5_000, NAMES)
    assert len(caught.value.problems) == 100
    assert [bool(problem.suggestions) for problem in caught.value.problems] == [True] * 20 + [False] * 80
    assert caught.value.fields["text"].endswith("\n… and 9,900 more.")


def test_the_names_a_text_uses_are_known() -> None:
    assert references(names_to_ids("{{ name }}{% if low quiz or high %}{% endif %}", NAMES)) == {"c1", "k1", "k2"}


def test_what_was_deleted_is_called_so_and_not_saved_again() -> None:
    shown = ids_to_names("{{ @c99 }}", NAMES)
    assert "deleted column 99" in shown
    assert "no column" in mistakes(shown)[0]


@pytest.mark.parametrize(
    ("source", "cleaned", "gone"),
    [
        ("<p onclick='x()'>a</p>", "<p>a</p>", ["onclick"]),
        ("a<script>alert(1)</script>b", "ab", ["script"]),
        ('<a href=" JavaScript:x">a</a>', "<a>a</a>", ["javascript:"]),
        ('<img src="data:image/png;base64,AA">', "<img>", ["data:"]),
        ('<p style="color: red; position: fixed">a</p>', '<p style="color:red">a</p>', []),
        ("<iframe src=x></iframe>a", "a", ["iframe"]),
        ("<form><input name=a>b</form>", "b", ["form", "input"]),
        ("<!-- secret -->a", "a", []),
        ("a <!-- b {{ @c1 }} c", "a &lt;!-- b {{ @c1 }} c", []),
        ("<!<!-- x -->-- {{ @c1 }}", "&lt;!-- {{ @c1 }}", []),
        ("<!--" * 40_000, "&lt;!--" * 40_000, []),
        ("<textarea>{{ @c1 }} <b>b</b></textarea>", "{{ @c1 }} <b>b</b>", ["textarea"]),
        ("<xmp>{% if @k1 %}a{% endif %}</xmp>", "{% if @k1 %}a{% endif %}", ["xmp"]),
        ('<p title="{">{% if @k1 %}a{% endif %}</p>', '<p title="{">{% if @k1 %}a{% endif %}</p>', []),
        ("<table>{% if @k1 %}<tr><td>a</td></tr>{% endif %}<tr><td>b</td></tr></table>",
         "<table><tbody>{% if @k1 %}<tr><td>a</td></tr>{% endif %}<tr><td>b</td></tr></tbody></table>", []),
        ("<h1>a</h1><table><tr><td>b</td></tr></table>",
         "<h1>a</h1><table><tbody><tr><td>b</td></tr></tbody></table>", []),
    ],
)  # fmt: skip
def test_html_is_cleaned_and_what_went_is_told(source: str, cleaned: str, gone: list[str]) -> None:
    assert html.clean(source) == (cleaned, gone)


@given(st.text(alphabet="<>/=\"'{}%@ck1 abp!-\n&;", max_size=60))
def test_cleaning_twice_is_cleaning_once(source: str) -> None:
    once = html.clean(source)[0]
    assert html.clean(once)[0] == once


@given(st.text(alphabet='{}%@| "nameif()<>&lowquz\n', max_size=60))
def test_any_text_is_read_or_refused_with_a_place(source: str) -> None:
    try:
        stored = names_to_ids(source, NAMES)
    except TemplateError as error:
        line = error.line
    else:
        compile_template(html.clean(stored)[0]).render({"c1": "x"})
        line = 1
    assert 1 <= line <= source.count("\n") + 1
