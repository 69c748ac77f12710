"""The page of limits says what the code holds people to."""

from __future__ import annotations

import pytest

from chalicelib.accounts import tokens
from chalicelib.actions import conditions, images
from chalicelib.actions.language import parser
from chalicelib.actions.reports import kinds as reports
from chalicelib.actions.rubrics import levels
from chalicelib.actions.rubrics import service as rubrics
from chalicelib.actions.surveys import service as surveys
from chalicelib.delivery import attachments, order, planning
from chalicelib.delivery.archives import jobs as archives
from chalicelib.formulas import tree
from chalicelib.tables import cells, filters, names, paging, store
from chalicelib.tables.columns import groups, lists, naming
from chalicelib.tables.uploads import layout, plan
from chalicelib.tables.views import service as views
from chalicelib.web import api
from tests.conftest import ROOT

LIMITS = {
    "Columns of a file": layout.MAX_COLUMNS,
    "Columns of a table": naming.MAX_COLUMNS,
    "Characters of a column's name": names.MAX_NAME_LENGTH,
    "Characters of a value": cells.MAX_LENGTH,
    "Bytes of a value that tells learners apart": store.MAX_KEY_BYTES,
    "Columns that together recognise a learner in a merge": plan.MAX_KEYS,
    "Allowed values of a column": lists.MAX_VALUES,
    "Random groups of a column": groups.MAX_GROUPS,
    "Views of a workflow": views.MAX_VIEWS,
    "Columns that a table is sorted by": paging.MAX_SORTED,
    "Filters above a table": filters.MAX_FILTERS,
    "Characters of a text": parser.MAX_SOURCE,
    "Conditions of a message": conditions.MAX_CONDITIONS,
    "Rules of a condition or filter": tree.MAX_RULES,
    "Groups within each other": tree.MAX_DEPTH,
    "Questions of a form": surveys.MAX_QUESTIONS,
    "Criteria of a rubric": rubrics.MAX_CRITERIA,
    "Levels of a rubric": levels.MAX_LEVELS,
    "Files of a report": reports.MAX_ATTACHMENTS,
    "Bytes of a picture": images.MAX_BYTES,
    "Characters of a subject, as it is written": order.MAX_SUBJECT_LENGTH,
    "People in copy of a mail": order.MAX_COPIES,
    "Files for everybody": attachments.MAX_FILES,
    "PDFs of one ZIP": archives.MAX_PDFS,
    "Steps that follow a scheduled sending": planning.MAX_STEPS,
    "Bytes of one request or answer": api.MAX_BODY_BYTES,
    "Tokens of a person": tokens.MAX_TOKENS,
}


@pytest.mark.parametrize(("what", "most"), LIMITS.items())
def test_the_page_of_limits_is_true(what: str, most: int) -> None:
    assert f"| {what} | {most:,} |" in (ROOT / "docs" / "limits.md").read_text()


def test_the_page_of_limits_names_no_others() -> None:
    rows = [
        line.split("|")[1].strip()
        for line in (ROOT / "docs" / "limits.md").read_text().splitlines()
        if line.startswith("| ")
    ]
    assert set(rows) - {"What", "---"} == LIMITS.keys()
