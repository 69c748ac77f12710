"""All that is known of one learner: to look at, as a file, or to be erased. In a workflow for its owners, of an address
in all workflows for administrators, who also see which addresses get no mail.
"""

from __future__ import annotations

import json
from typing import Any

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.audit import service as audit
from chalicelib.delivery import learners, suppression
from chalicelib.delivery.order import is_address
from chalicelib.privacy import service
from chalicelib.privacy.service import Person
from chalicelib.web.page import Access, page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, redirect, render
from chalicelib.web.templates import plural

bp = Blueprint(__name__)

PERSONAL = "/workflows/{workflow_id}/personal"
ADDRESSES = "/admin/addresses"
CONFIRM = "Type one of these exactly, so that nobody is erased by mistake."


@page(bp, PERSONAL, role=WorkflowRole.OWNER)
def show_personal(request: Request) -> Answer:
    """Show what is known of the learner `row`; with `file=1` give all of it as a file."""
    row_id = request.query.whole("row") or 0
    who = service.person(request.session, request.workflow.id, row_id)
    if request.query.get("file"):
        found = service.export(request.session, request.workflow, who)
        audit.record(
            request.session, "personal_exported", workflow_id=request.workflow.id, user_id=request.user.id,
            row_id=row_id,
        )  # fmt: skip
        return _file(found, f"learner-{row_id}.json")
    return _personal(request, row_id, who, {})


@page(bp, PERSONAL, method="POST", role=WorkflowRole.OWNER)
def erase_learner(request: Request) -> Answer:
    """Erase the learner, once the name was typed."""
    row_id = request.form.whole("row") or 0
    who = service.person(request.session, request.workflow.id, row_id)
    if not service.names_match(request.form.get("typed"), _names(request, row_id, who)):
        return _personal(request, row_id, who, {"typed": CONFIRM})
    gone = service.erase(request.session, request.user.id, request.workflow, who)
    return redirect("tables.show_table", workflow_id=request.workflow.id, flash=f"Erased: {_said(gone)}.")


def _personal(request: Request, row_id: int, who: Person, problems: dict[str, str]) -> Answer:
    found = service.export(request.session, request.workflow, who)
    counts = {name: len(found[name]) for name in ("earlier_tables", "sent", "answers", "events")}
    return render(
        "privacy/learner.html", status=422 if problems else 200, row_id=row_id, who=who, counts=counts,
        values=found["table"][0], names=_names(request, row_id, who), problems=problems,
        typed=request.form.get("typed") if problems else "",
    )  # fmt: skip


def _names(request: Request, row_id: int, who: Person) -> list[str]:
    """Return what may be typed to confirm: the key and the addresses; the row's number where there is neither."""
    label = learners.Called(request.session, request.workflow.id).labels([row_id]).get(row_id, "")
    return [name for name in dict.fromkeys([*label.split(", ")[-1:], *who.addresses]) if name] or [str(row_id)]


def _said(gone: service.Erased) -> str:
    parts = [
        (gone.rows, plural(gone.rows, "row of the table", "rows of the table")),
        (gone.messages, f"the content of {plural(gone.messages, 'message')}"),
        (gone.answers, plural(gone.answers, "answer")),
        (gone.events, f"the learner in {plural(gone.events, 'event')}"),
        (gone.accounts, plural(gone.accounts, "account")),
    ]
    return ", ".join(words for count, words in parts if count) or "nothing was left of this learner"


def _file(found: Any, name: str) -> Answer:
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store, private",
    }  # fmt: skip
    return Answer(headers=headers, body=json.dumps(found, ensure_ascii=False, indent=1, default=str))


@page(bp, ADDRESSES, access=Access.ADMIN)
def show_addresses(request: Request) -> Answer:
    """Show which addresses get no mail and why; of one that is looked for, where it is known, also as a file."""
    address = request.query.get("address").strip().lower()
    if address and request.query.get("file"):
        found = [
            service.export(request.session, workflow, who)
            for workflow, who in service.workflows_with(request.session, address)
        ]
        audit.record(request.session, "personal_exported", user_id=request.user.id, workflows=len(found))
        return _file(found, "address.json")
    return _addresses(request, address, {})


@page(bp, ADDRESSES, method="POST", access=Access.ADMIN)
def change_address(request: Request) -> Answer:
    """Let an address get mail again, keep it from mail, or erase it everywhere."""
    address, step = request.form.get("address").strip().lower(), request.form.get("step")
    try:
        said = _STEPS[step](request, address) if step in _STEPS else None
    except errors.Invalid as error:
        return _addresses(request, request.form.get("looked_for"), error.fields)
    if said is None:
        raise errors.NotFound
    return redirect("privacy.show_addresses", flash=said)


def _release(request: Request, address: str) -> str:
    suppression.release(request.session, request.user.id, address)
    return f"{address} gets mail again."


def _suppress(request: Request, address: str) -> str:
    if not is_address(address):
        raise errors.Invalid("This is no address.", {"address": "Write an e-mail address."})
    suppression.add(request.session, request.user.id, address, request.form.get("note").strip()[:200])
    return f"{address} gets no more mail."


def _erase(request: Request, address: str) -> str:
    if not service.names_match(request.form.get("typed"), [address]):
        raise errors.Invalid("Not confirmed.", {"typed": CONFIRM})
    found = service.workflows_with(request.session, address)
    for workflow, who in found:
        service.erase(request.session, request.user.id, workflow, who)
    suppression.forget(request.session, address)
    return f"Erased in {plural(len(found), 'workflow')}."


_STEPS = {"release": _release, "suppress": _suppress, "erase": _erase}


def _addresses(request: Request, address: str, problems: dict[str, str]) -> Answer:
    before = request.query.get("before")
    found = suppression.listed(request.session, before=before)
    return render(
        "privacy/addresses.html", status=422 if problems else 200, address=address, problems=problems,
        known=service.workflows_with(request.session, address) if address else [],
        state=suppression.of(request.session, address) if address else None,
        rows=found[: suppression.PAGE_SIZE], reasons=suppression.REASONS, before=before,
        following=found[suppression.PAGE_SIZE - 1].address if len(found) > suppression.PAGE_SIZE else "",
        typed=request.form.as_dict() if problems else {},
    )  # fmt: skip
