"""Checks the rubrics and the attached views of a file."""

from __future__ import annotations

from typing import Any

from chalicelib import errors
from chalicelib.actions.html import clean
from chalicelib.actions.language import TemplateError, references
from chalicelib.actions.reports.kinds import FORMATS, MAX_ATTACHMENTS
from chalicelib.actions.rubrics.service import MAX_CRITERIA, MAX_LENGTH
from chalicelib.exchange.document import Document, Row


def check(document: Document) -> None:
    """Repair rubrics and attachments of a document, or leave them out and say so.

    Raises errors.Invalid for a feedback that can't be read, and for too many of them.
    """
    names = {row["id"]: f"“{row['name']}”" for row in document.rows["action"]}
    _criteria(document, names)
    _cells(document)
    _attachments(document, names)


def _criteria(document: Document, names: dict[int, str]) -> None:
    known = {row["id"] for row in document.columns}
    kept: list[Row] = []
    seen: set[Any] = set()
    for row in sorted(document.rows["criterion"], key=lambda row: row["position"]):
        same = (row["action_id"], row["column_id"])
        if row["column_id"] not in known or same in seen:
            document.repairs.append(f"{names[row['action_id']]}: a criterion without a column of its own was left out.")
            continue
        seen.add(same)
        kept.append(row)
        row["position"] = sum(one["action_id"] == row["action_id"] for one in kept)
        if row["position"] > MAX_CRITERIA:
            raise errors.Invalid(f"{names[row['action_id']]} has more than {MAX_CRITERIA} criteria.")
    document.rows["criterion"] = kept


def _cells(document: Document) -> None:
    known = {row["id"] for row in document.rows["criterion"]}
    kept: list[Row] = []
    seen: set[Any] = set()
    for row in document.rows["rubric_cell"]:
        same = (row["criterion_id"], row["level"])
        if row["criterion_id"] not in known or same in seen:
            continue
        seen.add(same)
        kept.append(row)
        row["description"] = clean(row["description"])[0]
        try:
            references(row["feedback"])
            row["feedback"] = clean(row["feedback"])[0]
            references(row["feedback"])
        except TemplateError as error:
            raise errors.Invalid(f"A text of a rubric can’t be read: {error.problems[0]}") from error
        for name in ("description", "feedback"):
            if len(row[name]) > MAX_LENGTH:
                raise errors.Invalid(f"A text of a rubric is longer than {MAX_LENGTH:,} characters.")
    document.rows["rubric_cell"] = kept


def _attachments(document: Document, names: dict[int, str]) -> None:
    kept: list[Row] = []
    seen: set[Any] = set()
    for row in sorted(document.rows["attachment"], key=lambda row: row["position"]):
        same = (row["action_id"], row["view_id"])
        if same in seen or row["format"] not in FORMATS:
            document.repairs.append(f"{names[row['action_id']]}: an attached view was left out.")
            continue
        seen.add(same)
        kept.append(row)
        row["position"] = sum(one["action_id"] == row["action_id"] for one in kept)
        if row["position"] > MAX_ATTACHMENTS:
            raise errors.Invalid(f"{names[row['action_id']]} has more than {MAX_ATTACHMENTS} attached views.")
    document.rows["attachment"] = kept
