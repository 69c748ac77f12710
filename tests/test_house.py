"""The rules of the house, read from the source: which room may import which, and what stays out of a cold start."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "chalicelib").rglob("*.py"))
#: Arrows go down: a module of one kind may import kinds of a higher number only, inside and across domains.
FLOORS = {"routes": 0, "api": 0, "jobs": 0, "service": 1, "queries": 1, "models": 3}


def imported(path: Path) -> set[str]:
    """Return the full names of what a module imports anywhere."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path: Path) -> None:
    domain, floor = path.relative_to(ROOT / "chalicelib").parts[0], FLOORS.get(path.stem)
    for name in imported(path):
        assert not name.startswith(("local", "tests", "bench", "app.")), f"{path.name} imports {name}"
        parts = name.split(".")
        if parts[0] != "chalicelib" or len(parts) < 3 or parts[2] not in FLOORS:
            continue
        if floor is not None:
            assert FLOORS[parts[2]] >= floor, f"{path.name} imports {name}, which is above it"
        if parts[2] == "models" and parts[1] != domain and path.stem != "models":
            users_are_everywhere = parts[1] == "accounts" or name.startswith("chalicelib.workflows.models.Workflow")
            assert users_are_everywhere, f"{path} reads {name}; ask that domain's service or queries instead"


def test_a_cold_start_stays_lean() -> None:
    heavy = [
        "boto3", "botocore.session", "pandas", "numpy", "alembic", "openpyxl", "python_calamine", "ldap3", "moto",
        "jwt", "oauthlib", "cryptography", "email_validator", "jinja2", "reportlab", "PIL",
    ]  # fmt: skip
    code = f"import app, sys; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_there_are_fewer_routes_than_the_gateway_allows() -> None:
    from app import app

    nodes = {"/".join(path.split("/")[:depth]) for path in app.routes for depth in range(1, len(path.split("/")) + 1)}
    assert len(nodes) <= 160
