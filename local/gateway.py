"""API Gateway on one machine: WSGI to REST proxy events and back, with the cloud's limits.

Limits and formats: AWS, "Amazon API Gateway quotas" (10 MB a request, 29 s) and "Lambda quotas" (6 MB a
synchronous invocation), "Output format of a Lambda function for proxy integration".
"""

from __future__ import annotations

import base64
import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from chalice.local import LocalChalice

from infrastructure.deploy import error_pages

MAX_REQUEST_BYTES = 10 * 1024 * 1024
MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
TIME_LIMIT_SECONDS = 29.0

log = logging.getLogger("ontask.gateway")

Headers = dict[str, list[str]]


class Context:
    """What Lambda hands to a function beside the event."""

    function_name = "api_handler"
    function_version = "$LATEST"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:ontask-api_handler"
    log_group_name = "/aws/lambda/ontask-api_handler"
    log_stream_name = "local"

    def __init__(self, seconds: float = TIME_LIMIT_SECONDS) -> None:
        self.aws_request_id = str(uuid.uuid4())
        self._until = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left."""
        return max(0, int((self._until - time.monotonic()) * 1000))


class Gateway:
    """Turns one HTTP request into one invocation of the Chalice app."""

    def __init__(self, app: Any) -> None:
        # `current_request` is a plain attribute of the app; requests come in several threads here.
        if not isinstance(app, LocalChalice):
            app.__class__ = type("Local", (LocalChalice, app.__class__), {})
        self.app = app
        self._routes = [(_pattern(path), path, set(methods)) for path, methods in app.routes.items()]
        # A fixed path wins over one with a parameter, a parameter over a greedy one.
        self._routes.sort(key=lambda route: (route[1].count("{proxy+}"), route[1].count("{"), -len(route[1])))

    def match(self, method: str, path: str) -> tuple[str, dict[str, str]] | None:
        """Return the route's path and its parameters, still percent-encoded; None when there is no such route."""
        for pattern, route, methods in self._routes:
            if method in methods and (found := pattern.fullmatch(path)):
                return route, found.groupdict()
        return None

    def handle(
        self, method: str, target: str, headers: Headers, body: bytes = b"", address: str = "127.0.0.1"
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Answer one request; `target` is the raw path with its query, header names are in any case."""
        url = urlsplit(target)
        method = method.upper()
        found = self.match(method, url.path.rstrip("/") or "/")
        if found is None:
            return _refused("MISSING_AUTHENTICATION_TOKEN", headers)
        if len(body) > MAX_REQUEST_BYTES:
            return _refused("REQUEST_TOO_LARGE", headers)
        event = _event(self.app, method, url.path, url.query, *found, headers, body, address)
        if event["body"] is not None and len(event["body"]) > MAX_PAYLOAD_BYTES:
            return _refused("REQUEST_TOO_LARGE", headers)
        began = time.monotonic()
        answer = self.app(event, Context())
        seconds = time.monotonic() - began
        if seconds > TIME_LIMIT_SECONDS:
            log.warning("%s %s took %.1f s; the cloud's gateway gives up after 29 s", method, url.path, seconds)
            return _refused("INTEGRATION_TIMEOUT", headers)
        return self._finish(answer, url.path)

    @staticmethod
    def _finish(answer: dict[str, Any], path: str) -> tuple[int, list[tuple[str, str]], bytes]:
        content = answer.get("body") or ""
        if len(content) > MAX_PAYLOAD_BYTES:
            log.warning("the answer of %s has %d bytes; Lambda allows 6 MB", path, len(content))
            return 502, [("Content-Type", "application/json")], b'{"message": "Internal server error"}'
        pairs = [(name, str(value)) for name, value in answer.get("headers", {}).items()]
        pairs += [(name, str(v)) for name, values in answer.get("multiValueHeaders", {}).items() for v in values]
        raw = base64.b64decode(content) if answer.get("isBase64Encoded") else content.encode()
        return int(answer["statusCode"]), pairs, raw

    def wsgi(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Serve under a WSGI server that gives the raw path as REQUEST_URI, such as waitress."""
        if int(environ.get("CONTENT_LENGTH") or 0) > MAX_REQUEST_BYTES:
            status, pairs, raw = _refused("REQUEST_TOO_LARGE", _headers(environ))
        else:
            status, pairs, raw = self.handle(
                environ["REQUEST_METHOD"], environ["REQUEST_URI"], _headers(environ),
                environ["wsgi.input"].read(), environ.get("REMOTE_ADDR", ""),
            )  # fmt: skip
        start(f"{status} -", [*pairs, ("Content-Length", str(len(raw)))])
        return [raw]


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"({[^}]+})", path)
    return re.compile(
        "".join(
            "(?P<proxy>.+)"
            if part == "{proxy+}"
            else f"(?P<{part[1:-1]}>[^/]+)"
            if part[:1] == "{"
            else re.escape(part)
            for part in parts
        )
    )


def _event(
    app: Any, method: str, path: str, query: str, route: str, params: dict[str, str], headers: Headers, body: bytes,
    address: str,
) -> dict[str, Any]:  # fmt: skip
    values = parse_qs(query, keep_blank_values=True)
    sent = {name.lower(): value for name, value in headers.items()}
    kind = sent.get("content-type", [""])[-1].partition(";")[0].strip().lower()
    binary = bool(body) and kind in app.api.binary_types
    text = base64.b64encode(body).decode() if binary else body.decode("utf-8", "replace")
    return {
        "resource": route,
        "path": unquote(path),
        "httpMethod": method,
        "headers": {name: value[-1] for name, value in sent.items()},
        "multiValueHeaders": sent,
        "queryStringParameters": {name: value[-1] for name, value in values.items()} or None,
        "multiValueQueryStringParameters": values or None,
        "pathParameters": params or None,
        "stageVariables": None,
        "requestContext": {
            "httpMethod": method,
            "resourcePath": route,
            "path": path,
            "stage": "api",
            "requestId": str(uuid.uuid4()),
            "identity": {"sourceIp": address, "userAgent": sent.get("user-agent", [""])[-1]},
        },
        "body": text if body else None,
        "isBase64Encoded": binary,
    }


def _headers(environ: dict[str, Any]) -> Headers:
    headers = {
        name[5:].replace("_", "-").lower(): [value] for name, value in environ.items() if name.startswith("HTTP_")
    }
    if environ.get("CONTENT_TYPE"):
        headers["content-type"] = [environ["CONTENT_TYPE"]]
    return headers


def _refused(kind: str, headers: Headers) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return what the gateway answers by itself: a page where one is asked for, else JSON."""
    status, title, advice = error_pages.PAGES[kind]
    accepted = ",".join(value for name, values in headers.items() if name.lower() == "accept" for value in values)
    is_page = "text/html" in accepted
    body = error_pages.page(title, advice) if is_page else error_pages.line(title, advice)
    return status or 400, [("Content-Type", "text/html" if is_page else "application/json")], body.encode()


def serve(gateway: Callable[..., Any], port: int, threads: int = 8) -> Any:
    """Serve a WSGI app on 127.0.0.1 in a thread of its own; return the server.

    Raises OSError when the port is taken.
    """
    from waitress.server import create_server

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server = create_server(
        gateway, host="127.0.0.1", port=port, threads=threads, ident=None, max_request_body_size=MAX_REQUEST_BYTES + 1,
        clear_untrusted_proxy_headers=False,
    )  # fmt: skip
    threading.Thread(target=server.run, name="gateway", daemon=True).start()
    return server
