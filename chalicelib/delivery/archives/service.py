"""From a filled-in form to a ZIP: check it, have it built, and build it row by row."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.audit import service as audit
from chalicelib.delivery import details, sources
from chalicelib.delivery.archives.names import DEFAULT_SUFFIX, MAX_SUFFIX_LENGTH, MOODLE_PATTERN, Names
from chalicelib.delivery.audience import Audience, rows
from chalicelib.delivery.models import EXCLUDED
from chalicelib.delivery.order import Sendable
from chalicelib.delivery.render import Renderer
from chalicelib.schedules import service as schedules
from chalicelib.workflows.models import Workflow

BUILD = "delivery.archive"
#: So many learners are read and written at once.
CHUNK = 500
MAX_LISTED = 20

#: A complete document, which a browser shows as a mail program would.
PAGE = (
    '<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    "<title>{}</title></head><body>{}</body></html>"
)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody filled in. The ids are of columns; `second` None: names are made of one value."""

    first: int | None
    second: int | None = None
    suffix: str = DEFAULT_SUFFIX
    for_moodle: bool = False
    skip_rows: tuple[int, ...] = ()


def begin(session: Session, user_id: int, workflow: Workflow, action: Sendable, wish: Wish) -> int:
    """Have the ZIP built; return the id of the job that does it.

    Raises errors.Invalid with a message for each field that can't stay, or when the text can't be used.
    """
    found = sources.read(session, workflow.id, action.id)
    _check(found, wish)
    if not action.text.strip():
        raise errors.Invalid("There is no text yet. Write it first.")
    draft = _draft(session, workflow, action, found)
    Renderer(draft)  # says now what could not be written later
    chosen = rows(_audience(workflow, action, found, draft, wish))
    kept = chosen.c.reason != EXCLUDED
    if not session.scalar(sa.select(sa.func.count()).select_from(chosen).where(kept)):
        raise errors.Invalid("Nobody is chosen. Look at the filter and at who is left out.")
    if wish.for_moodle and (bad := _not_moodles(session, chosen, kept)):
        message = f"Moodle needs values such as “Participant 123” here. These are not: {', '.join(bad)}."
        raise errors.Invalid(message, {"first": message})
    payload: dict[str, Any] = {
        "action": action.id, "first": wish.first, "second": wish.second, "suffix": wish.suffix,
        "for_moodle": wish.for_moodle, "skip_rows": list(wish.skip_rows),
    }  # fmt: skip
    audit.record(
        session, "archive_requested", workflow_id=workflow.id, user_id=user_id, action_id=action.id, name=action.name,
        **{name: value for name, value in payload.items() if name != "action"},
    )  # fmt: skip
    return schedules.enqueue(session, BUILD, payload, workflow_id=workflow.id, user_id=user_id).id


def _check(found: sources.Sources, wish: Wish) -> None:
    problems: dict[str, str] = {}
    if wish.first not in found.columns:
        problems["first"] = "Choose the column that the names begin with."
    if wish.second is not None and wish.second not in found.columns:
        problems["second"] = "This column is gone. Choose another one."
    elif wish.second is not None and wish.second == wish.first:
        problems["second"] = "Choose another column than the first one."
    elif wish.for_moodle and wish.second is None:
        problems["second"] = "For Moodle choose the column with the full names."
    if len(wish.suffix) > MAX_SUFFIX_LENGTH:
        problems["suffix"] = f"Use at most {MAX_SUFFIX_LENGTH} characters."
    if problems:
        raise errors.Invalid("Some fields need another look.", problems)


def _not_moodles(session: Session, chosen: sa.Subquery, kept: sa.ColumnElement[bool]) -> list[str]:
    values = sa.func.coalesce(sa.func.nullif(chosen.c.address, ""), "(empty)")
    query = sa.select(values).where(kept, chosen.c.address.op("!~")(sa.literal(MOODLE_PATTERN)))
    return list(session.scalars(query.order_by(chosen.c.row_id).limit(MAX_LISTED)))


def _draft(session: Session, workflow: Workflow, action: Sendable, found: sources.Sources) -> sources.DraftText:
    own = details.of(session, action, found)
    return sources.DraftText(found, sources.as_subject(action.name), action.text, workflow.time_zone, own)


def _audience(
    workflow: Workflow, action: Sendable, found: sources.Sources, draft: sources.DraftText, wish: Wish,
    only_rows: Sequence[int] | None = None,
) -> Audience:  # fmt: skip
    """Return who is chosen: "address" is the first value of a name and "label" the second, of the same row."""
    assert wish.first is not None, "it was checked"
    return Audience(
        workflow_id=workflow.id, to_column_id=wish.first, label_column_id=wish.second, columns=found.columns,
        filter=action.filter, conditions=draft.conditions, values=draft.value_ids, skip_rows=wish.skip_rows,
        leave_out_duplicates=False, time_zone=workflow.time_zone, only_rows=only_rows,
    )  # fmt: skip


def build(
    session: Session, workflow: Workflow, action: Sendable, wish: Wish, file: IO[bytes],
    report: Callable[[int, int], None],
) -> dict[str, Any]:  # fmt: skip
    """Write the ZIP; return how many files it has, the names that were changed, and what could not be written.

    A learner whose version can't be written is left out and named; the others are there.
    """
    found = sources.read(session, workflow.id, action.id)
    _check(found, wish)
    draft = _draft(session, workflow, action, found)
    renderer, names = Renderer(draft), Names(wish.suffix or DEFAULT_SUFFIX, wish.for_moodle)
    ids = _row_ids(session, workflow, action, found, draft, wish)
    failed: list[str] = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for done, row in enumerate(_each(session, workflow, action, found, draft, wish, ids), 1):
            name = names.name(row.address, row.label if wish.second else None, row.row_id)
            try:
                mail = renderer.render(row.values, row.flags)
            except errors.Invalid as error:
                failed.append(f"{name}: {error.message}")
                continue
            archive.writestr(name, PAGE.format("Feedback", mail.html))
            if done % CHUNK == 0:
                report(done, len(ids))
    return {
        "files": len(ids) - len(failed), "failed": failed[:MAX_LISTED], "failed_count": len(failed),
        "changed": names.changed[:MAX_LISTED], "changed_count": len(names.changed),
    }  # fmt: skip


def _row_ids(
    session: Session, workflow: Workflow, action: Sendable, found: sources.Sources, draft: sources.DraftText, wish: Wish
) -> list[int]:  # fmt: skip
    chosen = rows(_audience(workflow, action, found, draft, wish))
    query = sa.select(chosen.c.row_id).where(chosen.c.reason != EXCLUDED).order_by(chosen.c.row_id)
    return list(session.scalars(query))


def _each(
    session: Session, workflow: Workflow, action: Sendable, found: sources.Sources, draft: sources.DraftText,
    wish: Wish, ids: Sequence[int],
) -> Iterator[Any]:  # fmt: skip
    """Give each learner's name parts, values and flags, a few hundred in memory at a time."""
    for start in range(0, len(ids), CHUNK):
        chosen = rows(_audience(workflow, action, found, draft, wish, ids[start : start + CHUNK]))
        yield from session.execute(sa.select(chosen).order_by(chosen.c.row_id))
