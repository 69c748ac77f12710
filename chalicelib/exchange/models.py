"""Imports on their way from a file to a workflow."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from chalicelib.database import Base
from chalicelib.database.base import Id

#: The life of an import. WAITING: the browser holds a form; READING and CREATING: a job works on it; READ: understood,
#: somebody looks at what will come; REFUSED: can't be imported; DONE: there it is; DISCARDED: given up.
WAITING, READING, READ, CREATING = "waiting", "reading", "read", "creating"
DONE, REFUSED, DISCARDED = "done", "refused", "discarded"


class Import(Base):
    """One file. `workflow_id` is the workflow that gets its messages, or in the end the one that was made of it.

    `document` is what the file holds but for the learners, who wait in `learners.i<id>`; `result` is what came of it.
    """

    __tablename__ = "import"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    workflow_id: Mapped[int | None] = mapped_column(ForeignKey("workflow.id", ondelete="CASCADE"), index=True)
    filename: Mapped[str]
    size: Mapped[int] = mapped_column(default=0)
    file_version: Mapped[str | None]
    state: Mapped[str] = mapped_column(default=WAITING)
    problem: Mapped[str] = mapped_column(default="")
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id", ondelete="SET NULL"))
    name: Mapped[str] = mapped_column(default="")
    document: Mapped[dict[str, Any]] = mapped_column(default=dict)
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
