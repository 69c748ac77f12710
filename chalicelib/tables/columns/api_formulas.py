"""The formulas of columns as programs write them: with the names of columns instead of ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from chalicelib import errors
from chalicelib.tables.columns import recipes
from chalicelib.tables.models import Column
from chalicelib.web import schemas

FORMULA = schemas.fields(
    {"op": {"type": "string", "enum": list(recipes.OPERATIONS)}, "columns": {"type": "array", "items": schemas.TEXT}},
    weights={"type": "array", "items": {"type": "number"}}, separator=schemas.TEXT, ignore_missing=schemas.YES_NO,
    keep_up_to_date=schemas.YES_NO,
)  # fmt: skip
#: What the page's fields are called here.
_FIELDS = {"op": "formula.op", "sources": "formula.columns", "separator": "formula.separator"}


def shown(column: Column, columns: Sequence[Column]) -> dict[str, Any] | None:
    """Return the formula that a column is worked out by; None for others. A deleted source is null."""
    recipe = recipes.formula(column.recipe)
    if recipe is None:
        return None
    names = {other.id: other.name for other in columns}
    told: dict[str, Any] = {
        "op": recipe.op, "columns": [names.get(key) for key in recipe.sources],
        "ignore_missing": recipe.ignore_missing, "keep_up_to_date": recipe.keep,
    }  # fmt: skip
    if recipe.op == "weighted":
        told["weights"] = list(recipe.weights)
    if recipe.op == "concat":
        told["separator"] = recipe.separator
    return told


def form(sent: dict[str, Any], columns: Sequence[Column]) -> dict[str, list[str]]:
    """Return the fields of the page's form that say this formula.

    Raises errors.Invalid (fields of `formula`) for a column that is not there, or weights that are not one for each.
    """
    ids = {column.name: str(column.id) for column in columns}
    if unknown := [name for name in sent["columns"] if name not in ids]:
        message = f"There is no column “{unknown[0]}” in the table."
        raise errors.Invalid(message, {"formula.columns": message})
    sources = [ids[name] for name in sent["columns"]]
    fields = {"op": [sent["op"]], "sources": sources}
    if "weights" in sent:
        if sent["op"] != "weighted" or len(sent["weights"]) != len(sources):
            message = "A weighted sum has one weight for each of its columns; nothing else has weights."
            raise errors.Invalid(message, {"formula.weights": message})
        fields |= {f"weight-{key}": [str(weight)] for key, weight in zip(sources, sent["weights"], strict=True)}
    if "separator" in sent:
        fields["separator"] = [sent["separator"]]
    ticks = {"ignore_missing": sent.get("ignore_missing", False), "keep": sent.get("keep_up_to_date", True)}
    return fields | {name: ["1"] for name, ticked in ticks.items() if ticked}


@contextmanager
def named() -> Iterator[None]:
    """Have what is wrong with the page's fields told by the names that programs know."""
    try:
        yield
    except errors.Invalid as error:
        raise errors.Invalid(
            error.message, {_FIELDS.get(name, name): said for name, said in error.fields.items()}
        ) from error
