"""What a file says, whoever wrote it: the JSON of our own format, in which objects have numbers of the file's own.

`docs/export-format.md` describes it. Sections are named like the tables of the database, and the references inside are
followed by the one walker of `workflows.references`, so that what a workflow has later travels without a change here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from chalicelib import clock
from chalicelib.formulas.columns import ColumnInfo
from chalicelib.workflows import parts
from chalicelib.workflows.references import PARTS, Part

WORKFLOW, MESSAGES = "ontask-workflow", "ontask-messages"
VERSION = 1
#: Fields that say whose and when, not what.
OMITTED = frozenset({"id", "workflow_id", "created_at", "updated_at", "deleted_at", "version"})
#: The workflow's number in every file.
HERE = 1

_PLURALS = {"criterion": "criteria"}

Row = dict[str, Any]


@dataclass
class Document:
    """The contents of a file but for the learners' values. `learners` is their number, None without a table.

    An empty `time_zone` is that of whoever imports the file.

    `repairs` says what was wrong and is right now, `kept` what the product has no page for yet.
    """

    kind: str
    name: str = ""
    description: str = ""
    time_zone: str = ""
    learners: int | None = None
    rows: dict[str, list[Row]] = field(default_factory=lambda: {part.table: [] for part in PARTS})
    repairs: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    formats: Row = field(default_factory=dict)

    @property
    def columns(self) -> list[Row]:
        """The columns in their order."""
        return self.rows["column"]

    @property
    def infos(self) -> dict[int, ColumnInfo]:
        """What formulas have to know of the columns, by their numbers."""
        return {
            row["id"]: ColumnInfo(
                row["id"], row["name"], row["type"], tuple(row["allowed_values"]) if row["allowed_values"] else None
            )
            for row in self.columns
        }

    def conditions_of(self, action: Row) -> list[Row]:
        """Return the conditions of a message."""
        return [row for row in self.rows["condition"] if row["action_id"] == action["id"]]

    def to_json(self) -> dict[str, Any]:
        """Return it as it is written to `workflow.json`."""
        return {
            "format": self.kind, "version": VERSION,
            "workflow": {
                "name": self.name, "description": self.description, "time_zone": self.time_zone,
                "formats": self.formats,
            },
            "table": None if self.learners is None else {"file": "table.csv", "rows": self.learners},
            **{section(part): self.rows[part.table] for part in PARTS},
        }  # fmt: skip

    def stored(self) -> dict[str, Any]:
        """Return it as an import keeps it until somebody has looked at it."""
        return {**self.to_json(), "repairs": self.repairs, "kept": self.kept}


def restored(stored: dict[str, Any]) -> Document:
    """Return what `stored` wrote."""
    about, table = stored["workflow"], stored["table"]
    return Document(
        stored["format"], about["name"], about["description"], about["time_zone"], table and table["rows"],
        {part.table: stored.get(section(part), []) for part in PARTS}, stored["repairs"], stored["kept"],
        about.get("formats", {}),
    )  # fmt: skip


def section(part: Part) -> str:
    """Return the name of the part's list in the file."""
    return _PLURALS.get(part.table, f"{part.table}s")


def fields(part: Part) -> list[sa.Column[Any]]:
    """Return the columns of the part's table that go into a file, besides the number of the row."""
    return [column for column in parts.table_of(part).columns if column.name not in OMITTED]


def insertable(document: Document) -> parts.Rows:
    """Return the rows as `parts.insert` takes them; the workflow is "w1"."""
    return {part.table: [_insertable(part, row) for row in document.rows[part.table]] for part in PARTS}


def _insertable(part: Part, row: Row) -> Row:
    table, now = parts.table_of(part), clock.now()
    made = {"id": row["id"], **{column.name: _value(column, row[column.name]) for column in fields(part)}}
    made |= {name: now for name in ("created_at", "updated_at") if name in table.c}
    return {**made, "workflow_id": HERE} if "workflow_id" in table.c else made


def _value(column: sa.Column[Any], value: Any) -> Any:
    is_moment = isinstance(column.type, sa.DateTime) and isinstance(value, str)
    return datetime.fromisoformat(value) if is_moment else value
