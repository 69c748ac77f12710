"""Merges of random tables equal what a few lines of Python that nobody can misread would do."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.accounts.models import User
from chalicelib.tables import queries
from chalicelib.tables.uploads import plan, service
from chalicelib.workflows import service as workflows

Table = dict[int, tuple[str | None, int | None]]
_cells = st.tuples(st.none() | st.sampled_from(["a", "b", "Zoë, x", 'q"q']), st.none() | st.integers(-3, 3))
tables = st.dictionaries(st.integers(1, 9), _cells, min_size=1, max_size=6)


def merged(old: Table, new: Table, ways: dict[str, Any]) -> dict[int, list[Any]]:
    """The naive reference: k → [v, n, w]; v is in both tables, n only in the old one, w only in the new one."""
    kept = {
        "outer": old.keys() | new.keys(), "append": old.keys() | new.keys(), "left": old.keys(), "right": new.keys(),
        "inner": old.keys() & new.keys(),
    }[ways["rows"]]  # fmt: skip
    rows = {}
    for key in kept:
        if key not in new:
            rows[key] = [*old[key], None]
        elif key not in old:
            rows[key] = [new[key][0], None, new[key][1]]
        elif ways["rows"] == "append":
            rows[key] = [*old[key], None]
        else:
            was, comes = old[key][0], new[key][0]
            value = {"keep": comes if comes is not None else was, "erase": comes,
                     "fill": was if was is not None else comes}[ways["rule"] or ways["wins"]]  # fmt: skip
            rows[key] = [value, old[key][1], new[key][1]]
    return rows


def written(header: list[str], table: Table) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    for key, cells in table.items():
        writer.writerow([key, *("" if cell is None else cell for cell in cells)])
    return out.getvalue()


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tables, tables, st.sampled_from(list(plan.ROWS)), st.sampled_from(list(plan.WINS)),
    st.sampled_from(["", *plan.WINS]), st.booleans(),
)  # fmt: skip
@example({1: ("a", 1), 2: (None, 2)}, {2: (None, 5), 3: ("b", None)}, "outer", "erase", "", True)
def test_a_merge_is_what_the_naive_reference_says(
    session: Session, user: User, tmp_path: Path, old: Table, new: Table, rows: str, wins: str, rule: str, renamed: bool
) -> None:
    assume(old.keys() & new.keys() or rows != "inner")
    key = "student" if renamed else "k"
    number = session.scalar(text("SELECT count(*) FROM ontask.workflow"))
    workflow = workflows.create(session, user.id, f"Class {number}")
    path = tmp_path / "file.csv"
    path.write_text(written(["k", "v", "n"], old))
    kinds = {"v": "text", "n": "integer", "w": "integer"}
    service.import_file(session, workflow, user.id, path, keys=["k"], read_as=kinds)
    ids = {column.name: column.id for column in queries.columns(session, workflow.id)}
    query = text(f"SELECT c{ids['k']}, row_id FROM learners.w{workflow.id}")
    before = {row[0]: row[1] for row in session.execute(query)}
    path.write_text(written([key, "v", "w"], new))
    choices = {"rows": rows, "wins": wins, "keys": [(1, ids["k"])], "rules": {"2": rule} if rule else {}}
    result = service.import_file(session, workflow, user.id, path, keys=[key], read_as=kinds, choices=choices)

    ids = {column.name: column.id for column in queries.columns(session, workflow.id)}
    shown = ", ".join(f"c{ids[name]}" for name in ("k", "v", "n", "w"))
    found = session.execute(text(f"SELECT row_id, {shown} FROM learners.w{workflow.id} ORDER BY row_id")).all()
    expected = merged(old, new, {"rows": rows, "wins": wins, "rule": rule})
    assert {row[1]: list(row[2:]) for row in found} == expected
    assert workflow.row_count == len(expected) == len(found)
    # Learners keep their row and their order; new ones come after them in the order of the file.
    assert {row[1]: row[0] for row in found if row[1] in before}.items() <= before.items()
    order = [k for k in old if k in expected] + [k for k in new if k not in old and k in expected]
    assert [row[1] for row in found] == order
    told = {name: result[name] for name in ("new", "dropped", "matched")}
    assert told == {
        "new": len(expected.keys() - old.keys()), "dropped": len(old.keys() - expected.keys()),
        "matched": len(old.keys() & new.keys()),
    }  # fmt: skip
    assert result["cells"] == sum(expected[k][0] != old[k][0] for k in expected.keys() & old.keys())
