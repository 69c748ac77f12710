"""Values in JSON keep their types: one that stands outside of quotes is written as a number, true, false, null or text.

{"name": "{{ name }}", "mark": {{ mark }}, "late": {{ late }}}    {"name": "Ana", "mark": 7.5, "late": true}
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from chalicelib.actions.language import filters
from chalicelib.actions.language.syntax import Branch, Filter, If, Node, Text, Value

#: The step that is put after those of a value outside of quotes.
BARE = Filter("bare")
_SCALAR = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?|true|false|null")


class Raw(str):
    """A piece of JSON, which is not changed any more."""

    __slots__ = ()


def with_bare(tree: Sequence[Node]) -> tuple[Node, ...]:
    """Return the tree with the step `bare` for values outside of quotes."""
    return _with_bare(tree, in_quotes=False)[0]


def _with_bare(tree: Sequence[Node], *, in_quotes: bool) -> tuple[tuple[Node, ...], bool]:
    """Return the nodes, and whether what follows stands in quotes: as after the first branch of an `if`."""
    made: list[Node] = []
    for node in tree:
        match node:
            case Text():
                in_quotes = _after(node.text, in_quotes=in_quotes)
                made.append(node)
            case Value() if not in_quotes:
                made.append(replace(node, filters=(*node.filters, BARE)))
            case If():
                bodies = [_with_bare(branch.body, in_quotes=in_quotes) for branch in node.branches]
                branches = tuple(
                    Branch(branch.test, body) for branch, (body, _) in zip(node.branches, bodies, strict=True)
                )
                otherwise = node.otherwise and _with_bare(node.otherwise, in_quotes=in_quotes)[0]
                made.append(replace(node, branches=branches, otherwise=otherwise))
                in_quotes = bodies[0][1]
            case _:
                made.append(node)
    return tuple(made), in_quotes


def _after(text: str, *, in_quotes: bool) -> bool:
    position = 0
    while position < len(text):
        if in_quotes and text[position] == "\\":
            position += 1
        elif text[position] == '"':
            in_quotes = not in_quotes
        position += 1
    return in_quotes


def bare(value: Any) -> Raw:
    """Return a value as JSON."""
    if isinstance(value, Raw):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        value = None
    return Raw(json.dumps(value.isoformat() if isinstance(value, datetime | date) else value, ensure_ascii=False))


def or_default(value: Any, text: str) -> Any:
    """Return the text when the value is missing; it is a number, true, false or null when it reads like one."""
    found = filters.or_default(value, text)
    return Raw(text) if found is text and _SCALAR.fullmatch(text) else found


def rounded(value: Any, decimals: int = 0) -> Any:
    """Return a number with that many decimals, which stays a number; anything else as it is."""
    found = filters.rounded(value, decimals)
    return found if found is value else Raw(found)
