"""`@api`: from a program's request to a view and back, in JSON.

    @api("POST", "/api/v2/workflows/{workflow_id}/rows", role=WorkflowRole.EDITOR, summary="Add a row", body=ROW)
    def add_row(request: ApiRequest) -> Answer:
        ...
        return answer({"id": 5}, 201)

- Who comes says so by a token in the Authorization header; a token for reading may only GET.
- Every declaration says who may come: `role=` (in the workflow of the path), or nothing for all instructors.
- `body` is the JSON schema of what is sent; what does not fit it is refused with a message for each field. The same
  schemas make the description of the interface, see `openapi`.
- Path parameters named `*_id` arrive as int (404 when they are not), others as decoded text.
- The view runs in one transaction, rolled back when the answer's status is 400 or more.
- With an Idempotency-Key the same request is done once, however often it is sent; see `repeats`.
- Errors are problems of RFC 9457; those of the older addresses have the form their programs know, see `legacy`.

API Gateway has one greedy route for each version, so addresses here cost it nothing.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from chalice import Response

from chalicelib import database, errors, logs, metrics
from chalicelib.accounts import repeats, tokens
from chalicelib.accounts.roles import STAFF, WorkflowRole
from chalicelib.audit import origins
from chalicelib.logs import logger
from chalicelib.settings import settings
from chalicelib.web import legacy, problems, schemas, visitor
from chalicelib.web.request import Request, Values, parse_form
from chalicelib.web.responses import Answer
from chalicelib.workflows import service as workflows

JSON = "application/json"
#: Lambda takes 6 MB with everything around the body; larger ones go through an upload.
MAX_BODY_BYTES = 5_000_000


@dataclass
class ApiRequest(Request):
    """One request of a program. `json` is what it sent."""

    json: Any = None


View = Callable[..., Answer]


@dataclass(frozen=True)
class Declaration:
    """An address, what may be sent there and who may do that."""

    method: str
    path: str
    view: View
    role: WorkflowRole | None
    summary: str
    body: Mapping[str, Any] | None
    query: Mapping[str, str]
    statuses: tuple[int, ...]
    example: Any
    pattern: re.Pattern[str]
    is_open: bool

    @property
    def is_legacy(self) -> bool:
        """Whether it is one of the older addresses."""
        return self.path.startswith("/api/v1/")


declarations: list[Declaration] = []


def api(
    method: str, path: str, *, summary: str, role: WorkflowRole | None = None, body: Mapping[str, Any] | None = None,
    query: Mapping[str, str] | None = None, statuses: tuple[int, ...] = (200,), example: Any = None,
    is_open: bool = False,
) -> Callable[[View], View]:  # fmt: skip
    """Declare an address; see the module's text. `query` says what each parameter means."""

    def register(view: View) -> View:
        pattern = re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path))
        declarations.append(
            Declaration(
                method, path, view, role, summary, body, query or {}, statuses, example, pattern, is_open
            )
        )  # fmt: skip
        return view

    return register


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Answer with JSON."""
    body = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return Answer(status=status, body=body, headers={"Content-Type": JSON, **(headers or {})})


def nothing(status: int = 204) -> Answer:
    """Answer with a status and no body at all."""
    return Answer(status=status)


def public_url(path: str) -> str:
    """Return the full address of a path of the interface."""
    return settings().base_url + path


class Precondition(errors.Conflict):
    """Raised when If-Match names another state than the one that is there."""

    status = 412


def check_match(request: Request, seal: str) -> None:
    """Raise Precondition when the request was made for another state of the object than the one with this seal."""
    wanted = request.headers.get("if-match", "").strip()
    if wanted and wanted != "*" and f'"{seal}"' not in [one.strip() for one in wanted.split(",")]:
        raise Precondition("It was changed meanwhile. Read it again, and send If-Match with the ETag you get then.")


def respond(raw: Any) -> Response:
    """Answer a program's request."""
    began = time.perf_counter()
    with logs.follow(raw.context.get("requestId", "")), origins.through(origins.API):
        request = _read(raw)
        declared, answered = _answered(request, raw)
        measured = {
            metrics.REQUEST_DURATION: (time.perf_counter() - began) * 1000,
            metrics.SERVER_ERRORS: float(answered.status == 500),
        }
        route = declared.path if declared else "none"
        metrics.put(measured, method=raw.method, route=route, status=answered.status)
    headers = {
        "Cache-Control": "no-store", "X-Request-Id": request.id, "X-Content-Type-Options": "nosniff",
        **answered.headers,
    }  # fmt: skip
    return Response(body=answered.body, status_code=answered.status, headers=headers)


def _read(raw: Any) -> ApiRequest:
    query = {name: raw.query_params.getlist(name) for name in raw.query_params or {}}
    return ApiRequest(
        session=None,  # type: ignore[arg-type]
        method=raw.method,
        path=urlsplit(settings().base_url).path + raw.context["resourcePath"].removesuffix("{proxy+}"),
        headers={name.lower(): value for name, value in raw.headers.items()},
        query=Values({name: [value.replace("\0", "") for value in values] for name, values in query.items()}),
        form=Values({}),
        address=visitor.address(raw),
        id=raw.context.get("requestId", ""),
    )


def _answered(request: ApiRequest, raw: Any) -> tuple[Declaration | None, Answer]:
    declared: Declaration | None = None
    base = raw.context["resourcePath"].removesuffix("{proxy+}")
    render = legacy.problem if base.startswith("/api/v1/") else problems.problem
    try:
        # What Python would take apart by itself: a key of a row may hold a slash, written %2F.
        declared, params = _route(raw.method, base + str(raw.uri_params["proxy"]).rstrip("/"))
        _check_size(raw)
        with database.scope() as session:
            request.session = session
            found = _done(request, declared, params, raw)
            if found.status >= 400:
                session.rollback()
                session.info.clear()
        return declared, found
    except errors.AppError as error:
        return declared, render(request, error)
    except Exception:
        logger().exception("request failed", extra={"route": declared.path if declared else "none"})
        return declared, render(request, errors.AppError("This is our fault, not yours. Nothing was changed."))


def _check_size(raw: Any) -> None:
    if len(raw.raw_body or b"") > MAX_BODY_BYTES:
        where = "POST /api/v2/workflows/{id}/table/uploads"
        raise errors.Limit(f"At most {MAX_BODY_BYTES // 1_000_000} MB can be sent at once. Use {where}.", 413)


def _route(method: str, path: str) -> tuple[Declaration, dict[str, str]]:
    there = [(one, found) for one in declarations if (found := one.pattern.fullmatch(path))]
    # A fixed address wins over one with a parameter.
    there.sort(key=lambda pair: pair[0].path.count("{"))
    for one, found in there:
        if one.method == method:
            return one, found.groupdict()
    if there:
        raise problems.NotAllowed(method, sorted({one.method for one, _ in there}))
    raise errors.NotFound("There is no such address.")


def _done(request: ApiRequest, declared: Declaration, params: dict[str, str], raw: Any) -> Answer:
    if declared.is_open:
        return declared.view(request)
    user, token = tokens.find(request.session, request.headers.get("authorization", ""))
    request.signed_in = user
    if user.role not in STAFF:
        raise errors.Forbidden("You do not have permission to perform this action.")
    if token.scope == tokens.Scope.READ and declared.method != "GET":
        raise errors.Forbidden("This token is for reading only. Make one for writing on your profile.")
    values = {name: _decoded(name, value) for name, value in params.items()}
    if declared.role is not None:
        workflow_id = values.pop("workflow_id")
        find_workflow(request, workflow_id, declared.role)
    request.body = _text(raw)
    request.json = _parsed(request, declared)
    key = request.headers.get("idempotency-key", "")
    if not key or declared.method == "GET":
        return declared.view(request, **values)
    asked = [declared.method, raw.context["resourcePath"], raw.uri_params["proxy"], request.query.lists(), request.body]
    return repeats.once(request.session, user.id, key, asked, lambda: declared.view(request, **values))


def find_workflow(request: ApiRequest, workflow_id: int, role: WorkflowRole) -> None:
    """Make it the request's workflow.

    Raises errors.NotFound when the person may not see it, errors.Forbidden when the role is not enough.
    """
    try:
        found = workflows.reach(request.session, request.user.id, workflow_id, role)
    except errors.NotFound as error:
        raise errors.NotFound("Workflow not found.") from error
    request._workflow, request.role = found


def _decoded(name: str, value: str) -> Any:
    if not name.endswith("_id"):
        return unquote(value)
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise errors.NotFound("There is no such object.")
    return int(value)


def _text(raw: Any) -> str:
    try:
        return (raw.raw_body or b"").decode()
    except UnicodeDecodeError as error:
        raise problems.Unreadable("JSON parse error - the body is not UTF-8.") from error


def _parsed(request: ApiRequest, declared: Declaration) -> Any:
    if declared.body is None:
        return None
    kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        sent: Any = parse_form(request.body).as_dict()
    elif kind == JSON:
        sent = _json(request.body)
    else:
        raise problems.Unsupported(f'Unsupported media type "{kind}" in request.')
    schemas.check(sent, declared.body)
    return sent


def _json(body: str) -> Any:
    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is no JSON")

    try:
        return _storable(json.loads(body, parse_constant=refuse)) if body.strip() else {}
    except (ValueError, RecursionError) as error:
        raise problems.Unreadable(f"JSON parse error - {error}") from error


def _storable(value: Any) -> Any:
    """Return the value; what PostgreSQL's text can't hold is refused before anything else looks at it."""
    written = json.dumps(value, ensure_ascii=False)
    if "\\u0000" in written:
        raise ValueError("the character U+0000 can't be stored")
    written.encode()  # half a surrogate pair, which JSON can write, has no UTF-8
    return value
