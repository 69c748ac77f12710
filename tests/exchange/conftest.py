"""Files of OnTask and of ours, imported at once."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.accounts.models import User
from chalicelib.exchange import service
from chalicelib.exchange.document import Document
from chalicelib.exchange.models import Import
from chalicelib.tables import queries
from chalicelib.workflows.models import Workflow
from tests.exchange.frames import Call, dumps


def packed(content: Any) -> bytes:
    """A file as OnTask writes it."""
    return gzip.compress(json.dumps(content).encode(), mtime=0)


def encoded(made: Call, protocol: int = 5) -> str:
    """A data frame as it stands in the JSON."""
    return base64.b64encode(dumps(made, protocol)).decode()


class Exchange:
    """Imports and exports of one user in the test's transaction."""

    def __init__(self, session: Session, user: User, folder: Path) -> None:
        self.session, self.user, self.folder = session, user, folder

    def bring(self, content: bytes | Path, **how: Any) -> Import:
        """Import a file at once."""
        path = content
        if isinstance(content, bytes):
            path = self.folder / "file"
            path.write_bytes(content)
        assert isinstance(path, Path)
        return service.import_file(self.session, self.user.id, path, **how)

    def workflow(self, content: bytes | Path, **how: Any) -> Workflow:
        """Import a file and return its workflow."""
        return self.session.get_one(Workflow, self.bring(content, **how).workflow_id)

    def write(self, workflow: Workflow, **what: Any) -> tuple[Path, Document]:
        """Export a workflow with all its messages."""
        path = self.folder / "export.zip"
        ids = self.session.scalars(text("SELECT id FROM ontask.action WHERE deleted_at IS NULL ORDER BY id")).all()
        return path, service.export(self.session, workflow, path, what.pop("actions", ids), **what)

    def rows(self, workflow: Workflow) -> list[dict[str, Any]]:
        """The learners by the names of the columns."""
        columns = queries.columns(self.session, workflow.id)
        cells = ", ".join(f"c{column.id}" for column in columns)
        found = self.session.execute(text(f"SELECT {cells} FROM learners.w{workflow.id} ORDER BY row_id"))
        return [dict(zip([column.name for column in columns], row, strict=True)) for row in found]


@pytest.fixture
def exchange(session: Session, user: User, tmp_path: Path) -> Exchange:
    """Imports and exports of Ines's."""
    return Exchange(session, user, tmp_path)
