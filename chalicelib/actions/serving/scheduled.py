"""Opening and closing the link of an action at a time, or again and again."""

from __future__ import annotations

from functools import partial

from sqlalchemy.orm import Session

from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import queries, service
from chalicelib.actions.kinds import KINDS
from chalicelib.actions.serving import service as links
from chalicelib.schedules import occurrences, operations
from chalicelib.schedules.operations import Doing, Offer, Operation, Outcome, Stage
from chalicelib.workflows.models import Workflow

OPEN, CLOSE = "links.open", "links.close"
#: What each does, as people read it.
_WORDS = {OPEN: ("Open the link of", "It is open."), CLOSE: ("Close the link of", "It is closed.")}


def _begin(session: Session, doing: Doing) -> Outcome:
    action = service.get(session, doing.workflow.id, doing.stage.action_id or 0, lock=True)
    links.switch(session, doing.schedule.user_id or 0, doing.workflow, action, on=doing.stage.kind == OPEN)
    return Outcome(occurrences.DONE, _WORDS[doing.stage.kind][1])


def _offers(session: Session, workflow: Workflow, *, kind: str) -> list[Offer]:
    served = queries.labels(session, workflow.id, [kind_ for kind_, traits in KINDS.items() if traits.is_served])
    return [
        Offer(f"{_WORDS[kind][0]} “{name}”", Stage(kind, action_id, {}))
        for action_id, name in served.items() if links.find(session, action_id) is not None
    ]  # fmt: skip


def _facts(_session: Session, _workflow_id: int, stage: Stage) -> list[tuple[str, str]]:
    return [("Its link", "is opened" if stage.kind == OPEN else "is closed")]


for _kind, _title in ((OPEN, "Open a link"), (CLOSE, "Close a link")):
    operations.register(
        Operation(
            kind=_kind, title=_title, begin=_begin, offers=partial(_offers, kind=_kind), facts=_facts,
            role=WorkflowRole.EDITOR,
        )
    )  # fmt: skip
