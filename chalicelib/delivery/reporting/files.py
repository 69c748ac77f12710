"""The files of a report: views, joined with who the report is about, as CSV or Excel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.actions.reports import queries as reports
from chalicelib.aws import files as store
from chalicelib.delivery.compose import Attached
from chalicelib.delivery.sources import Sources
from chalicelib.tables import downloads
from chalicelib.tables import queries as tables
from chalicelib.tables.paging import By, Order
from chalicelib.tables.scope import Scope

#: Where the files of a run wait until its mail leaves, and for those who follow a link to them.
FOLDER = "reports"


@dataclass(frozen=True)
class File:
    """A file that was built: what it is called in the mail, its bytes, and how many there are."""

    name: str
    content_type: str
    size: int
    body: IO[bytes]

    def attached(self) -> Attached:
        """Return it as a part of a mail."""
        self.body.seek(0)
        return Attached(self.name, self.content_type, self.body.read())


def snapshot(
    session: Session, action_id: int, workflow_id: int, found: Sources, time_zone: str
) -> list[dict[str, Any]]:
    """Return what has to be known of the attached views to build their files later, whatever becomes of the views.

    Raises errors.Invalid when a view is gone, or lost columns.
    """
    made = []
    for file in reports.files(session, action_id, workflow_id, found.columns, time_zone):
        if file.problem or file.view is None:
            raise errors.Invalid(f"The attached view “{file.name}” can’t be sent. {file.problem}")
        made.append(
            {
                "name": file.name, "format": file.attachment.format, "columns": [one.id for one in file.columns],
                "sort": file.view.sort, "filter": file.view.filter,
            }
        )  # fmt: skip
    return made


def names(wanted: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what the files are called: like their views, with a number where two would be the same."""
    found: list[str] = []
    for one in wanted:
        ending = downloads.FORMATS[one["format"]].ending
        plain = downloads.plain_name(one["name"]) or "view"
        name, number = f"{plain}.{ending}", 2
        while name.lower() in {other.lower() for other in found}:
            name, number = f"{plain} ({number}).{ending}", number + 1
        found.append(name)
    return found


def build(session: Session, workflow_id: int, wanted: Sequence[Mapping[str, Any]], who: Any, zone: str) -> list[File]:
    """Build the files: of each view its columns, for the learners of the view for whom `who` holds as well.

    Raises errors.Invalid when a column is gone, a formula can't be used any more, or Excel can't hold the rows.
    """
    columns = {column.id: column for column in tables.columns(session, workflow_id)}
    return [
        _build(session, workflow_id, columns, one, name, who, zone)
        for one, name in zip(wanted, names(wanted), strict=True)
    ]


def _build(
    session: Session, workflow_id: int, columns: Mapping[int, Any], wanted: Mapping[str, Any], name: str, who: Any,
    zone: str,
) -> File:  # fmt: skip
    if any(key not in columns for key in wanted["columns"]):
        raise errors.Invalid(f"A column of the attached view “{wanted['name']}” was deleted.")
    infos = {key: tables.info(column) for key, column in columns.items()}
    rules = [formula for formula in (wanted["filter"], who) if formula]
    scope = Scope(workflow_id, infos, rules={"all": rules} if rules else None, rules_zone=zone, time_zone=zone)
    shown = {f"c{key}": (columns[key].name, columns[key].type) for key in wanted["columns"]}
    order = Order(
        tuple(By(columns[one["column"]], one["descending"]) for one in wanted["sort"] if one["column"] in columns)
    )
    body = downloads.temporary()
    downloads.write(session, wanted["format"], scope, shown, [], order, body)
    return File(name, downloads.FORMATS[wanted["format"]].content_type, body.tell() or _size(body), body)


def _size(body: IO[bytes]) -> int:
    return body.seek(0, 2)


def key(run_id: int, number: int) -> str:
    """Return where a file of a run is kept."""
    return f"{FOLDER}/{run_id}/{number}"


def attached(run_id: int, about: Mapping[str, Any]) -> list[Attached]:
    """Return the files of a planned run as parts of its mail; none when the mail has links to them.

    Raises errors.NotFound when they are not kept any more, errors.Unavailable when they can't be read just now.
    """
    if about.get("as_links"):
        return []
    wanted = about.get("files", [])
    return [
        Attached(name, downloads.FORMATS[one["format"]].content_type, store.read(key(run_id, number)))
        for number, (one, name) in enumerate(zip(wanted, names(wanted), strict=True), 1)
    ]
