"""What the column pages are told, turned into what the services take; every field says what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from chalicelib import errors
from chalicelib.formulas import operands
from chalicelib.tables import cells, store
from chalicelib.tables.columns import groups, lists, recipes
from chalicelib.tables.columns.create import Details
from chalicelib.tables.columns.groups import Deal
from chalicelib.tables.columns.recipes import Recipe
from chalicelib.tables.columns.settings import Settings
from chalicelib.tables.models import Column
from chalicelib.web.request import Values

MAX_INITIAL_LENGTH = 512
MAX_SEPARATOR_LENGTH = 100
MAX_SEARCH_LENGTH = 200
#: How the list can be sorted.
SORTS: dict[str, Callable[[Column], Any]] = {
    "position": lambda column: column.position,
    "name": lambda column: column.name.casefold(),
    "description": lambda column: column.description.casefold(),
    "type": lambda column: cells.TYPE_NAMES[column.type],
    "key": lambda column: not column.is_key,
}
Result = TypeVar("Result")


class Reader:
    """Reads the fields of a form one after the other and collects what is wrong with them."""

    def __init__(self, form: Values, zone: ZoneInfo) -> None:
        self.form, self.zone = form, zone
        self.problems: dict[str, str] = {}

    def finish(self) -> None:
        """Raise errors.Invalid when a field was wrong."""
        if self.problems:
            raise errors.Invalid(next(iter(self.problems.values())), self.problems)

    def attempt(self, read: Callable[[], Result], otherwise: Result) -> Result:
        """Return what `read` does, or `otherwise` when it refuses."""
        try:
            return read()
        except errors.Invalid as error:
            self.problems |= error.fields
            return otherwise

    def moment(self, name: str) -> datetime | None:
        """Read a date and time; nothing typed is none."""
        typed = self.form.get(name).strip()
        if not typed:
            return None
        try:
            found = operands.read(typed, "datetime", self.zone)
        except ValueError as error:
            self.problems[name] = f"{str(error)[0].upper()}{str(error)[1:]}."
            return None
        assert isinstance(found, datetime), "dates are read as such"
        return found

    def position(self) -> int:
        """Read a position; whatever is none means the last one."""
        typed = self.form.get("position").strip()
        return int(typed) if typed.isdecimal() and typed.isascii() and len(typed) < 6 else 0

    def kind(self) -> str:
        """Read a type."""
        kind = self.form.get("type")
        if kind not in store.TYPES:
            self.problems["type"] = "Choose what the column should hold."
        return kind if kind in store.TYPES else "text"

    def allowed(self, column_type: str) -> list[Any] | None:
        """Read a list of allowed values; an empty one allows any."""
        typed = self.form.get("allowed")
        return self.attempt(lambda: lists.read(typed, column_type, self.zone, field="allowed"), []) or None

    def details(self, column_type: str) -> Details:
        """Read what every new column has."""
        return Details(
            name=self.form.get("name"), type=column_type, description=self.form.get("description"),
            position=self.position(), active_from=self.moment("active_from"),
            active_until=self.moment("active_until"),
        )  # fmt: skip


def new(form: Values, zone: ZoneInfo) -> tuple[Details, Any]:
    """Read the form of a column that people fill: its details and the value that everybody gets.

    Raises errors.Invalid with a message for each field that does not fit.
    """
    reader = Reader(form, zone)
    kind = reader.kind()
    details = reader.details(kind)
    allowed = reader.allowed(kind)
    details = Details(**{**vars(details), "allowed": allowed})
    if allowed is not None and len(allowed) < lists.LEAST:
        reader.problems["allowed"] = f"List at least {lists.LEAST} values, or none to allow any."
    initial = reader.attempt(lambda: _initial(form.get("initial"), kind, allowed, zone), None)
    reader.finish()
    return details, initial


def _initial(typed: str, kind: str, allowed: list[Any] | None, zone: ZoneInfo) -> Any:
    if len(typed) > MAX_INITIAL_LENGTH:
        message = f"Use at most {MAX_INITIAL_LENGTH} characters; this has {len(typed)}."
        raise errors.Invalid(message, {"initial": message})
    return cells.read(typed, Column(type=kind, is_key=False, allowed_values=allowed), zone, field="initial")


def formula(form: Values, zone: ZoneInfo, columns: Sequence[Column]) -> tuple[Details, Recipe]:
    """Read the form of a new formula column.

    Raises errors.Invalid with a message for each field that does not fit.
    """
    reader = Reader(form, zone)
    recipe = _recipe(reader, columns)
    details = reader.details("text")
    reader.finish()
    assert recipe is not None, "what is missing was said"
    return details, recipe


def definition(form: Values, zone: ZoneInfo, columns: Sequence[Column]) -> Recipe:
    """Read the form of a formula alone.

    Raises errors.Invalid with a message for each field that does not fit.
    """
    reader = Reader(form, zone)
    recipe = _recipe(reader, columns)
    reader.finish()
    assert recipe is not None, "what is missing was said"
    return recipe


def _recipe(reader: Reader, columns: Sequence[Column]) -> Recipe | None:
    """Read a formula; the sources come in the order of the form. None when no operation is chosen."""
    form = reader.form
    operation = recipes.OPERATIONS.get(form.get("op"))
    known = {str(column.id) for column in columns}
    sources = list(dict.fromkeys(int(key) for key in form.all("sources") if key in known))
    if operation is None:
        reader.problems["op"] = "Choose what should be worked out."
    if not sources:
        reader.problems["sources"] = "Tick at least one column."
    weights = tuple(_weight(reader, key) for key in sources) if form.get("op") == "weighted" else ()
    separator = form.get("separator", " ")
    if len(separator) > MAX_SEPARATOR_LENGTH:
        reader.problems["separator"] = f"Use at most {MAX_SEPARATOR_LENGTH} characters."
    if operation is None:
        return None
    return Recipe(
        operation.name, tuple(sources), form.checked("ignore_missing") and operation.may_ignore,
        form.checked("keep"), weights, separator,
    )  # fmt: skip


def defined(recipe: Recipe) -> dict[str, str]:
    """Return the fields of the form as they say this formula; its columns are those that are ticked."""
    fields = {"op": recipe.op, "separator": recipe.separator}
    fields |= {f"weight-{key}": f"{weight:g}" for key, weight in zip(recipe.sources, recipe.weights, strict=False)}
    ticks = {"ignore_missing": recipe.ignore_missing, "keep": recipe.keep}
    return fields | {name: "1" for name, ticked in ticks.items() if ticked}


def _weight(reader: Reader, key: int) -> float:
    typed = reader.form.get(f"weight-{key}").strip().replace(",", ".") or "1"
    try:
        weight = float(typed)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        reader.problems["sources"] = "Every weight must be a number, such as 0.4."
    return weight


def dealt(form: Values, zone: ZoneInfo) -> tuple[Details, Deal]:
    """Read the form of random groups.

    Raises errors.Invalid with a message for each field that does not fit.
    """
    reader = Reader(form, zone)
    kind = reader.kind()
    values: list[Any] = reader.attempt(lambda: groups.read_values(form.get("values"), kind, zone), [])
    seed = reader.attempt(lambda: groups.read_seed(form.get("seed")), None)
    within = form.get("within")
    details = reader.details(kind)
    reader.finish()
    return details, Deal(
        values, seed, int(within) if within.isdecimal() and len(within) < 19 else None, form.checked("restrict")
    )


def changed(form: Values, zone: ZoneInfo, column: Column) -> Settings:
    """Read the form of a column's settings.

    Raises errors.Invalid with a message for each field that does not fit.
    """
    reader = Reader(form, zone)
    wanted = Settings(
        name=form.get("name"), description=form.get("description"), position=reader.position(),
        is_key=form.checked("is_key"), allowed=reader.allowed(column.type), active_from=reader.moment("active_from"),
        active_until=reader.moment("active_until"), in_charts=form.checked("in_charts"),
    )  # fmt: skip
    reader.finish()
    return wanted


def listed(columns: Sequence[Column], query: Values) -> tuple[list[Column], str, str]:
    """Return the columns that the address asks for, the search and the order ("name", "-name"; "" by position)."""
    search = " ".join(query.get("search").split())[:MAX_SEARCH_LENGTH]
    sort = query.get("sort")
    name = sort.removeprefix("-")
    if name not in SORTS or sort == "position":
        sort, name = "", "position"
    needle = search.casefold()
    found = [column for column in columns if needle in _searched(column)]
    return sorted(found, key=SORTS[name], reverse=sort.startswith("-")), search, sort


def _searched(column: Column) -> str:
    return f"{column.name}\n{column.description}\n{cells.TYPE_NAMES[column.type]}".casefold()
