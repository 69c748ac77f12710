"""From a file to a table."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.accounts.models import User
from chalicelib.tables import queries
from chalicelib.tables.uploads import service
from chalicelib.workflows.models import Workflow
from tests.conftest import real_file


def contents(session: Session, workflow: Workflow, order: str = "row_id") -> list[dict[str, object]]:
    """The rows of the table by the columns' names."""
    columns = queries.columns(session, workflow.id)
    shown = ", ".join(f'c{column.id} AS "{column.name}"' for column in columns)
    rows = session.execute(text(f"SELECT {shown} FROM learners.w{workflow.id} ORDER BY {order}"))
    return [dict(row) for row in rows.mappings()]


def test_a_real_class_and_its_marks(session: Session, user: User, workflow: Workflow) -> None:
    result = service.import_file(session, workflow, user.id, real_file("oulad/ccc_2014j_class.csv"))
    assert result["rows"] == 2498
    assert {column.name for column in queries.columns(session, workflow.id) if column.is_key} == {"id_student", "email"}
    result = service.import_file(session, workflow, user.id, real_file("oulad/ccc_2014j_marks.csv"))
    assert result["rows"] == 2498
    assert (result["new"], result["matched"], result["cells"]) == (0, 1998, 0)
    assert len(queries.columns(session, workflow.id)) == 31
    assert workflow.row_count == 2498
