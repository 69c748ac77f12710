"""`@page`: from an API Gateway request to a view and back.

    bp = Blueprint(__name__)

    @page(bp, "/workflows/{workflow_id}/table", role=WorkflowRole.VIEWER)
    def show_table(request: Request) -> Answer:
        return render("tables/page.html", rows=queries.page(request.session, request.workflow))

    @page(bp, "/workflows/{workflow_id}/rows/{row_id}", method="POST", role=WorkflowRole.EDITOR)
    def change_row(request: Request, row_id: int) -> Answer:
        ...
        return redirect("tables.show_table", workflow_id=request.workflow.id, flash="Saved.")

- The endpoint's name for `url_for` is `<package>.<function>`: here `tables.show_table`.
- Every declaration says who may come: `role=` (in the workflow of the path) or `access=` (see `Access`).
- Path parameters named `*_id` arrive as int (404 when they are not), others as decoded text.
- The view runs in one transaction, committed when the answer's status is below 400 and rolled back
  otherwise; the page is rendered after the commit, so the context holds plain data or loaded rows.
- A POST is checked for its CSRF token: `{{ csrf_field() }}` in every form; HTMX sends a header by itself.
- `access=Access.LEARNER`: any signed-in person may come, also by a launch of an LMS or a personal link; then the page
  may be shown in a frame of the LMS. Its template extends `learner.html`. `request.visit` says how they came.
- errors.Invalid and the other AppErrors that a view does not catch become a page, or for HTMX a toast.
- Where the database is not ready the answer is the page that waits and repeats the request; see waiting.
- Templates get: request, user, workflow, role, flash, csrf_field(), csrf_token, time_zone; see layout.html.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit, urlunsplit

from chalice import Blueprint, Response

from chalicelib import database, errors, logs, metrics
from chalicelib.accounts import arrivals, recognition
from chalicelib.accounts.roles import STAFF, Role, WorkflowRole
from chalicelib.audit import origins
from chalicelib.audit import service as audit
from chalicelib.logs import logger
from chalicelib.web import csrf as csrf_tokens
from chalicelib.web import urls, visitor, waiting
from chalicelib.web.finishing import finish
from chalicelib.web.request import Request, Values, parse_cookies, parse_form
from chalicelib.web.responses import Answer
from chalicelib.workflows import service as workflows

FORM = "application/x-www-form-urlencoded"


class Access(StrEnum):
    """Who may come to a route that is not inside a workflow."""

    EVERYBODY = "everybody"
    #: Signed in in any way, launches and personal links included.
    LEARNER = "learner"
    SIGNED_IN = "signed in"
    STAFF = "staff"
    ADMIN = "admin"


View = Callable[..., Answer]

#: Every route's declaration, for the test that tries each of them with each role.
declarations: dict[tuple[str, str], Access | WorkflowRole] = {}
#: Routes to which programs post without one of our pages; the signed address is the proof.
without_csrf: set[tuple[str, str]] = set()


def page(
    bp: Blueprint,
    path: str,
    *,
    method: str = "GET",
    role: WorkflowRole | None = None,
    access: Access | None = None,
    csrf: bool = True,
) -> Callable[[View], View]:
    """Declare a route; see the module's text. Exactly one of `role` and `access` must be given."""
    if (role is None) == (access is None):
        raise ValueError(f"{method} {path}: say who may come, by role or by access")

    def register(view: View) -> View:
        endpoint = f"{view.__module__.split('.')[1]}.{view.__name__}"
        urls.register(endpoint, path)
        declarations[method, path] = role or access  # type: ignore[assignment]
        if not csrf:
            without_csrf.add((method, path))

        @functools.wraps(view)
        def handle(**params: str) -> Response:
            raw = bp.current_app.current_request
            return respond(raw, lambda request: _call(view, request, params, role, access, csrf))

        # A GET has no body, yet some clients send a type: Chalice would answer 415 to one it does not know.
        content_types = [FORM] if method == "POST" else [FORM, "application/json"]
        if not csrf:  # RFC 8058 §3.2: a mail program may post either kind of form
            content_types.append("multipart/form-data")
        bp.route(path, methods=[method], content_types=content_types, name=f"{method}_{endpoint}")(handle)
        return view

    return register


def respond(raw: Any, answer_for: Callable[[Request], Answer]) -> Response:
    """Run a view inside a transaction and turn its answer, or its error, into a response."""
    began = time.perf_counter()
    with logs.follow(raw.context.get("requestId", "")), origins.through(origins.PAGE):
        response = _respond(raw, answer_for)
        measured = {
            metrics.REQUEST_DURATION: (time.perf_counter() - began) * 1000,
            metrics.SERVER_ERRORS: float(response.status_code == 500),
        }
        # The route, not the path: a path may hold a secret, such as the token of a link in a mail.
        metrics.put(measured, method=raw.method, route=raw.context.get("resourcePath"), status=response.status_code)
    return response


def _respond(raw: Any, answer_for: Callable[[Request], Answer]) -> Response:
    request: Request | None = None
    try:
        arrivals.prepare(is_launch=_is_launch(raw))
        with database.scope() as session:
            request = _read(raw, session)
            answer = answer_for(request)
            if answer.status >= 400 and not answer.keep:
                session.expunge_all()  # the page still shows these rows; a rollback would empty them
                session.rollback()
                session.info.clear()
        return finish(request, answer)
    except errors.Unavailable as error:
        request = _again(raw, request)  # what was loaded may have gone with the connection
        return finish(request, waiting.answer(raw, request, error))
    except errors.AppError as error:
        if isinstance(error, errors.Forbidden) and request is not None and request.signed_in is not None:
            _note_refusal(raw, request.user.id)
        return finish(request or _read(raw, None), _error_answer(request, error))
    except Exception:
        request_id = raw.context.get("requestId", "")
        logger().exception("request failed", extra={"route": raw.context.get("resourcePath")})
        request = _again(raw, request)
        message = "This is our fault, not yours. Nothing was changed; please try again."
        context = {"title": "Something went wrong", "message": message, "fields": {}, "request_id": request_id}
        return finish(request, _shown(request, 500, context, {}))


def _note_refusal(raw: Any, user_id: int) -> None:
    """Write into the log that somebody was not allowed to do something, as what they did was rolled back."""
    workflow_id = str((raw.uri_params or {}).get("workflow_id", ""))
    try:
        with database.scope() as session:
            is_member = workflow_id.isdigit() and workflows.has_role(session, user_id, int(workflow_id))
            audit.record(
                session, "permission_refused", workflow_id=int(workflow_id) if is_member else None, user_id=user_id,
                method=raw.method, route=raw.context.get("resourcePath", ""),
            )  # fmt: skip
    except errors.Unavailable:
        logger().warning("a refusal was not noted")


def _again(raw: Any, request: Request | None) -> Request:
    """Read the request without what the database told about it."""
    made = _read(raw, None)
    made.may_be_framed = made.is_launch or (request is not None and request.may_be_framed)
    return made


def _read(raw: Any, session: Any) -> Request:
    headers = {name.lower(): value for name, value in raw.headers.items()}
    query = {name: raw.query_params.getlist(name) for name in raw.query_params or {}}
    request = Request(
        session=session,
        method=raw.method,
        path=urls.public_path(raw.context.get("path") or raw.path, raw.path),
        headers=headers,
        query=Values({name: [v.replace("\0", "") for v in values] for name, values in query.items()}),
        form=Values({}),
        address=visitor.address(raw),
        id=raw.context.get("requestId", ""),
        cookies=parse_cookies(headers.get("cookie", "")),
    )
    request.is_launch = _is_launch(raw)
    if raw.method == "POST" and session is not None:
        request.form = parse_form(raw.raw_body)
        request.body = raw.raw_body.decode()
    return request


def _is_launch(raw: Any) -> bool:
    return raw.method == "POST" and b"lti_message_type=basic-lti-launch-request" in raw.raw_body


def _call(
    view: View,
    request: Request,
    params: dict[str, str],
    role: WorkflowRole | None,
    access: Access | None,
    csrf: bool,
) -> Answer:
    if request.is_launch:
        from chalicelib.accounts.lti import entry

        return entry.enter(request)
    is_needed = access is not Access.EVERYBODY
    recognition.recognise(request, to_learners=access is Access.LEARNER, is_needed=is_needed)
    if is_needed and request.signed_in is None:
        return _to_sign_in(request, access)
    if request.method == "POST" and csrf and not csrf_tokens.hold(request):
        raise errors.Forbidden("This page was open for too long. Please go back, reload it and try again.")
    _check_access(request, access)
    values = {name: _decoded(name, value) for name, value in params.items()}
    if role is not None:
        workflow_id = values.pop("workflow_id")
        request._workflow, request.role = workflows.get_with_role(request.session, request.user.id, workflow_id, role)
    return view(request, **values)


def _check_access(request: Request, access: Access | None) -> None:
    if access in {Access.EVERYBODY, Access.LEARNER, Access.SIGNED_IN}:
        return
    role = Role(request.user.role)
    if role not in STAFF or (access is Access.ADMIN and role is not Role.ADMIN):
        raise errors.NotFound


def _decoded(name: str, value: str) -> Any:
    if not name.endswith("_id"):
        return unquote(value)
    # Postgres' bigint; anything longer is nobody's id.
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise errors.NotFound
    return int(value)


def _to_sign_in(request: Request, access: Access | None) -> Answer:
    if access is Access.LEARNER and request.headers.get("sec-fetch-dest") == "iframe":
        request.may_be_framed = True
        return Answer(status=401, template="accounts/lti/ended.html")
    target = urls.url_for("accounts.show_sign_in", next=_here(request))
    if request.wants_part and access is Access.LEARNER:
        return Answer(status=401, headers={"HX-Refresh": "true"})  # the whole page knows whether it is in a frame
    if request.wants_part:
        return Answer(status=401, headers={"HX-Redirect": target})
    return Answer(status=303, headers={"Location": target})


def _here(request: Request) -> str:
    """Return the page that somebody is on, to come back to after signing in."""
    if request.wants_part:
        shown = urlsplit(request.headers.get("hx-current-url", ""))
        return urlunsplit(("", "", shown.path, shown.query, ""))
    if request.method != "GET":
        return ""
    query = urlencode(request.query.lists(), doseq=True)
    return f"{request.path}?{query}" if query else request.path


def _error_answer(request: Request | None, error: errors.AppError) -> Answer:
    titles = {404: "Not found", 403: "Not allowed", 409: "Changed meanwhile"}
    title = titles.get(error.status, "That did not work")
    fields = error.fields if isinstance(error, errors.Invalid) else {}
    context = {"title": title, "message": error.message, "fields": fields, "request_id": ""}
    headers: dict[str, str] = {}
    if isinstance(error, errors.Limit) and error.retry_after_seconds:
        headers["Retry-After"] = str(error.retry_after_seconds)
    return _shown(request, error.status, context, headers)


def _shown(request: Request | None, status: int, context: dict[str, Any], headers: dict[str, str]) -> Answer:
    """Show what went wrong: as a page, or as a toast when the page asked for a part of itself."""
    if request is not None and request.wants_part:
        headers |= {"HX-Retarget": "#toasts", "HX-Reswap": "beforeend"}
        return Answer(status=status, template="_toast.html", context=context, headers=headers)
    return Answer(status=status, template="error.html", context=context, headers=headers)
