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


@dataclass(frozen=True)
class Table:
    """`{% table %}`: the learners of a report as rows of these columns; `most` is how many at most, None for all."""

    columns: tuple[Reference, ...]
    sort: Reference | None = None
    is_descending: bool = False
    most: int | None = None

    @property
    def key(self) -> str:
        """What its rows are called when the text is rendered; tables that are alike share them."""
        order = f"_by_{self.sort}{'_down' if self.is_descending else ''}" if self.sort else ""
        return f"t_{'_'.join(self.columns)}{order}{f'_max_{self.most}' if self.most else ''}"


@dataclass(frozen=True)
class Feedback:
    """`{% rubric %}`: the texts of the rubric for the levels that a learner reached."""


Node: TypeAlias = Text | Value | If | Address | Table | Feedback


@dataclass(frozen=True)
class Allowed:
    """What a text may hold beside attributes.

    `per_learner`: values of columns, and parts that depend on conditions; `tables` and `rubric`: the tags of that name.
    """

    per_learner: bool = True
    tables: bool = False
    rubric: bool = False


#: What a text for one learner may hold.
PERSONAL = Allowed()
#: What is stored was checked when it was saved.
ANYTHING = Allowed(per_learner=True, tables=True, rubric=True)


def references(nodes: Sequence[Node]) -> Iterator[Reference]:
    """Give every reference of the tree, repeated ones too."""
    yield from values(nodes)
    for table in tables(nodes):
        yield from table.columns
        if table.sort:
            yield table.sort


def values(nodes: Sequence[Node]) -> Iterator[Reference]:
    """Give every reference but those of tables, in order of appearance, repeated ones too."""
    for node in nodes:
        match node:
            case Value():
                yield node.reference
            case Address():
                yield from values(node.parts)
            case If():
                for branch in node.branches:
                    yield from _tested(branch.test)
                    yield from values(branch.body)
                yield from values(node.otherwise or ())


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


def tables(nodes: Sequence[Node]) -> Iterator[Table]:
    """Give every table of the tree, repeated ones too."""
    for node in nodes:
        match node:
            case Table():
                yield node
            case If():
                for branch in node.branches:
                    yield from tables(branch.body)
                yield from tables(node.otherwise or ())


def has_feedback(nodes: Sequence[Node]) -> bool:
    """Tell whether the tree shows the feedback of a rubric."""
    for node in nodes:
        match node:
            case Feedback():
                return True
            case If():
                parts = [*(branch.body for branch in node.branches), node.otherwise or ()]
                if any(map(has_feedback, parts)):
                    return True
    return False


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
