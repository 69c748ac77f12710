"""What schedules can do. Each operation is a line here, made by the domain that does it when its module is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from chalicelib.accounts.roles import WorkflowRole
from chalicelib.schedules.models import Occurrence, Schedule
from chalicelib.workflows.models import Workflow


@dataclass(frozen=True)
class Stage:
    """One thing to do: a schedule's own, or one of its steps."""

    kind: str
    action_id: int | None
    payload: dict[str, Any]


@dataclass(frozen=True)
class Doing:
    """What an operation is told. `token` names the moment and the step, so that doing it twice does it once."""

    workflow: Workflow
    schedule: Schedule
    occurrence: Occurrence
    stage: Stage
    token: str


@dataclass(frozen=True)
class Outcome:
    """What came of it: a state of occurrences, why, and the run that goes on by itself until it ends.

    `is_final`: trying again at the next moment would come to the same, so the schedule rests. `is_trouble`: somebody
    should look at it, although it was done.
    """

    state: str
    message: str = ""
    run_id: int | None = None
    is_final: bool = False
    is_trouble: bool = False


@dataclass(frozen=True)
class Offer:
    """Something that can be planned from the page of schedules, without a form of its own."""

    label: str
    stage: Stage

    @property
    def key(self) -> str:
        """What stands for it in a form."""
        return f"{self.stage.kind} {self.stage.action_id or 0}"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A kind of scheduled work. `title` is what people call it.

    `begin` does it; what is raised as errors.Invalid fails the occurrence. `references` says what it needs ("c12"),
    `facts` describes it in label and text, `ended` what came of a run it has begun, `offers` lists what of it can be
    planned without a form of its own.
    """

    kind: str
    title: str
    begin: Callable[[Session, Doing], Outcome]
    references: Callable[[dict[str, Any]], set[str]] = lambda _payload: set()
    facts: Callable[[Session, int, Stage], list[tuple[str, str]]] = lambda _session, _workflow_id, _stage: []
    ended: Callable[[Session, int], Outcome] | None = None
    offers: Callable[[Session, Workflow], list[Offer]] = lambda _session, _workflow: []
    role: WorkflowRole = WorkflowRole.SENDER


_operations: dict[str, Operation] = {}


def register(operation: Operation) -> None:
    """Let schedules do this, too."""
    _operations[operation.kind] = operation


def find(kind: str) -> Operation:
    """Return the operation of a kind."""
    return _operations[kind]


def offered(session: Session, workflow: Workflow) -> list[Offer]:
    """Return all that can be planned from the page of schedules."""
    return [offer for operation in _operations.values() for offer in operation.offers(session, workflow)]


def stages(schedule: Schedule) -> list[Stage]:
    """Return all that the schedule does, in order."""
    own = Stage(schedule.kind, schedule.action_id, schedule.payload)
    return [own, *(Stage(one["kind"], one["action_id"], one["payload"]) for one in schedule.steps)]


def references(schedule: Schedule) -> set[str]:
    """Return what the schedule needs of its workflow beside what its messages say: "c12" a column, "m7" a message."""
    found: set[str] = set()
    for stage in stages(schedule):
        found |= find(stage.kind).references(stage.payload) | ({f"m{stage.action_id}"} if stage.action_id else set())
    return found
