"""The syntax tree of a message's text, and what can be wrong with one. Knows neither HTML nor names."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from chalicelib import errors

Output: TypeAlias = Literal["html", "text", "json"]

#: An object of the workflow as texts hold it: "c12" a column, "k5" a condition, "a3" an attribute.
Reference: TypeAlias = str


@dataclass(frozen=True)
class Filter:
    """One step of how a value is shown, such as `round: 1`."""

    name: str
    arguments: tuple[str | int, ...] = ()


@dataclass(frozen=True)
class Text:
    """What is copied as it stands (HTML in an HTML text)."""

    text: str


@dataclass(frozen=True)
class Value:
    """`{{ … }}`; `attribute` names the HTML attribute it stands in, if any."""

    reference: Reference
    filters: tuple[Filter, ...] = ()
    attribute: str | None = None


@dataclass(frozen=True)
class Is:
    """True when the condition holds or the yes/no column says yes."""

    reference: Reference


@dataclass(frozen=True)
class Not:
    """True when the test is false."""

    test: Test


@dataclass(frozen=True)
class And:
    """True when every one of two or more tests is."""

    tests: tuple[Test, ...]


@dataclass(frozen=True)
class Or:
    """True when at least one of two or more tests is."""

    tests: tuple[Test, ...]


Test: TypeAlias = Is | Not | And | Or


@dataclass(frozen=True)
class Branch:
    """One `if` or `elif` with what it shows."""

    test: Test
    body: tuple[Node, ...]


@dataclass(frozen=True)
class If:
    """`{% if %}` to `{% endif %}`; `otherwise` is None when there is no `else`."""

    branches: tuple[Branch, ...]
    otherwise: tuple[Node, ...] | None = None
    attribute: str | None = None


@dataclass(frozen=True)
class Address:
    """The whole value of a `href` or `src` that holds at least one tag: checked as one when rendered."""

    parts: tuple[Node, ...]


Node: TypeAlias = Text | Value | If | Address


def references(nodes: Sequence[Node]) -> Iterator[Reference]:
    """Give every reference of the tree, in order of appearance, repeated ones too."""
    for node in nodes:
        match node:
            case Value():
                yield node.reference
            case Address():
                yield from references(node.parts)
            case If():
                for branch in node.branches:
                    yield from _tested(branch.test)
                    yield from references(branch.body)
                yield from references(node.otherwise or ())


def tested(nodes: Sequence[Node]) -> Iterator[Reference]:
    """Give every reference that an `if` of the tree tests."""
    for node in nodes:
        match node:
            case Address():
                yield from tested(node.parts)
            case If():
                for branch in node.branches:
                    yield from _tested(branch.test)
                    yield from tested(branch.body)
                yield from tested(node.otherwise or ())


def _tested(test: Test) -> Iterator[Reference]:
    match test:
        case Is():
            yield test.reference
        case Not():
            yield from _tested(test.test)
        case And() | Or():
            for part in test.tests:
                yield from _tested(part)


@dataclass(frozen=True)
class Problem:
    """One mistake in a text. `line` and `column` count from 1; `name` is the unknown name, if that is it."""

    line: int
    column: int
    message: str
    suggestions: tuple[str, ...] = ()
    name: str | None = None

    def __str__(self) -> str:
        hint = f" Did you mean {' or '.join(f'“{name}”' for name in self.suggestions)}?" if self.suggestions else ""
        return f"Line {self.line}, column {self.column}: {self.message}{hint}"


#: More mistakes than this are not told at once.
MAX_TOLD = 100


class TemplateError(errors.Invalid):
    """Raised when a text can't be used. The first of `problems` is also in the attributes of the error itself."""

    def __init__(self, problems: Sequence[Problem], field: str = "text") -> None:
        found = sorted(problems, key=lambda problem: (problem.line, problem.column))
        self.problems = tuple(found[:MAX_TOLD])
        first = self.problems[0]
        self.line, self.column, self.suggestions = first.line, first.column, first.suggestions
        more = [f"… and {len(found) - MAX_TOLD:,} more."] if len(found) > MAX_TOLD else []
        super().__init__(first.message, {field: "\n".join([*map(str, self.problems), *more])})


class RenderError(errors.Invalid):
    """Raised when one learner's message can't be made; those of the others can."""


class Places:
    """Turns offsets of a source into lines and columns."""

    def __init__(self, source: str) -> None:
        self._starts = [0, *(i + 1 for i, character in enumerate(source) if character == "\n")]

    def problem(self, offset: int, message: str, suggestions: Sequence[str] = (), name: str | None = None) -> Problem:
        """Describe what is wrong at an offset."""
        line = bisect.bisect_right(self._starts, offset)
        return Problem(line, offset - self._starts[line - 1] + 1, message, tuple(suggestions), name)
