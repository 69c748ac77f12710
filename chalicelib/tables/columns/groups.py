"""Random groups: the learners shuffled by a seed and dealt out, so that sizes differ by one at most."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.tables import queries, store
from chalicelib.tables.columns import create, lists, recipes, shape
from chalicelib.tables.columns.create import Details
from chalicelib.tables.models import Column
from chalicelib.workflows.models import Workflow

MAX_GROUPS = 1000
_INTERVAL = re.compile(r"\s*([+-]?\d{1,15})\s*[-–—]\s*([+-]?\d{1,15})\s*")


@dataclass(frozen=True)
class Deal:
    """The groups' values as stored, the seed (None for a new one) and the column in whose groups they are balanced.

    `restrict`: the column takes these values only, from then on.
    """

    values: Sequence[Any]
    seed: int | None = None
    within: int | None = None
    restrict: bool = False


def read_values(typed: str, column_type: str, zone: ZoneInfo) -> list[Any]:
    """Return the values of the groups: one per line, or for numbers an interval such as 1-5.

    Raises errors.Invalid (field `values`) when there is none, one does not fit the type, or two are the same.
    """
    interval = _INTERVAL.fullmatch(typed) if column_type in recipes.NUMBERS else None
    if interval is None:
        values = lists.read(typed, column_type, zone, field="values")
    else:
        low, high = sorted((int(interval[1]), int(interval[2])))
        if high - low >= MAX_GROUPS:
            raise _refused("values", f"This would be {high - low + 1:,} groups; at most {MAX_GROUPS:,} are possible.")
        values = [float(value) if column_type == "double" else value for value in range(low, high + 1)]
    if not values:
        raise _refused("values", "Type at least one value, each on a line of its own.")
    if len(values) > MAX_GROUPS:
        raise _refused("values", f"At most {MAX_GROUPS:,} groups are possible.")
    return values


def read_seed(typed: str) -> int | None:
    """Return the seed that was typed; None when there is none.

    Raises errors.Invalid (field `seed`) when it is no whole number.
    """
    if not typed.strip():
        return None
    if not re.fullmatch(r"\d{1,15}", typed.strip(), re.ASCII):
        raise _refused("seed", "Type a whole number of up to 15 digits, or leave it empty.")
    return int(typed)


def _refused(field: str, message: str) -> errors.Invalid:
    return errors.Invalid(message, {field: message})


def add(session: Session, workflow: Workflow, user_id: int, details: Details, deal: Deal) -> Column:
    """Add a column of random groups: the same seed and learners give the same groups.

    Raises errors.Invalid with a message for each field that can't stay, errors.Conflict when the table is in use.
    """
    with shape.locked(session, workflow):
        if deal.within and deal.within not in {column.id for column in queries.columns(session, workflow.id)}:
            raise _refused("within", "This column is not in the table any more. Choose another one.")
        seed = secrets.randbelow(1_000_000) if deal.seed is None else deal.seed
        if deal.restrict and len(deal.values) >= lists.LEAST:
            details = replace(details, allowed=list(deal.values))
        recipe = {"op": recipes.GROUPS, "values": list(deal.values), "seed": seed, "within": deal.within}
        session.execute(
            text("SELECT set_config('ontask.groups', :groups, true), set_config('ontask.seed', :seed, true)"),
            {"groups": json.dumps(recipe["values"]), "seed": str(seed)},
        )
        value = f"""CAST((SELECT CAST(current_setting('ontask.groups') AS jsonb))
            ->> CAST((d.place - 1) % {len(deal.values)} AS integer) AS {store.TYPES[details.type]})"""
        return create.add_dealt(session, workflow, user_id, details, recipe, value, _dealt(workflow.id, deal.within))


def _dealt(workflow_id: int, within: int | None) -> str:
    """Return SQL that joins each row's place in the shuffled table.

    Stratum after stratum lies in one sequence: dealt from its beginning to its end, the sizes differ by one at most
    in each stratum and in the whole.
    """
    stratum = f"c{int(within)}, " if within else ""
    shuffled = f"{stratum}md5(current_setting('ontask.seed') || '/' || row_id), row_id"
    places = f"SELECT row_id, row_number() OVER (ORDER BY {shuffled}) AS place FROM {store.table(workflow_id)}"
    return f"JOIN ({places}) AS d ON d.row_id = o.row_id"
