"""Reads a text into its syntax tree: as people write it (names), or as it is stored (`@c12`).

    text   = (characters | value | if | table | rubric)*
    value  = "{{" name filter* "}}"
    filter = "|" word [":" argument ("," argument)*]        argument = "text in double quotes" | whole number
    if     = "{%" "if" test "%}" text ("{%" "elif" test "%}" text)* ["{%" "else" "%}" text] "{%" "endif" "%}"
    table  = "{%" "table" "name" ("," "name")* ["sort:" "name" ["descending"]] ["max:" whole number] "%}"
    rubric = "{%" "rubric" "%}"
    test   = one ("or" | "and") … with "not" and parentheses, over names of conditions and yes/no columns
    name   = the name as it appears on screen, or in double quotes | "@" reference in stored texts

Unquoted, the longest known name wins. In HTML, entities in tags are undone first, an `if` has all its tags inside one
element or one attribute, and attributes that may hold tags are href, src and alt. Which tags a text may have depends on
what it is for: see `Allowed`.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field

from chalicelib.actions.language.expression import ExpressionError, parse_test
from chalicelib.actions.language.names import Ambiguous, Names, is_reference
from chalicelib.actions.language.scan import Tag, find_tags
from chalicelib.actions.language.steps import StepError, parse_steps
from chalicelib.actions.language.structure import ADDRESSES, Context, contexts
from chalicelib.actions.language.syntax import (
    ANYTHING,
    PERSONAL,
    Address,
    Allowed,
    Branch,
    Feedback,
    If,
    Is,
    Node,
    Output,
    Places,
    Problem,
    Reference,
    TemplateError,
    Test,
    Text,
    Value,
)  # fmt: skip
from chalicelib.actions.language.tables import TableError, parse_table

#: The longest text, in characters: a message of 500 conditions has 56,000.
MAX_SOURCE = 200_000
#: The longest single tag; reading a test takes time with the square of it.
MAX_TAG = 4_000
#: Generated code is indented by one step per level, and Python allows a hundred.
MAX_NESTING = 20
MAX_BRANCHES = 100
#: So many mistakes are told with names that look alike: with a thousand columns looking for them takes its time.
MAX_SUGGESTED = 20

_IF_WORDS = ("if", "elif", "else", "endif")
#: Tags that only some texts may have: the field of Allowed that says so.
_TAGS = {"table": "tables", "rubric": "rubric"}
_WORD = re.compile(r"\s*([^\s\"()]*)")


def parse(
    source: str, names: Names | None = None, output: Output = "html", allowed: Allowed = PERSONAL
) -> tuple[Node, ...]:  # fmt: skip
    """Return the tree of a text: with `names` one that people wrote, without a stored one, which may hold anything.

    Raises TemplateError, with every mistake found and its place.
    """
    allowed = ANYTHING if names is None else allowed
    return _Parser(source, names, allowed, is_html=output == "html").parse()


@dataclass
class _Frame:
    """Something open while reading: the text itself, an address, or an `if`."""

    kind: str
    context: Context
    tag: Tag | None = None
    body: list[Node] = field(default_factory=list)
    branches: list[Branch] = field(default_factory=list)
    test: Test | None = None
    has_else: bool = False

    def finish_branch(self) -> None:
        if self.test is not None:
            self.branches.append(Branch(self.test, tuple(self.body)))
            self.body = []
            self.test = None


class _Parser:
    def __init__(self, source: str, names: Names | None, allowed: Allowed, *, is_html: bool) -> None:
        self._source = source
        self._names = names
        self._allowed = allowed
        self._is_html = is_html
        self._places = Places(source)
        self._problems: list[Problem] = []
        self._suggested = 0
        self._stack = [_Frame("text", Context())]

    def parse(self) -> tuple[Node, ...]:
        if len(self._source) > MAX_SOURCE:
            self._wrong(MAX_SOURCE, f"The text is too long: at most {MAX_SOURCE:,} characters.")
            raise TemplateError(self._problems)
        tags, unclosed = find_tags(self._source, is_html=self._is_html)
        for offset in unclosed:
            close = "}}" if self._source[offset + 1] == "{" else "%}"
            self._wrong(offset, f"This tag is not closed: write {close} at its end.")
        where = contexts(self._source, tags) if self._is_html else [Context()] * len(tags)
        position = 0
        for tag, context in zip(tags, where, strict=True):
            self._copy(position, tag.start)
            if not context.is_allowed:
                inside = f"the attribute {context.attribute}" if context.attribute else "an HTML tag"
                self._wrong(tag.start, f"Nothing can be inserted into {inside}, only into href, src and alt.")
            elif context.attribute in ADDRESSES and self._top.context.span != context.span:
                self._open_address(context, tag)
            position = tag.end
            self._read(tag, context)
        self._copy(position, len(self._source))
        for frame in self._stack[1:]:
            self._unclosed(frame)
        if self._problems:
            raise TemplateError(self._problems)
        return tuple(self._stack[0].body)

    @property
    def _top(self) -> _Frame:
        return self._stack[-1]

    def _wrong(self, offset: int, message: str, suggestions: list[str] | None = None, name: str | None = None) -> None:
        self._problems.append(self._places.problem(offset, message, suggestions or (), name))

    def _close_to(self, name: str, *, tests: bool = False, letters: str = "ckam") -> list[str]:
        if self._names is None or self._suggested == MAX_SUGGESTED:
            return []
        self._suggested += 1
        return self._names.close_to(name, tests=tests, letters=letters)

    def _unclosed(self, frame: _Frame) -> None:
        if frame.tag is not None and frame.kind == "if":
            self._wrong(frame.tag.start, "This if is not closed: write {% endif %} where its part ends.")

    # -- text and addresses

    def _copy(self, start: int, end: int) -> None:
        """Add the source between two tags, closing the address that ends on the way."""
        address = next((frame for frame in self._stack if frame.kind == "address"), None)
        if address is not None and end >= address.context.span[1]:
            edge = address.context.span[1]
            self._add_text(start, edge)
            while self._top is not address:
                self._unclosed(self._stack.pop())
            self._stack.pop()
            self._top.body.append(Address(tuple(address.body)))
            start = edge
        self._add_text(start, end)

    def _add_text(self, start: int, end: int) -> None:
        if start < end:
            self._top.body.append(Text(self._source[start:end]))

    def _open_address(self, context: Context, tag: Tag) -> None:
        # The text before the tag has been copied already: take back what belongs to the address.
        length = tag.start - context.span[0]
        frame = _Frame("address", context, tag)
        if length:
            last = self._top.body.pop()
            assert isinstance(last, Text)
            frame.body.append(Text(last.text[-length:]))
            if len(last.text) > length:
                self._top.body.append(Text(last.text[:-length]))
        self._stack.append(frame)

    # -- tags

    def _read(self, tag: Tag, context: Context) -> None:
        if len(tag.text) > MAX_TAG:
            self._wrong(tag.start, f"This tag is too long: at most {MAX_TAG:,} characters.")
            return
        if tag.kind == "value":
            self._read_value(tag, context)
            return
        match = _WORD.match(tag.text)
        word, rest = (match[1], match.end()) if match else ("", 0)
        if word == "if":
            self._open_if(tag, context, rest)
        elif word == "table":
            self._read_table(tag, context, rest)
        elif word == "rubric":
            self._read_rubric(tag, context, rest)
        elif word not in _IF_WORDS:
            self._unknown_tag(tag, word)
        elif self._top.kind != "if":
            self._wrong(tag.start, f"This {word} has no if before it.")
        else:
            self._continue_if(tag, context, word, rest)

    def _unknown_tag(self, tag: Tag, word: str) -> None:
        words = list(_IF_WORDS) if self._allowed.per_learner else []
        words += [name for name in ("table", "rubric") if getattr(self._allowed, _TAGS[name])]
        listed = " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)
        close = difflib.get_close_matches(word.lower(), words, n=1)
        self._wrong(tag.start, f"There is no tag “{word}”{f': use {listed}' if listed else ''}.", close)

    def _read_table(self, tag: Tag, context: Context, rest: int) -> None:
        if not self._allowed.tables:
            self._wrong(tag.start, "Only a report can have tables: the learner who reads this would see all others.")
        elif context.attribute:
            self._wrong(tag.start, f"A table can't stand in the attribute {context.attribute}.")
        else:
            try:
                table = parse_table(tag.text, rest, lambda name, at: self._column(name, tag.offsets[at]))
            except TableError as error:
                self._wrong(tag.offsets[error.offset], error.message)
            else:
                self._top.body.append(table)

    def _column(self, name: str, offset: int) -> Reference | None:
        """Return the column of a table; None after a mistake."""
        if self._names is None:
            if name.startswith("@"):
                return name[1:]
            self._wrong(offset, "A stored table refers to its columns by id.")
            return None
        try:
            reference = self._names.find(name)
        except Ambiguous as error:
            self._ambiguous(offset, error)
            return None
        if reference and reference.startswith("c"):
            return reference
        close = self._close_to(name, letters="c")
        problem = f"“{name}” is no column: a table shows columns." if reference else f"There is no column “{name}”."
        self._wrong(offset, problem, close, None if reference else name)
        return None

    def _read_rubric(self, tag: Tag, context: Context, rest: int) -> None:
        if not self._allowed.rubric:
            self._wrong(tag.start, "Only rubric feedback has texts of a rubric.")
        elif context.attribute:
            self._wrong(tag.start, f"The texts of the rubric can't stand in the attribute {context.attribute}.")
        elif tag.text[rest:].strip():
            self._wrong(tag.offsets[rest], "Nothing can follow the word rubric in its tag.")
        else:
            self._top.body.append(Feedback())

    def _open_if(self, tag: Tag, context: Context, rest: int) -> None:
        if not self._allowed.per_learner:
            self._wrong(tag.start, "Everybody gets the same report, so no part of it can depend on a condition.")
        if sum(frame.kind == "if" for frame in self._stack) == MAX_NESTING:
            self._wrong(tag.start, f"Parts can be nested at most {MAX_NESTING} deep.")
        self._stack.append(_Frame("if", context, tag, test=self._read_test(tag, rest)))

    def _continue_if(self, tag: Tag, context: Context, word: str, rest: int) -> None:
        frame = self._top
        if (context.parent, context.span) != (frame.context.parent, frame.context.span):
            self._wrong(
                tag.start,
                f"This {word} is in another paragraph, cell or list item than its if: "
                "put all tags of one if inside the same one, or all outside.",
            )
        frame.finish_branch()
        if word == "elif":
            if frame.has_else:
                self._wrong(tag.start, "This elif comes after else: put else last.")
            elif len(frame.branches) == MAX_BRANCHES:
                self._wrong(tag.start, f"One if can have at most {MAX_BRANCHES} branches.")
            frame.test = self._read_test(tag, rest)
            return
        if tag.text[rest:].strip():
            self._wrong(tag.offsets[rest], f"Nothing can follow the word {word} in its tag.")
        if word == "else":
            if frame.has_else:
                self._wrong(tag.start, "This if has an else already.")
            frame.has_else = True
            return
        self._stack.pop()
        otherwise = tuple(frame.body) if frame.has_else else None
        self._top.body.append(If(tuple(frame.branches), otherwise, frame.context.attribute))

    # -- names

    def _read_test(self, tag: Tag, start: int) -> Test:
        """Return the test; after a mistake one that keeps the rest of the text readable."""
        names = self._names

        def lookup(piece: str, is_quoted: bool) -> Reference | None:
            if names is None:
                reference = piece[1:]
                is_known = not is_quoted and piece.startswith("@") and is_reference(reference)
                return reference if is_known and not reference.startswith(("a", "m")) else None
            found = names.find(piece)
            return found if found and names.can_test(found) else None

        try:
            return parse_test(tag.text[start:], lookup, names.longest if names else 24)
        except Ambiguous as error:
            self._ambiguous(tag.start, error)
        except ExpressionError as error:
            offset = tag.offsets[start + error.offset]
            if error.piece is None:
                self._wrong(offset, error.message)
            elif names is not None and _find(names, error.piece):
                self._wrong(offset, f"“{error.piece}” is neither a condition nor a yes/no column: an if tests those.")
            else:
                close = self._close_to(error.piece, tests=True)
                self._wrong(
                    offset,
                    f"There is no condition “{error.piece}”. An if takes names of conditions and yes/no columns, "
                    "with and, or, not and parentheses.",
                    close, error.piece,
                )  # fmt: skip
        return Is("k0")

    def _ambiguous(self, offset: int, error: Ambiguous) -> None:
        listed = " and ".join(f"“{name}”" for name in error.names)
        self._wrong(offset, f"This can mean {listed}, whose names differ only in blanks: rename one of them.")

    def _read_value(self, tag: Tag, context: Context) -> None:
        text = tag.text
        start = len(text) - len(text.lstrip())
        if start == len(text):
            self._wrong(tag.start, "Write the name of a column or attribute between the braces.")
            return
        try:
            found = self._find_name(text, start)
        except Ambiguous as error:
            self._ambiguous(tag.offsets[start], error)
            return
        reference, end = found
        name = text[start:end].strip().strip('"')
        if reference is None:
            self._unknown_name(tag.offsets[start], name)
            return
        if not (self._allowed.per_learner or reference.startswith("a")):
            message = f"“{name}” differs from learner to learner. Use an attribute here, or a table."
            self._wrong(tag.offsets[start], message)
            return
        try:
            self._top.body.append(Value(reference, parse_steps(tag.text, end), context.attribute))
        except StepError as error:
            self._wrong(tag.offsets[error.offset], error.message, error.suggestions)

    def _unknown_name(self, offset: int, name: str) -> None:
        if self._allowed.per_learner:
            what, letters = "column, attribute or condition", "ckam"
        else:
            what, letters = "attribute", "a"
        close = self._close_to(name, letters=letters)
        self._wrong(offset, f"There is no {what} “{name}”.", close, name)

    def _find_name(self, text: str, start: int) -> tuple[Reference | None, int]:
        """Return what is named at the start of a value, and where the name ends."""
        if text[start] == '"' and (close := text.find('"', start + 1)) > 0:
            name = text[start + 1 : close]
            return (self._names.find(name) if self._names else None), close + 1
        quote = text.find('"', start)
        limit = len(text) if quote < 0 else quote
        ends = [i for i in range(start, limit) if text[i] == "|"]
        if quote < 0:
            ends.append(len(text))
        for end in reversed(ends):
            piece = text[start:end].strip()
            if self._names is not None:
                reference = self._names.find(piece)
            else:
                reference = piece[1:] if piece.startswith("@") and is_reference(piece[1:]) else None
            if reference:
                return reference, end
        return None, ends[0] if ends else limit


def _find(names: Names, text: str) -> Reference | None:
    try:
        return names.find(text)
    except Ambiguous:
        return None
