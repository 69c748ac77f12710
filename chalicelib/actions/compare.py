"""What is different between two texts, in words: for people, who don't read HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from html import unescape

SAME, ADDED, REMOVED = "same", "added", "removed"
#: Paragraphs without a change around those with one.
AROUND = 1
#: Where more words than this are different the paragraph is shown as a whole: a search among them takes long.
MAX_WORDS = 2_000

_EDGES = re.compile(
    r"</?(?:p|div|h[1-6]|li|t[rdh]|table|ul|ol|blockquote|pre|br|hr)\b[^<>]*>", re.IGNORECASE
)  # fmt: skip
_IMAGE = re.compile(r"<img\b[^>]*?(?:\balt=\"([^\"]*)\")?[^>]*>", re.IGNORECASE)
_LINK = re.compile(r"<a\b[^>]*?\bhref=\"([^\"]*)\"[^>]*>", re.IGNORECASE)
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]*>")
#: A tag of the language is one word.
_WORD = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\w+|[^\w\s]", re.DOTALL)


@dataclass(frozen=True)
class Piece:
    """Words that are in both texts, or in one of them."""

    kind: str
    words: str


@dataclass(frozen=True)
class Comparison:
    """The paragraphs with a change and those beside them; an empty paragraph stands for those left out.

    `looks_only`: every word is the same, links, pictures or looks are not.
    """

    paragraphs: list[list[Piece]]
    added: int
    removed: int
    looks_only: bool


def compare(old: str, new: str) -> Comparison:
    """Say which words `new` has more than `old`, and which fewer; both are texts with names."""
    paragraphs = list(_paragraphs(_lines(old), _lines(new)))
    pieces = [piece for paragraph in paragraphs for piece in paragraph]
    added, removed = (sum(_count(one.words) for one in pieces if one.kind == kind) for kind in (ADDED, REMOVED))
    return Comparison(_shortened(paragraphs), added, removed, looks_only=old != new and not added and not removed)


def _count(words: str) -> int:
    return len(_WORD.findall(words))


def _lines(text: str) -> list[str]:
    text = _IMAGE.sub(lambda found: f" [picture: {found[1] or 'without words'}] ", text)
    text = _LINK.sub(lambda found: f"[{found[1]}] ", text)
    lines = _MARKUP.sub("", _EDGES.sub("\n", text)).split("\n")
    return [line for line in (" ".join(unescape(line).split()) for line in lines) if line]


def _paragraphs(old: Sequence[str], new: Sequence[str]) -> Iterator[list[Piece]]:
    for what, start, end, from_, to in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            yield from ([Piece(SAME, line)] for line in old[start:end])
            continue
        both = min(end - start, to - from_)
        for before, after in zip(old[start : start + both], new[from_ : from_ + both], strict=True):
            yield list(_words(before, after))
        yield from ([Piece(REMOVED, line)] for line in old[start + both : end])
        yield from ([Piece(ADDED, line)] for line in new[from_ + both : to])


def _words(before: str, after: str) -> Iterator[Piece]:
    # Blanks belong to the word before them, so that pieces put together are the paragraph again.
    olds, news = _cut(before), _cut(after)
    if max(len(olds), len(news)) > MAX_WORDS:
        yield from (Piece(REMOVED, before), Piece(ADDED, after))
        return
    matcher = SequenceMatcher(None, [word.strip() for word in olds], [word.strip() for word in news], autojunk=False)
    for what, start, end, from_, to in matcher.get_opcodes():
        if what == "equal":
            yield Piece(SAME, "".join(news[from_:to]))
            continue
        if end > start:
            yield Piece(REMOVED, "".join(olds[start:end]))
        if to > from_:
            yield Piece(ADDED, "".join(news[from_:to]))


def _cut(line: str) -> list[str]:
    ends = [found.start() for found in _WORD.finditer(line)]
    return [line[start:end] for start, end in zip(ends, [*ends[1:], len(line)], strict=True)]


def _shortened(paragraphs: list[list[Piece]]) -> list[list[Piece]]:
    changed = [at for at, one in enumerate(paragraphs) if any(piece.kind != SAME for piece in one)]
    near = {at + step for at in changed for step in range(-AROUND, AROUND + 1)}
    found: list[list[Piece]] = []
    for at, paragraph in enumerate(paragraphs):
        if at in near:
            found.append(paragraph)
        elif not found or found[-1]:
            found.append([])
    return found if changed else []
