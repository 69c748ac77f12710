"""From an answer to the response: the page rendered, with the headers and cookies that every one has."""

from __future__ import annotations

import functools
import secrets
from datetime import timedelta
from typing import Any

from chalice import Response
from markupsafe import Markup

from chalicelib import clock, errors, signing
from chalicelib.accounts.roles import Role
from chalicelib.accounts.sessions import Kind
from chalicelib.settings import settings
from chalicelib.web import cookies, csrf, framing, templates, urls
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash

FLASH_LIFETIME = timedelta(minutes=5)


def finish(request: Request, answer: Answer) -> Response:
    """Render the answer, with the headers and cookies that every one has."""
    set_cookies = request.new_cookies + answer.cookies
    headers: dict[str, Any] = {
        "Cache-Control": "no-store",
        "X-Request-Id": request.id,
        "Vary": "HX-Request",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Content-Security-Policy": _policy(),
        "X-Frame-Options": "SAMEORIGIN",
        **answer.headers,
    }
    if seconds := _seconds_left(request):
        headers["X-Session-Seconds"] = str(seconds)
    if request.may_be_framed:
        framing.open_to_lms(headers)
    if settings().secure_cookies:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    if answer.flash is not None:
        flash = signing.sign("flash", vars(answer.flash), FLASH_LIFETIME)
        set_cookies.append(cookies.build(cookies.FLASH, flash, is_partitioned=request.may_be_framed))
    body = answer.body
    if answer.template:
        headers.setdefault("Content-Type", "text/html; charset=utf-8")
        body = templates.render(answer.template, {**_common(request, set_cookies, answer), **answer.context})
    if set_cookies:
        headers["Set-Cookie"] = set_cookies
    if answer.status == 303 and request.wants_part:
        # fetch() follows a redirect by itself and would put a whole page where a part belongs.
        headers["HX-Redirect"] = headers.pop("Location")
        return Response(body="", status_code=200, headers=headers)
    return Response(body=body, status_code=answer.status, headers=headers)


def _common(request: Request, set_cookies: list[str], answer: Answer) -> dict[str, Any]:
    secret = csrf.secret(request)
    if not secret:
        secret = secrets.token_urlsafe(24)
        set_cookies.append(cookies.build(cookies.VISITOR, secret))
    token = signing.digest("csrf", secret)
    flash = None
    is_shown = not request.wants_part and answer.flash is None and answer.status != errors.Unavailable.status
    if is_shown and (sent := request.cookies.get(cookies.FLASH)):
        claims = signing.read("flash", sent)
        flash = Flash(**{k: v for k, v in claims.items() if k not in {"aud", "exp"}}) if claims else None
        set_cookies.append(cookies.remove(cookies.FLASH, is_partitioned=request.may_be_framed))
    user = request.signed_in
    return {
        "request": request,
        "user": user,
        "workflow": request._workflow,
        "role": request.role,
        "is_learner": request.may_be_framed or (user is not None and (request.is_learner or user.role == Role.LEARNER)),
        "session_seconds": _seconds_left(request),
        "hand_over": _hand_over(request),
        "time_zone": user.time_zone if user else "UTC",
        "csrf_token": token,
        "csrf_field": lambda: Markup('<input type="hidden" name="{}" value="{}">').format(csrf.FIELD, token),
        "flash": flash,
        "safe_mode_address": settings().safe_mode_address,
    }


def _seconds_left(request: Request) -> int:
    """Return how long the session lasts without another request; 0 where nobody has to be told."""
    visit = request.visit
    if visit is None or visit.is_remembered or visit.kind == Kind.LINK:
        return 0
    return max(1, int((visit.expires_at - clock.now()).total_seconds()))


def _hand_over(request: Request) -> str:
    """Return the token that opens this page in a window of its own; "" where it is in one."""
    if not request.may_be_framed or request.visit is None or request.headers.get("sec-fetch-dest") == "document":
        return ""
    from chalicelib.accounts.lti import hand_over

    return hand_over.token(request.session_id, request.path.removeprefix(urls.prefix()))


@functools.cache
def _policy() -> str:
    upload = settings().upload_origin
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https: {upload}".rstrip()
        + f"; font-src 'self'; connect-src 'self' {upload}".rstrip()
        + "; frame-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'self'; manifest-src 'self'"
    )
