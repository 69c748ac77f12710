"""The page of rubric feedback: the text, the grid below it, what a level of a criterion says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chalice import Blueprint

from chalicelib import errors, seals
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import html
from chalicelib.actions.editor import Editor
from chalicelib.actions.kinds import Kind
from chalicelib.actions.routes import ACTION, editor_of, open_editor, row_of, show_desk
from chalicelib.actions.rubrics import levels, queries, service, unknown
from chalicelib.actions.rubrics.queries import Grid, Line
from chalicelib.tables.columns import lists, settings
from chalicelib.tables.columns.create import Details
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, redirect, render
from chalicelib.web.templates import zone
from chalicelib.web.urls import url_for

bp = Blueprint(__name__)

RUBRIC = ACTION + "/rubric"
CRITERION = RUBRIC + "/{criterion_id}"
#: Types that levels can have.
TYPES = {"text": "words", "integer": "whole numbers", "double": "numbers"}


def open_rubric(request: Request, action_id: int, *, lock: bool = False) -> tuple[Editor, Grid]:
    """Return the rubric of the path with its grid.

    Raises errors.NotFound when the action is none.
    """
    editor = open_editor(request, action_id, lock=lock)
    if editor.action.kind != Kind.RUBRIC:
        raise errors.NotFound
    return editor, _grid(request, editor)


def _grid(request: Request, editor: Editor) -> Grid:
    return queries.grid(request.session, editor.action.id, editor.table)


@editor_of(Kind.RUBRIC)
def show_rubric_editor(
    request: Request, editor: Editor, *, panel: str = "", problems: dict[str, str] | None = None,
    text: str | None = None, **context: Any,
) -> Answer:  # fmt: skip
    """Answer with the page of rubric feedback."""
    grid = _grid(request, editor)
    return show_desk(
        request, editor, "actions/rubrics/editor.html", panel=panel, problems=problems, text=text,
        **_context(request, editor, grid) | context,
    )  # fmt: skip


def _context(request: Request, editor: Editor, grid: Grid) -> dict[str, Any]:
    def for_page(stored: str) -> str:
        return html.with_chips(html.for_page(editor.written(stored)))

    return {
        "grid": grid, "for_page": for_page, "unknown": _unknown(request, editor, grid),
        "focus": request.query.get("cell"), "is_shown": bool(editor.criteria) or not grid.lines,
        "named": queries.NAMED,
    }  # fmt: skip


def _unknown(request: Request, editor: Editor, grid: Grid) -> list[queries.Unknown]:
    """Return who has a value that is no level; nobody while the rules for who gets it can't be used."""
    if editor.who.problem:
        return []
    key = next((column.id for column in editor.table if column.is_key), None)
    return unknown.among(request.session, editor.workflow, grid, editor.columns, editor.action.filter, key)


@page(bp, RUBRIC, role=WorkflowRole.EDITOR)
def show_rubric_panel(request: Request, action_id: int) -> Answer:
    """Open what is done with the whole rubric: a new criterion, columns that can be one, its levels."""
    editor, grid = open_rubric(request, action_id)
    show = {"insert": _insert_panel, "levels": _levels_panel}.get(request.query.get("open"), _new_panel)
    return show(request, editor, grid, {})


def _panel(
    request: Request, editor: Editor, grid: Grid, template: str, problems: dict[str, str], *, status: int = 422,
    **context: Any,
) -> Answer:  # fmt: skip
    template = f"actions/rubrics/{template}"
    if not request.wants_part:
        page = show_rubric_editor(request, editor, panel=template, problems=problems, **context)
        return replace(page, status=status if problems else 200)
    return render(
        template, status=status if problems else 200, action=editor.action, problems=problems, grid=grid,
        form=request.form.as_dict(), row=row_of(request), names=editor.names_data, **context,
    )  # fmt: skip


def _new_panel(request: Request, editor: Editor, grid: Grid, problems: dict[str, str]) -> Answer:
    return _panel(request, editor, grid, "_new.html", problems, types=TYPES)


def _insert_panel(request: Request, editor: Editor, grid: Grid, problems: dict[str, str]) -> Answer:
    columns = queries.fitting(grid, editor.table)
    return _panel(request, editor, grid, "_insert.html", problems, columns=columns, ticked=request.form.all("columns"))


def _levels_panel(
    request: Request, editor: Editor, grid: Grid, problems: dict[str, str], plan: levels.Plan | None = None
) -> Answer:
    return _panel(request, editor, grid, "_levels.html", problems, seen=levels.seal(grid), plan=plan)


@page(bp, RUBRIC, method="POST", role=WorkflowRole.EDITOR)
def change_rubric(request: Request, action_id: int) -> Answer:
    """Insert columns as criteria, make a new one, change the levels, or take that back."""
    editor, grid = open_rubric(request, action_id, lock=True)
    session, user_id, action = request.session, request.user.id, editor.action
    do = request.form.get("do") or request.query.get("do")
    if do == "levels":
        return _change_levels(request, editor, grid)
    if do == "levels-back":
        event_id = int(request.query.get("event")) if request.query.get("event").isdecimal() else 0
        return _back(request, editor, levels.take_back(session, request.workflow, user_id, action, event_id))
    if do == "insert":
        try:
            made = service.insert(session, user_id, action, request.form.wholes("columns"))
        except errors.Invalid as error:
            return _insert_panel(request, editor, grid, error.fields)
        return _back(request, editor, f"{len(made)} {'criterion' if len(made) == 1 else 'criteria'} added.")
    try:
        details = _details(request, has_levels=bool(grid.levels))
        criterion = service.create(session, request.workflow, user_id, action, details)
    except errors.Invalid as error:
        return _new_panel(request, editor, grid, error.fields)
    except errors.Conflict as error:
        return _new_panel(request, editor, grid, {"name": error.message})
    return _back(request, editor, "Added. Its column is in the table.", f"{criterion.id}-0")


def _details(request: Request, *, has_levels: bool) -> Details:
    kind = request.form.get("type") if request.form.get("type") in TYPES else "text"
    typed = "" if has_levels else request.form.get("levels").replace(",", "\n")
    position = request.form.get("position").strip()
    return Details(
        request.form.get("name"), kind, request.form.get("description"),
        int(position) if position.isascii() and position.isdecimal() and len(position) < 6 else 0,
        allowed=lists.read(typed, kind, zone(request.user.time_zone), field="levels") or None,
    )  # fmt: skip


def _change_levels(request: Request, editor: Editor, grid: Grid) -> Answer:
    """Rename, add and take out levels; what would be lost is told first."""
    if not grid.levels:
        raise errors.NotFound
    try:
        levels.check_seen(grid, request.form.get("seen"))
        typed = [request.form.get(f"level-{at}") for at in range(len(grid.levels))]
        places = [request.form.whole(f"place-{at}") for at in range(len(grid.levels))]
        steps = levels.read(grid, typed, request.form.get("added"), zone(request.user.time_zone), places)
        plan = levels.plan(request.session, request.workflow, editor.action, grid, steps)
        if plan.needs_a_look and not request.form.checked("sure"):
            return _levels_panel(request, editor, grid, {"sure": "Look at what this changes, then tick the box."}, plan)
        event_id = levels.change(request.session, request.workflow, request.user.id, editor.action, steps)
    except errors.Invalid as error:
        return _levels_panel(request, editor, grid, error.fields or {"added": error.message})
    except errors.Conflict as error:
        return _levels_panel(request, editor, grid, {"added": error.message})
    if event_id is None:
        return _back(request, editor, "Nothing changed.")
    undo = url_for(
        "actions.change_rubric", workflow_id=request.workflow.id, action_id=editor.action.id, do="levels-back",
        event=event_id,
    )  # fmt: skip
    return _back(request, editor, Flash("The levels of all criteria are changed.", undo_url=undo))


@page(bp, CRITERION, role=WorkflowRole.EDITOR)
def show_criterion(request: Request, action_id: int, criterion_id: int) -> Answer:
    """Open a criterion, or with `level` what this level of it says."""
    editor, grid = open_rubric(request, action_id)
    line = _line(request, editor, grid, criterion_id)
    if "level" in request.query:
        return _cell_panel(request, editor, grid, line, request.query.get("level"))
    return _criterion_panel(request, editor, grid, line, {})


def _line(request: Request, editor: Editor, grid: Grid, criterion_id: int) -> Line:
    service.get(request.session, editor.action, criterion_id)
    return next(line for line in grid.lines if line.id == criterion_id)


def _criterion_panel(request: Request, editor: Editor, grid: Grid, line: Line, problems: dict[str, str]) -> Answer:
    now = settings.of(request.session, line.column) if line.column is not None else None
    return _panel(request, editor, grid, "_criterion.html", problems, line=line, now=now)


def _cell_panel(
    request: Request, editor: Editor, grid: Grid, line: Line, key: str, problems: dict[str, str] | None = None,
    seen: str | None = None, status: int = 422,
) -> Answer:  # fmt: skip
    level = next((one for one in line.levels if one.key == key), None)
    if level is None:
        raise errors.NotFound("The rubric does not have this level any more.")
    stored = service.shown(line.cell(key))
    typed = request.form.as_dict()
    return _panel(
        request, editor, grid, "_cell.html", problems or {}, line=line, level=level, status=status,
        description=typed.get("description", stored["description"]),
        feedback=typed.get("feedback", editor.written(stored["feedback"])),
        seen=seals.seal(stored) if seen is None else seen,
    )  # fmt: skip


@page(bp, CRITERION, method="POST", role=WorkflowRole.EDITOR)
def change_criterion(request: Request, action_id: int, criterion_id: int) -> Answer:
    """Write what a level says; rename, move, remove or restore a criterion."""
    editor, grid = open_rubric(request, action_id, lock=True)
    session, user_id, action = request.session, request.user.id, editor.action
    do = request.form.get("do") or request.query.get("do")
    criterion = service.get(session, action, criterion_id, in_trash=do == "restore")
    if do == "restore":
        service.restore(session, user_id, action, criterion)
        return _back(request, editor, "The criterion is back, with what its levels said.", f"{criterion_id}-0")
    line = _line(request, editor, grid, criterion_id)
    if do in {"up", "down"}:
        service.move(session, user_id, action, criterion, -1 if do == "up" else 1)
        return _back(request, editor, "Moved.", f"{criterion_id}-{do}")
    if do == "remove":
        service.remove(session, user_id, action, criterion)
        undo = url_for(
            "actions.change_criterion", workflow_id=request.workflow.id, action_id=action_id,
            criterion_id=criterion_id, do="restore",
        )  # fmt: skip
        words = f"“{line.name}” is no criterion any more, and its feedback is gone. Its column stays in the table."
        return _back(request, editor, Flash(words, undo_url=undo))
    if do == "cell":
        return _write_cell(request, editor, grid, line)
    return _rename(request, editor, grid, line)


def _write_cell(request: Request, editor: Editor, grid: Grid, line: Line) -> Answer:
    key = request.form.get("level")
    wanted = service.Writing(
        request.form.get("description").replace("\r\n", "\n"), request.form.get("feedback").replace("\r\n", "\n"),
        request.form.get("seen"),
    )  # fmt: skip
    try:
        removed = service.write(
            request.session, request.user.id, editor.action, line, key, wanted, editor.names, request.user.time_zone
        )  # fmt: skip
    except errors.Invalid as error:
        return _cell_panel(request, editor, grid, line, key, error.fields, wanted.seen)
    except seals.Stale as error:  # the next save is meant to go over what is told now
        return _cell_panel(request, editor, grid, line, key, error.fields, status=error.status)
    gone = f" Taken out, because mails can’t have it: {', '.join(removed)}." if removed else ""
    at = next((at for at, level in enumerate(grid.levels) if level.key == key), 0)
    return _back(request, editor, f"Saved.{gone}", f"{line.id}-{at}")


def _rename(request: Request, editor: Editor, grid: Grid, line: Line) -> Answer:
    """Give the criterion's column another name, description or place."""
    if line.column is None:
        raise errors.NotFound
    now = settings.of(request.session, line.column)
    if request.form.get("seen") != now.seal():
        words = "Somebody else changed this column while you had it open. Save again to put yours in its place."
        return _criterion_panel(request, editor, grid, line, {"name": words})
    position = request.form.get("position").strip()
    wanted = replace(
        now, name=request.form.get("name"), description=request.form.get("description"),
        position=int(position) if position.isascii() and position.isdecimal() and len(position) < 6 else now.position,
    )  # fmt: skip
    try:
        changed = settings.change(request.session, request.workflow, request.user.id, line.column, wanted)
    except (errors.Invalid, errors.Conflict) as error:
        fields = error.fields if isinstance(error, errors.Invalid) else {}
        return _criterion_panel(request, editor, grid, line, fields or {"name": error.message})
    if changed is not None:
        service.record(request.session, "criterion_changed", request.user.id, editor.action, line.criterion)
    return _back(request, editor, "Saved.", f"{line.id}-0")


def _back(request: Request, editor: Editor, note: Flash | str, cell: str | None = None) -> Answer:
    return redirect(
        "actions.show_action", workflow_id=request.workflow.id, action_id=editor.action.id, row=row_of(request),
        flash=note, cell=cell,
    )  # fmt: skip
