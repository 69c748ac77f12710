"""The list of a workflow's schedules: search, order, and what came of each last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from chalicelib.actions import queries as actions
from chalicelib.schedules import crontab, occurrences, operations, plans
from chalicelib.schedules.occurrences import Occurrence
from chalicelib.workflows.models import Workflow

SORTS = {"next": "next time", "name": "name", "state": "state", "last": "last time"}
#: Words and colour of each state of a schedule, and of what came of one.
STATES = {"active": ("On", "good"), "off": ("Off", ""), "blocked": ("Needs a look", "bad"), "over": ("Over", "")}
CAME = {
    "running": ("Under way", ""),
    "done": ("Done", "good"),
    "failed": ("Failed", "bad"),
    "skipped": ("Left out", "warn"),
}
_LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Line:
    """A schedule in the list."""

    schedule: plans.Schedule
    title: str
    messages: list[str]
    words: str
    last: Occurrence | None

    @property
    def text(self) -> str:
        """What a search looks at."""
        return " ".join([self.schedule.name, self.schedule.description, self.title, *self.messages]).casefold()


def lines(session: Session, workflow: Workflow, *, search: str = "", sort: str = "next") -> list[Line]:
    """Return the workflow's schedules whose words contain all of the search, whoever made them."""
    schedules = plans.of_workflow(session, workflow.id)
    names = actions.labels(session, workflow.id)
    newest = occurrences.newest(session, [one.id for one in schedules])
    found = [
        Line(
            schedule, operations.find(schedule.kind).title,
            [names[stage.action_id] for stage in operations.stages(schedule) if stage.action_id in names],
            crontab.words(schedule.crontab), newest.get(schedule.id),
        )
        for schedule in schedules
    ]  # fmt: skip
    words = search.casefold().split()
    return sorted((line for line in found if all(word in line.text for word in words)), key=_KEYS.get(sort, _by_next))


def _by_next(line: Line) -> tuple[datetime, str]:
    return line.schedule.next_at or _LATEST, line.schedule.name.casefold()


def _by_name(line: Line) -> tuple[str]:
    return (line.schedule.name.casefold(),)


def _by_state(line: Line) -> tuple[int, datetime]:
    return list(STATES).index(line.schedule.state), line.schedule.next_at or _LATEST


def _by_last(line: Line) -> tuple[float, str]:
    return -(line.last.due_at.timestamp() if line.last else 0), line.schedule.name.casefold()


_KEYS = {"next": _by_next, "name": _by_name, "state": _by_state, "last": _by_last}
