"""What people want done with an upload, checked against what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chalicelib import errors
from chalicelib.tables import names
from chalicelib.tables.models import Column
from chalicelib.tables.uploads.kinds import KEY_TYPES, KINDS

#: CREATE the first table; UPDATE rows by key; REPLACE all rows and columns.
CREATE, UPDATE, REPLACE = "create", "update", "replace"
#: Which learners there are afterwards, in words for the page and as the join that keeps them.
ROWS = {
    "outer": "Everybody: those who are here already and those who are new in the file",
    "left": "Only those who are here already (update only); new ones in the file are left out",
    "inner": "Only those who are both here and in the file; the others are removed",
    "right": "Only those in the file; everybody else is removed",
    "append": "Everybody, but those who are here already stay exactly as they are (add only)",
}
JOINS = {"outer": "FULL", "left": "LEFT", "inner": "INNER", "right": "RIGHT", "append": "FULL"}
#: Columns that may recognise learners together.
MAX_KEYS = 3
#: What happens to a value that is here already when the file has one for the same learner and column.
WINS = {
    "keep": "The file wins, but its blanks leave what is here",
    "erase": "The file wins, and its blanks erase what is here",
    "fill": "What is here wins; the file only fills blanks",
}
NEW, LEFT_OUT = 0, -1
#: What a column of numbers made by us is called.
NUMBER_NAME = "Number"


@dataclass
class Wanted:
    """A column of the file as people want it. `target` is the id of an existing column, NEW for none.

    `empty` says that the file has no value for it, so that its kind means nothing.
    """

    number: int
    name: str
    kind: str
    is_key: bool = False
    target: int = NEW
    empty: bool = False

    @property
    def type(self) -> str:
        """The type of its values."""
        return KINDS[self.kind].type


@dataclass
class Plan:
    """Everything an import needs to know; made from an upload's `understood` and `choices`.

    `keys` are pairs of a column's number in the file and the id of the existing column it is compared with; all pairs
    must be equal. `rules` are the exceptions from `wins`, by number; `unique` are the numbers of columns whose texts
    are proven to be different.
    """

    method: str
    columns: list[Wanted]
    read_as: dict[int, str]
    add_number: bool = False
    rows: str = "outer"
    wins: str = "keep"
    rules: dict[int, str] = field(default_factory=dict)
    keys: list[tuple[int, int]] = field(default_factory=list)
    ignore_case: bool = False
    as_numbers: bool = False
    unique: frozenset[int] = frozenset()
    unmark: list[int] = field(default_factory=list)

    @property
    def key_columns(self) -> set[int]:
        """The ids of the existing columns by which learners are recognised."""
        return {column_id for _, column_id in self.keys}

    @property
    def is_exact(self) -> bool:
        """Whether an existing key is compared as it is, so that its own index proves it unique."""
        return len(self.keys) == 1 and not (self.ignore_case or self.as_numbers)

    def rule(self, number: int) -> str:
        """Return which value wins in the column of this number."""
        return self.rules.get(number, self.wins)

    def wanted(self, number: int) -> Wanted:
        """Return the column of this number."""
        return next(column for column in self.columns if column.number == number)

    def kinds(self) -> dict[int, str]:
        """Return how each wanted column is to be read."""
        return {column.number: column.kind for column in self.columns}


def first_choices(understood: Mapping[str, Any]) -> dict[str, Any]:
    """Return the choices that are made when people only click Next: everything as understood, the best key."""
    columns = {}
    complete = [column for column in understood["columns"] if column["unique"] and not column["blanks"]]
    named = [column for column in complete if names.is_key_word(column["name"])]
    # A name or a mark may be different for everybody by chance, so only the best one is proposed then.
    usable = _best(named) or complete[:1] or [column for column in understood["columns"] if column["unique"]][:1]
    keys = {column["number"] for column in usable}
    for column in understood["columns"]:
        columns[str(column["number"])] = {
            "name": column["name"], "kind": column["kind"], "load": True, "key": column["number"] in keys,
        }  # fmt: skip
    return {"columns": columns, "add_number": not keys}


def _best(named: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the first column and a second one: addresses, which other systems know too, before other numbers."""
    second = [column for column in named[1:] if "mail" in column["name"].casefold()] or named[1:]
    return [*named[:1], *second[:1]]


def read_columns(understood: Mapping[str, Any], chosen: Mapping[str, Any]) -> list[Wanted]:
    """Return the columns to load, their names and kinds checked.

    Raises errors.Invalid with a message for each field `name-<number>` that can't stay.
    """
    problems: dict[str, str] = {}
    columns: list[Wanted] = []
    taken: dict[str, int] = {}
    for column in understood["columns"]:
        number, choice = column["number"], chosen.get(str(column["number"]), {})
        if not choice.get("load"):
            continue
        name = names.tidy(str(choice.get("name", "")))
        if problem := names.problem(name):
            problems[f"name-{number}"] = problem
        elif name in taken:
            problems[f"name-{number}"] = f"Another column is called “{name}” already."
        if choice.get("kind") not in KINDS:
            problems[f"kind-{number}"] = "Choose how to read this column."
            continue
        taken[name] = number
        empty = column["blanks"] == understood["rows"]
        columns.append(Wanted(number, name, choice["kind"], bool(choice.get("key")), empty=empty))
    if not columns and not problems:
        raise errors.Invalid("Choose at least one column.", {"columns": "Choose at least one column."})
    if problems:
        raise errors.Invalid("Some columns need another look.", problems)
    return columns


def default_targets(columns: Sequence[Wanted], existing: Sequence[Column]) -> dict[int, int]:
    """Pair columns of the file with existing ones of the same name; large and small letters count as the same."""
    exact = {column.name: column.id for column in existing}
    alike = {column.name.casefold(): column.id for column in existing}
    return {
        column.number: exact.get(column.name) or alike.get(column.name.casefold(), NEW)
        for column in columns
    }  # fmt: skip


def default_key(columns: Sequence[Wanted], targets: Mapping[int, int], existing: Sequence[Column]) -> tuple[int, int]:
    """Return (number, column id) of the pair by which rows are most likely matched; zeros when there is none."""
    keys = {column.id for column in existing if column.is_key}
    for column in sorted(columns, key=lambda column: not column.is_key):
        if targets.get(column.number) in keys:
            return column.number, targets[column.number]
    return 0, next((column.id for column in existing if column.is_key), 0)


def make(understood: Mapping[str, Any], choices: Mapping[str, Any], existing: Sequence[Column]) -> Plan:
    """Return the plan.

    Raises errors.Invalid, a message for each field, when the choices contradict each other or what is there.
    """
    columns = read_columns(understood, choices["columns"])
    read_as = {column["number"]: column["kind"] for column in understood["columns"]}
    if not existing:
        plan = Plan(CREATE, columns, read_as, add_number=bool(choices.get("add_number")))
        _check_keys(plan)
        return plan
    unique = frozenset(column["number"] for column in understood["columns"] if column["unique"])
    plan = Plan(choices.get("method") or UPDATE, columns, read_as, unique=unique)
    plan.rows, plan.wins = choices.get("rows") or "outer", choices.get("wins") or "keep"
    plan.unmark = [int(column_id) for column_id in choices.get("unmark", [])]
    if plan.method not in {UPDATE, REPLACE} or plan.rows not in ROWS or plan.wins not in WINS:
        raise errors.Invalid("Choose what is to happen with the rows.", {"rows": "Choose one of these."})
    plan.ignore_case, plan.as_numbers = bool(choices.get("ignore_case")), bool(choices.get("as_numbers"))
    plan.keys = _key_pairs(plan, choices, existing)
    plan.rules = {int(number): rule for number, rule in (choices.get("rules") or {}).items() if rule in WINS}
    _set_targets(plan, choices, existing)
    if choices.get("own_key") and plan.method == UPDATE:
        _give_keys_columns(plan, existing)
    if plan.method == REPLACE:
        plan.rows, plan.wins, plan.rules = "right", "erase", {}
        _check_keys(plan)
    return plan


def _give_keys_columns(plan: Plan, existing: Sequence[Column]) -> None:
    """Load a key whose name differs from that of the table's key once more, as a column of its own name."""
    by_name = {column.name: column.id for column in existing}
    taken = {column.target for column in plan.columns if column.target}
    for number, column_id in plan.keys:
        key = plan.wanted(number)
        target = by_name.get(key.name, NEW)
        if target != column_id and target not in taken:
            plan.columns.append(replace(key, target=target, is_key=False))


_NO_KEY = "Choose at least one column as key: one that has another value for every learner."


def _check_keys(plan: Plan) -> None:
    if plan.add_number and any(column.name == NUMBER_NAME for column in plan.columns):
        message = f"The file has a column “{NUMBER_NAME}” already."
        raise errors.Invalid(message, {"add_number": message})
    if not plan.add_number and not any(column.is_key for column in plan.columns):
        raise errors.Invalid("Nothing tells the learners apart.", {"columns": _NO_KEY})
    for column in plan.columns:
        if column.is_key and column.type not in KEY_TYPES:
            message = "Only whole numbers and text can tell learners apart."
            raise errors.Invalid(message, {f"key-{column.number}": message})


def _targets(plan: Plan, choices: Mapping[str, Any], existing: Sequence[Column]) -> dict[int, int]:
    by_name = default_targets(plan.columns, existing)
    return by_name | {int(number): int(target) for number, target in (choices.get("targets") or {}).items()}


def _key_pairs(plan: Plan, choices: Mapping[str, Any], existing: Sequence[Column]) -> list[tuple[int, int]]:
    targets = _targets(plan, choices, existing)
    asked = choices.get("keys") or [(choices.get("key_number"), choices.get("key_column"))]
    found = [(int(number or 0), int(column_id or 0)) for number, column_id in asked]
    found = [(number, column_id or targets.get(number, NEW)) for number, column_id in found if number]
    if not found:
        pair = default_key(plan.columns, targets, existing)
        found = [pair] if pair[0] else []
    if plan.method == REPLACE and not found:
        return []  # no learner is recognised: all rows are new
    numbers, by_id = {column.number for column in plan.columns}, {column.id: column for column in existing}
    if not found or any(number not in numbers for number, _ in found):
        message = "Choose the column of the file by which learners are recognised."
        raise errors.Invalid("Say how learners are recognised.", {"key_number": message})
    known = [by_id.get(column_id) for _, column_id in found]
    if any(column is None for column in known) or (len(known) == 1 and known[0] and not known[0].is_key):
        message = "Choose the column of the table that it corresponds to."
        raise errors.Invalid("Say how learners are recognised.", {"key_column": message})
    if len({number for number, _ in found}) < len(found) or len({one for _, one in found}) < len(found):
        message = "Choose a column once only."
        raise errors.Invalid("Say how learners are recognised.", {"key_number": message})
    return found[:MAX_KEYS]


def _set_targets(plan: Plan, choices: Mapping[str, Any], existing: Sequence[Column]) -> None:
    by_id = {column.id: column for column in existing}
    targets = _targets(plan, choices, existing) | dict(plan.keys)
    plan.columns = [column for column in plan.columns if targets[column.number] != LEFT_OUT]
    problems: dict[str, str] = {}
    used: dict[int, str] = {}
    for column in plan.columns:
        column.target = targets[column.number]
        field_name = f"target-{column.number}"
        if column.target == NEW:
            if any(other.name == column.name for other in existing):
                problems[field_name] = (
                    f"There is a column “{column.name}” already. Choose it, or give this one another name under Look."
                )
        elif column.target not in by_id:
            problems[field_name] = "This column is gone. Choose another one."
        elif column.target in used:
            problems[field_name] = f"“{used[column.target]}” goes to this column already."
        else:
            used[column.target] = column.name
    if problems:
        raise errors.Invalid("Some columns need another look.", problems)
