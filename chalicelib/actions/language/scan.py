"""Finds the tags of a text, `{{ … }}` and `{% … %}`, and undoes the escaping an HTML editor does inside them."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Literal

_OPEN = re.compile(r"\{\{|\{%")
# An entity needs its semicolon here: names may hold a bare &.
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_BLANK = re.compile(r"[\s\u200b\ufeff]")
_QUOTES = {True: re.compile(r"\"|&quot;|&#34;|&#x22;"), False: re.compile(r"\"")}


@dataclass(frozen=True)
class Tag:
    """One tag: `source[start:end]` with its braces; `text` is what stands between them, unescaped.

    `text[i]` came from `source[offsets[i]]`; offsets has one more member for the end of the text.
    """

    kind: Literal["value", "block"]
    start: int
    end: int
    text: str
    offsets: tuple[int, ...]


def find_tags(source: str, *, is_html: bool) -> tuple[list[Tag], list[int]]:
    """Return the tags in order, and the offsets of braces that open a tag which never closes."""
    tags: list[Tag] = []
    unclosed: list[int] = []
    position = 0
    ends = {close: source.rfind(close) for close in ("}}", "%}")}
    while found := _OPEN.search(source, position):
        close = "}}" if found[0] == "{{" else "%}"
        if ends[close] < found.end():
            unclosed.append(found.start())
            position = found.end()
            continue
        end = _end_of_tag(source, found.end(), close, is_html=is_html)
        text, offsets = decode(source, found.end(), end, is_html=is_html)
        tags.append(Tag("value" if close == "}}" else "block", found.start(), end + 2, text, offsets))
        position = end + 2
    return tags, unclosed


def _end_of_tag(source: str, start: int, close: str, *, is_html: bool) -> int:
    # Braces inside double quotes belong to a name. When a quote never closes, the first closing brace ends the
    # tag, so that the mistake is reported there and does not swallow the rest of the text.
    first = source.find(close, start)
    quote = _QUOTES[is_html]
    position = start
    while True:
        end = source.find(close, position)
        if end < 0:
            return first
        opening = quote.search(source, position, end)
        if opening is None:
            return end
        closing = quote.search(source, opening.end())
        if closing is None:
            return first
        position = closing.end()


def decode(source: str, start: int, end: int, *, is_html: bool) -> tuple[str, tuple[int, ...]]:
    """Return `source[start:end]` with entities undone and blanks of all kinds as " ", and where each came from."""
    characters: list[str] = []
    offsets: list[int] = []
    position = start
    while position < end:
        entity = _ENTITY.match(source, position, end) if is_html and source[position] == "&" else None
        piece = html.unescape(entity[0]) if entity else source[position]
        for character in piece:
            characters.append(" " if _BLANK.match(character) else character)
            offsets.append(position)
        position = entity.end() if entity else position + 1
    return "".join(characters), (*offsets, end)
