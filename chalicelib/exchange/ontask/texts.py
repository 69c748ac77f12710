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
from chalicelib.actions.language.syntax import PERSONAL, Allowed, Output

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
    output: Output = "html", allowed: Allowed = PERSONAL,
) -> Translation:  # fmt: skip
    """Return the text as it is stored; `values` and `conditions` map names to references such as "c3" and "k1".

    `allowed` says whether tables and the feedback of a rubric stay what they are. With `output` "html" a text that is
    not HTML becomes HTML with the same lines.
    """
    without = _COMMENT.sub("", source.replace("\r\n", "\n"))
    if output == "html" and not is_html:
        without = _as_html(without)
    tests = {f"{name} (condition)" if name in values else name: found for name, found in conditions.items()}
    names = Names({**tests, **values}, yes_no)
    rewriter = _Rewriter(values, conditions, allowed, is_html=output == "html")
    rewritten = rewriter.rewritten(without)
    made = Translation("", rewriter.lost)
    for candidate in dict.fromkeys([rewritten, _LONE_TAG.sub(r"\g<tag>", rewritten)]):
        try:
            made.text = _stored(candidate, names, output, allowed)
        except TemplateError as error:
            problem = str(error.problems[0]) if error.problems else error.message
        else:
            return made
    made.lost.append(problem)
    bracketed = rewriter.bracketed(without)
    made.text = clean(bracketed)[0] if output == "html" else bracketed
    return made


def _stored(source: str, names: Names, output: Output, allowed: Allowed) -> str:
    stored = names_to_ids(source, names, output, allowed)
    if output != "html":
        return stored
    cleaned, _ = clean(stored)
    references(cleaned)
    if displaced(stored):
        raise TemplateError([Problem(1, 1, "Something stands in a table but in none of its cells.")])
    return cleaned


def _as_html(text: str) -> str:
    tags, _ = find_tags(text, is_html=False)
    pieces, position = [], 0
    for tag in tags:
        pieces += [_escaped(text[position : tag.start]), _escaped(text[tag.start : tag.end])]
        position = tag.end
    return "".join([*pieces, _escaped(text[position:])]).replace("\n", "<br>\n")


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)


@dataclass
class _Rewriter:
    """Writes OnTask's tags as ours; `lost` says in words what of them has no like."""

    values: Mapping[str, str]
    conditions: Mapping[str, str]
    allowed: Allowed
    lost: list[str] = field(default_factory=list)
    is_html: bool = field(default=True, kw_only=True)

    def rewritten(self, source: str) -> str:
        """Return the text with its tags in our language; other tags as words."""
        tags, _ = find_tags(source, is_html=self.is_html)
        pieces, position = [], 0
        for tag in tags:
            pieces += [source[position : tag.start], self._tag(tag, source[tag.start : tag.end])]
            position = tag.end
        return "".join([*pieces, source[position:]])

    def bracketed(self, source: str) -> str:
        """Return the text without any tags: what they say stands in brackets."""
        tags, _ = find_tags(source, is_html=self.is_html)
        pieces, position = [], 0
        for tag in tags:
            pieces += [source[position : tag.start], self._shown(f"[{tag.text.strip()}]")]
            position = tag.end
        return "".join([*pieces, source[position:]]).replace("{{", "{ {").replace("{%", "{ %")

    def _shown(self, text: str) -> str:
        return _escaped(text) if self.is_html else text

    def _tag(self, tag: Tag, written: str) -> str:
        if tag.kind == "value":
            return self._value(tag.text, written)
        found = _WORD.match(tag.text)
        word, rest = (found[1], found[2].strip()) if found else ("", "")
        if word in _OURS:
            # A condition that is called like a column is meant here, the column in {{ }}.
            both = rest in self.conditions and rest in self.values
            return f"{{% {word} {self._shown(_quoted_condition(rest))} %}}" if both else written
        if word in {"load", "autoescape", "endautoescape"}:
            return ""
        columns = _ARGUMENT.findall(rest)
        if word == "ot_insert_report" and self.allowed.tables and columns and self.values.keys() >= set(columns):
            listed = ", ".join(map('"{}"'.format, columns))
            return self._shown(f"{{% table {listed} %}}")
        if word == "ot_insert_rubric_feedback" and self.allowed.rubric:
            return "{% rubric %}"
        if word == "ot_insert_report":
            shown = f"[a table of {', '.join(columns) or 'learners'}]"
        elif word == "ot_insert_rubric_feedback":
            shown = "[the feedback of the rubric]"
        else:
            shown = f"[{tag.text.strip()}]"
        self.lost.append(f"“{tag.text.strip()[:80]}” became the words {shown[:100]}")
        return self._shown(shown)

    def _value(self, text: str, written: str) -> str:
        name = text.strip()
        if name in self.values:
            return written
        name, bar, _ = text.partition("|")
        if not bar or name.strip() not in self.values:
            self.lost.append(f"“{text.strip()[:80]}” is the name of nothing and became words in brackets")
            return self._shown(f"[{text.strip()}]")
        steps = []
        for step, argument in _STEP.findall(text[len(name) :]):
            plain = argument.strip("\"'")
            if step == "default":
                steps.append(f' | default: "{plain}"')
            elif step == "floatformat":
                steps.append(f" | round: {plain.lstrip('-') or 1}")
            else:
                self.lost.append(f"“{text.strip()[:80]}” is shown without “{step}”")
        return self._shown(f"{{{{ {name.strip()}{''.join(steps)} }}}}")


def _quoted_condition(name: str) -> str:
    return f'"{name} (condition)"'
