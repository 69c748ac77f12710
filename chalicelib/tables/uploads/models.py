"""Uploads on their way to the table."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from chalicelib.database import Base
from chalicelib.database.base import Id

#: The life of an upload. WAITING: the browser holds a form; READING and IMPORTING: a job works on it;
#: READ: understood, people choose; REFUSED: can't be read; DONE: in the table; DISCARDED: given up.
WAITING, READING, READ, IMPORTING = "waiting", "reading", "read", "importing"
DONE, REFUSED, DISCARDED = "done", "refused", "discarded"


class Upload(Base):
    """One file, or the Google Sheet behind `link`.

    `options` say how it is to be read (see `reading.Options`), `understood` what was read, `choices` what people want,
    `result` what came of it.
    """

    __tablename__ = "upload"

    id: Mapped[Id]
    workflow_id: Mapped[int] = mapped_column(ForeignKey("workflow.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    filename: Mapped[str]
    link: Mapped[str] = mapped_column(default="", server_default="")
    size: Mapped[int] = mapped_column(default=0)
    file_version: Mapped[str | None]
    state: Mapped[str] = mapped_column(default=WAITING)
    problem: Mapped[str] = mapped_column(default="")
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id", ondelete="SET NULL"))
    options: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    understood: Mapped[dict[str, Any]] = mapped_column(default=dict)
    choices: Mapped[dict[str, Any]] = mapped_column(default=dict)
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    @property
    def source(self) -> str:
        """Where the data come from: "sheet", "excel", "csv"; "file" as long as nobody has looked into it."""
        return "sheet" if self.link else str(self.understood.get("format", "file"))
