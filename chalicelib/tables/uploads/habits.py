"""What people chose the last time for a file of the same source is proposed again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib.tables import queries
from chalicelib.tables.uploads import staging
from chalicelib.tables.uploads.models import DONE, Upload
from chalicelib.tables.uploads.plan import LEFT_OUT

#: Finished uploads of the workflow that are looked through, the latest first.
LOOKED_AT = 50
#: What a file's name says of its day or edition, which is another one every week: "marks 2026-03-02 (1).csv".
_EDITION = re.compile(r"[\d\s()_.-]+")
_MATCH = ("method", "rows", "wins", "ignore_case", "as_numbers", "own_key")


def source(upload: Upload) -> str:
    """Return what files that are uploaded again and again have in common: the sheet's link or the plain name."""
    return upload.link or _EDITION.sub("", upload.filename.casefold())


def _last(session: Session, upload: Upload, headers: list[str] | None = None) -> Upload | None:
    """Return the last finished upload of this source; with `headers`, also one whose columns are the same."""
    found = session.scalars(
        select(Upload)
        .where(Upload.workflow_id == upload.workflow_id, Upload.state == DONE, Upload.id != upload.id)
        .order_by(Upload.id.desc())
        .limit(LOOKED_AT)
    ).all()
    same = next((one for one in found if source(one) == source(upload)), None)
    if same is not None or headers is None:
        return same
    return next((one for one in found if _headers(one) == headers), None)


def _headers(upload: Upload) -> list[str]:
    return [column["header"] for column in upload.understood["columns"]]


def options(session: Session, upload: Upload) -> dict[str, Any]:
    """Return how the last file of this source was read; `remembered` says that people did not ask for it now."""
    last = _last(session, upload)
    asked = {name: value for name, value in (last.options if last else {}).items() if value and name != "remembered"}
    return {**asked, "remembered": True} if asked else {}


def choices(session: Session, upload: Upload, first: dict[str, Any]) -> dict[str, Any]:
    """Return the first choices with those of the last upload of this source, as far as they fit this file."""
    last = _last(session, upload, _headers(upload))
    if last is None or not last.choices.get("columns"):
        return first
    old_columns = {column["header"]: column for column in last.understood["columns"]}
    columns, numbers = {}, {}
    for column in upload.understood["columns"]:
        number, old = str(column["number"]), old_columns.get(column["header"])
        kept = last.choices["columns"].get(str(old["number"])) if old else None
        columns[number] = dict(first["columns"][number])
        if old is not None and kept:
            columns[number] |= {"name": kept["name"], "load": kept["load"], "key": kept["key"]}
            # What nobody changed then is found out anew.
            if kept["kind"] != old["kind"] and _is_fit(session, upload, column, kept["kind"]):
                columns[number]["kind"] = kept["kind"]
            numbers[str(old["number"])] = number
    match = {name: last.choices[name] for name in _MATCH if name in last.choices}
    return {
        **first, **match, **_moved(session, upload, last, numbers), "columns": columns,
        "add_number": last.choices.get("add_number", False), "remembered": last.filename,
    }  # fmt: skip


def _is_fit(session: Session, upload: Upload, column: Mapping[str, Any], kind: str) -> bool:
    if kind == column["kind"]:
        return True
    return not staging.count_misfits(session, upload.id, {column["number"]: kind})[column["number"]]


def _moved(session: Session, upload: Upload, last: Upload, numbers: dict[str, str]) -> dict[str, Any]:
    """Return keys, targets and rules for the numbers that the columns have in this file."""
    there = {column.id for column in queries.columns(session, upload.workflow_id)}
    keys = [
        [int(numbers[str(number)]), column_id]
        for number, column_id in last.choices.get("keys", [])
        if str(number) in numbers and column_id in there
    ]
    moved: dict[str, Any] = {"keys": keys} if keys and len(keys) == len(last.choices["keys"]) else {}
    for name in ("targets", "rules"):
        kept = last.choices.get(name) or {}
        moved[name] = {
            numbers[old]: value
            for old, value in kept.items()
            if old in numbers and (name == "rules" or value in there or value == LEFT_OUT)
        }
    return moved
