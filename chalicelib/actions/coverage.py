"""Who gets which part of a text: its parts, each with how many see it, and the values that are missing for some."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, array
from sqlalchemy.orm import Session

from chalicelib.actions.language import Names, TemplateError
from chalicelib.actions.language.parser import parse
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
    Table,
    Test,
    Text,
    Value,
    tested,
)  # fmt: skip
from chalicelib.actions.queries import Counts
from chalicelib.formulas.check import Columns
from chalicelib.formulas.sql import condition as to_sql
from chalicelib.formulas.sql import learners
from chalicelib.workflows.models import Workflow

#: More parts are not counted: a statement has room for 1,664 numbers, 200 of them for conditions.
MAX_PARTS = 300
MAX_MISSING = 200
MAX_EXCERPT = 160

_MARKUP = re.compile(r"<[^>]*>")
#: Conditions bind by these, as in the texts.
_LEVELS = {Or: 1, And: 2, Not: 3, Is: 4}

Truth = sa.ColumnElement[bool]


@dataclass(frozen=True)
class Part:
    """A part of a text: the words that stand in it itself, who sees it (None: everybody), how deep it lies.

    `label` says so as people wrote it: "if low", "or else if high", "otherwise".
    """

    words: str
    test: Test | None
    label: str
    depth: int


@dataclass
class Reading:
    """What a text shows to whom: `values` maps columns without a default to the tests under which they are shown."""

    parts: list[Part] = field(default_factory=list)
    values: dict[Reference, list[Test | None]] = field(default_factory=dict)
    tested: set[Reference] = field(default_factory=set)


def read(stored: str, names: Names, output: Output = "html") -> Reading:
    """Take a stored text apart; one that can't be read has no parts."""
    try:
        tree = parse(stored, None, output)
    except TemplateError:
        return Reading()
    reading = Reading(tested=set(tested(tree)))
    _walk(tree, None, "", 0, names, reading)
    del reading.parts[MAX_PARTS:]
    reading.values = dict(list(reading.values.items())[:MAX_MISSING])
    return reading


def _walk(tree: Sequence[Node], test: Test | None, label: str, depth: int, names: Names, reading: Reading) -> None:
    # Words before, between and after inner parts are parts of their own, so that all stand in the text's order.
    words: list[str] = []

    def note() -> None:
        if said := _excerpt("".join(words)):
            reading.parts.append(Part(said, test, label, depth))
        words.clear()

    for node in tree:
        match node:
            case Text():
                words.append(_MARKUP.sub(" ", node.text))
            case Value():
                words.append(f"[{html.escape(names.name(node.reference))}]")
                _note_value(node, test, reading)
            case Address():
                for value in (part for part in node.parts if isinstance(part, Value)):
                    _note_value(value, test, reading)
            case Table():
                words.append("[table]")
            case Feedback():
                words.append("[rubric]")
            case If():
                note()
                for branch_test, branch_label, body in _branches(node, names):
                    _walk(body, _both(test, branch_test), branch_label, depth + 1, names, reading)
    note()


def _note_value(node: Value, test: Test | None, reading: Reading) -> None:
    if node.reference.startswith("c") and not any(step.name == "default" for step in node.filters):
        reading.values.setdefault(node.reference, []).append(test)


def _branches(node: If, names: Names) -> Iterator[tuple[Test, str, Sequence[Node]]]:
    before: list[Test] = []
    for branch in node.branches:
        label = f"{'or else if' if before else 'if'} {said(branch.test, names)}"
        yield _all([*before, branch.test]), label, branch.body
        before.append(Not(branch.test))
    if node.otherwise is not None:
        yield _all(before), "otherwise", node.otherwise


def _both(outer: Test | None, inner: Test) -> Test:
    return inner if outer is None else And((outer, inner))


def _all(tests: Sequence[Test]) -> Test:
    return tests[0] if len(tests) == 1 else And(tuple(tests))


def _excerpt(text: str) -> str:
    plain = " ".join(html.unescape(text).split())
    return plain if len(plain) <= MAX_EXCERPT else f"{plain[:MAX_EXCERPT].rstrip()} …"


def said(test: Test, names: Names) -> str:
    """Return a test in the words of the language."""
    match test:
        case Is():
            return names.name(test.reference)
        case Not():
            return f"not {_inside(test, test.test, names)}"
        case And():
            return " and ".join(_inside(test, one, names) for one in test.tests)
        case Or():
            return " or ".join(_inside(test, one, names) for one in test.tests)


def _inside(outer: Test, inner: Test, names: Names) -> str:
    words = said(inner, names)
    return f"({words})" if _LEVELS[type(inner)] <= _LEVELS[type(outer)] and not isinstance(inner, Is) else words


# -- counting


@dataclass(frozen=True)
class Coverage:
    """The numbers: those of the conditions, how many see each part, for how many who read it a value is missing."""

    counts: Counts
    parts: list[int]
    missing: dict[Reference, int]


def count(
    session: Session, workflow: Workflow, columns: Columns, chosen: Any, formulas: Mapping[int, Any], reading: Reading
) -> Coverage:  # fmt: skip
    """Count everything in one statement; all zero while there are no learners.

    Raises errors.Invalid when a formula can't be run any more.
    """
    if workflow.row_count is None:
        return Coverage(Counts(0, 0, 0, dict.fromkeys(formulas, 0)), [0] * len(reading.parts), {})
    flags = _flags(workflow, columns, chosen, formulas, reading)
    held = [flags.c[f"k{key}"] for key in formulas]
    none = sa.and_(flags.c.chosen, *(sa.not_(one) for one in held))
    shown = [flags.c[f"m{name}"] for name in reading.values if f"m{name}" in flags.c]
    wanted = [
        sa.func.count().label("total"),
        _number(flags.c.chosen).label("selected"),
        (_number(none) if held else sa.literal(0)).label("none"),
        *(_number(sa.and_(flags.c.chosen, one)).label(one.name) for one in held),
        *(_number(_sees(part.test, flags)).label(f"p{at}") for at, part in enumerate(reading.parts)),
        *(
            _number(sa.and_(one, sa.or_(*(_sees(test, flags) for test in reading.values[one.name[1:]])))).label(
                one.name
            )
            for one in shown
        ),
    ]
    row = session.execute(sa.select(*wanted).select_from(flags)).one()._mapping
    return Coverage(
        Counts(row["total"], row["selected"], row["none"], {key: row[f"k{key}"] for key in formulas}),
        [row[f"p{at}"] for at in range(len(reading.parts))],
        {one.name[1:]: row[one.name] for one in shown if row[one.name]},
    )  # fmt: skip


def _number(truth: Truth) -> sa.ColumnElement[int]:
    return sa.func.count().filter(truth)


def _flags(
    workflow: Workflow, columns: Columns, chosen: Any, formulas: Mapping[int, Any], reading: Reading
) -> sa.Subquery:
    table = learners(workflow.id, columns)
    wanted = [to_sql(chosen, columns, table, workflow.time_zone).label("chosen")]
    wanted += [to_sql(one, columns, table, workflow.time_zone).label(f"k{key}") for key, one in formulas.items()]
    for column in columns.values():
        name = f"c{column.id}"
        if name in reading.tested and column.type == "boolean":
            wanted.append(sa.func.coalesce(table.c[name], sa.false()).label(name))
        if name in reading.values:
            wanted.append(_is_missing(table.c[name], column.type).label(f"m{name}"))
    # OFFSET 0 keeps PostgreSQL from writing each formula out wherever its flag is used, so that each runs once a row.
    return sa.select(*wanted).select_from(table).offset(sa.literal_column("0")).subquery("flags")


def _is_missing(value: sa.ColumnElement[Any], kind: str) -> Truth:
    if kind == "text":
        return sa.func.coalesce(sa.func.btrim(value), "") == ""
    if kind == "double":  # not a number, and endless ones, print as nothing
        return sa.or_(value.is_(None), sa.cast(value, sa.Text).in_(["NaN", "Infinity", "-Infinity"]))
    return value.is_(None)


def _sees(test: Test | None, flags: sa.Subquery) -> Truth:
    chosen: Truth = flags.c.chosen
    return chosen if test is None else sa.and_(chosen, _holds(test, flags))


def _holds(test: Test, flags: sa.Subquery) -> Truth:
    match test:
        case Is():  # what was deleted or can't be run holds for nobody; the page says so
            return flags.c[test.reference] if test.reference in flags.c else sa.false()
        case Not():
            return sa.not_(_holds(test.test, flags))
        case And():
            return sa.and_(*(_holds(one, flags) for one in test.tests))
        case Or():
            return sa.or_(*(_holds(one, flags) for one in test.tests))


# -- overlap


@dataclass(frozen=True)
class Overlap:
    """For how many of those who get it two conditions hold at once, and how many conditions hold for how many."""

    pairs: dict[tuple[int, int], int]
    by_number: dict[int, int]


def overlap(
    session: Session, workflow: Workflow, columns: Columns, chosen: Any, formulas: Mapping[int, Any]
) -> Overlap:  # fmt: skip
    """Count each pair of conditions, and how many of them hold at once; nobody while there are no learners.

    Raises errors.Invalid when a formula can't be run any more.
    """
    if workflow.row_count is None or not formulas:
        return Overlap({}, {})
    table = learners(workflow.id, columns)
    ids = [
        sa.case((to_sql(one, columns, table, workflow.time_zone), sa.literal(key, sa.BigInteger)))
        for key, one in formulas.items()
    ]
    held = sa.func.array_remove(array(ids), sa.null(), type_=ARRAY(sa.BigInteger)).label("held")
    # Rows that are alike are counted first: there are few kinds of them, and each has many pairs.
    alike = (
        sa.select(held, sa.func.count().label("n"))
        .select_from(table)
        .where(to_sql(chosen, columns, table, workflow.time_zone))
        .group_by(sa.literal_column("1"))
        .cte("alike")
    )
    one, other = (sa.func.unnest(alike.c.held).table_valued("key").render_derived(name) for name in ("one", "other"))
    total = sa.cast(sa.func.sum(alike.c.n), sa.BigInteger)
    pairs = (
        sa.select(one.c.key, other.c.key, total)
        .select_from(alike.join(one, sa.true()).join(other, one.c.key <= other.c.key))
        .group_by(one.c.key, other.c.key)
    )
    numbers = sa.select(sa.func.cardinality(alike.c.held), sa.null(), total).group_by(sa.literal_column("1"))
    found = session.execute(sa.union_all(pairs, numbers)).all()
    return Overlap(
        {(first, second): n for first, second, n in found if second is not None},
        {first: n for first, second, n in found if second is None},
    )
