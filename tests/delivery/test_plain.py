"""The plain-text part: what the HTML says, readable in a terminal, with the tags of our language kept."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from chalicelib.delivery.plain import plain_source
from chalicelib.delivery.render import Renderer


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("<p>One<br>two</p>", "One\ntwo"),
        ("<p>a  \n b&nbsp;&amp; c</p>", "a b\u00a0& c"),
        ("<ul><li>x</li><li>y</li></ul>", "- x\n- y"),
        ("<p>a</p><ol><li><p>x</p></li><li>y</li></ol><p>b</p>", "a\n\n1. x\n2. y\n\nb"),
        ("<ul><li>x<ul><li>y</li></ul></li><li>z</li></ul>", "- x\n- y\n- z"),
        ("<ul>\n <li><p>x</p>\n <p>more</p></li>\n</ul>", "- x\nmore"),
        ("<p>a</p><hr><p>b</p>", "a\n\n----\n\nb"),
        ('<p><a href="https://uni.example">Read</a></p>', "Read (https://uni.example)"),
        ('<a href="https://uni.example">https://uni.example</a>', "https://uni.example"),
        ('<a href="mailto:me@uni.example">me@uni.example</a>', "me@uni.example"),
        ('<p><img src="x.png" alt="A chart"></p>', "A chart"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a\tb\nc"),
        ("<style>p {}</style><p>x</p>", "x"),
        ("", ""),
    ],
)
def test_html_becomes_text(html: str, text: str) -> None:
    assert plain_source(html) == text


def rendered(text: str, **context: object) -> str:
    run = SimpleNamespace(subject="s", text=text, value_types={}, attributes={}, time_zone="UTC", details={})
    values = {name: value for name, value in context.items() if name.startswith("c")}
    flags = {name: value for name, value in context.items() if name.startswith("k")}
    return Renderer(run).render(values, flags).text


def test_values_and_conditions_work_in_the_text_too() -> None:
    source = '<p>Dear {{ @c1 | default: "you" }},</p>{% if @k2 %}<p>well done</p>{% else %}<p>try again</p>{% endif %}'
    assert rendered(source, c1="Zoë & <Bo>", k2=True) == "Dear Zoë & <Bo>,\n\nwell done"
    assert rendered(source, k2=False) == "Dear you,\n\ntry again"


def test_numbers_in_a_mail_are_as_the_run_says_but_not_in_addresses() -> None:
    source = '<p>{{ @c1 }} <a href="https://uni.example/?mark={{ @c1 }}">yours</a></p>'
    run = SimpleNamespace(
        subject="{{ @c1 }}", text=source, value_types={"c1": "double"}, attributes={}, time_zone="UTC",
        details={"formats": {"decimals": 1}},
    )  # fmt: skip
    made = Renderer(run).render({"c1": 2.345}, {})
    assert made.subject == "2.3"
    assert made.html.startswith('<p>2.3 <a href="https://uni.example/?mark=2.345"')
    assert made.text.startswith("2.3 yours (https://uni.example/?mark=2.3")


def test_values_in_links_are_written_out() -> None:
    source = '<p><a href="https://uni.example/{{ @c1 }}">Your page</a></p>'
    assert rendered(source, c1="a b") == "Your page (https://uni.example/a b)"
