"""The formula as a tree.

Stored as JSON: a group is {"all": [members]} or {"any": [members], "not": true}, a rule {"column": 12, "op": "less",
"value": "60"}; a pair or a list of values is a list.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chalicelib import errors

MAX_DEPTH = 20
MAX_RULES = 500
MAX_GROUPS = 500
MAX_VALUES = 1000


@dataclass(frozen=True)
class Rule:
    """One comparison; `values` has as many texts as the operator has operands."""

    column: int
    operator: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Members of which all (or any) must hold; `negated` flips the result."""

    every: bool
    members: tuple[Node, ...]
    negated: bool = False


Node = Rule | Group


def parse(formula: Any) -> Group:
    """Return the tree of a stored formula.

    Raises errors.Invalid when it has another shape, is nested too deep or has too many rules.
    """
    if not isinstance(formula, dict) or not {"all", "any"} & formula.keys():
        raise _broken()
    group = _parse(formula, 1)
    assert isinstance(group, Group), "what has members is a group"
    if sum(1 for _ in rules(group)) > MAX_RULES:
        raise errors.Invalid(f"A rule set can have at most {MAX_RULES} rules.")
    if _groups(group) > MAX_GROUPS:
        raise errors.Invalid(f"A rule set can have at most {MAX_GROUPS} groups.")
    return group


def _parse(node: Any, depth: int) -> Node:
    if not isinstance(node, dict):
        raise _broken()
    if depth > MAX_DEPTH:
        raise errors.Invalid(f"Groups can be nested at most {MAX_DEPTH} deep.")
    for name in ("all", "any"):
        if name in node:
            if not isinstance(node[name], list) or node.keys() - {name, "not"}:
                raise _broken()
            if not isinstance(node.get("not", False), bool):
                raise _broken()
            members = tuple(_parse(member, depth + 1) for member in node[name])
            return Group(name == "all", members, node.get("not", False))
    if not isinstance(node.get("op"), str) or node.keys() - {"column", "op", "value"}:
        raise _broken()
    column = node.get("column")
    return Rule(column if type(column) is int else 0, node["op"], _values(node.get("value")))


def _groups(node: Node) -> int:
    return 0 if isinstance(node, Rule) else 1 + sum(_groups(member) for member in node.members)


def _values(value: Any) -> tuple[str, ...]:
    values = [] if value in (None, "") else value if isinstance(value, list) else [value]
    if len(values) > MAX_VALUES or any(not isinstance(item, (str, int, float)) for item in values):
        raise _broken()
    return tuple(str(item) for item in values)


def _broken() -> errors.Invalid:
    return errors.Invalid("This rule set can't be read. Please reload the page and build it again.")


def dump(node: Node) -> dict[str, Any]:
    """Return the JSON of a tree."""
    if isinstance(node, Group):
        made: dict[str, Any] = {"all" if node.every else "any": [dump(member) for member in node.members]}
        return {**made, "not": True} if node.negated else made
    made = {"column": node.column, "op": node.operator}
    if len(node.values) == 1 and node.operator not in {"is_one_of", "is_none_of"}:
        made["value"] = node.values[0]
    elif node.values:
        made["value"] = list(node.values)
    return made


def rules(node: Node) -> Iterator[Rule]:
    """Yield every rule, in the order in which people read them."""
    if isinstance(node, Rule):
        yield node
        return
    for member in node.members:
        yield from rules(member)


def holds_nothing(formula: Any) -> bool:
    """Tell whether a stored formula selects every row because it has no rules."""
    if not formula:
        return True
    return isinstance(formula, dict) and formula.keys() <= {"all", "any", "not"} and not (
        formula.get("all") or formula.get("any")
    )  # fmt: skip


def references(formula: Any) -> set[int]:
    """Return the ids of the columns that a stored formula uses."""
    return {rule.column for rule in rules(parse(formula))} if not holds_nothing(formula) else set()
