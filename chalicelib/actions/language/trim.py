"""Blanks around an `if` in texts that are not HTML: a part that is not shown leaves no empty lines behind.

A block is an `if` that has its lines to itself. The line breaks next to its tags on the inside are dropped; of those
outside as many as there are on both sides belong to the block and come and go with it. Within a line the same is done
with one blank, so words never stick together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from chalicelib.actions.language.syntax import Branch, If, Node, Text

_LEADING = re.compile(r"(?:[ \t]*\r?\n)*")
_BLANK_END = re.compile(r"[ \t\r\n]*\Z")
_FIRST_BREAK = re.compile(r"\A[ \t]*\r?\n")
_LAST_BREAK = re.compile(r"\r?\n[ \t]*\Z")
_INDENT = re.compile(r"[ \t]*\Z")
_ENDLESS = 1_000_000


def trim(nodes: Sequence[Node], *, opens: bool = True, closes: bool = True) -> tuple[Node, ...]:
    """Return the nodes with the blanks around each `if` moved into it or dropped.

    `opens` and `closes` say whether a line starts before the first node and ends after the last.
    """
    trimmed = list(nodes)
    carried = 0  # line breaks before the next node that went into a block
    for i, node in enumerate(trimmed):
        if not isinstance(node, If):
            carried = carried if isinstance(node, Text) and not node.text.strip() else 0
            continue
        before = trimmed[i - 1] if i else None
        after = trimmed[i + 1] if i + 1 < len(trimmed) else None
        breaks_before = _breaks_before(before, is_first=opens and i < 2) + carried
        breaks_after = _breaks_after(after, is_last=closes and i + 2 >= len(trimmed))
        indent, moved = "", ""
        if breaks_before and breaks_after:
            if isinstance(before, Text):
                indent = _matched(_INDENT, before.text)
                trimmed[i - 1] = Text(before.text.removesuffix(indent))
            if isinstance(after, Text):
                moved = _lines(after.text, min(breaks_before, breaks_after))
            trimmed[i] = _filled(node, indent, moved, is_block=True)
            carried = moved.count("\n")
        else:
            ends_blank = breaks_before or (isinstance(before, Text) and before.text.endswith(" "))
            if ends_blank and isinstance(after, Text) and after.text.startswith(" "):
                moved = " "
            trimmed[i] = _filled(node, "", moved, is_block=False)
            carried = 0
        if isinstance(after, Text):
            trimmed[i + 1] = Text(after.text.removeprefix(moved))
    return tuple(node for node in trimmed if node != Text(""))


def _matched(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[0] if found else ""


def _breaks_before(node: Node | None, *, is_first: bool) -> int:
    if node is None or (isinstance(node, Text) and is_first and not node.text.strip()):
        return _ENDLESS if is_first else 0
    return _matched(_BLANK_END, node.text).count("\n") if isinstance(node, Text) else 0


def _breaks_after(node: Node | None, *, is_last: bool) -> int:
    if node is None or (isinstance(node, Text) and is_last and not node.text.strip()):
        return _ENDLESS if is_last else 0
    return _matched(_LEADING, node.text).count("\n") if isinstance(node, Text) else 0


def _lines(text: str, count: int) -> str:
    """Return the first `count` line breaks of the text with the blanks before them."""
    position = 0
    for _ in range(count):
        found = _FIRST_BREAK.match(text[position : position + 1000])
        if found is None:
            break
        position += found.end()
    return text[:position]


def _filled(node: If, indent: str, moved: str, *, is_block: bool) -> If:
    def body(nodes: Sequence[Node]) -> tuple[Node, ...]:
        inner = list(nodes)
        if is_block and inner:
            first = inner[0]
            if isinstance(first, Text) and _FIRST_BREAK.match(first.text):
                inner[0] = Text(_FIRST_BREAK.sub("", first.text))
            elif indent:
                inner.insert(0, Text(indent))
            last = inner[-1]
            if isinstance(last, Text):
                inner[-1] = Text(_LAST_BREAK.sub("", last.text))
        trimmed = trim(inner, opens=is_block, closes=is_block)
        return (*trimmed, Text(moved)) if moved and trimmed else trimmed

    branches = tuple(Branch(branch.test, body(branch.body)) for branch in node.branches)
    return replace(node, branches=branches, otherwise=None if node.otherwise is None else body(node.otherwise))
