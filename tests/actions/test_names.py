"""Texts go from names to ids and back unharmed, whatever columns and conditions are called."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.actions import html
from chalicelib.actions.language import Names, ids_to_names, names_to_ids, of_message, references
from chalicelib.actions.language.parser import parse
from chalicelib.actions.language.syntax import ANYTHING
from chalicelib.tables import names as column_names

#: What may make a name hard to read inside a tag, and some letters to make it a word.
PIECES = [
    "and", "or", "not", "if", "endif", "else", "default", "round", "a", "b", "quiz", "1", "0", "é", "日", "😀", "İ",
    " ", "|", ":", ",", "(", ")", "{", "}", "{{", "}}", "{%", "%}", "%", "<", ">", "<b>", "</p>", "<!--", "-->", "&",
    "&amp;", "&lt;", "&quot;", "&nbsp;", "=", "@c1", "@", "#", "/", "\\", "’", "”", "_", "-", ".", "\u200b", "\ufeff",
    "\u00a0", "\u00ad", "\u200d", "e\u0301", "deleted column 1", "(condition)", "\t", "\n", "\0", "\u2028",
]  # fmt: skip
name = (
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=6)
    .map("".join)
    .map(column_names.tidy)
    .filter(lambda made: not column_names.problem(made))
)
some_names = st.lists(name, min_size=3, max_size=3, unique=True)


tests = st.recursive(
    st.sampled_from(["@k1", "@k2", "@k3", "@c3"]),
    lambda inner: inner.map("not {}".format)
    | st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' and '.join(parts)})")
    | st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' or '.join(parts)})"),
    max_leaves=6,
)  # fmt: skip


def known(columns: list[str], conditions: list[str]) -> Names:
    kinds = ("text", "double", "boolean")
    described = {number: (column, kind) for number, (column, kind) in enumerate(zip(columns, kinds, strict=True), 1)}
    return of_message(described, dict(enumerate(conditions, 1)))


@given(columns=some_names, conditions=some_names, test=tests)
@settings(max_examples=300, deadline=None)
@pytest.mark.parametrize("output", ["html", "text", "json"])
def test_any_names_go_there_and_back(output: Any, columns: list[str], conditions: list[str], test: str) -> None:
    names = known(columns, conditions)
    written = (
        'Dear {{ @c1 }}, {{ @c2 | default: "none" | round: 1 }} {{ @k1 }}'
        f"{{% if {test} %}}a{{% elif not @k2 %}}{{{{ @c3 }}}}{{% else %}}b{{% rubric %}}{{% endif %}}"
        "{% table @c2, @c1 sort: @c3 descending max: 7 %}"
    )
    if output == "html":
        written += '<a href="https://x.example/{{ @c1 }}{% if @k3 %}?{{ @c2 }}{% endif %}">x</a>'
    shown = ids_to_names(written, names, output)
    stored = names_to_ids(shown, names, output, ANYTHING)
    assert parse(stored, None, output) == parse(written, None, output)
    assert ids_to_names(stored, names, output) == shown
    assert references(stored, output) == references(written, output)
    if output == "html":
        assert html.clean(stored) == (stored, [])


@given(columns=some_names, conditions=some_names)
def test_a_name_in_double_quotes_is_always_understood(columns: list[str], conditions: list[str]) -> None:
    names = known(columns, conditions)
    for number, column in enumerate(columns, 1):
        assert names_to_ids(f'{{{{ "{column}" }}}}', names, "text") == f"{{{{ @c{number} }}}}"


@given(columns=some_names, conditions=some_names)
def test_what_is_gone_never_becomes_something_else(columns: list[str], conditions: list[str]) -> None:
    names = known(columns, conditions)
    gone = names.name("c9")
    assert gone not in [names.name(f"c{number}") for number in (1, 2, 3)]
    assert gone not in [names.name(f"k{number}") for number in (1, 2, 3)]
