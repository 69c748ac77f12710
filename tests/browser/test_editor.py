"""The visual editor in a real browser, on a page of its own behind a content security policy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from chalicelib.web import templates
from tests.browser.conftest import AXE, PHONE

NAMES = {
    "columns": [
        {"id": 1, "name": "First name", "type": "text"},
        {"id": 2, "name": "Quiz 1", "type": "double"},
        {"id": 3, "name": "passed", "type": "boolean"},
    ],
    "attributes": [{"id": 4, "name": "Office hours"}],
    "conditions": [{"id": 7, "name": "low quiz 1"}, {"id": 8, "name": "no and then"}],
}
PAGE = """<!doctype html><html lang="en"><head><title>Editor</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
{% for name in ["vendor/bootstrap.min.css", "css/app.css", "vendor/prosemirror.css", "css/editor.css"] %}
<link rel="stylesheet" href="{{ static(name) }}">{% endfor %}
</head><body><main><h1>Editor</h1><div data-editor data-names='{{ names | tojson }}'>
<textarea name="text" class="source" aria-label="Source">{{ text }}</textarea></div><p id="text-problems"></p>
<a href="#next">Next</a></main></body></html>"""
START = """async (url) => {
  const { MessageEditor } = await import(url + "main.js");
  window.editor = new MessageEditor(document.querySelector("[data-editor]"));
}"""
ROUND_TRIP = """async ([url, text]) => {
  const [{ read }, { toDocument }, { write }] =
    await Promise.all(["read.js", "schema.js", "write.js"].map((name) => import(url + name)));
  return write(toDocument(read(text)));
}"""
PASTE = """(html) => {
  const data = new DataTransfer();
  data.setData("text/html", html);
  document.querySelector(".message-text").dispatchEvent(
    new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
}"""
COPY = """() => {
  const data = new DataTransfer();
  document.querySelector(".message-text").dispatchEvent(
    new ClipboardEvent("copy", { clipboardData: data, bubbles: true, cancelable: true }));
  return [data.getData("text/html"), data.getData("text/plain")];
}"""
#: The editor learns of a new selection a moment after the key.
PACE_MS = 40

Open = Callable[..., "Editor"]


class Editor:
    """The editor on its page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @property
    def text(self) -> Locator:
        """What is written in."""
        return self.page.get_by_role("textbox", name="Text of the message")

    @property
    def source(self) -> str:
        """What would be saved, without line breaks."""
        return self.page.locator("textarea").input_value().replace("\n", "")

    def shows(self, source: str) -> None:
        """Wait until that is what would be saved, but for line breaks."""
        pattern = "\\n*".join(re.sub(r"[^\w ]", r"\\\g<0>", character) for character in source)
        expect(self.page.locator("textarea")).to_have_value(re.compile(f"^{pattern}$"), timeout=3000)

    def keys(self, *names: str) -> None:
        """Press keys as fast as people do."""
        for name in names:
            self.page.keyboard.press(name)
            self.page.wait_for_timeout(PACE_MS)

    def type(self, text: str) -> None:
        """Type a text."""
        self.page.keyboard.type(text, delay=5)
        self.page.wait_for_timeout(PACE_MS)

    def put_cursor(self, after: str) -> None:
        """Click behind some words, the last of their line."""
        self.text.get_by_text(after).last.click()
        self.keys("End")

    def choose(self, menu: str, *items: str) -> None:
        """Open a menu of the bar and choose."""
        self.page.get_by_role("toolbar").get_by_role("button", name=menu).click()
        for item in items:
            self.page.get_by_role("menuitem", name=item).click()


@pytest.fixture
def open_editor(context: BrowserContext, site: tuple[str, dict[str, str]]) -> Iterator[Open]:
    """Open the editor with a text; script errors and policy violations fail the test."""
    problems: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))

    def show(text: str) -> Editor:
        url, pages = site
        pages["/"] = templates.environment().from_string(PAGE).render(names=NAMES, text=text)
        page.goto(url)
        page.evaluate(START, templates.environment().globals["static"]("js/editor/"))  # type: ignore[operator]
        return Editor(page)

    yield show
    assert problems + page.evaluate("window.__violations") == []


@pytest.mark.parametrize(
    "text",
    [
        "<p>Dear {{ First name }},</p>",
        "{% if a %}<p>x</p>{% elif b and not c %}<p>y</p>{% else %}<p>z</p>{% endif %}",
        "{% if a %}<p>1</p>{% if b %}<p>2</p>{% endif %}{% endif %}",
        "<p>one {% if a %}two{% else %}three{% endif %} four</p>",
        "<p>{% if a %}x{% if b %}y{% else %}w{% endif %}z{% endif %}</p>",
        "<p>{% if a %}{% else %}b{% endif %} empty parts count</p>",
        "<ul>{% if a %}<li>x</li>{% elif b %}<li>y</li><li>yy</li>{% endif %}<li>z<ul><li>q</li></ul></li></ul>",
        "<table><thead><tr><th>A</th></tr></thead><tbody>{% if a %}<tr><td>{{ x }}</td></tr>{% else %}<tr>"
        '<td colspan="2">y</td></tr>{% endif %}</tbody></table>',
        '<p>{{ "a | b" | round: 1 | default: "&lt;none&gt;" }} 1 &lt; 2 &amp; 3</p>',
        '<p style="color:red">a <span style="color: #333; font-weight:bold">b</span> '
        '<a href="https://x.example/?q={{ &quot;a b&quot; }}">l</a></p>',
        '<p><img src="https://x.example/{{ y }}.png" alt="z" width="10"></p><hr><pre>a  b {{ x }}</pre>',
        "<blockquote>{% if a &lt; 3 %}<p>q</p>{% endif %}</blockquote><h2>t</h2>",
        '<div align="center"><p>a<br>b</p></div><ol><li><p>x</p><p>y</p></li></ol>',
        "<p>{% for x in y %} {# note #}</p>",
    ],
)
def test_a_text_comes_back_as_it_was(open_editor: Open, text: str) -> None:
    editor = open_editor("")
    url = templates.environment().globals["static"]("js/editor/")  # type: ignore[operator]
    once = editor.page.evaluate(ROUND_TRIP, [url, text])
    assert once.replace("\n", "") == text
    assert editor.page.evaluate(ROUND_TRIP, [url, once]) == once


def test_conditions_that_cross_paragraphs_go_around_them(open_editor: Open) -> None:
    editor = open_editor("<p>{% if low quiz 1 %}a</p><p>b{% endif %}</p>")
    expect(editor.text.get_by_role("group", name="if low quiz 1")).to_contain_text("ab")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<p>{% if low quiz 1 %}a</p><p>b{% endif %}c</p>", "begins in one paragraph, cell or list item"),
        ("<p>{% if low quiz 1 %}a</p>", "never closed"),
        ("<p>a{% endif %}</p>", "without its “if”"),
        ("<dl><dt>a</dt></dl>", "can’t keep everything in this text (dl, dt)"),
    ],
)
def test_a_text_that_cannot_be_shown_stays_as_source(open_editor: Open, text: str, words: str) -> None:
    editor = open_editor(text)
    expect(editor.page.get_by_role("status")).to_contain_text(words)
    expect(editor.page.get_by_label("Source")).to_have_value(text)
    expect(editor.text).to_be_hidden()


def test_values_are_typed_chosen_passed_and_deleted(open_editor: Open) -> None:
    editor = open_editor("<p>Dear</p>")
    editor.put_cursor("Dear")
    editor.type(" {{ First name }}")
    editor.shows("<p>Dear {{ First name }}</p>")
    editor.type(", {qu")
    expect(editor.page.get_by_role("option", name="Quiz 1", exact=False)).to_have_count(2)
    editor.keys("Enter")
    editor.type("!")
    editor.shows("<p>Dear {{ First name }}, {{ Quiz 1 }}!</p>")
    editor.keys("ArrowLeft", "ArrowLeft", "ArrowLeft")
    editor.type("x")
    editor.shows("<p>Dear {{ First name }}, x{{ Quiz 1 }}!</p>")
    editor.keys("ArrowRight", "Delete")
    editor.shows("<p>Dear {{ First name }}, x!</p>")
    editor.keys("Control+z")
    assert "{{ Quiz 1 }}!" in editor.source


def test_braces_and_slashes_can_just_be_typed(open_editor: Open) -> None:
    editor = open_editor("<p>a</p>")
    editor.put_cursor("a")
    editor.type(" and/or {qu")
    expect(editor.page.get_by_role("listbox", name="Insert")).to_be_visible()
    editor.keys("Escape")
    editor.type("x / y")
    expect(editor.page.get_by_role("listbox", name="Insert")).to_be_hidden()
    editor.shows("<p>a and/or {qux / y</p>")


def test_how_a_value_is_shown_is_asked_for(open_editor: Open) -> None:
    editor = open_editor("<p>{{ Quiz 1 }}</p>")
    editor.text.get_by_text("Quiz 1").dblclick()
    editor.page.get_by_label("Where it is missing, write").fill('not "yet"')
    editor.page.get_by_label("Decimals").fill("1")
    editor.keys("Enter")
    editor.shows('<p>{{ Quiz 1 | round: 1 | default: "not ”yet”" }}</p>')
    editor.keys("Enter")  # the chip is still chosen
    expect(editor.page.get_by_label("Decimals")).to_have_value("1")
    editor.page.get_by_role("button", name="Remove the value").click()
    editor.shows("")


def test_a_paragraph_is_wrapped_gets_an_else_and_is_unwrapped(open_editor: Open) -> None:
    editor = open_editor("<p>first</p><p>last</p>")
    editor.put_cursor("first")
    editor.choose("Condition: show", "low quiz 1")
    editor.shows("{% if low quiz 1 %}<p>first</p>{% endif %}<p>last</p>")
    editor.choose("Condition of this part", "everybody else")
    editor.type("well done")
    editor.choose("Condition of this part", "for another condition", "passed")
    editor.type("rather good")
    editor.shows(
        "{% if low quiz 1 %}<p>first</p>{% elif passed %}<p>rather good</p>{% else %}<p>well done</p>{% endif %}"
        "<p>last</p>"
    )
    editor.page.get_by_role("button", name="if low quiz 1: change this condition").click()
    editor.page.get_by_role("menuitem", name="Delete this part").click()
    editor.shows("{% if passed %}<p>rather good</p>{% else %}<p>well done</p>{% endif %}<p>last</p>")
    editor.put_cursor("well done")
    editor.choose("Condition of this part", "Show the text to everybody")
    editor.shows("<p>rather good</p><p>well done</p><p>last</p>")
    for expected in ("{% else %}", "<p>first</p>"):
        editor.keys("Control+z")
        assert expected in editor.source


def test_two_commands_in_a_row_are_two_steps_of_undo(open_editor: Open) -> None:
    editor = open_editor("<p>a</p>")
    editor.put_cursor("a")
    editor.choose("Condition: show", "low quiz 1")
    editor.choose("Condition of this part", "everybody else")
    editor.keys("Control+z")
    editor.shows("{% if low quiz 1 %}<p>a</p>{% endif %}")
    editor.keys("Control+z")
    editor.shows("<p>a</p>")
    editor.keys("Control+Shift+z")
    editor.shows("{% if low quiz 1 %}<p>a</p>{% endif %}")


def test_some_words_get_a_condition_of_their_own(open_editor: Open) -> None:
    editor = open_editor("<p>one two three</p>")
    editor.put_cursor("three")
    editor.keys(*["Shift+ArrowLeft"] * 5)
    editor.choose("Condition: show", "no and then")
    editor.shows('<p>one two {% if "no and then" %}three{% endif %}</p>')
    editor.keys("ArrowRight", "ArrowLeft")
    editor.choose("Condition of this part", "everybody else")
    editor.type("four")
    editor.shows('<p>one two {% if "no and then" %}three{% else %}four{% endif %}</p>')
    editor.keys("End")
    editor.type("!")
    editor.shows('<p>one two {% if "no and then" %}three{% else %}four{% endif %}!</p>')
    editor.keys("ArrowLeft", "ArrowLeft")
    editor.choose("Condition of this part", "Show the text to everybody")
    editor.shows("<p>one two threefour!</p>")


def test_list_items_get_conditions_whole(open_editor: Open) -> None:
    editor = open_editor("<ul><li>a</li><li>b</li><li>c</li></ul>")
    editor.put_cursor("b")
    editor.choose("Condition: show", "low quiz 1")
    editor.choose("Condition of this part", "everybody else")
    editor.type("new")
    editor.shows("<ul><li>a</li>{% if low quiz 1 %}<li>b</li>{% else %}<li>new</li>{% endif %}<li>c</li></ul>")


def test_backspace_behind_a_condition_leaves_it_alone(open_editor: Open) -> None:
    editor = open_editor("{% if low quiz 1 %}<p>inner</p>{% else %}<p>or</p>{% endif %}<p>behind</p>")
    editor.put_cursor("behind")
    editor.keys("Home", "Backspace")
    assert editor.source.endswith("{% else %}<p>or</p>{% endif %}<p>behind</p>")
    editor.put_cursor("or")
    editor.keys("Home", "Backspace", "Backspace")
    editor.shows("{% if low quiz 1 %}<p>inner</p>{% else %}<p>or</p>{% endif %}<p>behind</p>")


def test_enter_on_an_empty_last_line_leaves_the_condition(open_editor: Open) -> None:
    editor = open_editor("{% if low quiz 1 %}<p>inner</p>{% else %}<p>other</p>{% endif %}")
    editor.put_cursor("inner")
    editor.keys("Enter", "Enter")
    editor.type("still inside")
    editor.put_cursor("other")
    editor.keys("Enter", "Enter")
    editor.type("for everybody")
    editor.shows(
        "{% if low quiz 1 %}<p>inner</p><p></p><p>still inside</p>{% else %}<p>other</p>{% endif %}<p>for everybody</p>"
    )


def test_the_keyboard_reaches_everything(open_editor: Open) -> None:
    editor = open_editor("{% if low quiz 1 %}<p>inner</p>{% endif %}")
    editor.put_cursor("inner")
    editor.keys("Alt+F10")
    expect(editor.page.get_by_role("button", name="Insert a value")).to_be_focused()
    editor.keys("ArrowRight", "ArrowRight")
    expect(editor.page.get_by_role("button", name="Bold")).to_be_focused()
    editor.keys("Escape", "Control+Enter")
    editor.type("behind")
    editor.shows("{% if low quiz 1 %}<p>inner</p>{% endif %}<p>behind</p>")
    editor.put_cursor("inner")
    editor.keys("Escape", "Enter")
    expect(editor.page.get_by_role("menuitem").first).to_be_focused()
    editor.keys("Escape")
    editor.put_cursor("inner")
    editor.keys("Escape", "Delete")
    editor.shows("<p>behind</p>")
    editor.keys("Tab", "Tab")
    expect(editor.page.get_by_role("link", name="Next")).to_be_focused()


def test_the_usual_looks_work(open_editor: Open) -> None:
    editor = open_editor("<p>word</p>")
    editor.put_cursor("word")
    editor.keys("Control+a", "Control+b", "Control+i")
    editor.shows("<p><strong><em>word</em></strong></p>")
    editor.keys("Control+k")
    editor.page.get_by_label("Address").fill("uni.example/?id={{ Quiz 1 }}")
    editor.keys("Enter")
    assert "uni.example/?id={{ Quiz 1 }}" in editor.source
    editor.choose("Paragraph", "Large heading")
    assert editor.source.startswith("<h1>")
    editor.choose("Paragraph", "Bulleted list")
    editor.choose("Paragraph", "Bulleted list")
    editor.keys("End", "Enter")
    editor.choose("More", "Table")
    assert editor.source.count("<th></th>") == 3


def test_the_source_and_the_text_are_the_same_thing(open_editor: Open) -> None:
    editor = open_editor("<p>a</p>")
    editor.page.get_by_role("button", name="Show the source").click()
    editor.page.get_by_label("Source").fill("<p>a {{ First name }}</p>{% if passed %}<p>b</p>{% endif %}")
    editor.page.get_by_role("button", name="Back to the visual editor").click()
    expect(editor.text.get_by_role("group", name="if passed")).to_be_visible()
    editor.put_cursor("b")
    editor.type("c")
    editor.shows("<p>a {{ First name }}</p>{% if passed %}<p>bc</p>{% endif %}")
    editor.keys("Control+z", "Control+z")
    editor.shows("<p>a</p>")


def test_unknown_names_are_marked_where_they_stand(open_editor: Open) -> None:
    editor = open_editor("<p>{{ Quizz 1 }} {{ Quiz 1 }}</p>{% if gone %}<p>x</p>{% endif %}")
    expect(editor.text.locator(".chip-unknown")).to_have_text(["Quizz 1"])
    expect(editor.text.locator(".branch-unknown")).to_have_count(1)


WORD = """<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><style>p {mso-style: x}</style></head><body>
<!--StartFragment--><p class=MsoNormal style='margin:0'><b>Bold</b> and
<span style='color:red'>red</span><o:p></o:p></p>
<p class=MsoListParagraph style='mso-list:l0 level1 lfo1'><span style='mso-list:Ignore'>·</span>one</p>
<p class=MsoListParagraph style='mso-list:l0 level2 lfo1'><span style='mso-list:Ignore'>o</span>two</p>
<p class=MsoListParagraph style='mso-list:l0 level1 lfo1'><span style='mso-list:Ignore'>·</span>three</p>
<table><tr><td style='border:none'>cell</td></tr></table><!--EndFragment--></body></html>"""
DOCS = """<meta charset="utf-8"><b style="font-weight:normal;" id="docs-internal-guid-1"><p dir="ltr"
style="line-height:1.4"><span style="font-weight:700">Bold</span><span
style="font-weight:400;font-style:italic"> slanted</span></p></b>"""


@pytest.mark.parametrize(
    ("pasted", "expected"),
    [
        (
            WORD,
            "<p><strong>Bold</strong> and red</p><ul><li>one<ul><li>two</li></ul></li><li>three</li></ul>"
            "<table><tbody><tr><td>cell</td></tr></tbody></table>",
        ),
        (DOCS, "<p><strong>Bold</strong><em> slanted</em></p>"),
        ("<p>{{ First name }} {% if passed %}x{% endif %}</p>", "<p>{{ First name }} {% if passed %}x{% endif %}</p>"),
        ("<p>{% if passed %}a</p>", "<p>{% if passed %}a</p>"),
        ("<p onclick='x()'>a<script>window.x = 1</script></p>", "<p>a</p>"),
    ],
    ids=["Word", "Google Docs", "our tags", "unbalanced tags", "scripts"],
)  # fmt: skip
def test_pasted_texts_keep_their_structure_only(open_editor: Open, pasted: str, expected: str) -> None:
    editor = open_editor("<p></p>")
    editor.text.click()
    editor.page.evaluate(PASTE, pasted)
    editor.shows(expected)


def test_what_is_copied_can_be_pasted(open_editor: Open) -> None:
    text = "<p>a {{ First name }} {% if passed %}b{% endif %}</p>{% if low quiz 1 %}<p>c</p>{% endif %}"
    editor = open_editor(text)
    editor.text.click()
    editor.keys("Control+a")
    html, plain = editor.page.evaluate(COPY)
    assert "a {{ First name }} b" in plain
    editor.keys("Delete")
    editor.shows("")
    editor.page.evaluate(PASTE, html)
    editor.shows(text)


def test_the_editor_is_accessible_and_fits_a_phone(open_editor: Open) -> None:
    editor = open_editor(
        "<p>Dear {{ First name }} {% if passed %}b{% endif %}</p>"
        "{% if low quiz 1 %}<p>c</p>{% else %}<ul><li>d</li></ul>{% endif %}"
    )
    page = editor.page
    for size in (None, PHONE):
        if size:
            page.set_viewport_size(size)  # type: ignore[arg-type]
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        page.evaluate(AXE())
        editor.choose("Insert a value")
        found: Any = page.evaluate("axe.run().then((r) => r.violations.map((v) => v.id + ' ' + v.nodes[0].html))")
        assert found == [], json.dumps(found)
        editor.keys("Escape")
