"""Turns a stored text into something that writes one message per learner, quickly.

The tree becomes a Jinja2 tree of our own making: literal text, plain names, `if`, and the functions of `filters`.
Nothing of what people write reaches Jinja2 as source, so its attributes, calls, loops and filters are out of reach.
Compile once per batch (milliseconds), render per learner (microseconds).
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, tzinfo
from functools import lru_cache, partial
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, nodes
from jinja2.environment import Template

from chalicelib.actions import html as cleaning
from chalicelib.actions.language import filters
from chalicelib.actions.language.bare import Raw, bare, with_bare
from chalicelib.actions.language.bare import or_default as json_or_default
from chalicelib.actions.language.bare import rounded as json_rounded
from chalicelib.actions.language.change import marked
from chalicelib.actions.language.formats import USUAL, Formats
from chalicelib.actions.language.parser import parse
from chalicelib.actions.language.rows import TABLES
from chalicelib.actions.language.rubric import Criterion, as_item, as_line, as_list, inline, level, used
from chalicelib.actions.language.syntax import (
    Address,
    And,
    Feedback,
    If,
    Is,
    Node,
    Not,
    Or,
    Output,
    Reference,
    RenderError,
    Table,
    Test,
    Text,
    Value,
    has_feedback,
    tables,
    values,
)  # fmt: skip
from chalicelib.actions.language.trim import trim

#: The longest message, in characters. SES takes 40 MB, but nobody reads more than this.
MAX_CHARACTERS = 1_000_000

_SCHEME = re.compile(r"(?:https?://[^/\\]|mailto:.)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ALONE = re.compile(
    r"<p\b[^<>]*>(?:\s|&nbsp;|<br\s*/?>)*(\{%\s*(?:table|rubric)\b[^{}%]*%\})(?:\s|&nbsp;|<br\s*/?>)*</p>"
)
_BLANK_IN_ADDRESS = re.compile(r"[\s\"<>\\^`{|}]")


class CompiledText:
    """A text ready to be rendered; `references` are the values it needs, `tables` the tables."""

    def __init__(
        self, template: Template, needs: frozenset[Reference], tables: tuple[Table, ...], max_characters: int
    ) -> None:  # fmt: skip
        self._template = template
        self._missing = dict.fromkeys([*needs, *(table.key for table in tables)])
        self._max_characters = max_characters
        self.references = needs
        self.tables = tables

    def render(self, context: Mapping[str, Any]) -> str:
        """Return one learner's message.

        `context` maps "c12" to a value (None when missing), "k5" to True or False, "a3" to text, and the key of a table
        to its `Rows`; what is missing from it counts as missing or false. Raises errors.Invalid (RenderError) when the
        message gets too long.
        """
        template = self._template
        parts: list[str] = []
        left = self._max_characters
        for part in template.root_render_func(template.new_context({**self._missing, **context}, shared=True)):
            left -= len(part)
            if left < 0:
                raise RenderError(
                    f"This message would be longer than {self._max_characters:,} characters. "
                    "Look for a column that holds a very long text, or a table without a maximum of rows."
                )
            parts.append(part)
        return "".join(parts)


def compile_template(
    stored: str, output: Output = "html", *, time_zone: str = "UTC", max_characters: int = MAX_CHARACTERS,
    criteria: Sequence[Criterion] = (), mark: Callable[[Reference], str] | None = None, formats: Formats = USUAL,
) -> CompiledText:  # fmt: skip
    """Compile a stored text for HTML (cleaned first, values escaped), plain text or JSON (values as in strings).

    Times are shown in `time_zone`, UTC if there is no such zone; they and numbers as `formats` say, but not in JSON.
    `criteria` are the rubric's, their feedback written in the same output. With `mark`, which names a column, missing
    values are marked, for previews of HTML. Raises TemplateError when `stored` or a feedback can't be read.
    """
    tree = _tree(stored, output)
    if mark:
        tree = marked(tree, mark)
    environment = _environment(output, time_zone, USUAL if output == "json" else formats)
    rubric: list[nodes.Node] = []
    needs = set(values(tree))
    if criteria and has_feedback(tree):
        rubric = [_feedback(criteria, output)]
        needs.update(used(criteria, output))
    template = nodes.Template(list(_statements(tree, rubric)), lineno=1)
    template.set_environment(environment)
    return CompiledText(
        environment.from_string(template), frozenset(needs), tuple(dict.fromkeys(tables(tree))), max_characters
    )  # fmt: skip


def _tree(stored: str, output: Output) -> tuple[Node, ...]:
    if output != "html":
        tree = trim(parse(stored, None, output))
        return with_bare(tree) if output == "json" else tree
    # A table or a list can't stand in a paragraph: browsers would end it there, and leave an empty one behind.
    return parse(_ALONE.sub(r"\1", cleaning.clean(stored)[0]), None, output)


# -- the Jinja2 tree


def _statements(tree: Sequence[Node], rubric: Sequence[nodes.Node]) -> Iterator[nodes.Node]:
    output: list[nodes.Expr] = []
    for node in tree:
        if not isinstance(node, If | Feedback):
            output.append(_literal(node) if isinstance(node, Text) else _expression(node))
            continue
        if output:
            yield nodes.Output(output, lineno=1)
            output = []
        if isinstance(node, If):
            yield _conditional(node, rubric)
        else:
            yield from rubric
    if output:
        yield nodes.Output(output, lineno=1)


def _feedback(criteria: Sequence[Criterion], output: Output) -> nodes.Node:
    """Return the list of a rubric: for each criterion the feedback of the level that the learner's value is."""
    lines = [
        _block(_chosen(one, output), "rubric_line", html.escape(one.name) if output == "html" else one.name)
        for one in criteria
    ]
    return _block(lines, "rubric_list")


def _chosen(criterion: Criterion, output: Output) -> list[nodes.Node]:
    choices: list[nodes.If] = []
    for name, text in criterion.feedback.items():
        is_level = nodes.Compare(
            _name("level"), [nodes.Operand("eq", nodes.Const(name, lineno=1), lineno=1)], lineno=1
        )  # fmt: skip
        tree = _tree(inline(text) if output == "html" else text, output)
        choices.append(nodes.If(is_level, list(_statements(tree, ())), [], [], lineno=1))
    if not choices:
        return []
    first, *others = choices
    first.elif_ = others
    # Worked out once for all the levels it is compared with.
    level_of = nodes.Assign(nodes.Name("level", "store"), _filter(_name(criterion.reference), "level", ()), lineno=1)
    return [level_of, first]


def _block(body: Sequence[nodes.Node], filter_name: str, *arguments: str) -> nodes.FilterBlock:
    constants: list[nodes.Expr] = [nodes.Const(argument, lineno=1) for argument in arguments]
    step = nodes.Filter(None, filter_name, constants, [], None, None, lineno=1)
    return nodes.FilterBlock(list(body), step, lineno=1)


def _literal(node: Text) -> nodes.Expr:
    return nodes.TemplateData(node.text, lineno=1)


def _conditional(node: If, rubric: Sequence[nodes.Node]) -> nodes.If:
    first, *others = [
        nodes.If(_test(branch.test), list(_statements(branch.body, rubric)), [], [], lineno=1)
        for branch in node.branches
    ]
    first.elif_ = others
    first.else_ = list(_statements(node.otherwise or (), rubric))
    return first


def _expression(node: Value | Address | Table) -> nodes.Expr:
    if isinstance(node, Value):
        return _filter(_value(node), "shown", ())
    if isinstance(node, Table):
        return nodes.MarkSafeIfAutoescape(_filter(_name(node.key), "table", ()), lineno=1)
    parts = _address(node.parts, "")
    return _filter(nodes.Concat(parts, lineno=1), "address", ())


def _value(node: Value) -> nodes.Expr:
    value: nodes.Expr = _name(node.reference)
    for step in node.filters:
        value = _filter(value, step.name, step.arguments)
    return value


def _address(parts: Sequence[Node], before: str) -> list[nodes.Expr]:
    """Return the parts of an address as expressions; values after a "?" are encoded so that they stay values."""
    found: list[nodes.Expr] = []
    for node in parts:
        match node:
            case Text():
                before += html.unescape(node.text)
                found.append(nodes.Const(html.unescape(node.text), lineno=1))
            case Value():
                found.append(_filter(_value(node), "query" if "?" in before else "part", ()))
            case If():
                choice: nodes.Expr = _joined(_address(node.otherwise or (), before))
                for branch in reversed(node.branches):
                    choice = nodes.CondExpr(
                        _test(branch.test), _joined(_address(branch.body, before)), choice, lineno=1
                    )
                found.append(choice)
    return found


def _joined(parts: list[nodes.Expr]) -> nodes.Expr:
    return nodes.Concat(parts, lineno=1) if parts else nodes.Const("", lineno=1)


def _test(test: Test) -> nodes.Expr:
    match test:
        case Is():
            return _name(test.reference)
        case Not():
            return nodes.Not(_test(test.test), lineno=1)
        case And():
            return _balanced(nodes.And, [_test(part) for part in test.tests])
        case Or():
            return _balanced(nodes.Or, [_test(part) for part in test.tests])


def _balanced(join: type[nodes.BinExpr], tests: Sequence[nodes.Expr]) -> nodes.Expr:
    # A chain of a hundred would be a hundred nested parentheses; Python stops at two hundred.
    if len(tests) == 1:
        return tests[0]
    middle = len(tests) // 2
    return join(_balanced(join, tests[:middle]), _balanced(join, tests[middle:]), lineno=1)


def _name(reference: Reference) -> nodes.Name:
    return nodes.Name(reference, "load", lineno=1)


def _filter(value: nodes.Expr, name: str, arguments: Sequence[str | int]) -> nodes.Expr:
    constants: list[nodes.Expr] = [nodes.Const(argument, lineno=1) for argument in arguments]
    return nodes.Filter(value, name, constants, [], None, None, lineno=1)


# -- the functions it may call


def _shower(default_zone: tzinfo, formats: Formats = USUAL) -> Callable[[Any], str]:
    return lambda value: filters.shown(value, default_zone, formats.date, formats.decimals)


def _json_shower(default_zone: tzinfo) -> Callable[[Any], str]:
    # The quotes around a value are in the text; a value without them was written by `bare`.
    def show(value: Any) -> str:
        if isinstance(value, Raw):
            return value
        return json.dumps(filters.shown(value, default_zone), ensure_ascii=False)[1:-1]

    return show


def checked_address(address: str) -> str:
    """Return an address that leads to the web or a mailbox; nothing when it would lead elsewhere."""
    address = _CONTROL.sub("", address).strip()
    if not _SCHEME.match(address):
        return ""
    return _BLANK_IN_ADDRESS.sub(lambda found: quote(found[0]), address)


@lru_cache(maxsize=32)
def _environment(output: Output, time_zone: str, formats: Formats) -> Environment:
    environment = Environment(autoescape=True, cache_size=0, optimized=False)
    environment.autoescape = output == "html"
    environment.globals.clear()
    environment.tests.clear()
    default_zone = filters.zone(time_zone) or UTC
    text, plain = _shower(default_zone, formats), _shower(default_zone)  # addresses are read by programs
    is_html = output == "html"
    environment.filters = {
        "default": json_or_default if output == "json" else filters.or_default,
        "round": json_rounded if output == "json" else filters.rounded,
        "bare": bare,
        "percent": filters.percent,
        "date": partial(filters.dated, default_zone=default_zone),
        "shown": _json_shower(default_zone) if output == "json" else text,
        "marked": filters.marked,
        "part": plain,
        "query": lambda value: quote(plain(value), safe=""),
        "address": checked_address,
        "table": partial(TABLES[output], show=text),
        "level": level,
        "rubric_line": as_item if is_html else as_line,
        "rubric_list": as_list if is_html else str,
    }
    return environment
