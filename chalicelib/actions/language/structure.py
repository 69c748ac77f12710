"""Where in the HTML each tag stands: in the text of which element, or in which attribute.

Not a browser's parser: texts are cleaned (`actions.html.clean`) before they are compiled, and cleaned HTML is regular.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chalicelib.actions.language.scan import Tag

_MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<(?P<close>/?)(?P<name>[a-zA-Z\ue000][^\s/<>]*)(?P<rest>(?>\"[^\"]*\"|'[^']*'|[^'\"<>])*)>",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"(?P<name>[^\s\"'<>/=]+)(?:\s*=\s*(?P<value>\"[^\"]*\"|'[^']*'|[^\s\"'<>]+))?")
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
#: Elements whose start ends an open one of these, where people leave out the end.
_ENDS = {
    "li": {"li"}, "tr": {"tr", "td", "th"}, "td": {"td", "th"}, "th": {"td", "th"},
    "p": {"p"}, "ul": {"p"}, "ol": {"p"}, "table": {"p"}, "div": {"p"}, "blockquote": {"p"},
}  # fmt: skip
#: Filler of the same length stands for a tag while the HTML around it is read.
_FILLER = "\ue000"

ADDRESSES = {"href", "src"}
ATTRIBUTES = {*ADDRESSES, "alt"}


@dataclass(frozen=True)
class Context:
    """Where a tag stands. Two tags with equal contexts have the same parent element, or share an attribute.

    `span` is where the attribute's value lies in the source. `is_allowed` is false where nothing may vary.
    """

    parent: int = 0
    attribute: str | None = None
    span: tuple[int, int] = (0, 0)
    is_allowed: bool = True


def contexts(source: str, tags: Sequence[Tag]) -> list[Context]:
    """Return the context of each tag of an HTML text."""
    if not tags:
        return []
    filled = _without_tags(source, tags)
    found: list[Context] = []
    stack: list[tuple[str, int]] = [("", 0)]
    pending = iter(tags)
    tag = next(pending, None)
    for count, markup in enumerate(_MARKUP.finditer(filled), start=1):
        while tag is not None and tag.start < markup.start():
            found.append(Context(stack[-1][1]))
            tag = next(pending, None)
        name = (markup["name"] or "").lower()
        while tag is not None and tag.start < markup.end():
            found.append(_inside(filled, markup, count, tag) if name else Context(stack[-1][1]))
            tag = next(pending, None)
        if name:
            _step(stack, name, count, is_end=bool(markup["close"]), is_closed=markup["rest"].endswith("/"))
    while tag is not None:
        found.append(Context(stack[-1][1]))
        tag = next(pending, None)
    return found


def _without_tags(source: str, tags: Sequence[Tag]) -> str:
    def pieces() -> Iterator[str]:
        position = 0
        for tag in tags:
            yield source[position : tag.start].replace(_FILLER, " ")
            yield _FILLER * (tag.end - tag.start)
            position = tag.end
        yield source[position:].replace(_FILLER, " ")

    return "".join(pieces())


def _step(stack: list[tuple[str, int]], name: str, number: int, *, is_end: bool, is_closed: bool) -> None:
    if is_end:
        for depth in range(len(stack) - 1, 0, -1):
            if stack[depth][0] == name:
                del stack[depth:]
                return
        return
    while stack[-1][0] in _ENDS.get(name, ()):
        stack.pop()
    if name not in _VOID and not is_closed:
        stack.append((name, number))


def _inside(filled: str, markup: re.Match[str], number: int, tag: Tag) -> Context:
    for attribute in _ATTRIBUTE.finditer(filled, *markup.span("rest")):
        start, end = attribute.span("value")
        if start <= tag.start < end:
            name = attribute["name"].lower()
            quoted = attribute["value"][0] in "\"'"
            span = (start + 1, end - 1) if quoted else (start, end)
            return Context(number, name, span, is_allowed=name in ATTRIBUTES and not markup["close"])
    return Context(number, is_allowed=False)
