"""Changes that write many rows: at once while somebody waits for the page, or by a job where that would take too long.

There is one function for each kind of change, which is told what the form said and does it in the caller's
transaction; page and job call the same one. What decides between them is how many cells are written. Not always a
job: a class of some hundred is changed in milliseconds, and waiting for a job takes seconds. Not a job after the page
gave up either: its 25 s would be spent for nothing, while the table is locked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.audit import service as audit
from chalicelib.schedules import service as schedules
from chalicelib.schedules.jobs import Task, job
from chalicelib.tables import cells, queries, rows, service, state, store
from chalicelib.tables.columns import create, forms, groups, keeping, redefine, retype
from chalicelib.tables.models import Column
from chalicelib.web.request import Values
from chalicelib.web.templates import zone
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow

CHANGE = "change_table"
#: Up to so many cells are written while somebody waits. Measured with 100,000 rows × 22 columns while others used both
#: cores: another type 1.6–2.1 s, a formula or random groups 1.3–2.2 s, a copy 1.3 s.
AT_ONCE = 2_000_000
#: The same for rows of which each is kept for the undo. Measured with all 100,000: set a column 5.2 s, delete all up to
#: 6.3 s, take that back up to 5.8 s.
ROWS_AT_ONCE = 40_000

RETYPE, COMPUTE, REDEFINE, COPY = "type", "compute", "redefine", "copy"
FORMULA, GROUPS = "formula", "groups"
SET, DELETE, UNDO = "set", "delete", "undo"


@dataclass(frozen=True)
class Outcome:
    """What was done, in words; the version or event by which it is taken back; the column or learner it is about."""

    message: str
    version_id: int | None = None
    event_id: int | None = None
    column_id: int | None = None
    row_id: int | None = None


@dataclass(frozen=True)
class Wish:
    """A change that somebody asks for: its kind, the fields of the form, and the zone in which dates are typed."""

    kind: str
    form: Values
    zone: ZoneInfo

    @property
    def ids(self) -> list[int] | None:
        """The chosen rows; None: all that the page shows."""
        return None if self.form.checked("all") else self.form.wholes("row")

    @property
    def payload(self) -> dict[str, Any]:
        """What a job is told."""
        fields = {name: values for name, values in self.form.lists().items() if name != "csrf_token"}
        return {"change": self.kind, "form": fields, "time_zone": self.zone.key}


def is_long(session: Session, workflow: Workflow, wish: Wish) -> bool:
    """Tell whether so many cells are written that a job should do it."""
    width = len(queries.columns(session, workflow.id)) + 1
    number = workflow.row_count or 0
    if wish.kind == UNDO:
        number = int(audit.get(session, workflow.id, wish.form.whole("event") or 0).detail.get("rows") or 1)
    elif wish.kind in {SET, DELETE} and _is_much(number, width, keeps_rows=True):
        number = rows.count(session, shown(session, workflow, wish).scope, wish.ids)
    return _is_much(number, width, keeps_rows=wish.kind in {SET, DELETE, UNDO})


def _is_much(number: int, width: int, *, keeps_rows: bool) -> bool:
    return number * width > AT_ONCE or (keeps_rows and number > ROWS_AT_ONCE)


def shown(session: Session, workflow: Workflow, wish: Wish) -> state.State:
    """Return what of the table was on the screen.

    Raises errors.Invalid when its view can't be used any more.
    """
    found = state.read(session, workflow, wish.form, wish.zone.key)
    if found.problem:
        raise errors.Invalid(found.problem)
    return found


def ask(session: Session, workflow: Workflow, user_id: int, wish: Wish) -> int:
    """Have the change made by a job and return its id; a form that is sent twice is one job.

    Raises errors.Invalid with a message for each field that can't stay.
    """
    if check := _CHECKS.get(wish.kind):
        check(session, workflow, wish)
    known = schedules.find_open(session, workflow.id, user_id, CHANGE, wish.payload)
    made = known or schedules.enqueue(session, CHANGE, wish.payload, workflow_id=workflow.id, user_id=user_id)
    return made.id


def carry_out(session: Session, workflow: Workflow, user_id: int, wish: Wish) -> Outcome:
    """Make the change in the caller's transaction; it raises what the function of its kind does."""
    return _KINDS[wish.kind](session, workflow, user_id, wish)


@job(CHANGE)
def change_table(task: Task) -> dict[str, Any]:
    """Make the change that a form asked for; the result is what the page then shows. See `Wish.payload`."""
    task.report(20, "Working through the table")
    user_id = task.user_id or 0
    wish = Wish(task.payload["change"], Values(task.payload["form"]), zone(task.payload["time_zone"]))

    def work(session: Session) -> dict[str, Any]:
        # Noted in the same transaction: a worker that was killed right after it does not do it twice.
        if made := schedules.remembered(session, task.job_id, "made"):
            return dict(made)
        workflow, _ = workflows.reach(session, user_id, task.workflow_id or 0, WorkflowRole.EDITOR)
        outcome = asdict(carry_out(session, workflow, user_id, wish))
        schedules.remember(session, task.job_id, made=outcome)
        return outcome

    try:
        return store.in_bulk(work)
    except store.InUse as error:
        raise errors.Unavailable("The table is in use just now. This is tried again in a minute.") from error


def _column(session: Session, workflow: Workflow, wish: Wish) -> Column:
    return queries.column(session, workflow.id, wish.form.whole("column") or 0)


def _retype(session: Session, workflow: Workflow, user_id: int, wish: Wish) -> Outcome:
    column = _column(session, workflow, wish)
    old = cells.TYPE_NAMES[column.type]
    version = retype.carry_out(
        session, workflow, user_id, column, wish.form.get("to"), may_lose=wish.form.whole("may_lose") or 0
    )
    words = f"“{column.name}” is a column of the type {cells.TYPE_NAMES[column.type]} now; it was {old}."
    return Outcome(words, version_id=version.id, column_id=column.id)


def _compute(session: Session, workflow: Workflow, user_id: int, wish: Wish) -> Outcome:
    column = _column(session, workflow, wish)
    keep = {"yes": True, "no": False}.get(wish.form.get("keep"))
    done = keeping.recompute(session, workflow, user_id, column, keep=keep)
    return Outcome(done.message, version_id=done.version_id, column_id=column.id)


def _redefine(session: Session, workflow: Workflow, user_id: int, wish: Wish) -> Outcome:
    column = _column(session, workflow, wish)
    recipe = forms.definition(wish.form, wish.zone, queries.columns(session, workflow.id))
    may_empty = wish.form.whole("may_empty") or 0
    version = redefine.carry_out(session, workflow, user_id, column, recipe, may_empty=may_empty)
    return Outcome(f"“{column.name}” is worked out by the new formula.", version_id=version.id, column_id=column.id)


def _copy(session: Session, workflow: Workflow, user_id: int, wish: Wish) -> Outcome:
    made = create.clone(session, workflow, user_id, _column(session, workflow, wish))
    return Outcome(f"This is the copy, “{made.name}”; it is the last column.", column_id=made.id)


def _formula(session: Session, workflow: Workflow, user_id: int, wish: Wish) -> Outcome:
    details, recipe = forms.formula(wish.form, wish.zone, queries.columns(session, workflow.id))
    return _added(create.add_formula(session, workflow, user_id, details, recipe))


def _groups(session: Session, workflow: Workflow, user_id: int, wish: Wish) -> Outcome:
    details, deal = forms.dealt(wish.form, wish.zone)
    return _added(groups.add(session, workflow, user_id, details, deal))


def _added(column: Column) -> Outcome:
    return Outcome(f"“{column.name}” is in the table.", column_id=column.id)


def _check_formula(session: Session, workflow: Workflow, wish: Wish) -> None:
    details, recipe = forms.formula(wish.form, wish.zone, queries.columns(session, workflow.id))
    create.check_formula(session, workflow, details, recipe)


def _check_groups(session: Session, workflow: Workflow, wish: Wish) -> None:
    create.check(session, workflow, forms.dealt(wish.form, wish.zone)[0])


def _value(session: Session, workflow: Workflow, wish: Wish) -> tuple[Column, Any]:
    """Return the column to set and its new value.

    Raises errors.Invalid when the column takes no values by hand, or not this one.
    """
    column = _column(session, workflow, wish)
    rows.refuse_fixed([column])
    return column, cells.read(wish.form.get("value"), column, wish.zone)


def _set(session: Session, workflow: Workflow, user_id: int, wish: Wish) -> Outcome:
    column, value = _value(session, workflow, wish)
    scope = shown(session, workflow, wish).scope
    number, event_id = rows.set_column(session, workflow, user_id, scope, wish.ids, column, value)
    words = f"“{column.name}” is set for {rows.plural_learners(number)}." if number else "They had this value already."
    return Outcome(words, event_id=event_id)


def _delete(session: Session, workflow: Workflow, user_id: int, wish: Wish) -> Outcome:
    number, event_id = rows.delete(session, workflow, user_id, shown(session, workflow, wish).scope, wish.ids)
    words = f"{rows.plural_learners(number)} {'is' if number == 1 else 'are'} not in the table any more."
    return Outcome(words if number else "Nobody was deleted.", event_id=event_id)


def _undo(session: Session, workflow: Workflow, user_id: int, wish: Wish) -> Outcome:
    undone = service.take_back(session, workflow, user_id, wish.form.whole("event") or 0)
    return Outcome(undone.message, row_id=undone.row_id)


_KINDS: Mapping[str, Callable[[Session, Workflow, int, Wish], Outcome]] = {
    RETYPE: _retype, COMPUTE: _compute, REDEFINE: _redefine, COPY: _copy, FORMULA: _formula,
    GROUPS: _groups, SET: _set, DELETE: _delete,
    UNDO: _undo,
}  # fmt: skip
#: What can be said at the form before a job begins.
_CHECKS: Mapping[str, Callable[[Session, Workflow, Wish], Any]] = {
    FORMULA: _check_formula, GROUPS: _check_groups, SET: _value,
}  # fmt: skip
