"""The answers of all learners as a table: searched, sorted, page by page. Header and cells come from one list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from chalicelib.actions.editor import Editor
from chalicelib.actions.kinds import Kind as ActionKind
from chalicelib.actions.preview import name_columns
from chalicelib.actions.surveys import answers, fields, queries
from chalicelib.actions.surveys.kinds import Kind
from chalicelib.actions.surveys.queries import Item
from chalicelib.tables import cells, paging, scope, searching
from chalicelib.tables.paging import By, Cursor, Order
from chalicelib.tables.scope import Scope
from chalicelib.web.request import Values

PAGE_SIZE = 50


@dataclass(frozen=True)
class Wish:
    """What the address asks for: a search, an order ("12", "-12"), a page, only those who have not answered."""

    search: str = ""
    sort: str = ""
    after: Cursor | None = None
    before: Cursor | None = None
    is_missing: bool = False
    is_sheet: bool = False

    def address(self, **changes: Any) -> dict[str, Any]:
        """Return the values of an address that asks for the same, on its first page, with changes."""
        values = {
            "search": self.search, "sort": self.sort, "missing": "1" if self.is_missing else "",
            "sheet": "1" if self.is_sheet else "",
        } | changes  # fmt: skip
        return {name: value for name, value in values.items() if value not in ("", None)}


def wish(query: Values) -> Wish:
    """Read what an address, or a form that leads back to it, asks for."""
    return Wish(
        " ".join(query.get("search").split())[: searching.MAX_LENGTH], query.get("sort"),
        Cursor.read(query.get("after")), Cursor.read(query.get("before")), query.checked("missing"),
        query.checked("sheet"),
    )  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One answer in the table. `field` is its name in the sheet; `kind` how it is typed there, empty for not at all."""

    item: Item
    field: str
    shown: str
    typed: str
    kind: str
    choices: Mapping[str, str]
    is_asked: bool
    seal: str


@dataclass(frozen=True)
class Line:
    """A learner with their answers; `done` of them are there."""

    row_id: int
    key: str
    name: str
    cells: Sequence[Cell]
    done: int


@dataclass
class Run:
    """The table of one survey or to-do list. Raises errors.Invalid when its filter can't be run any more."""

    session: Session
    editor: Editor
    wish: Wish
    zone: ZoneInfo
    typed: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def columns(self) -> list[Any]:
        """The columns of the table."""
        return self.editor.table

    @cached_property
    def items(self) -> list[Item]:
        """The questions, those that are closed now among them."""
        return queries.asked(queries.with_columns(self.editor.questions, self.columns))

    @cached_property
    def key(self) -> Any:
        """The column by which learners are told apart."""
        return next((column for column in self.columns if column.is_key), None)

    @cached_property
    def names(self) -> list[Any]:
        """The columns that say what learners are called, but for the key."""
        found = {info.id for info in name_columns(self.editor.columns)}
        return [column for column in self.columns if column.id in found and not column.is_key]

    @cached_property
    def shown(self) -> list[Any]:
        """All columns of the table, each once."""
        everything = [self.key, *self.names, *(item.column for item in self.items)]
        return list({column.id: column for column in everything if column is not None}.values())

    @cached_property
    def scope(self) -> Scope:
        """The learners who are asked, and of them those that are looked for."""
        rules = self.editor.action.filter
        if self.wish.is_missing:
            rules = without_answer(self.editor.action.kind, rules, self.items)
        return Scope(
            self.editor.workflow.id, self.editor.columns, rules, self.editor.workflow.time_zone, (),
            self.wish.search, self.shown, self.zone.key,
        )  # fmt: skip

    @cached_property
    def order(self) -> Order:
        """How they are sorted: by the key, unless somebody wishes otherwise."""
        number = self.wish.sort.removeprefix("-")
        column = next((column for column in self.shown if str(column.id) == number), self.key)
        return Order((By(column, self.wish.sort == f"-{column.id}"),))

    @cached_property
    def rows(self) -> paging.Rows:
        """One page."""
        flags = {f"k{one.id}": one.formula for one in self.editor.usable if one.id in self._conditions}
        return paging.read(
            self.session, self.scope, self.shown, order=self.order, size=PAGE_SIZE, after=self.wish.after,
            before=self.wish.before, flags=flags,
        )  # fmt: skip

    @property
    def _conditions(self) -> set[int]:
        live = {one.id for one in self.editor.conditions}
        return {item.question.condition_id for item in self.items if item.question.condition_id in live}

    @cached_property
    def found(self) -> int:
        """How many there are on all pages."""
        return scope.count(self.session, self.scope)[0]

    @cached_property
    def lines(self) -> list[Line]:
        """The page with what was answered meanwhile."""
        waiting = answers.waiting(self.session, self.editor.workflow.id, self.columns)
        return [self._line(row, waiting.get(row["row_id"], {})) for row in self.rows.rows]

    def _line(self, row: Any, waiting: Mapping[int, Any]) -> Line:
        made = [self._cell(item, row, waiting) for item in self.items]
        name = " ".join(str(row[f"c{column.id}"] or "") for column in self.names).strip()
        key = "" if self.key is None else cells.shown(row[f"c{self.key.id}"], self.zone)
        done = sum(cell.typed not in {"", "no"} if cell.item.kind is Kind.TICK else bool(cell.typed) for cell in made)
        return Line(row["row_id"], key, name, made, done)

    def _cell(self, item: Item, row: Any, waiting: Mapping[int, Any]) -> Cell:
        value = waiting.get(item.column.id, row[f"c{item.column.id}"])
        condition = item.question.condition_id
        is_asked = condition not in self._conditions or bool(row.get(f"k{condition}"))
        written = fields.written(item, value, self.zone)
        name = f"r{row['row_id']}q{item.id}"
        text = written[0] if written and item.kind is not Kind.CHOICES else "; ".join(written)
        offered = dict(fields.choices(item, self.zone))
        if text:
            offered.setdefault(text, text)
        return Cell(
            item, name, fields.said(value, self.zone), self.typed.get(name, text),
            _kind(item, value) if is_asked else "", offered, is_asked, cells.seal(value),
        )  # fmt: skip


def _kind(item: Item, value: Any) -> str:
    """Return how the answer is typed in the sheet; nothing when it needs the form."""
    if item.kind is Kind.TICK:
        return "tick"
    if item.kind in {Kind.YES_NO, Kind.CHOICE, Kind.SCALE}:
        return "list"
    is_long = isinstance(value, str) and (len(value) > cells.MAX_SHOWN or "\n" in value)
    return "" if item.kind is Kind.CHOICES or is_long else "date" if item.kind is Kind.DATE else "text"


def without_answer(action_kind: str, rules: Any, items: Sequence[Item]) -> dict[str, Any]:
    """Return the formula that holds for those of the rules who have answered nothing, or have ticked not everything."""
    if action_kind == ActionKind.TODO:
        open_ = [{"column": item.column.id, "op": "not_equal", "value": "true"} for item in items]
        missing: dict[str, Any] = {"any": open_}
    else:
        missing = {"all": [{"column": item.column.id, "op": "is_null"} for item in items]}
    return {"all": [rules, missing]} if rules else missing
