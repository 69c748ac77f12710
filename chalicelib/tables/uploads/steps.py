"""What people choose at each step of the wizard, what that would do, and the word that it shall be done."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.schedules import service as schedules
from chalicelib.tables import queries
from chalicelib.tables.columns import uses
from chalicelib.tables.models import Column
from chalicelib.tables.uploads import importing, kinds, matching, merge, plan, staging
from chalicelib.tables.uploads.models import IMPORTING, READ, Upload
from chalicelib.workflows.models import Workflow


def choose_columns(session: Session, upload: Upload, columns: Mapping[str, Any], *, add_number: bool) -> None:
    """Keep what was chosen under Look.

    Raises errors.Invalid with a message for each field that can't stay.
    """
    _must_be_read(upload)
    upload.choices = {**upload.choices, "columns": dict(columns), "add_number": add_number, "seen": True}
    wanted = plan.read_columns(upload.understood, columns)
    _check_kinds(session, upload, wanted)
    if existing := queries.columns(session, upload.workflow_id):
        targets = plan.default_targets(wanted, existing)
        importing.check_names(session, upload.workflow_id, [one for one in wanted if not targets[one.number]])
        upload.choices = {**upload.choices, "proposed": matching.propose(session, upload, wanted, existing)}
    else:
        importing.check_names(session, upload.workflow_id, wanted)
        importing.check_keys(session, upload, plan.make(upload.understood, upload.choices, []))


def _must_be_read(upload: Upload) -> None:
    if upload.state != READ:
        raise errors.Conflict("This file is being worked on, or is in the table already.")


def _check_kinds(session: Session, upload: Upload, wanted: list[plan.Wanted]) -> None:
    read_as = {column["number"]: column["kind"] for column in upload.understood["columns"]}
    anew = {column.number: column.kind for column in wanted if column.kind != read_as[column.number]}
    problems = {}
    for number, count in staging.count_misfits(session, upload.id, anew).items():
        if count:
            examples = staging.example_misfits(session, upload.id, number, anew[number])
            told = ", ".join(f"“{value}” in row {line:,}" for line, value in examples)
            label = kinds.KINDS[anew[number]].label
            problems[f"kind-{number}"] = f"{count:,} values can't be read as “{label}”: {told}."
    if problems:
        raise errors.Invalid("Some values can't be read as you chose.", problems)


def choose_match(session: Session, upload: Upload, choices: Mapping[str, Any]) -> None:
    """Keep what was chosen under Match: method, rows, wins, key_number, key_column, targets.

    Raises errors.Invalid with a message for each field that can't stay.
    """
    _must_be_read(upload)
    upload.choices = {**upload.choices, **choices, "matched": True}
    existing = queries.columns(session, upload.workflow_id)
    made = plan.make(upload.understood, upload.choices, existing)
    staging.require_tables(session, upload.id)
    staging.use_time_zone(session, upload.understood["time_zone"])
    if made.method == plan.REPLACE:
        importing.check_keys(session, upload, made)
    merge.dry_run(session, upload.workflow_id, upload.id, made, existing)


def preview(session: Session, upload: Upload) -> dict[str, Any]:
    """Return what the import would do, as numbers and samples; nothing is changed.

    Raises errors.Invalid when it could not be carried out.
    """
    existing, made = _planned(session, upload)
    if made.method == plan.CREATE:
        left_out = importing.left_out(session, upload, made)
        rows = upload.understood["rows"] - left_out
        return {"method": made.method, "new": rows, "after": rows, "left_out": left_out, "columns": len(made.columns)}
    summary = merge.dry_run(session, upload.workflow_id, upload.id, made, existing)
    return {
        "method": made.method, **summary, "uses": _uses(session, upload, summary, existing),
        "ways": ways(upload.understood, made, existing),
    }  # fmt: skip


def ways(
    understood: Mapping[str, Any], made: plan.Plan, existing: Sequence[Column]
) -> list[tuple[str, str, str]]:  # fmt: skip
    """Return every column as (in the table, in the file, what becomes of it): those that recognise learners first."""
    by_id = {column.id: column for column in existing}
    found = []
    for wanted in made.columns:
        there = by_id.get(wanted.target or 0)
        if there is None:
            found.append((2, wanted.name, ("", wanted.name, "new")))
        elif (wanted.number, there.id) in made.keys:
            found.append((1, there.name, (there.name, wanted.name, "recognises learners")))
        else:
            same = there.name == wanted.name
            found.append((2, there.name, (there.name, wanted.name, "updated" if same else "updated, keeps its name")))
    taken = {wanted.number for wanted in made.columns}
    for column in understood["columns"]:
        if column["number"] not in taken:
            found.append((2, column["name"], ("", column["name"], "left out")))
    targets = {wanted.target for wanted in made.columns}
    stays = "disappears" if made.method == plan.REPLACE else "stays as it is"
    found += [(2, column.name, (column.name, "", stays)) for column in existing if column.id not in targets]
    return [way for _, _, way in sorted(found, key=lambda one: (one[0], one[1].casefold()))]


def _planned(session: Session, upload: Upload) -> tuple[list[Column], plan.Plan]:
    """Return the columns of the table and what was chosen for them."""
    _must_be_read(upload)
    staging.require_tables(session, upload.id)
    staging.use_time_zone(session, upload.understood["time_zone"])
    existing = queries.columns(session, upload.workflow_id)
    return existing, plan.make(upload.understood, upload.choices, existing)


def _uses(
    session: Session, upload: Upload, summary: Mapping[str, Any], existing: Sequence[Column]
) -> dict[str, list[str]]:  # fmt: skip
    """Return what speaks of columns that disappear or whose list of values the file does not keep to, in words.

    Such are messages, conditions, the levels of a rubric, the answers of a survey.
    """
    workflow = session.get_one(Workflow, upload.workflow_id)
    concerned = {*summary["lost_columns"], *(one["name"] for one in summary["disallowed"])}
    return {
        column.name: [line.words for line in uses.of_column(session, workflow, column)]
        for column in existing
        if column.name in concerned
    }


def detail(session: Session, upload: Upload) -> Iterator[tuple[str | None, ...]]:
    """Yield every change that the import would make, as (learner, what, column, before, after).

    Raises errors.Invalid when it could not be carried out.
    """
    existing, made = _planned(session, upload)
    if made.method == plan.CREATE:
        raise errors.NotFound
    yield from merge.detail(session, upload.workflow_id, upload.id, made, existing)


def confirm(session: Session, user_id: int, upload: Upload, *, may_drop: bool, unmark: Collection[int] = ()) -> None:
    """Have the import done as it was previewed.

    Raises errors.Invalid when learners would be removed and `may_drop` does not say so, or as `preview` does.
    """
    _must_be_read(upload)
    upload.choices = {**upload.choices, "unmark": [int(column_id) for column_id in unmark]}
    summary = preview(session, upload)
    if summary.get("dropped") and not may_drop:
        count = summary["dropped"]
        message = f"{count:,} learners would be removed. Tick the box to say that this is right."
        raise errors.Invalid(message, {"may_drop": message})
    if summary["method"] != plan.CREATE:
        existing = queries.columns(session, upload.workflow_id)
        importing.refuse(summary, plan.make(upload.understood, upload.choices, existing))
    upload.state, upload.problem = IMPORTING, ""
    job = schedules.enqueue(
        session, "import_upload", {"upload": upload.id}, workflow_id=upload.workflow_id, user_id=user_id
    )
    upload.job_id = job.id
