"""The dashboard, of the class or of one learner, and one column at a time: pages, dialogues, pictures, tables."""

from __future__ import annotations

from typing import Any

from chalice import Blueprint

from chalicelib import clock, errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.tables import cells, downloads, queries, service, state
from chalicelib.tables.charts import figures, files
from chalicelib.tables.charts.drawing import draw
from chalicelib.tables.charts.words import Words
from chalicelib.tables.models import Column
from chalicelib.tables.routes import label, zone_of
from chalicelib.tables.views import queries as views
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, render, text

bp = Blueprint(__name__)


@page(bp, "/workflows/{workflow_id}/dashboard", role=WorkflowRole.VIEWER)
def show_dashboard(request: Request) -> Answer:
    """Show a card for each chosen column of the table or of a view; each asks for its chart when it is in sight.

    With `row` they say where this learner is, and `format` csv is a file of that. HTMX gets the dialogue.
    """
    if request.workflow.row_count is None:
        return render("tables/empty.html")
    shown = state.read(request.session, request.workflow, request.query, zone_of(request).key)
    cards = [column for column in shown.shown if _has_chart(column)]
    row_id, name = request.query.whole("row"), ""
    if row_id is not None:
        values = service.row(request.session, request.workflow, row_id, list(shown.columns))
        name = label(list(shown.columns), values, request)
        if request.query.get("format") == "csv":
            return _learner_file(request, shown, cards, row_id, name)
    return render(
        "tables/charts/_learner.html" if request.wants_part and name else "tables/charts/dashboard.html",
        state=shown, type_names=cells.TYPE_NAMES, cards=cards, row_id=row_id, label=name,
        offered=[column for column in shown.in_menu if _has_chart(column)],
        kept_out=sum(not column.in_charts and not column.is_key for column in shown.columns),
        views=views.listed(request.session, request.workflow.id),
    )  # fmt: skip


def _learner_file(request: Request, shown: state.State, cards: list[Column], row_id: int, name: str) -> Answer:
    if shown.problem:
        raise errors.Invalid(shown.problem)
    found = [
        Words(column, figures.read(request.session, shown.scope, column, row_id), zone_of(request), exact=True)
        for column in cards
    ]
    answer = text(files.learner_table(name, found), "text/csv; charset=utf-8")
    return _named(answer, request, [request.workflow.name, shown.view.name if shown.view else "", name], "csv")


def _has_chart(column: Column) -> bool:
    return column.in_charts and not column.is_key


@page(bp, "/workflows/{workflow_id}/dashboard/{column_id}", role=WorkflowRole.VIEWER)
def show_chart(request: Request, column_id: int) -> Answer:
    """Show the figures of one column, with `row` where a learner is; `format` svg and csv are files."""
    if request.workflow.row_count is None:
        raise errors.NotFound
    column = queries.column(request.session, request.workflow.id, column_id)
    shown = state.read(request.session, request.workflow, request.query, zone_of(request).key)
    if shown.problem:
        raise errors.Invalid(shown.problem)
    row_id, kind = request.query.whole("row"), request.query.get("format")
    found = figures.read(request.session, shown.scope, column, row_id)
    words = Words(column, found, zone_of(request), exact=kind == "csv")
    context: dict[str, Any] = {
        "column": column, "words": words, "figures": found, "drawing": draw(words), "state": shown, "row_id": row_id,
        "type_names": cells.TYPE_NAMES,
    }  # fmt: skip
    if kind in {"csv", "svg"}:
        return _file(request, kind, shown, context)
    if not request.wants_part:
        return render("tables/charts/column.html", **context)
    if row_id:
        return render("tables/charts/_own.html", **context)
    return render(
        "tables/charts/_dialog.html" if request.query.checked("dialog") else "tables/charts/_figures.html", **context
    )


def _file(request: Request, kind: str, shown: state.State, context: dict[str, Any]) -> Answer:
    names = [request.workflow.name, shown.view.name if shown.view else "", context["column"].name]
    if kind == "csv":
        answer = text(files.table(context["words"]), "text/csv; charset=utf-8")
    elif context["drawing"] is None:
        raise errors.NotFound("There is nothing to draw in this column.")
    else:
        answer = render("tables/charts/picture.svg", **context)
        answer.headers["Content-Type"] = "image/svg+xml; charset=utf-8"
    return _named(answer, request, names, kind)


def _named(answer: Answer, request: Request, names: list[str], kind: str) -> Answer:
    name = downloads.filename(names, kind, clock.now().astimezone(zone_of(request)))
    answer.headers["Content-Disposition"] = files.disposition(name)
    return answer
