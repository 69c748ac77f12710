"""Which AWS calls the code of a function can make, read from the source.

A function of `app.py` is followed through every function, method and class that its code names. Whatever is named
counts as called, so nothing is missed; methods count for the classes that are named somewhere on the way (rapid type
analysis). Two registries are not visible in the source and are added by their decorators: pages (`@page`, `@bp.route`)
belong to the API, jobs (`@job`) to `schedules.jobs.run`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
#: Decorators and functions that make a function known to a registry, and who runs what the registry holds.
PAGES = {"page", "route"}
JOBS = {"job"}
RUNS_JOBS = "chalicelib.schedules.jobs.run"


@dataclass
class Code:
    """A function, method or class: what its source names, and which methods it calls on who knows what."""

    name: str
    names: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)
    decorators: set[str] = field(default_factory=set)
    methods: dict[str, str] = field(default_factory=dict)


@cache
def sources() -> dict[str, Code]:
    """Return everything that `app.py` and `chalicelib` define, by its full name."""
    found: dict[str, Code] = {}
    for path in [ROOT / "app.py", *sorted((ROOT / "chalicelib").rglob("*.py"))]:
        parts = path.relative_to(ROOT).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found |= {code.name: code for code in _read(module, ast.parse(path.read_text()), path.name == "__init__.py")}
    return found


def _read(module: str, tree: ast.Module, is_package: bool) -> Iterator[Code]:
    known = dict(_imports(tree, module))
    for node in tree.body:
        for name in _defined(node):
            known[name] = f"{module}.{name}"
    if is_package:  # `database.scope` is `database.scope.scope`
        for name, target in known.items():
            if target != f"{module}.{name}":
                yield Code(f"{module}.{name}", {target})
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from _class(module, node, known)
        elif isinstance(node, ast.FunctionDef):
            yield _code(f"{module}.{node.name}", node, known)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for name in _defined(node):
                yield _code(f"{module}.{name}", node, known)


def _class(module: str, node: ast.ClassDef, known: dict[str, str]) -> Iterator[Code]:
    name = f"{module}.{node.name}"
    whole = Code(name)
    for part in node.body:
        if isinstance(part, ast.FunctionDef):
            whole.methods[part.name] = f"{name}.{part.name}"
            yield _code(f"{name}.{part.name}", part, known)
    for base in node.bases:
        whole.names |= _code(name, base, known).names
    if "__init__" in whole.methods:
        whole.names.add(f"{name}.__init__")
    yield whole


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _imports(tree: ast.AST, module: str) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                yield alias.asname or top, alias.name if alias.asname else top


def _code(name: str, node: ast.AST, known: dict[str, str]) -> Code:
    code = Code(name)
    for decorator in getattr(node, "decorator_list", []):
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        code.decorators.add(called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", ""))
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.id in known:
            code.names.add(known[part.id])
        elif isinstance(part, ast.Attribute):
            code.attributes.add(part.attr)
            if dotted := _dotted(part, known):
                code.names.add(dotted)
        if isinstance(part, ast.Call):
            code.calls |= set(aws_calls(part))
    return code


def _dotted(node: ast.Attribute, known: dict[str, str]) -> str:
    parts = [node.attr]
    value = node.value
    while isinstance(value, ast.Attribute):
        parts.insert(0, value.attr)
        value = value.value
    return ".".join([known[value.id], *parts]) if isinstance(value, ast.Name) and value.id in known else ""


def aws_calls(node: ast.Call) -> Iterator[str]:
    """Yield `service.operation` for `client("service").operation(…)` and paginators, `sesv2.…` for our own SES."""
    function = node.func
    if not isinstance(function, ast.Attribute):
        return
    service = client_of(function.value)
    if service and function.attr == "get_paginator":
        yield f"{service}.{node.args[0].value}"  # type: ignore[attr-defined]
    elif service and function.attr == "generate_presigned_url":
        yield f"{service}.presigned_{node.args[0].value}"  # type: ignore[attr-defined]
    elif service:
        yield f"{service}.{function.attr}"
    elif isinstance(function.value, ast.Attribute) and function.value.attr == "_ses":
        yield f"sesv2.{function.attr}"


def client_of(node: ast.expr) -> str:
    """Return the service in `client("service")`, nothing for other expressions."""
    is_client = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "client"
    return str(node.args[0].value) if is_client else ""  # type: ignore[attr-defined]


def of(function: str) -> set[str]:
    """Return the AWS calls that the function of `app.py` can make; `api_handler` stands for all pages."""
    return {call for name in reached(function) for call in sources()[name].calls}


@cache
def reached(function: str) -> set[str]:
    """Return the full names of what the function of `app.py` can come to."""
    everything = sources()
    if function == "api_handler":
        todo = {code.name for code in everything.values() if code.decorators & PAGES}
    else:
        todo = {f"app.{function}"}
    seen: set[str] = set()
    attributes: set[str] = set()
    methods: dict[str, set[str]] = {}
    while todo:
        name = todo.pop()
        code = everything.get(name)
        if name in seen or code is None:
            continue
        seen.add(name)
        attributes |= code.attributes
        for method, full in code.methods.items():
            methods.setdefault(method, set()).add(full)
        todo |= code.names | {full for method in attributes & set(methods) for full in methods[method]}
        if name == RUNS_JOBS:
            todo |= {job.name for job in everything.values() if job.decorators & JOBS}
    return seen
