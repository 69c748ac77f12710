"""Whether a text is JSON for every learner it is for: made and read as it would be sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from chalicelib import clock, errors
from chalicelib.actions import objects
from chalicelib.actions.editor import Editor
from chalicelib.actions.kinds import KINDS, Kind
from chalicelib.actions.language import tables
from chalicelib.actions.reports import rows as report_rows
from chalicelib.formulas.sql import flags_select

#: So many bad learners are named.
MAX_NAMED = 3
#: Rows fetched at a time, and how long checking may take: a page has 29 seconds.
BATCH = 500
PATIENCE = timedelta(seconds=18)


def check(editor: Editor, stored: str) -> str:
    """Check that the text is JSON for everybody who is selected; a report, once.

    A table so large that this takes too long is checked as far as time allows, and a sentence about that is returned;
    nothing when all is checked. An object that is no JSON fails alone when it is sent. Raises errors.Invalid (field
    `text`) with the first bad learners and the places.
    """
    if not stored.strip() or editor.problem_of(editor.action.filter):
        return ""
    bad: list[str] = []
    count = 0
    until = clock.now() + PATIENCE
    for count, (label, text) in enumerate(written(editor, stored), 1):
        try:
            objects.read(text)
        except objects.NotJson as error:
            bad.append(f"{label}: {error}")
        if len(bad) == MAX_NAMED or (count % BATCH == 0 and clock.now() > until):
            break
    if bad:
        raise errors.Invalid("This is no JSON for everybody.", {"text": "\n".join(bad)})
    return _unchecked(editor, count)


def _unchecked(editor: Editor, count: int) -> str:
    counts = editor.who.counts
    if not KINDS[Kind(editor.action.kind)].per_learner or counts is None or count >= counts.selected:
        return ""
    return (
        f"Checked for the first {count:,} of {counts.selected:,} learners; more takes too long. "
        "If it is no JSON for one of the others, only theirs fails when it is sent."
    )


def written(editor: Editor, stored: str) -> Iterator[tuple[str, str]]:
    """Give what a learner is called and their object, for all who are selected; a report, once."""
    from chalicelib.actions.language.compile import compile_template

    template = compile_template(stored, "json", time_zone=editor.workflow.time_zone)
    if not KINDS[Kind(editor.action.kind)].per_learner:
        yield "The report", template.render({**editor.fixed, **report(editor, stored)})
        return
    if editor.workflow.row_count is None:
        return
    formulas = {one.id: one.formula for one in editor.usable if f"k{one.id}" in template.references}
    query = flags_select(
        editor.workflow.id, editor.columns, editor.action.filter, formulas, editor.workflow.time_zone
    )  # fmt: skip
    selected = query.subquery()
    rows = editor.session.execute(
        selected.select().where(selected.c.filter).order_by(selected.c.row_id), execution_options={"yield_per": BATCH}
    )
    for row in rows:
        values = dict(row._mapping)
        yield editor.audience.called(values), template.render({**editor.fixed, **values})


def report(editor: Editor, stored: str) -> dict[str, Any]:
    """Return the rows of a report's tables."""
    return report_rows.read(
        editor.session, editor.workflow.id, editor.columns, tables(stored, "json"), editor.action.filter,
        editor.workflow.time_zone,
    )  # fmt: skip
