"""Translates the texts of OnTask's messages, templates like Django's, into ours.

What our language does not have becomes words in square brackets that nobody can overlook; the caller keeps the
original.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from chalicelib.actions.html import clean, displaced
from chalicelib.actions.language import Names, Problem, TemplateError, names_to_ids, references
from chalicelib.actions.language.scan import Tag, find_tags
from chalicelib.actions.language.syntax import PERSONAL, Allowed

#: A paragraph with nothing but the beginning or the end of an `if`: in ours both stand between paragraphs.
_LONE_TAG = re.compile(
    r"<(?P<element>p|div)\b[^<>]*>(?:\s|&nbsp;|<br\s*/?>)*(?P<tag>\{%\s*(?:if\b|elif\b|else\b|endif\b)(?:(?!%\}).)*%\})"
    r"(?:\s|&nbsp;|<br\s*/?>)*</(?P=element)>",
    re.IGNORECASE | re.DOTALL,
)
_COMMENT = re.compile(r"\{%\s*comment\b(?:(?!%\}).)*%\}.*?\{%\s*endcomment\s*%\}|\{#.*?#\}", re.DOTALL)
_WORD = re.compile(r"\s*(\w*)\s*(.*)", re.DOTALL)
_OURS = {"if", "elif", "else", "endif"}
_ARGUMENT = re.compile(r"[\"']([^\"']*)[\"']")
_STEP = re.compile(r"""\|\s*(\w+)\s*(?::\s*("[^"]*"|'[^']*'|-?\d+))?\s*""")


@dataclass
class Translation:
    """A text by ids, and in words what of the original could not be taken over."""

    text: str
    lost: list[str] = field(default_factory=list)


def translate(
    source: str, values: Mapping[str, str], conditions: Mapping[str, str], yes_no: set[str], *, is_html: bool = True,
    fixed_width: bool = False, allowed: Allowed = PERSONAL,
) -> Translation:  # fmt: skip
    """Return the text as it is stored; `values` and `conditions` map names to references such as "c3" and "k1".

    `allowed` says whether tables and the feedback of a rubric stay what they are. A text that is not HTML becomes HTML
    with the same lines, with `fixed_width` in the letters of a program's text.
    """
    made = Translation("")
    without = _COMMENT.sub("", source.replace("\r\n", "\n"))
    if not is_html:
        without = _as_html(without, fixed_width=fixed_width)
    tests = {f"{name} (condition)" if name in values else name: found for name, found in conditions.items()}
    names = Names({**tests, **values}, yes_no)
    rewritten = _rewritten(without, values, conditions, allowed, made)
    for candidate in dict.fromkeys([rewritten, _LONE_TAG.sub(r"\g<tag>", rewritten)]):
        try:
            made.text = _stored(candidate, names, allowed)
        except TemplateError as error:
            problem = str(error.problems[0]) if error.problems else error.message
        else:
            return made
    made.lost.append(problem)
    made.text, _ = clean(_bracketed(without))
    return made


def _stored(source: str, names: Names, allowed: Allowed) -> str:
    stored = names_to_ids(source, names, allowed=allowed)
    cleaned, _ = clean(stored)
    references(cleaned)
    if displaced(stored):
        raise TemplateError([Problem(1, 1, "Something stands in a table but in none of its cells.")])
    return cleaned


def _as_html(text: str, *, fixed_width: bool) -> str:
    tags, _ = find_tags(text, is_html=False)
    pieces, position = [], 0
    for tag in tags:
        pieces += [_escaped(text[position : tag.start]), html.escape(text[tag.start : tag.end], quote=False)]
        position = tag.end
    whole = "".join([*pieces, _escaped(text[position:])])
    return f"<pre>{whole}</pre>" if fixed_width else whole.replace("\n", "<br>\n")


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)


def _rewritten(
    source: str, values: Mapping[str, str], conditions: Mapping[str, str], allowed: Allowed, made: Translation
) -> str:  # fmt: skip
    """Return the text with its tags in our language; other tags as words."""
    tags, _ = find_tags(source, is_html=True)
    pieces, position = [], 0
    for tag in tags:
        written = source[tag.start : tag.end]
        pieces += [source[position : tag.start], _tag(tag, written, values, conditions, allowed, made)]
        position = tag.end
    return "".join([*pieces, source[position:]])


def _tag(
    tag: Tag, written: str, values: Mapping[str, str], conditions: Mapping[str, str], allowed: Allowed,
    made: Translation,
) -> str:  # fmt: skip
    if tag.kind == "value":
        return _value(tag.text, written, values, made)
    found = _WORD.match(tag.text)
    word, rest = (found[1], found[2].strip()) if found else ("", "")
    if word in _OURS:
        # A condition that is called like a column is meant here, the column in {{ }}.
        both = rest in conditions and rest in values
        return f"{{% {word} {_escaped(_quoted_condition(rest))} %}}" if both else written
    if word in {"load", "autoescape", "endautoescape"}:
        return ""
    columns = _ARGUMENT.findall(rest)
    if word == "ot_insert_report" and allowed.tables and columns and values.keys() >= set(columns):
        listed = ", ".join(map('"{}"'.format, columns))
        return _escaped(f"{{% table {listed} %}}")
    if word == "ot_insert_rubric_feedback" and allowed.rubric:
        return "{% rubric %}"
    if word == "ot_insert_report":
        shown = f"[a table of {', '.join(columns) or 'learners'}]"
    elif word == "ot_insert_rubric_feedback":
        shown = "[the feedback of the rubric]"
    else:
        shown = f"[{tag.text.strip()}]"
    made.lost.append(f"“{tag.text.strip()[:80]}” became the words {shown[:100]}")
    return _escaped(shown)


def _quoted_condition(name: str) -> str:
    return f'"{name} (condition)"'


def _value(text: str, written: str, values: Mapping[str, str], made: Translation) -> str:
    name = text.strip()
    if name in values:
        return written
    name, bar, _ = text.partition("|")
    if not bar or name.strip() not in values:
        made.lost.append(f"“{text.strip()[:80]}” is the name of nothing and became words in brackets")
        return _escaped(f"[{text.strip()}]")
    steps = []
    for step, argument in _STEP.findall(text[len(name) :]):
        plain = argument.strip("\"'")
        if step == "default":
            steps.append(f' | default: "{plain}"')
        elif step == "floatformat":
            steps.append(f" | round: {plain.lstrip('-') or 1}")
        else:
            made.lost.append(f"“{text.strip()[:80]}” is shown without “{step}”")
    return _escaped(f"{{{{ {name.strip()}{''.join(steps)} }}}}")


def _bracketed(source: str) -> str:
    tags, _ = find_tags(source, is_html=True)
    pieces, position = [], 0
    for tag in tags:
        pieces += [source[position : tag.start], _escaped(f"[{tag.text.strip()}]")]
        position = tag.end
    return "".join([*pieces, source[position:]]).replace("{{", "{ {").replace("{%", "{ %")
