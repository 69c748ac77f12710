"""The language of messages: what people write, what is stored, what learners read."""

from __future__ import annotations

import json
import re
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
    renumber,
)
from chalicelib.actions.language.compile import compile_template
from chalicelib.actions.language.rows import Rows
from chalicelib.actions.language.rubric import Criterion
from chalicelib.actions.language.syntax import PERSONAL, Allowed

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


REPORT = Allowed(per_learner=False, tables=True)
RUBRIC = Allowed(rubric=True)


def table(source: str, output: Any = "html", *rows: list[Any]) -> str:
    """Return what a report with one table of names and quizzes says."""
    compiled = compile_template(names_to_ids(source, NAMES, output, REPORT), output)
    return compiled.render({compiled.tables[0].key: Rows(["A & B", "quiz"], rows)})


@pytest.mark.parametrize("output", ["html", "text", "json"])
def test_a_table_goes_there_and_back(output: Any) -> None:
    source = '{% table "quiz 1", "a and b", "Quiz | total" sort: "name" descending max: 50 %}'
    stored = names_to_ids(source, NAMES, output, REPORT)
    assert stored == "{% table @c3, @c8, @c4 sort: @c1 descending max: 50 %}"
    assert ids_to_names(stored, NAMES, output) == source
    assert references(stored, output) == {"c1", "c3", "c4", "c8"}
    assert renumber(stored, {"c3": "c30", "c1": "c10"}, output).startswith("{% table @c30, @c8, @c4 sort: @c10")


def test_a_table_shows_its_rows_under_the_names_of_its_columns() -> None:
    shown = table('<p>All:</p><p>{% table "name", "quiz" %}</p>', "html", ["<b>", 1.0], [None, 2.5])
    assert "A &amp; B</th>" in shown
    row = '<tr><td>&lt;b&gt;</td><td align="right">1</td></tr>'
    assert f'{row}<tr><td></td><td align="right">2.5</td></tr>' in shown
    assert re.fullmatch("<p>All:</p><table .*</table>", shown)
    assert table('{% table "name", "quiz" %}', "text", ["Ana", 1.0], [None, 2.5]).split("\n")[2:] == [
        "Ana    1", "       2.5"
    ]  # fmt: skip


def test_a_table_in_json_keeps_the_types_of_its_values() -> None:
    day = datetime(2026, 3, 1, 12, 5, tzinfo=UTC)
    made = table('{"all": {% table "name", "quiz" %}}', "json", ['a"b', 1], [None, True], [day, float("nan")])
    assert json.loads(made) == {"all": {"A & B": ['a"b', None, "2026-03-01T12:05:00+00:00"], "quiz": [1, True, None]}}
    assert json.loads(table('{% table "name", "quiz" %}', "json")) == {"A & B": [], "quiz": []}


def refused(source: str, allowed: Allowed) -> list[str]:
    with pytest.raises(TemplateError) as caught:
        names_to_ids(source, NAMES, "html", allowed)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('{% table "nam" %}', "no column “nam”. Did you mean “name”?"),
        ('{% table "low quiz" %}', "“low quiz” is no column"),
        ("{% table name %}", "double quotes"),
        ("{% table %}", "needs its columns"),
        ('{% table "name %}', "not closed"),
        ('{% table "name" sort %}', "colon"),
        ('{% table "name" sort: %}', "missing"),
        ('{% table "name" sort: "quiz" sort: "quiz" %}', "already"),
        ('{% table "name" max: 0 %}', "whole number"),
        ('{% table "name" max: ten %}', "whole number"),
        ('<p title="{% table "name" %}">x</p>', "title"),
        ("{{ name }}", "differs from learner to learner"),
        ("{% if low quiz %}x{% endif %}", "depend on a condition"),
        ("{% rubric %}", "Only rubric feedback"),
        ('{% tabel "name" %}', "no tag “tabel”: use table. Did you mean “table”?"),
    ],
)
def test_what_a_report_cannot_have_is_refused_with_the_reason(source: str, message: str) -> None:
    assert message in refused(source, REPORT)[0]


def test_a_text_for_one_learner_shows_no_others() -> None:
    assert "Only a report" in refused('{% table "name" %}', PERSONAL)[0]
    assert "Only rubric feedback" in refused("{% rubric %}", PERSONAL)[0]
    assert "Nothing can follow" in refused("{% rubric x %}", RUBRIC)[0]
    assert "the attribute alt" in refused('<img alt="{% rubric %}">', RUBRIC)[0]


CRITERIA = [
    Criterion("c1", "A & B", {"good": "<p>Fine, {{ @c2 }}.</p>", "bad": "{% if @k1 %}<p>Try again.</p>{% endif %}"}),
    Criterion("c2", "Count", {"0": "<p>None.</p>", "1": ""}),
    Criterion("c6", "Passed", {"false": "<p>Not yet.</p>"}),
]


def feedback(**context: Any) -> str:
    stored = names_to_ids("<p>{% rubric %}</p>", NAMES, "html", RUBRIC)
    return compile_template(stored, criteria=CRITERIA).render(context)


def test_the_rubric_says_what_belongs_to_the_levels_of_the_learner() -> None:
    assert feedback(c1="good", c2=2.5) == "<ul><li><strong>A &amp; B:</strong> Fine, 2.5.</li></ul>"
    assert feedback(c2=0.0, c6=False) == (
        "<ul><li><strong>Count:</strong> None.</li><li><strong>Passed:</strong> Not yet.</li></ul>"
    )


def test_what_a_rubric_has_no_feedback_for_is_left_out() -> None:
    assert feedback(c1="bad", c2=1, c6=True) == ""
    assert feedback(c1="bad", k1=True) == "<ul><li><strong>A &amp; B:</strong> <p>Try again.</p></li></ul>"
    assert feedback(c1="what?") == feedback() == ""


def test_the_rubric_in_plain_text_has_a_line_for_each_criterion() -> None:
    plain = [Criterion("c1", "A & B", {"good": "Fine."}), Criterion("c2", "Count", {"0": "None."})]
    text = compile_template("Hi\n{% rubric %}", "text", criteria=plain).render({"c1": "good", "c2": 0})
    assert text == "Hi\n- A & B: Fine.\n- Count: None.\n"


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


PIECES = [
    "{% table", "{% rubric %}", "{{", "}}", "{%", "%}", "if", "endif", '"name"', '"quiz"', '"', ",", "sort:", "max:",
    "descending", "5", "low quiz", "name", "<p>", "</p>", "<table>", "@c1", " ", "\n",
]  # fmt: skip


@given(
    st.text(alphabet='{}%@| "nameif()<>&lowquz\n', max_size=60)
    | st.lists(st.sampled_from(PIECES), max_size=15).map(" ".join),
    st.sampled_from([PERSONAL, REPORT, RUBRIC]),
)
def test_any_text_is_read_or_refused_with_a_place(source: str, allowed: Allowed) -> None:
    try:
        stored = names_to_ids(source, NAMES, "html", allowed)
    except TemplateError as error:
        line = error.line
    else:
        compiled = compile_template(html.clean(stored)[0], criteria=CRITERIA)
        compiled.render({"c1": "good", **{one.key: Rows(["name"], [["x"]]) for one in compiled.tables}})
        line = 1
    assert 1 <= line <= source.count("\n") + 1
