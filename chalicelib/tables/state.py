"""The state of the table page, all of it in the address: view, search, filters, order, columns, page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.actions import crowds
from chalicelib.actions.crowds import Only
from chalicelib.formulas.check import Columns, check
from chalicelib.formulas.tree import holds_nothing
from chalicelib.formulas.words import words
from chalicelib.tables import filters, forms, paging, queries, searching
from chalicelib.tables.filters import Filter
from chalicelib.tables.models import Column, View
from chalicelib.tables.paging import By, Cursor, Order
from chalicelib.tables.scope import Scope
from chalicelib.tables.views import queries as views
from chalicelib.tables.views import service as view_service
from chalicelib.web.request import Values
from chalicelib.workflows.models import Workflow

#: In the address: as they came, with the file or by hand.
UNSORTED = "none"


@dataclass(frozen=True)
class State:
    """What of the table is on the screen. `columns` are those of the whole table, `shown` those on the screen.

    `editing` is the column whose filter is asked for, `filter_problem` what is wrong with what was typed there.
    `problem` says why the view can't be used any more; it shows nobody then.
    """

    workflow: Workflow
    columns: Sequence[Column]
    shown: Sequence[Column]
    infos: Columns
    time_zone: str
    view: View | None = None
    order: Order = field(default_factory=Order)
    filters: tuple[Filter, ...] = ()
    search: str = ""
    size: int = 0
    after: Cursor | None = None
    before: Cursor | None = None
    message: int | None = None
    only: Only | None = None
    editing: Column | None = None
    filter_problem: str = ""
    problem: str = ""

    @property
    def scope(self) -> Scope:
        """The rows that are shown, on all pages together."""
        rules = self.view.filter if self.view else None
        return Scope(
            self.workflow.id, self.infos, rules, self.workflow.time_zone, self.filters, self.search, self.shown,
            self.time_zone, self.only.formulas if self.only else (),
        )  # fmt: skip

    @property
    def whole(self) -> Scope:
        """The rows of the view, or of the table, that search and filters of columns choose from."""
        rules = self.view.filter if self.view else None
        return Scope(self.workflow.id, self.infos, rules, self.workflow.time_zone)

    @property
    def own_columns(self) -> list[Column]:
        """The columns that are shown when nobody chose others."""
        return view_service.columns_of(self.view, self.columns) if self.view else forms.in_order(self.columns)

    @property
    def own_order(self) -> Order:
        """The order in which rows are when nobody chose another one."""
        by_id = {column.id: column for column in self.columns}
        return _usual_order(self.view, by_id, self.own_columns)

    def address(self, **changes: Any) -> dict[str, Any]:
        """Return the values of an address that leads to this state, on its first page, with changes.

        Changes are values as they stand in the address: `sort`, `search`, `f` (a list), `columns`, `view`, `message`.
        """
        sort = "" if self.order == self.own_order else str(self.order) or UNSORTED
        chosen = "" if list(self.shown) == self.own_columns else ",".join(str(one.id) for one in self.shown)
        values = {
            "view": self.view.id if self.view else "", "search": self.search, "f": [str(one) for one in self.filters],
            "sort": sort, "columns": chosen, "message": self.message or "", "only": self.only.name if self.only else "",
        } | changes  # fmt: skip
        return {name: value for name, value in values.items() if value not in ("", None, [])}

    def sorted_by(self, column: Column, *, descending: bool | None = None, more: bool = False) -> str:
        """Return `sort` for an address: by this column (None: the other way round), with `more` after the others."""
        present = next((one for one in self.order.by if one.column.id == column.id), None)
        if descending is None:
            descending = present is not None and not present.descending
        made = By(column, descending)
        if not more:
            return str(made)
        if present is not None:
            return str(Order(tuple(made if one is present else one for one in self.order.by)))
        return str(Order((*self.order.by, made)[-paging.MAX_SORTED :]))

    def place_of(self, column: Column) -> tuple[int, bool] | None:
        """Return whether the column sorts: which one it is, from 1 on, and whether downwards."""
        for place, one in enumerate(self.order.by, 1):
            if one.column.id == column.id:
                return place, one.descending
        return None

    @property
    def everybody(self) -> int:
        """How many learners the table has."""
        return self.workflow.row_count or 0

    @property
    def sentence(self) -> str:
        """The filter of the view in words."""
        return words(self.view.filter, self.infos) if self.view else ""

    @property
    def frozen(self) -> int:
        """How many columns stay in sight: the first one, and those after it while they tell learners apart."""
        return max(1, next((at for at, column in enumerate(self.shown) if not column.is_key), len(self.shown)))

    @property
    def in_menu(self) -> list[Column]:
        """All columns, those on the screen first, in the order in which they are there."""
        return [*self.shown, *(column for column in self.columns if column not in self.shown)]

    def hiding(self, column: Column) -> str:
        """Return `columns` for an address that does not show this column."""
        return ",".join(str(other.id) for other in self.shown if other.id != column.id)

    def without(self, one: Filter) -> list[str]:
        """Return `f` for an address without this filter."""
        return [str(other) for other in self.filters if other != one]


def read(session: Session, workflow: Workflow, query: Values, time_zone: str) -> State:
    """Read the state from an address or a form.

    Raises errors.NotFound when it speaks of a view, a column or a comparison that there is not.
    """
    columns = queries.columns(session, workflow.id)
    infos = {column.id: queries.info(column) for column in columns}
    by_id = {column.id: column for column in columns}
    view = _view(session, workflow, query)
    own = view_service.columns_of(view, columns) if view else forms.in_order(columns)
    sort = query.get("sort")
    message = _number(query.get("message"))
    only = crowds.find(session, workflow, message, query.get("only"))
    shown = State(
        workflow, columns, _shown(query, by_id) or own, infos, time_zone, view,
        _order(sort, by_id) if sort else _usual_order(view, by_id, own),
        filters.read_all(query.all("f"), by_id, infos, time_zone),
        " ".join(query.get("search").split())[: searching.MAX_LENGTH], _size(query.get("size")),
        Cursor.read(query.get("after")), Cursor.read(query.get("before")), message, only,
        by_id.get(_number(query.get("edit")) or 0),
        problem=_problem(view, infos, workflow.time_zone) or _unusable(only, infos, workflow.time_zone),
    )  # fmt: skip
    return _with_typed(shown, query)


def _with_typed(shown: State, query: Values) -> State:
    """Add the filter that the form of a column asks for; one that can't be used stays in its form."""
    if shown.editing is None or "op" not in query:
        return shown
    try:
        made = filters.from_form(
            shown.editing, query.get("op"), query.get("value"), query.get("until"), shown.infos, shown.time_zone
        )
    except errors.Invalid as error:
        return replace(shown, filter_problem=error.message)
    return replace(shown, filters=(*(one for one in shown.filters if one != made), made), editing=None)


def _view(session: Session, workflow: Workflow, query: Values) -> View | None:
    if not query.get("view"):
        return None
    number = _number(query.get("view"))
    if number is None:
        raise errors.NotFound("There is no such view any more.")
    return views.get(session, workflow.id, number)


def _problem(view: View | None, infos: Columns, time_zone: str) -> str:
    if view is None:
        return ""
    if not any(key in infos for key in view.columns):
        return "All columns of this view were deleted."
    if holds_nothing(view.filter):
        return ""
    try:
        check(view.filter, infos, time_zone)
    except errors.Invalid as error:
        return f"The filter of this view can’t be used any more. {error.message}"
    return ""


def _unusable(only: Only | None, infos: Columns, time_zone: str) -> str:
    try:
        for formula in only.formulas if only else ():
            check(formula, infos, time_zone)
    except errors.Invalid as error:
        return f"The rules of this message can’t be used any more. {error.message}"
    return ""


def _usual_order(view: View | None, columns: Mapping[int, Column], own: Sequence[Column]) -> Order:
    """Return the order that a view was saved with; without one rows are sorted by the first column."""
    saved = view_service.order_of(view, columns) if view else Order()
    return saved if saved.by or not own else Order((By(own[0]),))


def _order(written: str, columns: Mapping[int, Column]) -> Order:
    """Read `12` (by this column, lowest first) or `-12,14` (highest first, then by another one)."""
    if written == UNSORTED:
        return Order()
    by: dict[int, By] = {}
    for part in written.split(",")[: paging.MAX_SORTED]:
        column = columns.get(_number(part.removeprefix("-")) or 0)
        if column is None:
            raise errors.NotFound("The table has no such column to sort by.")
        by.setdefault(column.id, By(column, part.startswith("-")))
    return Order(tuple(by.values()))


def _shown(query: Values, columns: Mapping[int, Column]) -> list[Column]:
    """Return the chosen columns in their order; those that are not there any more are left out.

    They are in `columns` of an address, or each in a `show` of the form by which people choose them.
    """
    written = query.all("show") or query.get("columns").split(",")
    numbers = dict.fromkeys(_number(part) or 0 for part in written)
    return [columns[number] for number in numbers if number in columns]


def _size(written: str) -> int:
    number = _number(written) or 0
    return number if number in paging.SIZES else 0


def _number(written: str) -> int | None:
    return int(written) if written.isascii() and written.isdigit() and len(written) <= 18 else None
