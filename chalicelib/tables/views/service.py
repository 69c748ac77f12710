"""Views: make, change, copy, delete, restore; move a column; keep the filter of messages that share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.actions import service as actions
from chalicelib.actions.reports import queries as reports
from chalicelib.audit import service as audit
from chalicelib.formulas.check import Columns, check
from chalicelib.formulas.words import words
from chalicelib.schedules import needs
from chalicelib.schedules.plans import Schedule
from chalicelib.tables import queries as tables
from chalicelib.tables.columns import settings
from chalicelib.tables.models import Column, View
from chalicelib.tables.paging import MAX_SORTED, By, Order
from chalicelib.tables.views import queries
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow

MAX_NAME_LENGTH = 1024
MAX_DESCRIPTION_LENGTH = 2048
#: More make the menu useless.
MAX_VIEWS = 500


class Stale(errors.Conflict):
    """Raised when somebody saved the view meanwhile; `changes` says in words what is different now."""

    def __init__(self, who: str, changes: list[str]) -> None:
        super().__init__(f"{who} changed this view while you had it open.")
        self.changes = changes


@dataclass(frozen=True)
class Draft:
    """What people say of a view; `sort` is as stored."""

    name: str
    description: str = ""
    columns: tuple[int, ...] = ()
    sort: list[dict[str, Any]] = field(default_factory=list)
    filter: dict[str, Any] | None = None


def create(session: Session, user_id: int, workflow: Workflow, draft: Draft) -> View:
    """Add a view.

    Raises errors.Invalid (fields `name`, `description`, `columns`, `formula`, and `rule 2` for places in the filter).
    """
    checked = _checked(session, workflow, draft)
    if len(queries.listed(session, workflow.id)) >= MAX_VIEWS:
        raise errors.Invalid(f"A workflow can have {MAX_VIEWS} views.", {"name": "Delete another view first."})
    now = clock.now()
    view = View(
        workflow_id=workflow.id, name=checked.name, description=checked.description, columns=list(checked.columns),
        sort=checked.sort, filter=checked.filter, created_at=now, updated_at=now,
    )  # fmt: skip
    session.add(view)
    session.flush()
    _record(session, "view_created", user_id, workflow, view)
    return view


def change(session: Session, user_id: int, workflow: Workflow, view: View, draft: Draft, version: int) -> None:
    """Save the view, and the filter of the messages that share it. `view` must be locked.

    Raises Stale when somebody saved it since `version`, errors.Invalid as `create` does.
    """
    checked = _checked(session, workflow, draft, but=view.id)
    if version != view.version:
        if changes := differences(view, checked, tables.infos(session, workflow.id)):
            raise Stale(_who(session, workflow, view), changes)
        return
    view.name, view.description, view.columns = checked.name, checked.description, list(checked.columns)
    view.sort, view.filter = checked.sort, checked.filter
    _saved(session, user_id, workflow, view)
    actions.follow_view(session, user_id, view.id, view.filter)


def _who(session: Session, workflow: Workflow, view: View) -> str:
    zone = workflow.time_zone
    return audit.who_last(session, workflow.id, ["view_changed", "view_created"], time_zone=zone, view_id=view.id)


def set_filter(
    session: Session, user_id: int, workflow: Workflow, view_id: int, formula: dict[str, Any] | None
) -> None:  # fmt: skip
    """Give the view the filter that was changed in a message that shares it, and so all others that do."""
    view = queries.get(session, workflow.id, view_id, lock=True)
    view.filter = formula
    _saved(session, user_id, workflow, view)
    actions.follow_view(session, user_id, view.id, formula)


def _saved(session: Session, user_id: int, workflow: Workflow, view: View) -> None:
    view.version, view.updated_at = view.version + 1, clock.now()
    _record(session, "view_changed", user_id, workflow, view)


def copy(session: Session, user_id: int, workflow: Workflow, view: View) -> View:
    """Add a copy with the same columns, filter and sorting."""
    now = clock.now()
    twin = View(
        workflow_id=workflow.id, name=_free(session, workflow.id, f"Copy of {view.name}"), columns=view.columns,
        description=view.description, sort=view.sort, filter=view.filter, created_at=now, updated_at=now,
    )  # fmt: skip
    session.add(twin)
    session.flush()
    _record(session, "view_created", user_id, workflow, twin)
    return twin


def schedules_with(session: Session, view: View) -> list[Schedule]:
    """Return the schedules whose reports have the view as a file."""
    return needs.using(session, view.workflow_id, _reports(session, view))


def _reports(session: Session, view: View) -> set[str]:
    return {f"m{key}" for key in reports.with_view(session, view.id)}


def delete(session: Session, user_id: int, workflow: Workflow, view: View) -> None:
    """Put the view aside; `restore` takes it back. Messages that share its filter keep it."""
    needs.lose(session, workflow.id, _reports(session, view), _gone(view))
    view.deleted_at = clock.now()
    actions.end_view(session, user_id, view.id)
    _record(session, "view_deleted", user_id, workflow, view)


def restore(session: Session, user_id: int, workflow: Workflow, view: View) -> None:
    """Take a deleted view back, under another name when its own is in use by now."""
    if _is_used(session, workflow.id, view.name, view.id):
        view.name = _free(session, workflow.id, view.name)
    needs.regain(session, workflow.id, _gone(view))
    view.deleted_at = None
    _record(session, "view_restored", user_id, workflow, view)


def _gone(view: View) -> str:
    return f"The view “{view.name}”, which its report has as a file, was deleted."


def move_column(
    session: Session, user_id: int, workflow: Workflow, view: View, column_id: int, before_id: int | None
) -> None:
    """Put a column of the view before another one, or last. `view` must be locked.

    Raises errors.NotFound when the view shows none of them.
    """
    shown = list(view.columns)
    if column_id not in shown or (before_id is not None and before_id not in shown):
        raise errors.NotFound("This view does not show that column any more.")
    if column_id == before_id:
        return
    shown.remove(column_id)
    shown.insert(len(shown) if before_id is None else shown.index(before_id), column_id)
    view.columns = shown
    _saved(session, user_id, workflow, view)


def move_in_table(
    session: Session, user_id: int, workflow: Workflow, column_id: int, before_id: int | None
) -> None:  # fmt: skip
    """Put a column of the table before another one, or last; views keep their own order.

    Raises errors.NotFound when one of them is not there any more.
    """
    column = tables.column(session, workflow.id, column_id)
    others = [other.id for other in tables.columns(session, workflow.id) if other.id != column_id]
    if before_id == column_id:
        return
    if before_id is not None and before_id not in others:
        raise errors.NotFound("The table does not have that column any more.")
    settings.move(session, workflow, user_id, column, 0 if before_id is None else others.index(before_id) + 1)


def message(session: Session, user_id: int, workflow: Workflow, view: View) -> int:
    """Add a message for the learners of the view and return its id; the two share the filter from now on.

    Raises errors.Invalid when the filter can't be used any more.
    """
    columns = tables.infos(session, workflow.id)
    action = actions.create(session, user_id, workflow, actions.free_name(session, workflow.id, view.name))
    actions.set_filter(session, user_id, action, view.filter, columns, workflow.time_zone)
    action.view_id = view.id
    return action.id


def columns_of(view: View, columns: Sequence[Column]) -> list[Column]:
    """Return the columns that the view shows, in its order; those that were deleted are left out."""
    by_id = {column.id: column for column in columns}
    return [by_id[key] for key in view.columns if key in by_id]


def order_of(view: View, columns: Mapping[int, Column]) -> Order:
    """Return how the view is sorted."""
    return Order(tuple(By(columns[one["column"]], one["descending"]) for one in view.sort if one["column"] in columns))


def differences(view: View, draft: Draft, columns: Columns) -> list[str]:
    """Say how the stored view differs from what somebody is about to save, in words of what is stored."""
    found = []
    if view.name != draft.name:
        found.append(f"The name is “{view.name}”.")
    if view.description != draft.description:
        found.append(f"The description is “{view.description}”." if view.description else "There is no description.")
    if tuple(view.columns) != draft.columns:
        names = ", ".join(columns[key].name for key in view.columns if key in columns)
        found.append(f"The columns are {names}.")
    if view.sort != draft.sort:
        found.append(f"It is sorted by {_sort_words(view.sort, columns)}." if view.sort else "It is not sorted.")
    if view.filter != draft.filter:
        sentence = words(view.filter, columns)
        found.append(f"It shows learners for whom {sentence}." if sentence else "It shows everybody.")
    return found


def _sort_words(sort: Sequence[Mapping[str, Any]], columns: Columns) -> str:
    return ", then ".join(
        f"{columns[one['column']].name}{', highest first' if one['descending'] else ''}"
        for one in sort if one["column"] in columns
    )  # fmt: skip


def _checked(session: Session, workflow: Workflow, draft: Draft, but: int = 0) -> Draft:
    # Two views made at once would get the same name.
    session.execute(select(Workflow.id).where(Workflow.id == workflow.id).with_for_update(key_share=True))
    columns = {column.id: column for column in tables.columns(session, workflow.id)}
    name, description = " ".join(draft.name.split()), draft.description.strip()
    problems = _name_problems(session, workflow.id, name, description, but)
    shown = tuple(key for key in dict.fromkeys(draft.columns) if key in columns)
    if not shown:
        problems["columns"] = "Choose at least one column."
    elif not any(columns[key].is_key for key in shown):
        keys = ", ".join(f"“{column.name}”" for column in columns.values() if column.is_key)
        problems["columns"] = f"Choose at least one column that tells learners apart: {keys}."
    formula = draft.filter
    if formula is not None:
        try:
            formula = check(formula, {key: tables.info(one) for key, one in columns.items()}, workflow.time_zone)
        except errors.Invalid as error:
            problems |= {"formula": error.message, **error.fields}
    if problems:
        raise errors.Invalid(next(iter(problems.values())), problems)
    sort = [one for one in draft.sort if one["column"] in columns][:MAX_SORTED]
    return Draft(name, description, shown, sort, formula)


def _name_problems(session: Session, workflow_id: int, name: str, description: str, but: int) -> dict[str, str]:
    problems: dict[str, str] = {}
    if not name:
        problems["name"] = "Type a name, such as “Without a first submission”."
    elif len(name) > MAX_NAME_LENGTH:
        problems["name"] = f"Use at most {MAX_NAME_LENGTH:,} characters; this has {len(name):,}."
    elif _is_used(session, workflow_id, name, but):
        problems["name"] = "Another view of this workflow has this name."
    if len(description) > MAX_DESCRIPTION_LENGTH:
        problems["description"] = f"Use at most {MAX_DESCRIPTION_LENGTH:,} characters; this has {len(description):,}."
    return problems


def _is_used(session: Session, workflow_id: int, name: str, but: int = 0) -> bool:
    query = select(View.id).where(View.workflow_id == workflow_id, View.name == name, View.id != but)
    return session.scalar(query.where(View.deleted_at.is_(None)).limit(1)) is not None


def _free(session: Session, workflow_id: int, name: str) -> str:
    made = name = name[: MAX_NAME_LENGTH - 8]
    number = 2
    while _is_used(session, workflow_id, made):
        made, number = f"{name} ({number})", number + 1
    return made


def _record(session: Session, event_type: str, user_id: int, workflow: Workflow, view: View) -> None:
    workflows.touch(workflow)
    audit.record(
        session, event_type, workflow_id=workflow.id, user_id=user_id, view_id=view.id, name=view.name,
        columns=view.columns, filter=view.filter,
    )  # fmt: skip
    session.flush()
