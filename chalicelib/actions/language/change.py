"""Changes to stored texts that people ask for by one click: a default for a value, the end of a condition.

Also marks, in a preview, where a value is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from chalicelib.actions.language.parser import parse
from chalicelib.actions.language.syntax import (
    Address,
    And,
    Branch,
    Filter,
    If,
    Is,
    Node,
    Not,
    Or,
    Output,
    Reference,
    Test,
    Value,
)  # fmt: skip
from chalicelib.actions.language.translate import stored_form

Nodes = tuple[Node, ...]


def with_default(stored: str, reference: Reference, words: str, output: Output = "html") -> str:
    """Return the text with a default wherever it shows the value and has none; quotes can't be part of it.

    Raises TemplateError when `stored` is not a stored text.
    """
    step = Filter("default", (words.replace('"', "”"),))

    def change(node: Value) -> Value:
        return replace(node, filters=(*node.filters, step)) if _lacks_default(node, reference) else node

    return stored_form(_with_values(parse(stored, None, output), change), output)


def _lacks_default(node: Value, reference: Reference) -> bool:
    return node.reference == reference and not any(one.name == "default" for one in node.filters)


def marked(tree: Sequence[Node], name: Callable[[Reference], str]) -> Nodes:
    """Return the tree with a mark where a column has no value and the text no default, but for attributes of HTML."""

    def change(node: Value) -> Value:
        if node.attribute or not node.reference.startswith("c") or not _lacks_default(node, node.reference):
            return node
        return replace(node, filters=(*node.filters, Filter("marked", (name(node.reference),))))

    return _with_values(tree, change)


def _with_values(tree: Sequence[Node], change: Callable[[Value], Value]) -> Nodes:
    return tuple(_with_value(node, change) for node in tree)


def _with_value(node: Node, change: Callable[[Value], Value]) -> Node:
    match node:
        case Value():
            return change(node)
        case Address():
            return Address(_with_values(node.parts, change))
        case If():
            branches = tuple(Branch(one.test, _with_values(one.body, change)) for one in node.branches)
            otherwise = None if node.otherwise is None else _with_values(node.otherwise, change)
            return replace(node, branches=branches, otherwise=otherwise)
        case _:
            return node


def without_condition(stored: str, reference: Reference, *, keeps_content: bool, output: Output = "html") -> str:
    """Return the text without a condition: what depended on it alone is for everybody then, or is gone.

    Where it stood beside other conditions these remain. Raises TemplateError when `stored` is not a stored text.
    """
    return stored_form(_without(parse(stored, None, output), reference, keeps_content), output)


def _without(tree: Sequence[Node], reference: Reference, keeps_content: bool) -> Nodes:
    found: list[Node] = []
    for node in tree:
        match node:
            case If():
                found += _without_in(node, reference, keeps_content)
            case Address():
                found.append(Address(_without(node.parts, reference, keeps_content)))
            case Value() if node.reference == reference:
                continue
            case _:
                found.append(node)
    return tuple(found)


def _without_in(node: If, reference: Reference, keeps_content: bool) -> Nodes:
    shown: list[Node] = []
    left: list[Branch] = []
    for branch in node.branches:
        body, test = _without(branch.body, reference, keeps_content), _reduced(branch.test, reference)
        if test is not None:
            left.append(Branch(test, body))
        elif keeps_content:
            shown += body
    otherwise = None if node.otherwise is None else _without(node.otherwise, reference, keeps_content)
    if left:
        return (*shown, replace(node, branches=tuple(left), otherwise=otherwise))
    return (*shown, *(otherwise or ()))


def _reduced(test: Test, reference: Reference) -> Test | None:
    """Return the test without the condition; None when nothing else is asked for."""
    match test:
        case Is():
            return None if test.reference == reference else test
        case Not():
            inner = _reduced(test.test, reference)
            return None if inner is None else Not(inner)
        case And() | Or():
            parts = tuple(one for one in (_reduced(part, reference) for part in test.tests) if one is not None)
            return type(test)(parts) if len(parts) > 1 else parts[0] if parts else None
