"""The form of a view: what it is filled with, and what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.formulas import forms as formulas
from chalicelib.formulas.tree import holds_nothing
from chalicelib.tables.models import Column, View
from chalicelib.tables.paging import Order
from chalicelib.tables.state import State
from chalicelib.tables.views.service import Draft
from chalicelib.web.request import Values

#: So many fields to sort by; a view that is sorted by more keeps them only when it is made from the table's page.
SORT_FIELDS = 3


def draft(form: Values) -> Draft:
    """Read the form.

    Raises errors.Invalid when its fields hold what no browser sends.
    """
    return Draft(
        form.get("name"), form.get("description"), tuple(dict.fromkeys(form.wholes("columns"))), _sort(form),
        formulas.read(form.get("formula")),
    )  # fmt: skip


def _sort(form: Values) -> list[dict[str, Any]]:
    found: dict[int, bool] = {}
    for written in form.all("sort"):
        number = written.removeprefix("-")
        if number.isascii() and number.isdigit() and len(number) <= 18:
            found.setdefault(int(number), written.startswith("-"))
    return stored(found)


def stored(found: Mapping[int, bool]) -> list[dict[str, Any]]:
    """Return how a view keeps its sorting; `found` tells of each column whether it goes down."""
    return [{"column": column, "descending": descending} for column, descending in found.items()]


def of(view: View) -> Draft:
    """Return what the form of a view says at first."""
    return Draft(view.name, view.description, tuple(view.columns), view.sort, view.filter)


def of_table(state: State) -> Draft:
    """Return a view of what is on the screen; the search is not part of it."""
    rules = state.view.filter if state.view else None
    members = [one.formula for one in state.filters]
    if rules is not None and not holds_nothing(rules):
        members.insert(0, rules)
    formula = members[0] if len(members) == 1 and "op" not in members[0] else {"all": members} if members else None
    return Draft("", "", tuple(column.id for column in state.shown), sort_of(state.order), formula)


def sort_of(order: Order) -> list[dict[str, Any]]:
    """Return an order as it is stored."""
    return stored({one.column.id: one.descending for one in order.by})


def sort_fields(draft: Draft) -> list[str]:
    """Return the value of each field to sort by."""
    values = [f"{'-' if one['descending'] else ''}{one['column']}" for one in draft.sort]
    return [*values, *[""] * (SORT_FIELDS - len(values))]


def in_order(draft: Draft, columns: Sequence[Column]) -> list[Column]:
    """Return all columns: first those that the view shows, in its order."""
    by_id = {column.id: column for column in columns}
    shown = [by_id[key] for key in draft.columns if key in by_id]
    return shown + [column for column in columns if column not in shown]
